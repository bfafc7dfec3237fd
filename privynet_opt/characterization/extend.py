"""Add rows to a study's table, where nothing that is measured may be lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from privynet_opt.characterization.gallery_store import copy_gallery
from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.characterization.schema import KEY, source_hashes
from privynet_opt.characterization.table import CharacterizationTable, load_table
from privynet_opt.characterization.table_files import copy_study_file, write_table
from privynet_opt.files import copy_file

if TYPE_CHECKING:
    from privynet_opt.study_spec import StudySpec

WRITTEN_ANEW = ("schema_version", "table_sha256", "columns")
"""Entries of a sidecar that `write_table` adds."""


def extend_table(
    table_path: Path, rows: Sequence[dict[Any, Any]], extensions: Sequence[dict[str, Any]]
) -> None:
    """Write a table once more with some rows added.

    Args:
        table_path: The CSV file; where measurements lie beside it, the rows are added to them too,
            so that a later `characterize` in that folder keeps them.
        rows: New measurements of the same images, weights and recipes; a row whose key is known
            replaces it.
        extensions: When and on what they were measured, for the sidecar's ``extensions``.

    Raises:
        TableError: If the table is not usable.
        OutputError: If it cannot be written.
    """
    folder = MeasurementFolder(table_path.parent)
    if folder.folder.is_dir():
        for row in rows:
            folder.add(row)
    _write(table_path, load_table(table_path), rows, extensions)


def copy_study(spec: StudySpec, target: Path) -> Path:
    """Copy study file, weights and table into a folder of the user's.

    Args:
        spec: The study.
        target: The copy. Rows that an earlier copy was extended by are kept, if it is of the same
            network and images.

    Returns:
        Path of the copied table.

    Raises:
        OutputError: If the copy cannot be written.
    """
    copy_study_file(spec.directory, spec.network.weights, target)
    copy_gallery(spec.directory / "gallery", target / "gallery")
    path = target / spec.table_path.name
    own = load_table(spec.table_path)
    before = load_table(path) if path.exists() else None
    if before is None or source_hashes(before.sidecar) != source_hashes(own.sidecar):
        for name in (path.name, path.with_suffix(".json").name):
            copy_file(spec.directory / name, target / name)
        return path
    known = pd.MultiIndex.from_frame(own.rows[list(KEY)])
    added = before.rows[~pd.MultiIndex.from_frame(before.rows[list(KEY)]).isin(known)]
    shipped = own.sidecar.get("extensions", [])
    later = [e for e in before.sidecar.get("extensions", []) if e not in shipped]
    # Written once: there is no moment without the rows that were added.
    _write(path, own, added.to_dict("records"), later)
    return path


def _write(
    path: Path,
    table: CharacterizationTable,
    rows: Sequence[dict[Any, Any]],
    extensions: Sequence[dict[str, Any]],
) -> None:
    """Write a table with some rows added; one whose key is known replaces it."""
    everything: list[dict[Any, Any]] = [*table.rows.to_dict("records"), *rows]
    merged = {tuple(row[name] for name in KEY): without_nan(row) for row in everything}
    sidecar = {key: value for key, value in table.sidecar.items() if key not in WRITTEN_ANEW}
    sidecar["extensions"] = [*sidecar.get("extensions", []), *extensions]
    write_table(path, merged.values(), list(table.cuts), sidecar)


def without_nan(row: dict[Any, Any]) -> dict[str, Any]:
    """Return a table's row as a measurement is stored: nothing where it has NaN.

    Args:
        row: Of the table.
    """
    return {
        str(name): None if isinstance(value, float) and math.isnan(value) else value
        for name, value in row.items()
    }

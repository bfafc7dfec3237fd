"""A table, its sidecar and its study file, written side by side."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from privynet_opt.characterization.schema import (
    COLUMNS,
    FIDELITIES,
    FORMER_TABLE,
    SCHEMA_VERSION,
)
from privynet_opt.errors import TableError
from privynet_opt.files import copy_file, write_atomically
from privynet_opt.toml_reader import quoted
from privynet_opt.topology import SENDING_DEFAULTS

Row = dict[str, Any]


def copy_study_file(directory: Path, weights: str, target: Path) -> None:
    """Copy a study file, and the weights if they lie beside it, into another folder.

    Weights elsewhere that the file names by a relative path are named by their absolute one.

    Args:
        directory: The study's folder.
        weights: The weights as the study names them; a file's path is absolute.
        target: The folder; made where missing.
    """
    if directory.resolve() == target.resolve():
        return
    text = (directory / "study.toml").read_text(encoding="utf-8-sig")
    if Path(weights).parent == directory and Path(weights).is_file():
        copy_file(Path(weights), target / Path(weights).name)
    elif Path(weights).is_file():
        named = tomllib.loads(text)["network"]["weights"]
        absolute = quoted(str(Path(weights).resolve()))
        for quote in ('"', "'"):
            text = text.replace(f"{quote}{named}{quote}", absolute)
    write_atomically(target / "study.toml", text)


def check_cuts(directory: Path, rows: Iterable[Row], cuts: Collection[str]) -> None:
    """Make sure that a study names every cut that rows are of.

    Args:
        directory: The folder that holds the rows.
        rows: Measurements.
        cuts: Names of the study's cut layers.

    Raises:
        TableError: If a row is of another cut.
    """
    others = sorted({row["cut_layer"] for row in rows} - set(cuts))
    if others:
        raise TableError(
            "`search_space.cut_layers` must name every cut that is measured, but "
            f"{directory} holds measurements of {others[0]}. Add it, or choose another --output "
            "folder."
        )


def write_table(
    path: Path, rows: Iterable[Row], cut_order: list[str], sidecar: dict[str, Any]
) -> None:
    """Write the table and its sidecar; defaults of how features are sent are not written.

    Args:
        path: The CSV file; the sidecar is the ``.json`` file of the same stem.
        rows: Measurements.
        cut_order: Cut layers in the order of the network, to sort the rows by.
        sidecar: Profiles and provenance; schema version, units and hash are added.

    Raises:
        TableError: If a row is of another cut.
        OutputError: If a file cannot be written.
    """
    rows = list(rows)
    check_cuts(path.parent, rows, cut_order)
    ordered = sorted(
        rows,
        key=lambda r: (
            FIDELITIES.index(r["fidelity"]),
            cut_order.index(r["cut_layer"]),
            r["kept_filters"],
            r["selection_strategy"],
            r["selection_seed"],
            -r["feature_bits"],
            r["noise_std"],
            r["training_seed"],
        ),
    )
    sent_plainly = all(
        row[name] == plain for row in ordered for name, plain in SENDING_DEFAULTS.items()
    )
    names = [name for name in COLUMNS if not (sent_plainly and name in SENDING_DEFAULTS)]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    for row in ordered:
        writer.writerow({name: _cell(row[name]) for name in names})
    text = stream.getvalue()
    described = {
        "schema_version": SCHEMA_VERSION,
        "table_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "columns": {name: COLUMNS[name].meaning for name in names},
        **sidecar,
    }
    if path.exists():  # a run killed between the two files leaves a pair that can be read
        former = hashlib.sha256(path.read_bytes()).hexdigest()
        _write_sidecar(path, described | {FORMER_TABLE: former})
    write_atomically(path, text)
    _write_sidecar(path, described)


def _write_sidecar(path: Path, described: dict[str, Any]) -> None:
    write_atomically(path.with_suffix(".json"), json.dumps(described, indent=1) + "\n")


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value

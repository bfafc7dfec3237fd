"""Measurements on disk: one atomic file each, and the table and sidecar assembled from them.

A killed run loses at most the measurement in flight: a finished one is a file that was renamed
into place, and a run in the same folder measures only what has no file yet.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from privynet_opt.characterization.schema import (
    COLUMNS,
    FIDELITIES,
    KEY,
    SCHEMA_VERSION,
    TRAINED_FIDELITIES,
    measurement_name,
)
from privynet_opt.errors import OutputError, TableError
from privynet_opt.topology import LOCAL_COLUMNS, SENDING_DEFAULTS, LocalTopology

Row = dict[str, Any]


def write_atomically(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file so that it is either whole or not there.

    Args:
        path: The file; its folder is made if missing.
        content: Its text, written as UTF-8, or its bytes.
        mode: Who may read it; until it is whole, its owner alone.

    Raises:
        OutputError: If the file cannot be written, for instance because the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content.encode() if isinstance(content, str) else content)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(
            f"`output` must be writable, but {path} is not ({error.strerror}). "
            "Free some space or choose another folder; what is already measured is kept."
        ) from error


class MeasurementFolder:
    """The folder of finished measurements of one run.

    Args:
        output: The run's output folder.
    """

    def __init__(self, output: Path) -> None:
        self.folder = output / "measurements"

    @property
    def is_begun(self) -> bool:
        """Whether a run has claimed it."""
        return self._provenance.exists()

    @property
    def _provenance(self) -> Path:
        return self.folder / "provenance.json"

    def has(self, key: Mapping[str, Any]) -> bool:
        """Return whether a measurement is finished.

        Args:
            key: At least the columns of `schema.KEY`.
        """
        return self._path(key).exists()

    def get(self, key: Mapping[str, Any]) -> Row:
        """Return a finished measurement.

        Args:
            key: At least the columns of `schema.KEY`.
        """
        return _read_row(self._path(key))

    def add(self, row: Row) -> None:
        """Store a finished measurement.

        Args:
            row: The columns of `schema.COLUMNS`.
        """
        assert all(row[n] is not None and math.isfinite(row[n]) for n in ("accuracy", "psnr_db"))
        write_atomically(self._path(row), json.dumps(row, indent=1, allow_nan=False) + "\n")

    def add_anonymity(self, cut_layer: str, entries: list[Row]) -> None:
        """Store what secrecy of the kept channels is worth at a cut.

        Args:
            cut_layer: Name of the cut.
            entries: From `anonymity.measure_anonymity`.
        """
        path = self.folder / "anonymity" / f"{cut_layer}.json"
        write_atomically(path, json.dumps(entries, indent=1, allow_nan=False) + "\n")

    def anonymity(self) -> list[Row]:
        """Return the entries of `add_anonymity` of all cuts."""
        return _entries(sorted((self.folder / "anonymity").glob("[!.]*.json")))

    def add_information(self, cut_layer: str, entries: list[Row]) -> None:
        """Store what the features of a cut tell of images at most, beside what is known.

        Args:
            cut_layer: Name of the cut.
            entries: From `information.measure_information`.
        """
        path = self.folder / "information" / f"{cut_layer}.json"
        known = {LocalTopology.of(entry): entry for entry in _entries([path])}
        known |= {LocalTopology.of(entry): entry for entry in entries}
        text = json.dumps(list(known.values()), indent=1, allow_nan=False)
        write_atomically(path, text + "\n")

    def information(self) -> list[Row]:
        """Return the entries of `add_information` of all cuts."""
        return _entries(sorted((self.folder / "information").glob("[!.]*.json")))

    def add_searched(self, entry: Row) -> None:
        """Store the subset found for a cut and a count.

        Args:
            entry: From `subset_search.search_subset`.
        """
        path = self.folder / "searched" / f"{entry['cut_layer']}--{entry['kept_filters']}.json"
        write_atomically(path, json.dumps(entry, indent=1, allow_nan=False) + "\n")

    def searched(self) -> list[Row]:
        """Return the entries of `add_searched`, by cut layer and count."""
        entries = [json.loads(p.read_text()) for p in (self.folder / "searched").glob("[!.]*.json")]
        return sorted(entries, key=lambda entry: (entry["cut_layer"], entry["kept_filters"]))

    def add_side_attack(self, entry: Row) -> None:
        """Store what another attacker than the usual one recovers of a topology.

        Args:
            entry: From `side_attack.SideAttack`.
        """
        names = (*LOCAL_COLUMNS, "capacity", "images_sha256")
        name = "--".join(str(entry[column]) for column in names)
        write_atomically(
            self.folder / "side_attacks" / f"{name}.json",
            json.dumps(entry, indent=1, allow_nan=False) + "\n",
        )

    def side_attacks(self) -> list[Row]:
        """Return the entries of `add_side_attack`, by the name of their file."""
        files = sorted((self.folder / "side_attacks").glob("[!.]*.json"))
        return [json.loads(path.read_text()) for path in files]

    @property
    def has_trained(self) -> bool:
        """Whether any topology had networks of its own."""
        return any(any(self.folder.glob(f"[!.]*--{name}--*.json")) for name in TRAINED_FIDELITIES)

    def count(self) -> int:
        """Return the number of finished measurements."""
        return sum(1 for _ in self.folder.glob("[!.]*--*.json"))

    def rows(self) -> list[Row]:
        """Return all finished measurements, in the order of their keys."""
        return [_read_row(path) for path in self.folder.glob("[!.]*--*.json")]

    def claim(self, provenance: Mapping[str, Any]) -> None:
        """Make sure that the folder holds measurements of the same data, weights and recipes.

        Args:
            provenance: What this run measures with; plain data.

        Raises:
            TableError: If the folder was begun with something else.
        """
        path = self._provenance
        mine = json.loads(json.dumps(provenance))
        if not path.exists():
            write_atomically(path, json.dumps(mine, indent=1) + "\n")
            return
        theirs = json.loads(path.read_text())
        different = sorted(k for k in {*mine, *theirs} if mine.get(k) != theirs.get(k))
        if different:
            raise TableError(
                f"`output` must hold measurements of the same {', '.join(different)}, but "
                f"{self.folder} was begun with another. Choose another --output folder."
            )

    def check_that_nothing_is_lost(self, table: Path) -> None:
        """Make sure that a table which will be written from this folder has no other rows.

        Args:
            table: The CSV file, which need not exist.

        Raises:
            TableError: If it has rows that were not measured here.
        """
        if not table.exists():
            return
        with table.open(newline="", encoding="utf-8") as stream:
            lost = sum(not self.has(_key(cells)) for cells in csv.DictReader(stream))
        if lost:
            raise TableError(
                "`output` must hold a table that was measured there, with the same weights, images "
                f"and recipes, but {lost:,} rows of {table} are of another origin and would be "
                "lost. Choose another --output folder."
            )

    def _path(self, key: Mapping[str, Any]) -> Path:
        return self.folder / f"{measurement_name(key)}.json"


def _key(cells: Mapping[str, str]) -> Row:
    """Return the key of a row as it is written in a table."""
    return {
        name: float(cells[name]) if name in SENDING_DEFAULTS else cells[name]
        for name in KEY
        if name in cells
    }


def _entries(files: Iterable[Path]) -> list[Row]:
    """Return the entries of all files that exist."""
    return [e for path in files if path.exists() for e in json.loads(path.read_text())]


def _read_row(path: Path) -> Row:
    return {**SENDING_DEFAULTS, **json.loads(path.read_text())}


def subsets_of(entries: Iterable[Row]) -> dict[tuple[str, int], tuple[int, ...]]:
    """Return found subsets by cut layer and count of kept filters.

    Args:
        entries: As `MeasurementFolder.searched` and the sidecar's ``searched`` have them.
    """
    return {(e["cut_layer"], e["kept_filters"]): tuple(e["channels"]) for e in entries}


def copy_study_file(directory: Path, weights: str, target: Path) -> None:
    """Copy a study file, and the weights if they lie beside it, into another folder.

    Weights elsewhere that the file names by a relative path are named by their absolute one.

    Args:
        directory: The study's folder.
        weights: The weights as the study names them; a file's path is absolute.
        target: The folder; made where missing.
    """
    target.mkdir(parents=True, exist_ok=True)
    if directory.resolve() == target.resolve():
        return
    text = (directory / "study.toml").read_text(encoding="utf-8")
    if Path(weights).parent == directory and Path(weights).is_file():
        shutil.copyfile(weights, target / Path(weights).name)
    elif Path(weights).is_file():
        named = tomllib.loads(text)["network"]["weights"]
        absolute = json.dumps(str(Path(weights).resolve()), ensure_ascii=False)
        for quote in ('"', "'"):
            text = text.replace(f"{quote}{named}{quote}", absolute)
    write_atomically(target / "study.toml", text)


def write_table(
    path: Path, rows: Iterable[Row], cut_order: list[str], sidecar: dict[str, Any]
) -> None:
    """Write the table and its sidecar; defaults of how features are sent are not written.

    Args:
        path: The CSV file; the sidecar is the ``.json`` file of the same stem.
        rows: Measurements.
        cut_order: Cut layers in the order of the network, to sort the rows by.
        sidecar: Profiles and provenance; schema version, units and hash are added.
    """
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
    write_atomically(path, text)
    write_atomically(path.with_suffix(".json"), json.dumps(described, indent=1) + "\n")


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value

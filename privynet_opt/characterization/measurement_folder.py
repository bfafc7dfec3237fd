"""Measurements on disk, one atomic file each.

A killed run loses at most the measurement in flight: a finished one is a file that was renamed
into place, and a run in the same folder measures only what has no file yet.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from privynet_opt.characterization.schema import (
    CLOUD_NOISE,
    KEY,
    TRAINED_FIDELITIES,
    measurement_name,
)
from privynet_opt.errors import TableError
from privynet_opt.files import write_atomically
from privynet_opt.topology import LOCAL_COLUMNS, SENDING_DEFAULTS, LocalTopology

Row = dict[str, Any]
Json = TypeVar("Json", Row, list[Row])

_AGAIN = "Restore it, or delete it: what is missing is measured again."
_ELSEWHERE = "Choose another --output folder."


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

        Raises:
            TableError: If its file is damaged.
        """
        return _read_row(self._path(key))

    def add(self, row: Row) -> None:
        """Store a finished measurement.

        Args:
            row: The columns of `schema.COLUMNS`, or those of an attack alone.
        """
        told = [row[name] for name in ("accuracy", "psnr_db") if name in row]
        assert all(value is not None and math.isfinite(value) for value in told)
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
        entries = [_read(path, dict) for path in (self.folder / "searched").glob("[!.]*.json")]
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
        return [_read(path, dict) for path in files]

    @property
    def has_trained(self) -> bool:
        """Whether any topology had networks of its own."""
        return any(any(self.folder.glob(f"[!.]*--{name}--*.json")) for name in TRAINED_FIDELITIES)

    def count(self) -> int:
        """Return the number of finished measurements."""
        return sum(1 for _ in self.folder.glob("[!.]*--*.json"))

    def rows(self) -> list[Row]:
        """Return all finished measurements, in the order of their keys.

        Raises:
            TableError: If the file of one is damaged.
        """
        return [_read_row(path) for path in self.folder.glob("[!.]*--*.json")]

    def beside_rows(self) -> dict[str, list[Row]]:
        """Return what was measured beside the rows, as a table's sidecar tells it."""
        entries = {"anonymity": self.anonymity(), "searched": self.searched()}
        information = self.information()
        if information:
            entries["information"] = information
        return {**entries, "side_attacks": self.side_attacks()}

    def claim(self, provenance: Mapping[str, Any], table: Path | None = None) -> None:
        """Say what is measured here, or check that it is the same as in an earlier run.

        Args:
            provenance: What this run measures with; plain data.
            table: The table that will be written from the folder; None if all of its rows will be
                in it. A run that is refused for it leaves the folder as it was.

        Raises:
            TableError: If the folder was begun with something else, or cannot tell with what, or
                rows of the table would be lost.
        """
        # In a folder that is begun, a row without a file was removed to be measured again.
        if table is not None and not self.is_begun:
            self.check_that_nothing_is_lost(table)
        path = self._provenance
        mine = json.loads(json.dumps(provenance))
        if not path.exists():
            write_atomically(path, json.dumps(mine, indent=1) + "\n")
            return
        theirs = _read(path, dict, "Restore it, or choose another --output folder.")
        different = sorted(k for k in {*mine, *theirs} if mine.get(k) != theirs.get(k))
        if different == [CLOUD_NOISE] and (CLOUD_NOISE in theirs or not self._has_noisy_rows()):
            write_atomically(path, json.dumps({**theirs, **mine}, indent=1) + "\n")
        elif different:
            raise TableError(
                f"`output` must hold measurements of the same {', '.join(different)}, but "
                f"{self.folder} was begun with another. {_ELSEWHERE}"
            )

    def check_that_nothing_is_lost(self, table: Path) -> None:
        """Make sure that a table which will be written from this folder has no other rows.

        Args:
            table: The CSV file, which need not exist.

        Raises:
            TableError: If it has rows that were not measured here, or is no table.
        """
        if not table.exists():
            return
        lost = sum(not self.has(key) for key in _keys(table))
        if lost:
            raise TableError(
                "`output` must hold a table that was measured there, with the same weights, images "
                f"and recipes, but {lost:,} rows of {table} are of another origin and would be "
                f"lost. {_ELSEWHERE}"
            )

    def _has_noisy_rows(self) -> bool:
        """Return whether cloud networks learnt from noisy features here."""
        rows = (row for row in self.rows() if row["fidelity"] in TRAINED_FIDELITIES)
        return any(row.get("noise_std") for row in rows)

    def _path(self, key: Mapping[str, Any]) -> Path:
        return self.folder / f"{measurement_name(key)}.json"


def _keys(table: Path) -> list[Row]:
    """Return the keys of the rows of a table."""
    try:
        with table.open(newline="", encoding="utf-8") as stream:
            return [_key(cells) for cells in csv.DictReader(stream)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise TableError(
            f"`output` must hold a table that was measured there, but {table} cannot be read as "
            f"one ({_reason(error)}) and would be lost. {_ELSEWHERE}"
        ) from error


def _key(cells: Mapping[str, str]) -> Row:
    """Return the key of a row as it is written in a table."""
    return {
        name: float(cells[name]) if name in SENDING_DEFAULTS else cells[name]
        for name in KEY
        if name in cells or name not in SENDING_DEFAULTS
    }


def _entries(files: Iterable[Path]) -> list[Row]:
    """Return the entries of all files that exist."""
    return [entry for path in files if path.exists() for entry in _read(path, list)]


def _read_row(path: Path) -> Row:
    return {**SENDING_DEFAULTS, **_read(path, dict)}


def _read(path: Path, kind: type[Json], remedy: str = _AGAIN) -> Json:
    """Return what a file of the folder holds."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, _reason(error), remedy) from error
    if not isinstance(content, kind):
        raise _damaged(path, f"a {type(content).__name__}", remedy)
    return content


def _damaged(path: Path, reason: str, remedy: str) -> TableError:
    return TableError(
        f"`output` must hold whole files of JSON, but {path} cannot be used ({reason}). {remedy}"
    )


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())

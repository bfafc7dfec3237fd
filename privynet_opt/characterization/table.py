"""The characterization table: read, checked against its sidecar, and held as one frozen object.

Stands between the measurements and the proxies. Columns and units are those of
`privynet_opt.characterization.schema`; the rules on values are in `row_rules`.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from privynet_opt.characterization.row_rules import columns_at_fault, rows_at_fault, typed_rows
from privynet_opt.characterization.schema import (
    FORMER_TABLE,
    SCHEMA_VERSION,
    TRAINED_FIDELITIES,
    subsets_of,
)
from privynet_opt.cost import CutProfile
from privynet_opt.errors import TableError

SIDECAR_KEYS = ("schema_version", "table_sha256", "network", "cuts", "data", "fidelities")
"""Entries of the sidecar without which a table cannot be used."""

_MEASURE = "Measure it with `privynet-opt characterize`."
_RESTORE = "Restore the pair of files that was measured, or measure again."


@dataclass(frozen=True)
class CharacterizationTable:
    """Every measurement of a study, with the cuts and the provenance it belongs to.

    Attributes:
        rows: The measurements; columns and units as in `schema.COLUMNS`, no NaN except in
            ``decoder_psnr_db`` of rows that train no decoder.
        cuts: Cost profiles by name of the cut layer, in the order of the network.
        sidecar: The JSON file beside the table: provenance of network, data and recipes.
        path: The CSV file.
    """

    rows: pd.DataFrame
    cuts: dict[str, CutProfile]
    sidecar: dict[str, Any]
    path: Path

    @property
    def screen(self) -> pd.DataFrame:
        """Rows measured in closed form."""
        return self.rows[self.rows["fidelity"] == "screen"]

    @property
    def amortised(self) -> pd.DataFrame:
        """Rows measured by networks that serve every subset of a cut."""
        return self.rows[self.rows["fidelity"] == "amortised"]

    @property
    def searched(self) -> dict[tuple[str, int], tuple[int, ...]]:
        """Channels of the subsets found by searching, by cut layer and count of kept filters."""
        return subsets_of(self.sidecar.get("searched", []))

    @property
    def answer_sha256(self) -> str:
        """Hash of all measurements that an answer rests on: the rows, attacks beside them, subsets.

        That of the rows alone where there is nothing else.
        """
        others = {name: self.sidecar.get(name) for name in ("side_attacks", "searched")}
        if not any(others.values()):
            return str(self.sidecar["table_sha256"])
        told = json.dumps([self.sidecar["table_sha256"], others], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def trained(self) -> pd.DataFrame:
        """Rows whose attacker and cloud network were trained for that very topology."""
        return self.rows[self.rows["fidelity"].isin(TRAINED_FIDELITIES)]


def load_table(path: Path) -> CharacterizationTable:
    """Read a characterization table and its sidecar.

    Args:
        path: The CSV file; the sidecar is the ``.json`` file of the same stem.

    Returns:
        The table, every rule checked.

    Raises:
        TableError: If a file is missing or unreadable, the sidecar is of another schema version
            or describes another CSV file, or columns or rows break a rule. All faults that can
            be seen are in the one message.
    """
    path = Path(path)
    faults: list[str] = []
    content = _read(path, "table", faults)
    sidecar = _read_sidecar(path.with_suffix(".json"), faults)
    cuts = _read_cuts(sidecar, faults)
    if content is not None:
        faults += _hash_faults(path, content, sidecar)
        rows = _read_rows(path, content, cuts, faults)
    if faults:
        raise _error(path, faults)
    return CharacterizationTable(rows, cuts, sidecar, path)


def validate_rows(
    rows: pd.DataFrame, cuts: Mapping[str, CutProfile], path: Path | None = None
) -> pd.DataFrame:
    """Check measurements against the schema and the cuts they were taken at.

    Args:
        rows: Measurements, as text or as numbers, one per row.
        cuts: Profiles of the cuts that may occur.
        path: The file they come from, to be named in the message.

    Returns:
        The rows in the column order and dtypes of `schema.COLUMNS`.

    Raises:
        TableError: If a column is missing or unknown, there are no rows, or a value breaks a
            rule; every fault is in the one message.
    """
    faults = columns_at_fault(rows)
    typed, broken = typed_rows(rows)
    faults += broken + rows_at_fault(typed, cuts)
    if faults:
        raise _error(path, faults)
    return typed


def _error(path: Path | None, faults: list[str]) -> TableError:
    where = "" if path is None else f" {path}"
    if len(faults) == 1:
        return TableError(f"Characterization table{where}: {faults[0]}")
    listed = " ".join(f"({number}) {fault}" for number, fault in enumerate(faults, start=1))
    return TableError(f"Characterization table{where} has {len(faults)} faults: {listed}")


def _read(path: Path, name: str, faults: list[str]) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        faults.append(f"`{name}` must be a readable file, but got {path} ({reason}). {_MEASURE}")
        return None


def _read_sidecar(path: Path, faults: list[str]) -> dict[str, Any]:
    content = _read(path, "sidecar", faults)
    if content is None:
        return {}
    try:
        sidecar = json.loads(content)
    except ValueError as error:
        reason = " ".join(str(error).split())
        faults.append(f"sidecar {path.name} must be JSON, but {reason}. {_RESTORE}")
        return {}
    if not isinstance(sidecar, dict):
        kind = type(sidecar).__name__
        faults.append(f"sidecar {path.name} must hold an object, but got a {kind}. {_RESTORE}")
        return {}
    version = sidecar.get("schema_version")
    if version != SCHEMA_VERSION:
        faults.append(
            f"`schema_version` must be {SCHEMA_VERSION}, but {path.name} has "
            f"schema_version={version!r}. Measure again, or use the version of privynet_opt "
            "that wrote the table."
        )
    missing = [key for key in SIDECAR_KEYS if key not in sidecar and key != "schema_version"]
    if missing:
        names = ", ".join(f"`{key}`" for key in missing)
        faults.append(
            f"sidecar {path.name} must have {', '.join(SIDECAR_KEYS)}, but {names} "
            f"{'is' if len(missing) == 1 else 'are'} missing. {_RESTORE}"
        )
    return sidecar


def _read_cuts(sidecar: dict[str, Any], faults: list[str]) -> dict[str, CutProfile]:
    if "cuts" not in sidecar:
        return {}
    try:
        profiles = [CutProfile.from_dict(fields) for fields in sidecar["cuts"]]
    except (TypeError, ValueError, KeyError) as error:
        reason = f"{type(error).__name__}: {error}"
        faults.append(f"`cuts` must be a list of cut profiles, but got {reason}. {_RESTORE}")
        return {}
    if not profiles:
        faults.append(f"`cuts` must name at least one cut, but got an empty list. {_RESTORE}")
    return {profile.name: profile for profile in profiles}


def _hash_faults(path: Path, content: bytes, sidecar: dict[str, Any]) -> list[str]:
    stated, former = sidecar.get("table_sha256"), sidecar.pop(FORMER_TABLE, None)
    actual = hashlib.sha256(content).hexdigest()
    if stated is None or stated == actual:
        return []
    if former == actual:  # a run was killed before it put the new table into its place
        sidecar["table_sha256"] = actual
        return []
    return [
        f"`table_sha256` must be the hash of {path.name}, but the sidecar states "
        f"{str(stated)[:12]}… and the file has {actual[:12]}…: it was changed after it was "
        f"measured. {_RESTORE}"
    ]


def _read_rows(
    path: Path, content: bytes, cuts: dict[str, CutProfile], faults: list[str]
) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a row of too many cells
            raw = pd.read_csv(
                io.BytesIO(content), dtype=str, keep_default_na=False, index_col=False
            )
    except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split())
        faults.append(f"table {path.name} must be comma-separated text, but {reason}. {_RESTORE}")
        return pd.DataFrame()
    faults += columns_at_fault(raw)
    rows, broken = typed_rows(raw)
    faults += broken + rows_at_fault(rows, cuts or None)
    return rows

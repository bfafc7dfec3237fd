"""What fitting a proxy learned, small enough to keep as JSON beside the table.

Fitting searches hyper-parameters once per fold; refitting with them is a matter of milliseconds.
A record holds the choice of model, its hyper-parameters and the held-out predictions, and the
key of the table it belongs to. It depends on no confidence level.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from privynet_opt.characterization.schema import SCHEMA_VERSION
from privynet_opt.characterization.table import CharacterizationTable
from privynet_opt.errors import OutputError
from privynet_opt.files import write_atomically
from privynet_opt.proxies.base import Floats
from privynet_opt.proxies.estimates import TARGETS
from privynet_opt.proxies.inputs import input_names
from privynet_opt.proxies.models import MODELS

RECORD_VERSION = 8
"""Raised whenever inputs, models, folds or choice change, so that older records are refitted."""

DIGITS = 7
"""Significant digits kept: far below the errors, and the same record on every machine."""


@dataclass(frozen=True)
class TargetRecord:
    """What was learned about one target; rows in the order of `privynet_opt.proxies.fit`.

    Attributes:
        model: Name of the chosen model.
        hyperparameters: Of the model fitted to all rows.
        errors: Held-out mean absolute error by name of the model.
        crps: Held-out `model_choice.normal_crps` by name of the model; the smallest was chosen.
        means: Predictions with the row's (cut layer, kept filters) held out.
        spreads: Their spreads.
        loco_means: Predictions with the row's cut layer held out; empty for a single cut.
        loco_spreads: Their spreads.
    """

    model: str
    hyperparameters: list[float]
    errors: dict[str, float]
    crps: dict[str, float]
    means: list[float]
    spreads: list[float]
    loco_means: list[float] = field(default_factory=list)
    loco_spreads: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Round, so that a record read back equals the one that was fitted."""
        for name in ("hyperparameters", "means", "spreads", "loco_means", "loco_spreads"):
            object.__setattr__(self, name, [_rounded(value) for value in getattr(self, name)])
        for name in ("errors", "crps"):
            by_model = {str(key): _rounded(value) for key, value in getattr(self, name).items()}
            object.__setattr__(self, name, by_model)

    @property
    def held_out(self) -> tuple[Floats, Floats]:
        """Means and spreads with the row's (cut layer, kept filters) held out."""
        return np.array(self.means), np.array(self.spreads)

    @property
    def without_cut(self) -> tuple[Floats, Floats]:
        """Means and spreads with the row's cut layer held out; empty for a single cut."""
        return np.array(self.loco_means), np.array(self.loco_spreads)


def table_key(table: CharacterizationTable) -> str:
    """Return the hash of everything a record depends on.

    Args:
        table: The table the proxies are fitted to.

    Returns:
        Hexadecimal sha256.
    """
    parts = [
        SCHEMA_VERSION,
        RECORD_VERSION,
        input_names(table),
        list(MODELS),
        table.sidecar["table_sha256"],
        table.sidecar["cuts"],
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def read_record(path: Path, key: str, n_rows: int) -> dict[str, TargetRecord] | None:
    """Read a record if it belongs to the table.

    Args:
        path: The JSON file.
        key: The table's key.
        n_rows: Trained rows of the table.

    Returns:
        A record per target; None if the file is missing, unreadable, malformed or another
        table's: a record can always be fitted again, so none of these is an error.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["key"] != key:
            return None
        record = {target: TargetRecord(**content["targets"][target]) for target in TARGETS}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if all(_is_whole(entry, n_rows) for entry in record.values()) else None


def write_record(path: Path, key: str, record: dict[str, TargetRecord]) -> None:
    """Write a record atomically; where the folder cannot be written, nothing is kept.

    Args:
        path: The JSON file.
        key: The table's key.
        record: A record per target.
    """
    content = {"key": key, "targets": {target: asdict(entry) for target, entry in record.items()}}
    try:
        write_atomically(path, json.dumps(content, indent=1) + "\n")
    except OutputError:
        return


def _is_whole(entry: TargetRecord, n_rows: int) -> bool:
    spreads = [*entry.spreads, *entry.loco_spreads]
    numbers = [*entry.hyperparameters, *entry.means, *entry.loco_means, *spreads]
    return (
        entry.model in MODELS
        and set(entry.errors) == set(entry.crps)
        and entry.model in entry.crps
        and len(entry.means) == len(entry.spreads) == n_rows
        and len(entry.loco_means) == len(entry.loco_spreads)
        and len(entry.loco_means) in (0, n_rows)
        and bool(np.isfinite(numbers).all())
        and min(spreads) > 0
    )


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")

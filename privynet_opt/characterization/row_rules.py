"""The rules a measurement obeys, each checked over all rows at once.

Every function returns sentences rather than raising, so that all of a table's faults fit in one
message. Rows are named by the line of the CSV file that an editor shows: the header is line 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from privynet_opt.characterization.schema import COLUMNS, FIDELITIES, KEY
from privynet_opt.cost import CutProfile
from privynet_opt.errors import did_you_mean
from privynet_opt.topology import (
    FEATURE_BITS,
    SEEDED_STRATEGIES,
    SELECTION_STRATEGIES,
    SENDING_DEFAULTS,
)

RANGES = {
    "kept_filters": (1.0, np.inf),
    "selection_seed": (0.0, np.inf),
    "noise_std": (0.0, np.inf),
    "training_seed": (0.0, np.inf),
    "accuracy": (0.0, 1.0),
    "ssim": (-1.0, 1.0),
    "decoder_epochs": (0.0, np.inf),
    "cloud_epochs": (0.0, np.inf),
    "seconds": (0.0, np.inf),
}
"""Smallest and largest value of the columns that have one."""

ROUNDING_DB = 1e-3
"""Tables keep six significant digits; two roundings of one PSNR may differ by this much."""

_CORRECT = "Correct or remove the row, or measure it again."


def columns_at_fault(rows: pd.DataFrame) -> list[str]:
    """Compare the columns with the schema.

    Args:
        rows: A table as read.

    Returns:
        One sentence per missing or unknown column.
    """
    missing = [
        f"column `{name}` ({COLUMNS[name].meaning}) must be there, but the columns are "
        f"{', '.join(map(str, rows.columns)) or 'none'}. Add it, or measure again."
        for name in COLUMNS
        if name not in rows.columns and name not in SENDING_DEFAULTS
    ]
    unknown = [
        f"column `{name}` must be one of the schema's. Remove it. "
        + did_you_mean(str(name), COLUMNS)
        for name in rows.columns
        if name not in COLUMNS
    ]
    return missing + unknown


def typed_rows(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Give the columns their types.

    Args:
        rows: A table as read, every cell text; or one that is typed already.

    Returns:
        The schema's columns that are there, and in any case those that say how features are sent,
        in its order and dtypes, and a sentence per column with an empty cell or one that is no
        finite number (or no whole one). A column at fault is left as float with NaN in the cells
        that are.
    """
    typed: dict[str, pd.Series[Any]] = {}
    faults: list[str] = []
    for name, column in COLUMNS.items():
        if name not in rows.columns:
            if name in SENDING_DEFAULTS:
                typed[name] = pd.Series(SENDING_DEFAULTS[name], index=rows.index)
            continue
        cells = rows[name]
        if column.dtype == "str":
            words = cells.astype(str).str.strip()
            faults += _broken(name, words, words == "", "not be empty")
            typed[name] = words
            continue
        text = cells.astype(str).str.strip()
        values = pd.to_numeric(cells, errors="coerce").astype(float)
        wrong = ~np.isfinite(values)
        if column.may_be_empty:
            wrong &= ~text.str.lower().isin(["", "nan", "none"])
        rule = "be a finite number"
        if column.dtype == "int":
            wrong |= values % 1 != 0
            rule = "be a whole number"
        faults += _broken(name, text, wrong, rule)
        typed[name] = values if wrong.any() or column.dtype == "float" else values.astype(int)
    return pd.DataFrame(typed), faults


def rows_at_fault(rows: pd.DataFrame, cuts: Mapping[str, CutProfile] | None) -> list[str]:
    """Check values, words and keys of typed rows.

    Args:
        rows: As `typed_rows` returns them; rules on columns that are missing are left out, and
            NaN breaks no rule here.
        cuts: Profiles of the cuts that may occur; None if they are not known.

    Returns:
        One sentence per broken rule, naming the first line that breaks it.
    """
    if rows.empty:
        return [
            "table must have at least one row, but got none. "
            "Measure topologies with `privynet-opt characterize`."
        ]
    faults = []
    for name, (low, high) in RANGES.items():
        if name in rows:
            wrong = (rows[name] < low) | (rows[name] > high)
            rule = f"be at least {low:g}" if high == np.inf else f"be in [{low:g}, {high:g}]"
            faults += _broken(name, rows[name], wrong, rule)
    if "feature_bits" in rows:
        wrong = ~rows["feature_bits"].isin(FEATURE_BITS) & rows["feature_bits"].notna()
        rule = f"be one of {', '.join(map(str, FEATURE_BITS))}"
        faults += _broken("feature_bits", rows["feature_bits"], wrong, rule)
    faults += _unknown_words(rows, "fidelity", FIDELITIES)
    faults += _unknown_words(rows, "selection_strategy", SELECTION_STRATEGIES)
    if cuts is not None:
        faults += _unknown_words(rows, "cut_layer", cuts)
        faults += _beyond_channels(rows, cuts)
    return faults + _idle_seeds(rows) + _weaker_than_an_attacker(rows) + _repeated_keys(rows)


def _broken(name: str, values: pd.Series, wrong: ArrayLike, rule: str) -> list[str]:
    lines = np.flatnonzero(np.asarray(wrong))
    if not lines.size:
        return []
    value = values.iloc[lines[0]]
    shown = repr(value) if isinstance(value, str) else f"{value:g}"
    return [f"column `{name}` must {rule}, but got {name}={shown} in {_lines(lines)}. {_CORRECT}"]


def _lines(positions: np.ndarray) -> str:
    more = f" and {len(positions) - 1} more" if len(positions) > 1 else ""
    return f"line {positions[0] + 2}{more}"


def _unknown_words(
    rows: pd.DataFrame, name: str, known: Mapping[str, object] | tuple[str, ...]
) -> list[str]:
    if name not in rows:
        return []
    wrong = ~rows[name].isin(list(known)) & (rows[name] != "")
    hint = did_you_mean(str(rows[name][wrong].iloc[0]), known) if wrong.any() else ""
    return [f"{fault} {hint}" for fault in _broken(name, rows[name], wrong, "be a known word")]


def _beyond_channels(rows: pd.DataFrame, cuts: Mapping[str, CutProfile]) -> list[str]:
    if not {"cut_layer", "kept_filters"} <= set(rows):
        return []
    channels = rows["cut_layer"].map({name: cut.channels for name, cut in cuts.items()})
    wrong = rows["kept_filters"] > channels
    if not wrong.any():
        return []
    first = rows[wrong].iloc[0]
    limit = cuts[first["cut_layer"]].channels
    rule = f"be at most the {limit} channels of {first['cut_layer']}"
    return _broken("kept_filters", rows["kept_filters"], wrong, rule)


def _idle_seeds(rows: pd.DataFrame) -> list[str]:
    if not {"selection_strategy", "selection_seed"} <= set(rows):
        return []
    strategies = rows["selection_strategy"]
    draws_nothing = strategies.isin(set(SELECTION_STRATEGIES) - SEEDED_STRATEGIES)
    wrong = draws_nothing & (rows["selection_seed"] > 0)
    return _broken("selection_seed", rows["selection_seed"], wrong, "be 0 where nothing is drawn")


def _weaker_than_an_attacker(rows: pd.DataFrame) -> list[str]:
    """A privacy loss below one attacker's own PSNR would promise privacy that was not measured."""
    attackers = ["ridge_psnr_db", "decoder_psnr_db"]
    if not {"psnr_db", *attackers} <= set(rows):
        return []
    wrong = rows["psnr_db"] < rows[attackers].max(axis=1) - ROUNDING_DB
    rule = "be at least every attacker's own PSNR"
    return _broken("psnr_db", rows["psnr_db"], wrong, rule)


def _repeated_keys(rows: pd.DataFrame) -> list[str]:
    if not set(KEY) <= set(rows):
        return []
    repeated = rows.duplicated(list(KEY))
    if not repeated.any():
        return []
    first = rows[repeated].iloc[0]
    values = ", ".join(f"{name}={first[name]}" for name in KEY)
    lines = _lines(np.flatnonzero(repeated))
    return [
        f"key ({', '.join(KEY)}) must be unique, but got {values} again in {lines}. "
        "Remove one of the two rows."
    ]

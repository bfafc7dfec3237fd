"""Words and numbers as the report shows them: labels, units, directions, the readable dB scale."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from privynet_opt.metrics import METRICS
from privynet_opt.topology import TOPOLOGY_COLUMNS, LocalTopology, topology_words


class Display(NamedTuple):
    """How one metric is shown.

    Attributes:
        label: Its name in words.
        unit: Printed after the number; empty for none.
        scale: Multiplies the number before it is printed.
        digits: Decimals, or significant digits where `si` holds.
        si: Whether an SI prefix (k, M, G; powers of 1,000) is put before the unit.
    """

    label: str
    unit: str
    scale: float
    digits: int
    si: bool


DISPLAYS = {
    "accuracy": Display("Accuracy", "%", 100, 1, False),
    "psnr_db": Display("Privacy loss (PSNR)", "dB", 1, 2, False),
    "ssim": Display("Privacy loss (SSIM)", "", 1, 3, False),
    "local_macs": Display("Local multiply-adds", "MACs", 1, 3, True),
    "local_flops": Display("Local compute", "FLOPs", 1, 3, True),
    "parameter_bytes": Display("Weights on the device", "B", 1, 3, True),
    "peak_activation_bytes": Display("Peak activations", "B", 1, 3, True),
    "memory_bytes": Display("Local memory", "B", 1, 3, True),
    "feature_bytes": Display("Sent per image", "B", 1, 3, True),
}
"""Every metric of `privynet_opt.metrics`, in the order the report lists them."""

STRATEGIES = {
    "random": "drawn at random",
    "lda": "the most discriminative ones (LDA)",
    "privacy": "the ones that are recovered worst alone",
    "privynet": "drawn at random after dropping the leakiest and the least discriminative",
    "magnitude": "the ones with the largest L1 norm",
    "greedy": "added one at a time, each the one that says most of the label per dB it leaks",
    "searched": "the subset that a search found most accurate at no more leakage than a random one",
}
"""Which filters each selection strategy keeps, to follow "keep 6 of 128 filters,"."""

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def format_value(metric: str, value: float) -> str:
    """Return a number with its unit as people read it.

    Args:
        metric: A name in `DISPLAYS`; any other is printed with four significant digits.
        value: The number in the table's own unit.

    Returns:
        For example ``"61.3%"``, ``"17.12 dB"`` or ``"66.4 MFLOPs"``; ``"not known"`` for NaN.
    """
    return "".join(_number_and_unit(metric, value))


def format_interval(metric: str, lower: float, upper: float) -> str:
    """Return an interval as ``"58.9 to 63.5%"``; the unit stands once where it is shared.

    Args:
        metric: A name in `DISPLAYS`.
        lower: Lower end.
        upper: Upper end.
    """
    (low, low_unit), (high, high_unit) = (_number_and_unit(metric, v) for v in (lower, upper))
    return f"{low}{'' if low_unit == high_unit else low_unit} to {high}{high_unit}"


def _number_and_unit(metric: str, value: float) -> tuple[str, str]:
    if not math.isfinite(value):
        return "not known", ""
    shown = DISPLAYS.get(metric)
    if shown is None:
        return f"{value:.4g}", ""
    if not shown.si:
        space = "" if shown.unit in ("", "%") else " "
        return f"{value * shown.scale:.{shown.digits}f}", f"{space}{shown.unit}"
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor:
            return _significant(value / factor, shown.digits), f" {prefix}{shown.unit}"
    return _significant(value, shown.digits), f" {shown.unit}"


def format_difference(metric: str, value: float) -> str:
    """Return a difference of two values with its unit; for a fraction in percentage points.

    Args:
        metric: A name in `DISPLAYS`.
        value: The difference in the table's own unit.
    """
    return format_value(metric, value).replace("%", " points")


def format_level(level: float) -> str:
    """Return a level of confidence in percent, with all digits that it was asked for with.

    Args:
        level: Share of measurements that intervals are to cover, in (0, 1).

    Returns:
        For example ``"90%"``, ``"97.5%"`` or ``"99.99%"``; below 1 never ``"100%"``.
    """
    return f"{100 * level:.10g}%"


def format_correlation(value: float) -> str:
    """Return a correlation coefficient.

    Args:
        value: From -1 to 1, or NaN where it is not defined.
    """
    return "not defined" if math.isnan(value) else f"{value:.3f}"


def _significant(value: float, digits: int) -> str:
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{decimals}f}"


def label(metric: str) -> str:
    """Return the metric in words, or its own name where it has none.

    Args:
        metric: A metric's name.
    """
    return DISPLAYS[metric].label if metric in DISPLAYS else metric


def axis_title(metric: str) -> str:
    """Return an axis title with unit and direction.

    Args:
        metric: A name in `DISPLAYS`.

    Returns:
        For example ``"Privacy loss (PSNR), dB (lower is more private)"``.
    """
    shown, known = DISPLAYS[metric], METRICS[metric]
    unit = f", {shown.unit}" if shown.unit not in ("", "%") else ""
    direction = "higher" if known.higher_is_better else "lower"
    good = "more private" if known.is_privacy_loss else "better"
    return f"{shown.label}{unit} ({direction} is {good})"


def topologies_in_words(rows: Any) -> list[str]:
    """Return every row of a DataFrame with the topology columns in words.

    Args:
        rows: DataFrame with `TOPOLOGY_COLUMNS`.
    """
    columns = (rows[name].tolist() for name in TOPOLOGY_COLUMNS)
    return [topology_words(*fields) for fields in zip(*columns, strict=True)]


def topology_fields(row: Any) -> dict[str, Any]:
    """Return a topology's fields as plain Python values, ready for JSON.

    Args:
        row: A candidate: a Series or a dict.
    """
    return LocalTopology.of(row).as_dict()


def plotly_text(text: str) -> str:
    """Return text that Plotly shows as it is; its labels would otherwise read HTML tags.

    Args:
        text: Any string a user may have written.
    """
    return html.escape(text, quote=False)


def plain_numbers(values: Iterable[float], decimals: int = 6) -> list[float | int | None]:
    """Return numbers for JSON: rounded, whole numbers as integers, NaN and infinity as null.

    Args:
        values: Numbers; booleans become 0 and 1.
        decimals: Decimals kept.
    """
    array = np.asarray(values)
    if array.dtype.kind in "iub":
        return [int(v) for v in array.tolist()]
    rounded = np.round(array.astype(float), decimals).tolist()
    return [v if math.isfinite(v) else None for v in rounded]


def readable_scale(table: Any) -> tuple[tuple[str, float], ...]:
    """Return what PSNR values amount to on the table's scored images.

    Args:
        table: A `CharacterizationTable`, whose sidecar tells what `psnr_scale` measured.

    Returns:
        Pairs of name and dB, ascending; none where that was not measured.
    """
    scale = table.sidecar.get("data", {}).get("psnr_scale_db", {})
    return tuple(sorted(((str(k), float(v)) for k, v in scale.items()), key=lambda p: p[1]))

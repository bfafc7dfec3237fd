"""Numbers as people write them, with units and separators: what a limit was meant to be."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*(.*)", re.IGNORECASE)
_GROUPS = re.compile(r"(?<![\d.,])\d{1,3}(?:([ ,_'.])\d{3})(?:\1\d{3})*(?!\d)")
_FACTORS = {
    "": 1.0,
    "k": 1e3,
    "m": 1e6,
    "g": 1e9,
    "t": 1e12,
    "ki": 2.0**10,
    "mi": 2.0**20,
    "gi": 2.0**30,
    "ti": 2.0**40,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
}
_UNITS = {
    "bytes": ("b", "byte", "bytes"),
    "flops": ("flop", "flops"),
    "macs": ("mac", "macs"),
    "db": ("db", "decibel", "decibels"),
}


def read_quantity(text: str, kind: str) -> float | None:
    """Return the number that a text means.

    Args:
        text: For example ``"60 million FLOPs"``, ``"1 000 000"``, ``"17,5 dB"`` or ``"64 kiB"``.
        kind: The unit it may carry: ``"bytes"``, ``"flops"``, ``"macs"``, ``"db"``, or
            ``"fraction"``: then a percentage, or a number from 1 to 100, is of a hundred.

    Returns:
        The number in that unit, or None where the text can be read in no way or in two.
    """
    match = _NUMBER.fullmatch(_without_separators(text.strip()))
    if match is None:
        return None
    value, unit = float(match[1]), match[2].strip()
    if kind == "fraction":
        bare = 0.01 if 1 < value <= 100 else 1.0
        factor = {"": bare, "%": 0.01, "percent": 0.01, "per cent": 0.01}.get(unit.lower())
    else:
        factor = _factor(unit, _UNITS[kind])
    return None if factor is None else float(f"{value * factor:.12g}")


def _without_separators(text: str) -> str:
    """Join groups of thousands; a comma that is left is a decimal one."""
    group = _GROUPS.match(text.lstrip("+-"))
    # 17.500 is a number as it stands; 1.000.000 is not.
    if group and (group[1] != "." or group[0].count(".") > 1):
        text = text.replace(group[0], re.sub(r"\D", "", group[0]), 1)
    return text.replace(",", ".")


def _factor(unit: str, names: tuple[str, ...]) -> float | None:
    """Return what a unit multiplies by: its own name, a prefix or a number word before it."""
    if unit == "m":
        return None  # million, mega or milli
    word = " ".join(unit.lower().split())
    for name in ("", *sorted(names, key=len, reverse=True)):
        if word.endswith(name) and word.removesuffix(name).strip() in _FACTORS:
            return _FACTORS[word.removesuffix(name).strip()]
    return None

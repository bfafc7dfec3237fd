"""Text for a terminal: aligned columns, wrapped sentences, decibels in words."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from privynet_opt.report.words import readable_scale

if TYPE_CHECKING:
    from privynet_opt.characterization.table import CharacterizationTable

WIDTH = 100
"""Columns that long sentences are wrapped to."""

CLOSE_DB = 0.8
"""A value this near to one of the readable scale is called about that; the scale's thumbnails lie
2.7 to 4.3 dB apart."""


def likeness(table: CharacterizationTable, psnr_db: float) -> str:
    """Return what a reconstruction of this quality amounts to, in words.

    Args:
        table: Its data decide the scale.
        psnr_db: Mean per-image PSNR, dB.

    Returns:
        For example ``"about a 4×4 thumbnail"``; empty where the scale of the data is not known.
    """
    scale = readable_scale(table)
    if not scale:
        return ""
    name, nearest = min(scale, key=lambda pair: abs(pair[1] - psnr_db))
    if abs(nearest - psnr_db) <= CLOSE_DB:
        return f"about {_article(name)}"
    below = [n for n, db in scale if db < psnr_db]
    above = [n for n, db in scale if db > psnr_db]
    if not below:
        return f"less than {_article(above[0])}"
    if not above:
        return f"more than {_article(below[-1])}"
    return f"between {_article(below[-1])} and {_article(above[0])}"


def aligned(rows: Sequence[Sequence[str]], sides: str, indent: str = "  ") -> list[str]:
    """Return rows of cells as lines with aligned columns.

    Args:
        rows: Equally long rows; a first one may be a heading.
        sides: ``"<"`` or ``">"`` per column.
        indent: Put before each line.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)
        )
        for row in rows
    )
    return [f"{indent}{line}".rstrip() for line in lines]


def wrapped(text: str, first: str = "", rest: str = "  ") -> list[str]:
    """Return a sentence as lines of at most `WIDTH` columns.

    Args:
        text: The sentence.
        first: Put before the first line.
        rest: Put before the others.
    """
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest)


def _article(name: str) -> str:
    words: dict[str, str] = {"mean image": "the mean image", "label only": "knowing the label only"}
    return words.get(name, f"{'an' if name.startswith('8') else 'a'} {name}")

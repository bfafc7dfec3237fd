"""Colours of the report, light and dark; the page's style sheet and every figure use these names.

Categorical colours are Okabe and Ito's (Color Universal Design, 2008), darkened or lightened where
the ground asks for contrast; the colour scale is viridis, cropped at the end that would vanish into
the ground. Colour never stands alone: marks also differ in shape, dash or wording.
"""

from __future__ import annotations

from typing import Any

LIGHT: dict[str, Any] = {
    "page": "#f6f7f8",
    "surface": "#ffffff",
    "raised": "#eff1f3",
    "ink": "#171b20",
    "muted": "#57606a",
    "rule": "#dfe3e7",
    "grid": "#eceef1",
    "accent": "#0068a8",
    "good": "#00714f",
    "watch": "#8f5600",
    "act": "#b03a05",
    "limit": "#c2410c",
    "infeasible": "#a3abb5",
    "random": "#6b7280",
    "lda": "#0072b2",
    "privacy": "#009e73",
    "privynet": "#d55e00",
    "magnitude": "#b5568c",
    "greedy": "#7a3e9d",
    "searched": "#a67c00",
    "middle": "#1fa187",
    "flops": ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39"],
}
"""Colours on a light ground; also used for printing."""

DARK: dict[str, Any] = {
    "page": "#101418",
    "surface": "#171c21",
    "raised": "#20262d",
    "ink": "#e9ecef",
    "muted": "#a2acb7",
    "rule": "#2e363e",
    "grid": "#262d34",
    "accent": "#5ab6ec",
    "good": "#45c69c",
    "watch": "#eab04a",
    "act": "#ff9166",
    "limit": "#ff8c5a",
    "infeasible": "#68727d",
    "random": "#a9b1bb",
    "lda": "#56b4e9",
    "privacy": "#2fc598",
    "privynet": "#ff8a3d",
    "magnitude": "#df94bd",
    "greedy": "#c49bdd",
    "searched": "#f0e442",
    "middle": "#25ac8f",
    "flops": ["#5b5bb0", "#4377a8", "#2f93a0", "#25ac8f", "#4ec46b", "#a0da39", "#fde725"],
}
"""The same names on a dark ground."""

PREFIX = "@"
"""A figure writes ``"@ink"`` where a colour is due; the page puts the theme's colour there."""


def themed(value: Any, palette: dict[str, Any]) -> Any:
    """Return a figure with each ``"@name"`` replaced by the palette's colour.

    The page does the same in the reader's browser; this serves whoever draws a figure elsewhere.

    Args:
        value: Any part of a figure.
        palette: `LIGHT` or `DARK`; a list becomes an evenly spaced colour scale.
    """
    if isinstance(value, dict):
        return {key: themed(part, palette) for key, part in value.items()}
    if isinstance(value, list):
        return [themed(part, palette) for part in value]
    if not (isinstance(value, str) and value[:1] == PREFIX and value[1:] in palette):
        return value
    colour = palette[value[1:]]
    if isinstance(colour, str):
        return colour
    return [[i / (len(colour) - 1), step] for i, step in enumerate(colour)]

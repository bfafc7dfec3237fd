"""Cards to one HTML file that works from disk: no network, no other file, the same bytes each time.

The page's policy (CSP) lets two scripts run, named by their hashes: the page's own, and plotly.js,
which travels compressed in a third of its size and is unpacked by the page's own.
Data travel as JSON that no HTML parser can take for markup; the template escapes everything else.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privynet_opt.errors import OutputError
from privynet_opt.files import replace_file
from privynet_opt.report.card import Card
from privynet_opt.report.cards import cards
from privynet_opt.report.comparison import comparison_cards
from privynet_opt.report.palette import DARK, LIGHT
from privynet_opt.report.provenance import measured_days
from privynet_opt.report.words import DISPLAYS

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

HERE = Path(__file__).parent

GZIP_LEVEL = 5
"""Of plotly.js: half the time of level 9 for 1 % more bytes."""

SCRIPTS = ("core", "words", "limits", "pareto", "table", "parallel", "start")
"""The report's script, one file for each concern, in the order they are put together."""

PLAIN_SCRIPTS = ("core", "plain")
"""The script of a page that only shows figures."""


def write_report(result: OptimizationResult, path: Path) -> Path:
    """Write the report of a result as one HTML file.

    Args:
        result: What `optimize` returned.
        path: File to write; a file of that name is replaced in one step.

    Returns:
        `path`.

    Raises:
        OutputError: When the file cannot be written.
    """
    return _write(page(result), Path(path))


def write_comparison(
    results: tuple[OptimizationResult, OptimizationResult], names: tuple[str, str], path: Path
) -> Path:
    """Write two results side by side as one HTML file.

    Args:
        results: What `optimize` returned, twice.
        names: What to call them.
        path: File to write; a file of that name is replaced in one step.

    Returns:
        `path`.

    Raises:
        OutputError: When the file cannot be written.
    """
    shown = comparison_cards(results, names)
    return _write(_render(f"{names[0]} and {names[1]}", "", shown, PLAIN_SCRIPTS), Path(path))


def page(result: OptimizationResult) -> str:
    """Return the report of a result as HTML.

    Args:
        result: What `optimize` returned.
    """
    return _render(result.spec.title, _subtitle(result), cards(result), SCRIPTS)


def _write(text: str, path: Path) -> Path:
    if path.is_dir():
        raise OutputError(
            f"`path` must be a file, but got the folder {str(path)!r}. "
            "Name a file in it, such as report.html."
        )
    try:
        replace_file(path, text)
    except OSError as error:
        raise OutputError(
            f"`path` must be a file that can be written, but got {str(path)!r} "
            f"({error.strerror or error}). Choose another place or free some space."
        ) from error
    return path


def _render(title: str, subtitle: str, shown: tuple[Card, ...], scripts: tuple[str, ...]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    plotly_js = get_plotlyjs()
    parts = [(HERE / "scripts" / f"{name}.js").read_text(encoding="utf-8") for name in scripts]
    script = "\n".join(['(() => {\n"use strict";', *parts, "})();"])
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        title=title,
        subtitle=subtitle,
        cards=shown,
        light=_css_colours(LIGHT),
        dark=_css_colours(DARK),
        script_hashes=[_hash(plotly_js), _hash(script)],
        plotly_gz=base64.b64encode(gzip.compress(plotly_js.encode(), GZIP_LEVEL, mtime=0)).decode(),
        script=Markup(script),
        data=Markup(script_json(_data(shown))),
    )


def script_json(value: Any) -> str:
    """Return JSON that can stand inside a script element: no ``<``, ``>`` or ``&`` is left in it.

    Args:
        value: JSON-ready data without NaN.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _data(shown: tuple[Card, ...]) -> dict[str, Any]:
    merged: dict[str, Any] = {
        "figures": {},
        "points": {},
        "words": [],
        "recommended": None,
        "nearest": None,
        "palettes": {"light": LIGHT, "dark": DARK},
        "metrics": {name: metric._asdict() for name, metric in DISPLAYS.items()},
    }
    for card in shown:
        figures = card.data.get("figures", {})
        merged = {**merged, **card.data, "figures": {**merged["figures"], **figures}}
    return merged


def _subtitle(result: OptimizationResult) -> str:
    rows = len(result.table.trained)
    days = measured_days(result.table.sidecar)
    when = f", {days}" if days else ""
    return (
        f"{result.spec.network.name} on {result.spec.data.name} · {len(result.candidates):,} "
        f"topologies · {rows:,} trained measurements{when}"
    )


def _css_colours(palette: dict[str, Any]) -> list[tuple[str, str]]:
    return [(k, v if isinstance(v, str) else ", ".join(v)) for k, v in palette.items()]


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

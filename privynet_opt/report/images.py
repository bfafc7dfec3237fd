"""The report's figures as PNG files, drawn by kaleido; an extra, since it needs a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from privynet_opt.errors import OutputError
from privynet_opt.files import write_atomically
from privynet_opt.report.figure_filters import filters_figure
from privynet_opt.report.figure_pareto import pareto_figure
from privynet_opt.report.figure_trust import (
    hypervolume_figure,
    hypervolume_info,
    proxy_figure,
    proxy_info,
)
from privynet_opt.report.figures import Figure
from privynet_opt.report.filters_info import SHOWN, filters_info
from privynet_opt.report.palette import LIGHT, themed
from privynet_opt.report.pareto_info import pareto_info

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

WIDTH, HEIGHT, SCALE = 1000, 700, 2
"""Pixels at scale 1, and pixels per pixel."""

REMEDY = (
    "Install the extra with `pip install 'privynet_opt[png]'` and a Chrome or Chromium, or save a "
    "figure from the report with its camera button."
)


def write_images(result: OptimizationResult, folder: Path) -> list[Path]:
    """Write the report's figures as PNG files.

    Args:
        result: What `optimize` returned.
        folder: Where to; made where missing.

    Returns:
        The files.

    Raises:
        OutputError: If kaleido or its browser is missing, or a file cannot be written.
    """
    try:
        import kaleido
    except ImportError as error:
        raise OutputError(
            f"`--png` must have kaleido, but it is not installed. {REMEDY}"
        ) from error
    written = []
    for name, figure in _figures(result):
        plain = themed(figure, LIGHT)
        plain["layout"] |= {"paper_bgcolor": LIGHT["surface"], "width": WIDTH, "height": HEIGHT}
        options = {"format": "png", "scale": SCALE, "width": WIDTH, "height": HEIGHT}
        try:
            picture = kaleido.calc_fig_sync(plain, opts=options)
        except Exception as error:  # kaleido's errors share no base class
            raise OutputError(
                f"`--png` must have a browser that kaleido can start, but it could not "
                f"({type(error).__name__}). {REMEDY}"
            ) from error
        path = folder / f"{name}.png"
        write_atomically(path, picture)
        written.append(path)
    return written


def _figures(result: OptimizationResult) -> Iterator[tuple[str, Figure]]:
    yield "pareto", pareto_figure(pareto_info(result))
    filters = filters_info(result)
    for target in SHOWN:
        yield f"kept-filters-{target}", filters_figure(filters, filters.cut, target)
    for target in result.proxies.validations:
        yield f"predicted-{target}", proxy_figure(proxy_info(result, target))
    progress = hypervolume_info(result)
    if progress is not None:
        yield "hypervolume", hypervolume_figure(progress)

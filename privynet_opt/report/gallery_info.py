"""Pictures: what the attacker recovered, from more private to less, beside thumbnails."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from privynet_opt.characterization.gallery_store import (
    ORIGINAL,
    RECOVERED,
    THUMBNAIL,
    Strip,
    read_gallery,
)
from privynet_opt.characterization.schema import FIDELITIES
from privynet_opt.report.words import format_value, topologies_in_words
from privynet_opt.topology import TOPOLOGY_COLUMNS, LocalTopology

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

N_BESIDE = 2
"""More private and less private topologies that are shown beside the recommended one."""

N_GLIMPSED = 4
"""Images that the verdict opens with."""


class Picture(NamedTuple):
    """One image.

    Attributes:
        uri: PNG as a data URI.
        words: What it shows, for readers who cannot see it.
        psnr_db: Its PSNR; empty for an original.
        ssim: Its SSIM likewise.
    """

    uri: str
    words: str
    psnr_db: str
    ssim: str


class GalleryRow(NamedTuple):
    """The same images in one condition.

    Attributes:
        title: What was done to them.
        note: Standing and predicted privacy loss; the mean scores of a thumbnail.
        pictures: The images.
        recommended: Whether this is the recommended topology.
    """

    title: str
    note: str
    pictures: tuple[Picture, ...]
    recommended: bool = False


class GalleryInfo(NamedTuple):
    """Everything the section shows.

    Attributes:
        original: The images as they are.
        recovered: What the attacker recovered, the most private first.
        scale: Thumbnails, the smallest first.
        source: Where the images come from; empty where they are the study's own.
        fidelities: How long the attackers were trained.
        missing: What has no pictures, in one sentence; empty where nothing is missing.
    """

    original: GalleryRow
    recovered: tuple[GalleryRow, ...]
    scale: tuple[GalleryRow, ...]
    source: str
    fidelities: tuple[str, ...]
    missing: str


def gallery_info(result: OptimizationResult) -> GalleryInfo | None:
    """Return what the section shows, or None where no pictures were kept.

    The first of the result's galleries that shows the recommended topology is taken, else the first
    that shows any.

    Args:
        result: What `optimize` returned.
    """
    rows = result.candidates.reset_index(drop=True)
    places = {key: i for i, key in enumerate(_keys(rows))}
    why = result.infeasibility
    centre = result.best if result.best is not None else why and why.nearest
    wanted = None if centre is None else places[_key(centre)]
    known = [(read_gallery(folder), folder) for folder in result.galleries]
    shown = [(strips, _of_candidates(strips, places)) for strips, _ in known]
    shown = [(strips, found) for strips, found in shown if found]
    if not shown:
        return None
    strips, found = next((pair for pair in shown if wanted in pair[1]), shown[0])
    chosen = _choose(rows, sorted(found), wanted)
    words = dict(zip(chosen, topologies_in_words(rows.loc[chosen]), strict=True))
    original = next(strip for strip in strips if strip.kind == ORIGINAL)
    thumbnails = [strip for strip in strips if strip.kind == THUMBNAIL]
    return GalleryInfo(
        original=_row("Original", "", original),
        recovered=tuple(
            _row(words[i], _standing(result, rows.loc[i], i == wanted), found[i], i == wanted)
            for i in chosen
        ),
        scale=tuple(
            _row(f"{side}×{side} thumbnail", "", strip)
            for side, strip in sorted((int(s.facts["side"]), s) for s in thumbnails)
        ),
        source=str(original.facts["source"]),
        fidelities=tuple(dict.fromkeys(str(found[i].facts["fidelity"]) for i in chosen)),
        missing=_missing(result, rows, set(found), wanted),
    )


def glimpse(info: GalleryInfo | None) -> tuple[Picture, ...]:
    """Return a few images as they are, and then what was recovered of them.

    Args:
        info: From `gallery_info`.

    Returns:
        As many of the one as of the other; nothing where the recommended topology has no pictures.
    """
    own = [row for row in info.recovered if row.recommended] if info else []
    if info is None or not own:
        return ()
    step = max(1, len(info.original.pictures) // N_GLIMPSED)
    rows = (info.original, own[0])
    return tuple(p for row in rows for p in row.pictures[::step][:N_GLIMPSED])


def _of_candidates(strips: Sequence[Strip], places: dict[Any, int]) -> dict[int, Strip]:
    """Return the strips of candidates by row number, of each the dearest fidelity's."""
    recovered = [strip for strip in strips if strip.kind == RECOVERED]
    recovered.sort(key=lambda s: (FIDELITIES.index(s.facts["fidelity"]), s.facts["training_seed"]))
    pairs = ((places.get(_key(strip.facts)), strip) for strip in recovered)
    return {place: strip for place, strip in pairs if place is not None}


def _choose(rows: Any, known: list[int], wanted: int | None) -> list[int]:
    """Return the recommended row and, on each side of it, the middle and the last of the front.

    Where the front has fewer than `N_BESIDE` on a side, others stand in for them.
    """
    leak = rows["psnr_db"].to_numpy(float)
    middle = float(np.median(leak[known])) if wanted is None else leak[wanted]
    chosen = [wanted] if wanted in known else []
    for sign in (-1, 1):
        side = [i for i in known if i != wanted and sign * (leak[i] - middle) >= 0]
        side.sort(key=lambda i: abs(leak[i] - middle))
        front = [i for i in side if rows.at[i, "on_front"]]
        others = [i for i in side if i not in front]
        picked = dict.fromkeys([*_spread(front), *_spread(others)])
        chosen += list(picked)[:N_BESIDE]
    return sorted(dict.fromkeys(c for c in chosen if c is not None), key=lambda i: leak[i])


def _spread(side: list[int]) -> list[int]:
    return [side[len(side) // 2 if len(side) > 2 else 0], side[-1]] if side else []


def _standing(result: OptimizationResult, row: Any, is_centre: bool) -> str:
    loss = f"predicted {format_value('psnr_db', float(row['psnr_db']))}"
    if is_centre and result.best is not None:
        return f"recommended, {loss}"
    if row["on_front"]:
        return f"on the front, {loss}"
    return f"{'dominated' if row['feasible'] else 'breaks a limit'}, {loss}"


def _missing(result: OptimizationResult, rows: Any, known: set[int], wanted: int | None) -> str:
    front = [int(i) for i in np.flatnonzero(rows["on_front"].to_numpy(bool))]
    n_known = sum(i in known for i in front)
    said = []
    if result.best is not None and wanted not in known:
        said.append(
            "The recommended topology has no pictures yet: `privynet-opt validate` makes them."
        )
    if n_known < len(front):
        said.append(
            f"{len(front) - n_known:,} of the {len(front):,} topologies of the front were not "
            "attacked for pictures and are not shown."
        )
    return " ".join(said)


def _row(title: str, note: str, strip: Strip, recommended: bool = False) -> GalleryRow:
    pictures = []
    scores = strip.psnr_db or ("",) * len(strip.pixels), strip.ssim or ("",) * len(strip.pixels)
    for number, (pixels, psnr, ssim) in enumerate(zip(strip.pixels, *scores, strict=True), start=1):
        said = f"Image {number}, {title}"
        if psnr == "":
            pictures.append(Picture(_uri(pixels), said, "", ""))
            continue
        texts = f"{psnr:.1f}", f"{ssim:.2f}"
        words = f"{said}: PSNR {texts[0]} dB, SSIM {texts[1]}"
        pictures.append(Picture(_uri(pixels), words, *texts))
    if strip.psnr_db:
        mean = f"{np.mean(strip.psnr_db):.1f} dB, SSIM {np.mean(strip.ssim):.2f} on these"
        note = f"{note}; {mean}" if note else mean
    return GalleryRow(title, note, tuple(pictures), recommended)


def _uri(pixels: Any) -> str:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _keys(rows: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(rows[name].tolist() for name in TOPOLOGY_COLUMNS), strict=True))


def _key(facts: Any) -> tuple[Any, ...]:
    return tuple(vars(LocalTopology.of(facts)).values())

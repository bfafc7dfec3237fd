"""The decibel ruler: the recommended topology's privacy loss between marks an eye can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from privynet_opt.report.words import format_value, readable_scale

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

EDGE = 0.07
"""Room before the first and after the last mark, for half of a label."""

LABEL_PERCENT = 18
"""Width of a label on the narrowest ruler, percent of its length."""


class Mark(NamedTuple):
    """A place on the decibel ruler.

    Attributes:
        name: What stands there.
        psnr_db: Its PSNR with unit.
        percent: Its place, from 0 at the ruler's start to 100 at its end.
        lane: 1 where its label would overprint the label before it, else 0.
    """

    name: str
    psnr_db: str
    percent: float
    lane: int = 0


class Ruler(NamedTuple):
    """The recommended topology's privacy loss between readable marks.

    Attributes:
        marks: The readable scale, ascending.
        interval: Start and length of the interval's bar, percent of the ruler.
        value: The predicted value.
        limit: The limit on ``psnr_db``, if there is one.
        words: The same in a sentence.
    """

    marks: tuple[Mark, ...]
    interval: tuple[float, float]
    value: Mark
    limit: Mark | None
    words: str


def ruler(result: OptimizationResult) -> Ruler | None:
    """Return the ruler of the recommended topology, or None where no scale was measured.

    Args:
        result: What `optimize` returned.
    """
    scale = readable_scale(result.table)
    best = result.best
    if not scale or best is None:
        return None
    limits = [c.limit for c in result.constraints if c.metric == "psnr_db"]
    low, value, high = (float(best[f"psnr_db{end}"]) for end in ("_lower", "", "_upper"))
    ends = [low, high, *limits, *(db for _, db in scale)]
    room = EDGE * (max(ends) - min(ends))
    start, span = min(ends) - room, max(ends) - min(ends) + 2 * room

    def place(name: str, db: float) -> Mark:
        return Mark(name, format_value("psnr_db", db), round(100 * (db - start) / span, 2))

    marks: list[Mark] = []
    for name, db in scale:
        close = bool(marks) and place(name, db).percent - marks[-1].percent < LABEL_PERCENT
        lane = 1 - marks[-1].lane if close else 0
        marks.append(place(name, db)._replace(lane=lane))
    return Ruler(
        marks=tuple(marks),
        interval=(place("", low).percent, round(100 * (high - low) / span, 2)),
        value=place("predicted", value),
        limit=place("limit", min(limits)) if limits else None,
        words=_words(high, scale),
    )


def _words(upper: float, scale: tuple[tuple[str, float], ...]) -> str:
    above = [name for name, db in scale if db >= upper]
    below = [name for name, db in scale if db < upper]
    better = f"closer to the originals than {_article(below[-1])}" if below else ""
    worse = f"no closer than {_article(above[0])}" if above else ""
    where = " and ".join(part for part in (better, worse) if part)
    return (
        f"Even at the upper end of the interval, {format_value('psnr_db', upper)}, an attacker's "
        f"pictures are {where}, judged by PSNR."
    )


def _article(name: str) -> str:
    if name == "label only":
        return "the average picture of the right class"
    if name == "mean image":
        return "the average of all pictures"
    return f"{'an' if name[:1] == '8' else 'a'} {name}"

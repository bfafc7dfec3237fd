"""One section of a report, as data."""

from __future__ import annotations

from typing import Any, NamedTuple


class Slot(NamedTuple):
    """A place for one figure.

    Attributes:
        id: Fixed id of its element, and key of the figure in the card's data.
        title: Heading above the figure.
        words: What the figure shows, for readers who cannot see it.
        facts: Pairs of term and value under the heading.
    """

    id: str
    title: str
    words: str
    facts: tuple[tuple[str, str], ...] = ()


class Card(NamedTuple):
    """One section.

    Attributes:
        id: Fixed id, also the anchor.
        title: Heading.
        caption: How to read it.
        short: Its name in the navigation.
        kind: Which part of the page's template lays it out.
        body: What that part reads.
        slots: Places for figures.
        data: What the page's script reads, JSON-ready; keys are unique over all cards.
        reason: Why there is nothing to show, in place of the figures; empty otherwise.
    """

    id: str
    title: str
    caption: str
    short: str
    kind: str
    body: Any = None
    slots: tuple[Slot, ...] = ()
    data: dict[str, Any] = {}  # noqa: RUF012
    reason: str = ""

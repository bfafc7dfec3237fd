"""A finding of the health checks."""

from __future__ import annotations

from typing import NamedTuple


class Check(NamedTuple):
    """One thing that was looked at.

    Attributes:
        level: ``"good"``, ``"watch"`` (know it before deciding) or ``"act"`` (do something first).
        title: The finding in a few words.
        text: What it means and, where it is not good, what to do.
    """

    level: str
    title: str
    text: str

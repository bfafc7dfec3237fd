"""How long may be measured: read as people write it, counted over every run of a question."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from privynet_opt.errors import StudyError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smh])\s*")


def parse_budget(text: str) -> float:
    """Read a time.

    Args:
        text: A number and ``s``, ``m`` or ``h``, such as ``"30m"``.

    Returns:
        Seconds.

    Raises:
        StudyError: If it cannot be read or is nothing.
    """
    match = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not seconds > 0:
        raise StudyError(
            f"`budget` must be a time above zero in s, m or h, but got {text!r}. "
            "Write for example 90s, 30m or 2h."
        )
    return seconds


def format_seconds(seconds: float) -> str:
    """Return a time in the shortest form that people read.

    Args:
        seconds: At least 0.

    Returns:
        For example ``"45s"``, ``"4m10s"``, ``"2h05m"``.
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s" if rest else f"{minutes}m"
    hours, rest = divmod(minutes, 60)
    return f"{hours}h{rest:02d}m" if rest else f"{hours}h"


class Budget:
    """A time that runs from now on.

    Args:
        seconds: How long.
        spent: How much of it earlier runs have spent.
        clock: Seconds that only go up.

    Attributes:
        seconds: As given.
    """

    def __init__(
        self, seconds: float, spent: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = seconds
        self._clock = clock
        self._began = clock() - spent

    @property
    def spent(self) -> float:
        """Seconds spent, those of earlier runs included."""
        return self._clock() - self._began

    def has(self, seconds: float) -> bool:
        """Return whether so much is left.

        Args:
            seconds: What something is expected to take; 0 asks whether anything is left.
        """
        left = self.seconds - self.spent
        return left > 0 and left >= seconds

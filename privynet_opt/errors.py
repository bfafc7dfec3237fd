"""The errors a user can cause; every message names the thing, the rule and the remedy.

`PrivyNetOptError` is the base; each child also inherits the builtin a caller would expect.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PrivyNetOptError(Exception):
    """Base of every error this package raises on purpose."""


class StudyError(PrivyNetOptError, ValueError):
    """A study specification is malformed or contradicts itself."""


class UnknownStudyError(PrivyNetOptError, LookupError):
    """No shipped study and no path has the given name."""


class TableError(PrivyNetOptError, ValueError):
    """A characterization table is missing, malformed, or not the one its sidecar describes."""


class ConstraintError(PrivyNetOptError, ValueError):
    """A constraint or objective cannot be read."""


class TopologyError(PrivyNetOptError, ValueError):
    """A topology asks for a cut layer, filters or strategy that do not exist."""


class NetworkError(PrivyNetOptError, ValueError):
    """A pre-trained network cannot be built, traced or given these weights."""


class DataError(PrivyNetOptError, ValueError):
    """Images or labels cannot be read or do not fit the study."""


class BundleError(PrivyNetOptError, ValueError):
    """An exported bundle, features or a trained cloud network are damaged or do not fit."""


class OutputError(PrivyNetOptError, OSError):
    """A result cannot be written where the user asked for it."""


class DataWarning(UserWarning):
    """Less is taken than the user named: an image, a folder, a number of topologies."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint naming the closest known word and all of them.

    Args:
        name: What the user wrote.
        known: The words that would have been accepted.

    Returns:
        For example ``"Did you mean 'lda'? Known: lda, random."``.
    """
    words = sorted(known)
    close = difflib.get_close_matches(name, words, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(words)}."

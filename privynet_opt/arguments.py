"""Check what the Python functions are given, as the command line's parser checks its options."""

from __future__ import annotations

import os
from collections.abc import Collection
from numbers import Integral
from pathlib import Path
from typing import Any

from privynet_opt.errors import NetworkError, PrivyNetOptError, StudyError, did_you_mean


def is_whole(value: object) -> bool:
    """Return whether something is a whole number: numpy's are, True and False are not.

    Args:
        value: Anything.
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def whole_number(name: str, value: Any, least: int) -> int:
    """Return a whole number.

    Args:
        name: Of the parameter.
        value: What was given for it.
        least: It must not be less.

    Raises:
        StudyError: If it is less or no whole number.
    """
    if not is_whole(value) or value < least:
        raise StudyError(
            f"`{name}` must be a whole number from {least}, but got {value!r}. For example 5."
        )
    return int(value)


def known_word(name: str, value: Any, known: Collection[str]) -> str:
    """Return a word that is known.

    Args:
        name: Of the parameter.
        value: What was given for it.
        known: What may be given.

    Raises:
        StudyError: If it is none of those; the message names the closest.
    """
    if isinstance(value, str) and value in known:
        return value
    raise StudyError(
        f"`{name}` must be known, but got {value!r}. {did_you_mean(str(value), known)}"
    )


def as_path(name: str, value: Any, error: type[PrivyNetOptError]) -> Path:
    """Return a path.

    Args:
        name: Of the parameter.
        value: What was given for it, text or a path.
        error: What is raised.

    Raises:
        PrivyNetOptError: Of the kind `error`, if it is neither.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise error(f"`{name}` must be a path, but got {value!r}. Give it as text or as a Path.")
    return Path(value)


def path_or_none(name: str, value: Any, error: type[PrivyNetOptError]) -> Path | None:
    """Return a path, or None as it is.

    Args:
        name: Of the parameter.
        value: What was given for it.
        error: What is raised.

    Raises:
        PrivyNetOptError: Of the kind `error`, if it is neither text nor a path nor None.
    """
    return None if value is None else as_path(name, value, error)


def weights_or_none(value: Any) -> str | None:
    """Return the name or the file of weights as text, or None as it is.

    Args:
        value: What was given for ``weights``.

    Raises:
        NetworkError: If it is neither text nor a path nor None.
    """
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise NetworkError(
            f"`weights` must be a file or a name, but got {value!r}. "
            "Leave it out for the study's own."
        )
    return os.fspath(value)

"""Take checked values out of a TOML file, collecting every fault instead of stopping at one."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

from privynet_opt.errors import StudyError, did_you_mean

T = TypeVar("T")

_REQUIRED: Any = object()


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        StudyError: If the file is missing, unreadable, or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise StudyError(
            f"`study` must have a study.toml, but {path} does not exist. "
            "Name a folder that holds one, or the file itself."
        ) from None
    except OSError as error:
        raise StudyError(
            f"`study` must be readable, but {path} is not ({error.strerror}). Check the file."
        ) from None
    except UnicodeDecodeError:
        raise StudyError(
            f"`study` must be a UTF-8 text file, but {path} is not. Save it as UTF-8."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise StudyError(
            f"`study` must be valid TOML, but {path} is not: {error}. "
            "Text stands in quotes, lists in [brackets], every key once."
        ) from None


class Section:
    """One table of a TOML file, read key by key.

    Args:
        values: The table.
        name: Its dotted name, empty for the whole file.
        faults: The list that every fault is added to, shared by all sections of a file.
    """

    def __init__(self, values: dict[str, Any], name: str, faults: list[str]) -> None:
        self.values = values
        self.name = name
        self.faults = faults
        self.asked: list[str] = []

    def section(self, key: str, required: bool = True) -> Section:
        """Return a table inside this one, an empty one where it is missing.

        Args:
            key: Its name.
            required: Whether it is a fault to leave it out.
        """
        values = self.take(key, dict, _REQUIRED if required else {})
        return Section(values if isinstance(values, dict) else {}, self._path(key), self.faults)

    def take(
        self,
        key: str,
        kind: type[T],
        default: T = _REQUIRED,
        rule: str = "",
        holds: Callable[[T], bool] = lambda value: True,
    ) -> T:
        """Return a value of the asked type; note a fault where there is none.

        Args:
            key: The key.
            kind: ``str``, ``int``, ``float`` (whole numbers count), ``bool`` or ``dict``.
            default: Taken where the key is missing; without one, missing is a fault.
            rule: What must hold beyond the type, to follow "must".
            holds: Whether it does.

        Returns:
            The value; after a fault the default or an empty value, which is never used.
        """
        self.asked.append(key)
        fallback = kind() if default is _REQUIRED else default
        if key not in self.values:
            if default is _REQUIRED:
                self.fault(key, _KINDS[kind], "nothing", f"Add {key} to the study.")
            return fallback
        value = self.values[key]
        example = "" if default is _REQUIRED or default == {} else f"For example {_toml(default)}."
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            self.fault(key, _KINDS[kind], repr(value), example)
        elif not holds(value):
            self.fault(key, rule, repr(value), example)
        else:
            return value
        return fallback

    def take_list(
        self, key: str, kind: type[T], default: tuple[T, ...] = _REQUIRED
    ) -> tuple[T, ...]:
        """Return a list of values of one type, each once; note a fault where there is none.

        Args:
            key: The key.
            kind: ``str``, ``int`` or ``float`` (whole numbers count).
            default: Taken where the key is missing; without one that is a fault. A list may be
                empty only where the default is.
        """
        self.asked.append(key)
        what = f"be a list of {_PLURALS[kind]}"
        values = self.values.get(key, None if default is _REQUIRED else list(default))
        if kind is float and isinstance(values, list):
            values = [float(value) if type(value) is int else value for value in values]
        if not isinstance(values, list) or any(type(value) is not kind for value in values):
            self.fault(key, what, "nothing" if values is None else repr(values))
        elif not values and default != ():
            self.fault(key, what, "an empty one", "List at least one.")
        elif len(set(values)) < len(values):
            self.fault(key, "name each entry once", repr(values))
        else:
            return tuple(values)
        return ()

    def take_known(self, key: str, known: Collection[str], default: str) -> str:
        """Return one of some known words.

        Args:
            key: The key.
            known: The words.
            default: Taken where the key is missing.
        """
        word = self.take(key, str, default)
        self.check_known(key, [word], known)
        return word

    def check_known(self, key: str, words: Collection[str], known: Collection[str]) -> None:
        """Note a fault for each word that is not known.

        Args:
            key: The key the words were given for.
            words: What was given.
            known: What may be given.
        """
        for word in words:
            if word not in known:
                self.fault(key, "be known", repr(word), did_you_mean(word, known))

    def check_no_others(self) -> None:
        """Note a fault for each key that nobody asked for."""
        for key in self.values:
            if key not in self.asked:
                self.fault(key, "be a key of a study", "it", did_you_mean(key, self.asked))

    def fault(self, key: str, rule: str, got: str, remedy: str = "") -> None:
        """Note a fault.

        Args:
            key: The key at fault.
            rule: To follow "must".
            got: To follow "but got".
            remedy: What to do, a sentence.
        """
        self.faults.append(f"`{self._path(key)}` must {rule}, but got {got}. {remedy}".rstrip())

    def _path(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key


def quoted(text: str) -> str:
    """Return text as a string of TOML.

    Args:
        text: Any that UTF-8 can hold.
    """
    # As JSON has it, but for U+007F; what JSON escapes beyond ASCII, TOML cannot read.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml(value: object) -> str:
    """Return a default as it is written in TOML."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


_KINDS: dict[type, str] = {
    str: "be text in quotes",
    int: "be a whole number",
    float: "be a number",
    bool: "be true or false",
    dict: "be a table",
}
_PLURALS: dict[type, str] = {str: "texts in quotes", int: "whole numbers", float: "numbers"}

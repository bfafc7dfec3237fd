"""Standard output and standard error as a command finds them: open or closed, with room or full."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, NoReturn, TextIO, cast

from privynet_opt.errors import OutputError


@contextmanager
def checked_stdout() -> Iterator[None]:
    """Print to standard output, and say so where that fails.

    Raises:
        OutputError: If it is closed, or takes no more.
        BrokenPipeError: If its reader left.
    """
    if sys.stdout is None:
        raise OutputError(
            "`stdout` must be open, but it is closed. Send it to a file, or to /dev/null."
        )
    with redirect_stdout(cast(TextIO, _Checked(sys.stdout))):
        yield


def never_fail_to_print() -> None:
    """Print what the streams cannot encode as ``?``, and to a closed standard error nothing."""
    if sys.stderr is None:
        # Whatever file is opened next would become standard error otherwise.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


class _Checked:
    """Standard output whose failures are told from those of other files.

    A failure is raised again by `flush`: argparse leaves it unsaid when it prints a help.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._fail(error)

    def flush(self) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            self._stream.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> NoReturn:
        with suppress(OSError):
            # What is left in the stream is written when the process ends, and would fail then.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        self._failure = error
        if not isinstance(error, BrokenPipeError):
            self._failure = OutputError(
                f"`stdout` must take what is printed, but it does not ({error.strerror}). "
                "Free some space or send it elsewhere; files that were written are kept."
            )
        raise self._failure

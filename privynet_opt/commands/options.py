"""What several commands share: exit codes, the parser's class, options of the same meaning."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeAlias

OK = 0
USER_MISTAKE = 2
NOTHING_FEASIBLE = 3
LIMIT_BROKEN = 4
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave."""
        self.exit(USER_MISTAKE, f"{self.prog}: {message}. See {self.prog} --help.\n")


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
Command: TypeAlias = Callable[[argparse.Namespace], int]


def add_study(add: Callable[..., object]) -> None:
    """Add ``--study``.

    Args:
        add: A parser's ``add_argument``.
    """
    add("--study", required=True, metavar="NAME|PATH", help="a shipped study, or a study's folder")


def add_measuring(add: Callable[..., object]) -> None:
    """Add what every command that measures needs to know: images, weights, device.

    Args:
        add: A parser's ``add_argument``.
    """
    add("--data", type=Path, metavar="DIR", help="where the images are")
    add("--weights", metavar="FILE", help="weights of the network (the study's)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (cpu)")
    add_skip_bad(add)


def add_skip_bad(add: Callable[..., object]) -> None:
    """Add ``--skip-bad``.

    Args:
        add: A parser's ``add_argument``.
    """
    add("--skip-bad", action="store_true", help="leave out image files that cannot be read")


def finish(parser: argparse.ArgumentParser, function: Command, kept: str) -> None:
    """Add what every command has, and say what it calls.

    Args:
        parser: The command's parser.
        function: What it calls; returns the exit code.
        kept: One sentence: what an interruption leaves.
    """
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(function=function, kept_when_interrupted=kept)


def positive(text: str) -> int:
    """Read a whole number from 1.

    Args:
        text: What the user wrote.

    Raises:
        argparse.ArgumentTypeError: If it is less.
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, but got {text}")
    return number

"""What several commands share: exit codes, the parser's class, options of the same meaning."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeAlias

from privynet_opt.metrics import METRICS

OK = 0
USER_MISTAKE = 2
NOTHING_FEASIBLE = 3
LIMIT_BROKEN = 4
INTERRUPTED = 130

EXTENDED_COPY = "study"
"""Folder in a result's folder: a shipped study with the measurements that `validate` added."""


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


def add_limits(add: Callable[..., object]) -> None:
    """Add ``--constraint`` and how surely one on privacy must hold, ``--confidence``.

    Args:
        add: A parser's ``add_argument``.
    """
    add(
        "--constraint",
        action="append",
        metavar="'METRIC <= LIMIT'",
        help="a limit, such as 'psnr_db <= 17.5'; repeat for more; replaces the "
        "study's own; 'none' for no limits; metrics: " + ", ".join(METRICS),
    )
    add(
        "--confidence",
        type=float,
        metavar="LEVEL",
        help="share of cases a privacy limit must hold in (study's: often 0.9)",
    )


def asked_limits(asked: argparse.Namespace) -> list[str] | None:
    """Return the limits that were asked for; None where the study's own stand.

    Args:
        asked: Parsed arguments with those of `add_limits`.
    """
    limits: list[str] | None = asked.constraint
    return [] if limits == ["none"] else limits


def add_result(add: Callable[..., object]) -> None:
    """Add the folder of a saved result.

    Args:
        add: A parser's ``add_argument``.
    """
    add("result", type=Path, metavar="RESULT_DIR", help="folder that `run` or `tune` wrote")


def add_measuring(add: Callable[..., object]) -> None:
    """Add what every command that measures needs to know: images, weights, device.

    Args:
        add: A parser's ``add_argument``.
    """
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="the images: a folder for each class (or train/ and test/ of those), an .npz file, or "
        "torchvision's folder of a data set",
    )
    add("--weights", metavar="FILE", help="weights of the network (the study's)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (cpu)")
    add_skip_bad(add)


def add_skip_bad(add: Callable[..., object]) -> None:
    """Add ``--skip-bad``.

    Args:
        add: A parser's ``add_argument``.
    """
    add("--skip-bad", action="store_true", help="leave out images and folders that cannot be read")


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
    return _whole(text, least=1)


def from_zero(text: str) -> int:
    """Read a whole number from 0.

    Args:
        text: What the user wrote.

    Raises:
        argparse.ArgumentTypeError: If it is less.
    """
    return _whole(text, least=0)


def _whole(text: str, least: int) -> int:
    number = int(text)
    if number < least:
        raise argparse.ArgumentTypeError(f"must be at least {least}, but got {text}")
    return number


def decibels(text: str) -> float:
    """Read a finite number of decibels from 0.

    Args:
        text: What the user wrote.

    Raises:
        argparse.ArgumentTypeError: If it is less or not finite.
    """
    number = float(text)
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"must be a finite number from 0, but got {text}")
    return number

"""The command line where its output or its complaints can go nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FULL = "No space left on device"


def shell(command: str, redirected: str, unbuffered: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        f"exec {sys.executable} -m privynet_opt {command} {redirected}",
        shell=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["studies", "--help", ""])
@pytest.mark.parametrize(
    ("redirected", "unbuffered", "words"),
    [(">&-", "", "it is closed"), (">/dev/full", "", FULL), (">/dev/full", "1", FULL)],
)
def test_output_that_goes_nowhere_is_one_line(
    command: str, redirected: str, unbuffered: str, words: str
) -> None:
    done = shell(command, redirected, unbuffered)
    assert done.returncode == 2
    assert done.stderr.startswith("privynet-opt: `stdout` must ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_debug_shows_the_traceback_alone() -> None:
    done = shell("studies --debug", ">/dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("privynet_opt.errors.OutputError: `stdout` must")
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(("command", "code"), [("studies", 0), ("--help", 0), ("nonsense", 2)])
def test_complaints_that_go_nowhere_are_no_failure_and_no_output(command: str, code: int) -> None:
    done = shell(command, "2>&-")
    assert done.returncode == code
    assert done.stdout == shell(command, "").stdout


def test_a_mistake_is_not_printed_as_output_where_complaints_go_nowhere() -> None:
    done = shell("run --study nonsense", "2>&-")
    assert (done.returncode, done.stdout) == (2, "")
    assert shell("studies", ">&- 2>&-").returncode == 2

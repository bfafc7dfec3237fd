"""The command line when a person, a reader or a terminal does not wait for its end."""

from __future__ import annotations

import configparser
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from privynet_opt import api, cli
from privynet_opt.cli import main
from privynet_opt.search_space import SearchSpace

ROOT = Path(__file__).parents[1]


def run(study: Path, output: Path, *more: str) -> int:
    return main(["run", "--study", str(study), "--output", str(output), *more])


def test_an_interrupted_run_ends_with_one_line(
    fitted_toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "optimize", interrupt)
    assert run(fitted_toy, fitted_toy / "out") == 130
    printed = capsys.readouterr()
    assert printed.err.startswith("privynet-opt: interrupted.")
    assert printed.err.count("\n") == 1


INTERRUPTED_IMPORT = """\
import os, runpy, signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == {module!r}:
            {interrupt}

sys.meta_path.insert(0, Interrupt())
sys.argv = ["privynet-opt", "studies", *{more!r}]
"""
RAISED = "raise KeyboardInterrupt"
TERMINATED = "os.kill(os.getpid(), signal.SIGTERM)"
AS_MODULE = "runpy.run_module('privynet_opt', run_name='__main__')"


def as_installed() -> str:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    script = setup["options.entry_points"]["console_scripts"].strip()
    module, function = script.removeprefix("privynet-opt = ").split(":")
    return f"from {module} import {function}\nsys.exit({function}())"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("module", ["argparse", "privynet_opt.cli", "privynet_opt.cli_output"])
@pytest.mark.parametrize("start", [AS_MODULE, as_installed()], ids=["module", "installed"])
def test_control_c_while_the_command_is_loaded_is_one_line(module: str, start: str) -> None:
    code = INTERRUPTED_IMPORT.format(module=module, more=[], interrupt=RAISED) + start
    done = python(code)
    assert done.returncode == 130
    assert done.stderr.startswith("privynet-opt: interrupted.")
    assert done.stderr.count("\n") == 1
    code = INTERRUPTED_IMPORT.format(module=module, more=["--debug"], interrupt=RAISED) + start
    assert python(code).stderr.endswith("\nKeyboardInterrupt\n")


@pytest.mark.parametrize("before", ["", "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"])
def test_a_command_that_is_terminated_is_interrupted(before: str) -> None:
    hooked = INTERRUPTED_IMPORT.format(module="privynet_opt.cli", more=[], interrupt=TERMINATED)
    done = python(hooked + before + as_installed())
    assert done.returncode == 130
    assert done.stderr == "privynet-opt: interrupted.\n"


def test_control_c_before_a_command_is_known_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "build_parser", interrupt)
    assert main(["studies"]) == 130
    assert capsys.readouterr().err == "privynet-opt: interrupted. Nothing was begun.\n"


def test_control_c_ends_a_search_after_the_trial_and_keeps_what_is_finished(
    fitted_toy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    suggest = SearchSpace.suggest

    def interrupted_suggest(space: SearchSpace, trial: Any) -> Any:
        if trial.number == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return suggest(space, trial)

    monkeypatch.setattr(SearchSpace, "suggest", interrupted_suggest)
    storage = ("--storage", str(tmp_path / "study.journal"))
    assert run(fitted_toy, tmp_path / "out", *storage, "--n-trials", "9") == 130
    line = "privynet-opt: interrupted. Finished trials of a --storage are kept; otherwise nothing"
    assert capsys.readouterr().err == f"{line} is.\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    result = api.optimize(study=fitted_toy, n_trials=1, storage=storage[1])
    assert result.search.n_trials == 4 + 1
    assert {trial.state.name for trial in result.study.trials} == {"COMPLETE"}


def test_a_second_control_c_does_not_wait_for_the_trial(
    fitted_toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(*_: Any) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second one was not raised")

    monkeypatch.setattr(SearchSpace, "suggest", stuck)
    assert run(fitted_toy, tmp_path / "out", "--n-trials", "9") == 130


def test_a_reader_that_leaves_is_no_error(fitted_toy: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m privynet_opt run --study {fitted_toy} --output {tmp_path} "
    done = subprocess.run(
        f"{command} --n-trials 3 | true",
        shell=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


def test_a_terminal_without_unicode_still_gets_the_answer(fitted_toy: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "privynet_opt", "run", "--study", str(fitted_toy)]
    done = subprocess.run(
        [*command, "--output", str(tmp_path), "--n-trials", "3"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Recommended" in done.stdout

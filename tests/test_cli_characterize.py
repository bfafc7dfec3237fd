"""What the command line hands on to measuring, and how it words warnings."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from privynet_opt.cli import main
from privynet_opt.errors import DataWarning


def test_characterize_passes_its_arguments_on(
    toy_study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls: list[tuple[Any, dict[str, Any]]] = []

    def measure(spec: Any, **settings: Any) -> Path:
        calls.append((spec, settings))
        (tmp_path / "out" / "measurements").mkdir(parents=True)
        (tmp_path / "out" / "measurements" / "conv1--4--lda--0--full--0.json").write_text("{}")
        return tmp_path / "out" / "characterization.csv"

    fake = SimpleNamespace(characterize=measure)
    monkeypatch.setitem(sys.modules, "privynet_opt.characterization.characterize", fake)
    monkeypatch.setattr("privynet_opt.characterization.characterize", fake, raising=False)
    arguments = [
        "characterize",
        "--study",
        str(toy_study),
        "--data",
        "images",
        "--weights",
        "w.pth",
    ]
    arguments += ["--output", str(tmp_path / "out"), "--device", "cuda", "--workers", "2"]
    arguments += ["--fidelity", "screen", "--fidelity", "full", "--topologies", "7"]
    arguments += ["--start", "amortised", "--data-note", "my camera", "--repair"]
    arguments += [
        "--attacker-data",
        "other.npz",
        "--double-capacity",
        "--skip-bad",
        "--dask",
        "tcp://h:1",
        "--stack",
        "4",
    ]
    assert main(arguments) == 0
    spec, settings = calls[0]
    assert spec.name == "toy"
    assert settings == {
        "data": Path("images"),
        "weights": "w.pth",
        "output": tmp_path / "out",
        "device": "cuda",
        "fidelities": ("screen", "full"),
        "workers": 2,
        "n_trained": 7,
        "start": "amortised",
        "repair": True,
        "attacker_data": Path("other.npz"),
        "double_capacity": True,
        "skip_bad": True,
        "dask": "tcp://h:1",
        "stack": 4,
        "notes": {"data": "my camera", "weights": ""},
    }
    printed = capsys.readouterr().out
    assert f"privynet-opt run --study {tmp_path / 'out'}" in printed


@pytest.mark.parametrize("fidelity", ["screen", "amortised", "standard", "full"])
def test_what_can_be_searched_is_told_and_what_must_be_trained_first(
    fidelity: str,
    toy_study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measure(spec: Any, **settings: Any) -> Path:
        (tmp_path / "measurements").mkdir()
        (tmp_path / "measurements" / f"conv1--4--lda--0--{fidelity}--0.json").write_text("{}")
        return tmp_path / "characterization.csv"

    fake = SimpleNamespace(characterize=measure)
    monkeypatch.setitem(sys.modules, "privynet_opt.characterization.characterize", fake)
    monkeypatch.setattr("privynet_opt.characterization.characterize", fake, raising=False)
    assert main(["characterize", "--study", str(toy_study), "--fidelity", fidelity]) == 0
    told = capsys.readouterr().out.splitlines()[-1]
    is_trained = fidelity in ("standard", "full")
    assert told.startswith("Search it: " if is_trained else "Nothing is trained yet: ")


def test_a_warning_of_ours_is_one_line_and_others_stay_as_they_are() -> None:
    assert main(["studies"]) == 0
    assert warnings.formatwarning("left out", DataWarning, "f.py", 1) == "privynet-opt: left out\n"
    assert "f.py:1: UserWarning: x" in warnings.formatwarning("x", UserWarning, "f.py", 1)

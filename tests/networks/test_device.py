"""A device that is not there is one line, before any image is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from privynet_opt.characterization.characterize import characterize
from privynet_opt.characterization.fresh import measure_again
from privynet_opt.characterization.job import Job, run_job
from privynet_opt.characterization.laboratory import Laboratory
from privynet_opt.errors import NetworkError
from privynet_opt.networks.device import checked_device
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LocalTopology

NOWHERE = Path("nowhere")


def measure_one_cut(output: Path, device: str) -> None:
    wanted = ((LocalTopology("conv1", 2, "lda"), "screen"),)
    nothing: Any = None
    run_job(Job("nowhere", "none", nothing, nothing, wanted, output, device, threads=1))


MEASURING: dict[str, Callable[[Path, str], object]] = {
    "characterize": lambda out, on: characterize(load_study("digits"), NOWHERE, None, out, on),
    "job": measure_one_cut,
    "tune": lambda out, on: Laboratory(load_study("digits"), out, NOWHERE, device=on),
    "validate": lambda out, on: measure_again(
        load_study("digits"), [], "standard", 7, out, NOWHERE, device=on
    ),
}


@pytest.mark.parametrize("how", MEASURING)
def test_measuring_asks_for_the_device_first(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(NetworkError, match="`device` must be there, but torch finds no CUDA"):
        MEASURING[how](tmp_path / "out", "cuda")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["tpu", "CUDA", "", 3, None, ["cpu"]])
def test_other_devices_are_refused(name: Any) -> None:
    with pytest.raises(NetworkError, match="`device` must be cpu or cuda, but got") as told:
        checked_device(name)
    assert repr(name) in str(told.value)


def test_a_device_that_is_there_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [checked_device(name) for name in ("cpu", "cuda")] == [
        torch.device("cpu"),
        torch.device("cuda"),
    ]

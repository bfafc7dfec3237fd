"""Fixtures every test file may use."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from problems import write_noisy_toy_study, write_toy_study

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult


def pytest_configure() -> None:
    """One thread each, for tests that run side by side: before torch is imported.

    Torch counts devices at the first backward pass of all: the second one must be there by then.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    importlib.import_module("second_device")


@pytest.fixture
def toy_study(tmp_path: Path) -> Path:
    """A toy study's directory, characterized."""
    return write_toy_study(tmp_path / "toy")


@pytest.fixture(scope="session")
def fitted_toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy study whose proxies are fitted, once for the whole session; not to be changed."""
    from privynet_opt.api import optimize

    study = write_toy_study(tmp_path_factory.mktemp("fitted") / "toy")
    optimize(study=study, n_trials=1)
    return study


@pytest.fixture(scope="session")
def noisy_toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy study of coded and noisy features, its proxies fitted; not to be changed."""
    from privynet_opt.api import optimize

    study = write_noisy_toy_study(tmp_path_factory.mktemp("noisy") / "noisy-toy")
    optimize(study=study, n_trials=1)
    return study


@pytest.fixture
def fitted_toy(fitted_toy_folder: Path, tmp_path: Path) -> Path:
    """A toy study of one's own whose proxies are fitted already."""
    return Path(shutil.copytree(fitted_toy_folder, tmp_path / "fitted"))


@pytest.fixture(scope="session")
def toy_result(fitted_toy_folder: Path) -> OptimizationResult:
    """The answer of the toy study; not to be changed."""
    from privynet_opt.api import optimize

    return optimize(study=fitted_toy_folder)


@pytest.fixture(scope="session")
def hopeless_result(fitted_toy_folder: Path) -> OptimizationResult:
    """The answer where nothing is feasible; not to be changed."""
    from privynet_opt.api import optimize

    return optimize(["psnr_db <= 14", "accuracy >= 0.6"], study=fitted_toy_folder)

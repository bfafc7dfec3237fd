"""Proxies of the toy study, fitted once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from problems import write_toy_study

from privynet_opt.characterization.table import CharacterizationTable, load_table
from privynet_opt.proxies import Proxies, fit_proxies


@pytest.fixture(scope="session")
def toy_table(tmp_path_factory: pytest.TempPathFactory) -> CharacterizationTable:
    directory = write_toy_study(tmp_path_factory.mktemp("proxies") / "toy")
    return load_table(directory / "characterization.csv")


@pytest.fixture(scope="session")
def toy_cache(toy_table: CharacterizationTable) -> Path:
    """Where the toy proxies' record lies once they are fitted."""
    return toy_table.path.with_name("proxies.json")


@pytest.fixture(scope="session")
def toy_proxies(toy_table: CharacterizationTable, toy_cache: Path) -> Proxies:
    return fit_proxies(toy_table, cache=toy_cache)

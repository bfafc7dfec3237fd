"""Fixtures every test file may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from problems import write_toy_study


@pytest.fixture
def toy_study(tmp_path: Path) -> Path:
    """A toy study's directory, characterized."""
    return write_toy_study(tmp_path / "toy")

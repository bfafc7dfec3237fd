"""Building a large network takes seconds, so each is built once."""

from __future__ import annotations

import functools

import pytest

from privynet_opt.networks.backbone import Backbone, load_backbone


@functools.cache
def _load(name: str) -> Backbone:
    return load_backbone(name)


@pytest.fixture
def load():
    """Load a network with random weights, once per session."""
    return _load

"""A folder holds one training, and says which."""

from __future__ import annotations

import pytest

from privynet_opt.deploy.cloud_training import RECIPE
from privynet_opt.deploy.training_claim import claim
from privynet_opt.errors import OutputError


@pytest.mark.parametrize(("begun", "other"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_training_does_not_go_on_with_another_device(features, tmp_path, begun, other):
    claim(tmp_path, features, RECIPE, 0, begun)
    claim(tmp_path, features, RECIPE, 0, begun)
    with pytest.raises(OutputError, match="must hold a training with the same device"):
        claim(tmp_path, features, RECIPE, 0, other)

"""The cloud network can be trained on another device than the CPU, killed there or not."""

from __future__ import annotations

import pytest
import torch
from second_device import second_device

from privynet_opt.deploy.cloud_training import train_cloud
from privynet_opt.deploy.extract import extract
from privynet_opt.networks import precision


class StoppedError(Exception):
    """Stands for a kill."""


def test_a_cloud_network_trained_elsewhere_is_that_of_the_cpu_stopped_or_not(
    exported, digit_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(precision, "uses_bfloat16", lambda device: False)
    torch.set_num_threads(1)
    bundle = exported(mirrorable=True)
    features = extract(bundle, digit_folder, tmp_path / "features", mirrored=True).folder

    def stop(epoch, _):
        raise StoppedError

    here = train_cloud(features, tmp_path / "here", epochs=4)
    with second_device():
        with pytest.raises(StoppedError):
            train_cloud(features, tmp_path / "there", epochs=4, device="cuda", watch=stop)
        there = train_cloud(features, tmp_path / "there", epochs=4, device="cuda")
    assert there["confusion"] == here["confusion"]
    assert there["accuracy"] == here["accuracy"] > 0.2  # of guessing among five

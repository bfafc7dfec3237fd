"""Features are standardised so that dead channels stay harmless and classes are told apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from privynet_opt.characterization import bank, feature_source
from privynet_opt.characterization.channel_statistics import (
    LARGEST_FEATURE,
    ClassScatter,
    channel_statistics,
    moments,
    standardise,
)


def test_a_channel_that_hardly_fires_stays_finite_in_half_precision():
    features = torch.randn(64, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    features[:, 1] = 0
    mean, std = moments(iter(features.split(16)))
    seen = features.clone()
    seen[0, 1, 0, 0] = 1e6  # an image that fires it after all
    standardised = standardise(seen, mean, std).half()
    assert standardised.isfinite().all()
    assert float(standardised.max()) <= LARGEST_FEATURE


def test_cells_are_centred_one_by_one():
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(200, 2, 3, 3, generator=generator) + torch.arange(9.0).view(3, 3)
    mean, std = moments(iter(features.split(50)))
    torch.testing.assert_close(mean, features.mean(0, keepdim=True))
    standardised = standardise(features, mean, std)
    torch.testing.assert_close(standardised.mean(0), torch.zeros(2, 3, 3), atol=1e-5, rtol=0)
    assert float(standardised.std()) == pytest.approx(1, abs=0.01)


def test_fisher_ratio_is_the_scatter_between_over_within_classes():
    labels = torch.tensor([0, 0, 1, 1])
    features = torch.tensor([1.0, 3.0, 5.0, 7.0]).view(4, 1, 1, 1)
    scatter = ClassScatter(2)
    for part in (slice(0, 1), slice(1, 4)):
        scatter.add(features[part], labels[part])
    assert float(scatter.fisher_ratio()) == pytest.approx(16 / 4)


@pytest.mark.parametrize("name", ["discriminability", "exposure", "magnitude"])
def test_one_statistic_alone_is_the_one_every_measurement_uses(conv1_bank, name):
    source = conv1_bank.source
    alone = channel_statistics(source.backbone, source.cut, [name], source)
    np.testing.assert_array_equal(getattr(alone, name), getattr(conv1_bank.statistics, name))
    others = {"discriminability", "exposure", "magnitude"} - {name}
    assert all(np.isnan(getattr(alone, other)).all() for other in others)


def test_the_greedy_order_alone_is_the_one_every_measurement_uses(conv1_bank):
    source = conv1_bank.source
    alone = channel_statistics(source.backbone, source.cut, ["greedy_order"], source)
    np.testing.assert_array_equal(alone.greedy_order(), conv1_bank.statistics.greedy_order())


@pytest.mark.parametrize(("room", "times"), [(feature_source.ROOM_BYTES, 1), (0, 2)])
def test_features_that_fit_are_computed_once_and_others_streamed(
    conv1_bank, monkeypatch, room, times
):
    monkeypatch.setattr(feature_source, "ROOM_BYTES", room)
    own = conv1_bank.source
    source = feature_source.FeatureSource(own.backbone, own.cut, own.splits, own.device)
    computed = []
    source.head.register_forward_hook(lambda head, inputs, features: computed.append(len(features)))
    built = bank.build_bank(source)
    splits = own.splits
    assert sum(computed) == len(splits.attacker) * times + len(splits.cloud) + len(splits.score)
    torch.testing.assert_close(built.ridge.gram, conv1_bank.ridge.gram, atol=1e-2, rtol=1e-2)

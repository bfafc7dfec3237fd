"""Decoders and cloud networks are trained on what arrives of features, not on the features."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from privynet_opt.attacks.decoder import Decoder, train_decoders
from privynet_opt.attacks.ridge import RidgeAttacker
from privynet_opt.networks.training import HELD_OUT_SHARE, TrainingRecipe

N, GRID, RECIPE = 20, 4, TrainingRecipe(max_epochs=1, patience=1, batch_size=6)


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def has_learned_nothing_of_features(network, fresh):
    """Whether the first convolution has only shrunk by weight decay, as where it saw zeros."""
    first, before = (
        next(m for m in n.modules() if isinstance(m, nn.Conv2d)) for n in (network, fresh)
    )
    return float((first.weight / before.weight).detach().std()) < 1e-4


@pytest.mark.parametrize("kept", [[[0, 1]], [[0, 1], [2]]])
def test_a_decoder_sees_what_arrives_each_time_an_image_is_shown(kept):
    features, images = draw(N, 3, GRID, GRID), draw(N, 3, 8, 8).sigmoid()
    ridge = RidgeAttacker.fit([(features, images)], images.mean(0))
    shown: list[int] = []

    def nothing(seen):
        shown.append(len(seen))
        return torch.zeros_like(seen)

    decoders = train_decoders(
        features,
        kept,
        images,
        [ridge.decoder(own) for own in kept],
        RECIPE,
        seed=0,
        receives=[nothing] * len(kept),
    )
    before = int(HELD_OUT_SHARE * N)  # held-out images judge what it starts from as well
    assert sum(shown) == (N + before) * len(kept)  # fitted and held out, once each
    for (decoder, _), own in zip(decoders, kept, strict=True):
        torch.manual_seed(0)
        assert has_learned_nothing_of_features(decoder, Decoder(len(own), GRID, 8))

"""A decoder of its own starts from the closed-form attack and does not end below it."""

from __future__ import annotations

import torch

from privynet_opt.attacks import decoder as decoder_module
from privynet_opt.attacks.decoder import Decoder, reconstruct, train_decoders
from privynet_opt.attacks.ridge import RidgeAttacker
from privynet_opt.networks.training import TrainingRecipe


def test_a_decoder_that_training_spoils_recovers_what_the_linear_attack_does():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(40, 2, 4, 4, generator=generator)
    images = torch.rand(40, 3, 8, 8, generator=generator)
    ridge = RidgeAttacker.fit([(features, images)], images.mean(0)).decoder([0, 1])
    wild = TrainingRecipe(max_epochs=3, patience=2, batch_size=8, peak_learning_rate=0.1)
    ((decoder, _),) = train_decoders(features, [[0, 1]], images, [ridge], wild, seed=0)
    with torch.no_grad():
        linear = ridge.reconstruct(features)
        torch.testing.assert_close(decoder(features, linear), linear, rtol=0, atol=0)


def test_what_is_recovered_linearly_is_not_rounded(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(40, 2, 4, 4, generator=generator)
    images = torch.rand(40, 3, 8, 8, generator=generator)
    ridge = RidgeAttacker.fit([(features, images)], images.mean(0)).decoder([0, 1])
    untrained = Decoder(2, 4, 8).eval()  # adds nothing
    monkeypatch.setattr(
        decoder_module, "mixed_precision", lambda device: torch.autocast("cpu", torch.bfloat16)
    )
    recovered = reconstruct(untrained, ridge, features)
    torch.testing.assert_close(recovered, ridge.reconstruct(features), rtol=0, atol=0)

"""A cut's amortised networks, trained on a toy."""

from __future__ import annotations

import weakref
from dataclasses import replace

import pytest
import torch
from torch import nn

from privynet_opt.attacks import fine_tuning
from privynet_opt.attacks.amortised import AmortisedNetworks, train_amortised
from privynet_opt.attacks.coordinates import CutCoordinates
from privynet_opt.attacks.fine_tuning import adapt_decoder, fine_tune
from privynet_opt.attacks.ridge import RidgeAttacker
from privynet_opt.networks import training
from privynet_opt.networks.optimizers import MuonRecipe
from privynet_opt.networks.training import TrainingRecipe

CHANNELS, N, SIZE = 6, 160, 8
SUBSETS = [(0,), (1, 2), (3, 4, 5), (0, 2, 4), tuple(range(CHANNELS))]
RECIPE = TrainingRecipe(max_epochs=3, patience=3, batch_size=32)
BY_MUON = replace(RECIPE, muon=MuonRecipe(peak_learning_rate=0.02, momentum=0.9))


@pytest.fixture(scope="module")
def seen():
    generator = torch.Generator().manual_seed(0)
    colours = torch.rand(N, 3, 1, 1, generator=generator)
    curved = (6 * colours).sin().repeat(1, 2, 4, 4)  # nothing that a linear attacker inverts
    features = (curved + 0.1 * torch.randn(N, CHANNELS, 4, 4, generator=generator)).half()
    labels = (colours[:, 0, 0, 0] > 0.5).long()
    return features, colours.expand(-1, -1, SIZE, SIZE), labels


def untrained(seen):
    features, images, _ = seen
    ridge = RidgeAttacker.fit([(features, images)], images.mean(0))
    return AmortisedNetworks.untrained(CutCoordinates.of(ridge, 4), 4, 2, seed=1)


def trained(seen, checkpoints=None):
    features, images, labels = seen
    data = (lambda: (features, images)), (lambda: (features, labels))
    return train_amortised(untrained(seen), SUBSETS, *data, (BY_MUON, RECIPE), checkpoints)


def test_what_the_decoder_was_trained_on_is_let_go_of_before_the_cloud_network_is_trained(seen):
    features, images, labels = seen
    attacker = []

    def attackers():
        own = features.clone()
        attacker.append(weakref.ref(own))
        return own, images

    def clouds():
        assert attacker[0]() is None
        return features, labels

    train_amortised(untrained(seen), SUBSETS, attackers, clouds, (RECIPE, RECIPE))
    assert attacker


def weights(networks):
    both = [networks.decoder, networks.cloud]
    return torch.cat([v.flatten().double() for net in both for v in net.state_dict().values()])


@pytest.mark.parametrize("epochs", [1, 4])
def test_a_killed_training_meets_the_subsets_that_an_undisturbed_one_does(
    seen, tmp_path, monkeypatch, epochs
):
    save, saved = training._Run.save, []

    def killed(run, path):
        save(run, path)
        saved.append(path)
        if len(saved) == epochs:  # of the decoder, or of the cloud network after its three
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training._Run, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            trained(seen, tmp_path)
    assert torch.equal(weights(trained(seen, tmp_path)), weights(trained(seen)))


def test_networks_that_start_from_amortised_ones_end_the_same_whatever_was_drawn_before(seen):
    features, images, labels = seen
    start, kept = untrained(seen), [1, 3]
    data = (features[:, kept], images), (features[:, kept], labels)
    found = []
    for drawn in range(2):
        torch.manual_seed(drawn)
        found.append(weights(fine_tune(start, kept, *data, (RECIPE, RECIPE), seed=5)))
    assert torch.equal(*found)


def test_networks_that_start_from_amortised_ones_learn_from_mirrored_images_too(seen, monkeypatch):
    features, images, labels = seen
    images, shown = images * torch.linspace(0, 1, SIZE), []
    pairs = fine_tuning.MirroredPairs
    monkeypatch.setattr(fine_tuning, "MirroredPairs", lambda *a: shown.append(a[1]) or pairs(*a))
    start, kept = untrained(seen), [1, 3]
    own, longer = features[:, kept], replace(RECIPE, max_epochs=12, patience=12)
    data = (own, images), (own, labels)
    twice, turned = (
        fine_tune(start, kept, *data, (longer, RECIPE), seed=5, mirrored=mirrored)
        for mirrored in ((own, own), (own.flip(-1), own.flip(-1)))
    )
    for part in ("decoder", "cloud"):
        of_one, of_both = (getattr(n, part).state_dict() for n in (twice, turned))
        assert any(not torch.equal(of_one[name], of_both[name]) for name in of_one)
    assert torch.equal(shown[0][-1], images.flip(-1))


def test_tuning_starts_from_what_the_cuts_decoder_recovers_of_the_subset(seen, monkeypatch):
    features, images, _ = seen
    start, kept = untrained(seen), [1, 3]
    torch.manual_seed(0)
    for parameter in start.decoder.parameters():
        nn.init.normal_(parameter, std=0.1)
    start.decoder.eval()
    monkeypatch.setattr(fine_tuning, "train", lambda network, *_, **__: (0,))
    own = adapt_decoder(start, kept, (features[:, kept], images), BY_MUON, seed=5)
    own.decoder.eval()
    (_, expected, _), (_, recovered, _) = (n.score(kept, features[:, kept]) for n in (start, own))
    assert torch.allclose(recovered, expected, atol=0.01)  # in bfloat16


def test_a_decoder_is_tuned_without_conditions_and_the_cut_keeps_its_own(seen):
    features, images, _ = seen
    start, kept = untrained(seen), [1, 3]
    before = weights(start)
    own = adapt_decoder(start, kept, (features[:, kept], images), BY_MUON, seed=5)
    assert own.decoder.condition is None
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in own.decoder.modules())
    assert torch.equal(weights(start), before)

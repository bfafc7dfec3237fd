"""The training loop keeps the best epoch, stops early, and goes on where it was killed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from privynet_opt.errors import DataError, OutputError
from privynet_opt.networks import training
from privynet_opt.networks.mirroring import MirroredPairs
from privynet_opt.networks.optimizers import MuonRecipe
from privynet_opt.networks.training import TrainingRecipe, train

INPUTS = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
TARGETS = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]])
RECIPE = TrainingRecipe(max_epochs=12, patience=12, batch_size=16, peak_learning_rate=0.1)


def linear():
    torch.manual_seed(1)
    return nn.Linear(3, 1)


def squared_error(network, positions):
    return (network(INPUTS[positions]) - TARGETS[positions]).square().mean()


def test_a_learnable_map_is_learned():
    network = linear()
    assert train(network, squared_error, 200, RECIPE, seed=0) == (12,)
    assert float(squared_error(network, torch.arange(200))) < 1e-3
    assert not network.training


def test_training_stops_when_held_out_images_get_no_better():
    calls = []

    def noise(network, positions):
        loss = network(INPUTS[positions]).mean() * 0 + float(len(calls))
        if not network.training:
            calls.append(1)  # every epoch is worse than the one before
        return loss

    recipe = TrainingRecipe(max_epochs=12, patience=3, batch_size=50)
    assert train(linear(), noise, 200, recipe, seed=0) == (4,)


def test_the_best_epoch_is_kept_and_not_the_last():
    network = linear()

    def diverging(model, positions):
        return (
            -squared_error(model, positions) if model.training else squared_error(model, positions)
        )

    before = float(squared_error(network, torch.arange(200)))
    train(network, diverging, 200, TrainingRecipe(6, 6, 16, 0.5), seed=0)
    after_one_epoch = float(squared_error(network, torch.arange(200)))
    other = linear()
    train(other, diverging, 200, TrainingRecipe(6, 1, 16, 0.5), seed=0)
    assert float(squared_error(other, torch.arange(200))) == after_one_epoch > before


def test_stacked_networks_are_left_as_they_began_each_by_itself():
    pair = nn.Module()
    pair.weights = nn.Parameter(torch.zeros(2))

    def losses(network, positions):
        distances = (network.weights - torch.tensor([-1.0, 1.0])).abs()
        return -network.weights if network.training else distances  # both rise, to the second's end

    recipe = TrainingRecipe(max_epochs=3, patience=3, batch_size=200)
    assert train(pair, losses, 200, recipe, seed=0, keep_start=True, n_stacked=2) == (3, 3)
    assert pair.weights[0] == 0.0
    assert pair.weights[1] > 0.0


@pytest.mark.parametrize("killed_after", [1, 5])
def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(tmp_path, killed_after):
    undisturbed = linear()
    train(undisturbed, squared_error, 200, RECIPE, seed=3)
    checkpoint = tmp_path / "state.pt"
    epochs = []

    def killed(network, positions):
        if not network.training:
            epochs.append(1)
        if len(epochs) > killed_after:
            raise KeyboardInterrupt
        return squared_error(network, positions)

    with pytest.raises(KeyboardInterrupt):
        train(linear(), killed, 200, RECIPE, 3, checkpoint)
    resumed = linear()
    train(resumed, squared_error, 200, RECIPE, 3, checkpoint)
    torch.testing.assert_close(resumed.weight, undisturbed.weight, rtol=0, atol=0)


def test_stacked_networks_stop_and_keep_their_best_epoch_each_by_itself():
    pair = nn.Module()
    pair.weights = nn.Parameter(torch.zeros(2))
    reached, after = [], []

    def losses(network, positions):
        if network.training:
            return -network.weights  # rises with every step
        reached.append(len(reached))
        after.append(network.weights.tolist())
        return torch.tensor([reached[-1] if reached[-1] < 4 else -1, -reached[-1]])

    recipe = TrainingRecipe(max_epochs=6, patience=2, batch_size=200)
    assert train(pair, losses, 200, recipe, seed=0, n_stacked=2) == (3, 6)
    assert pair.weights.tolist() == [after[0][0], after[5][1]]


def test_the_gradient_of_each_stacked_network_is_clipped_by_itself():
    def reach(slopes):
        network = nn.Module()
        network.weights = nn.Parameter(torch.zeros(len(slopes)))
        recipe = TrainingRecipe(max_epochs=3, patience=3, batch_size=20)
        counts = iter(range(100))

        def losses(own, positions):
            scale = 1 if next(counts) % 2 else 2  # AdamW alone would not see the slopes' size
            return torch.tensor(slopes) * scale * own.weights

        train(network, losses, 200, recipe, seed=0, n_stacked=len(slopes))
        return network.weights.tolist()

    assert reach([0.1, 1000.0]) == [*reach([0.1]), *reach([1000.0])]


def test_stacked_networks_are_not_trained_by_muon_which_would_mix_them():
    recipe = replace(RECIPE, muon=MuonRecipe(peak_learning_rate=0.01, momentum=0.9))
    with pytest.raises(AssertionError):
        train(linear(), squared_error, 200, recipe, seed=0, n_stacked=2)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    train(linear(), squared_error, 200, RECIPE, seed=0, checkpoint=checkpoint)
    other = replace(RECIPE, peak_learning_rate=0.05)
    with pytest.raises(OutputError, match="one that this training wrote"):
        train(linear(), squared_error, 200, other, seed=0, checkpoint=checkpoint)


def test_a_checkpoint_that_the_disk_has_no_room_for_is_told(tmp_path):
    (tmp_path / "state.tmp").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"state\.pt is not \(No space left on device\)"):
        train(linear(), squared_error, 200, RECIPE, 3, tmp_path / "state.pt")
    assert not any(tmp_path.iterdir())


def test_random_states_travel_between_machines_with_other_cuda_devices(monkeypatch):
    set_on_cuda = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: torch.tensor([7]))
    monkeypatch.setattr(torch.cuda, "set_rng_state", set_on_cuda.append)
    states = training._global_states()
    drawn = torch.rand(3)
    training._set_global_states(states)
    assert torch.equal(torch.rand(3), drawn)
    assert set_on_cuda == [torch.tensor([7])]
    training._set_global_states(states[:1])  # from a machine without any
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    training._set_global_states(states)
    assert torch.equal(torch.rand(3), drawn)
    assert len(set_on_cuda) == 1


def test_a_trained_network_stays_as_it_is_where_training_does_not_help():
    network = linear()
    train(network, squared_error, 200, RECIPE, seed=0)
    before = [p.clone() for p in network.parameters()]
    wild = TrainingRecipe(max_epochs=1, patience=1, batch_size=100, peak_learning_rate=10.0)
    train(network, squared_error, 200, wild, seed=0, keep_start=True)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    train(network, squared_error, 200, wild, seed=0)
    assert not all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_network_that_never_had_a_finite_held_out_loss_is_refused(value, tmp_path):
    def hopeless(network, positions):
        return squared_error(network, positions) * value

    recipe = TrainingRecipe(max_epochs=5, patience=3, batch_size=50)
    for _ in range(2):  # the checkpoint of such a training does not pass either
        with pytest.raises(DataError, match=r"must be finite, but after none of 3 epochs it was\."):
            train(linear(), hopeless, 200, recipe, 0, tmp_path / "state.pt")
    network = linear()
    before = network.weight.clone()
    train(network, hopeless, 200, recipe, seed=0, keep_start=True)
    assert torch.equal(network.weight, before)


def test_of_stacked_networks_each_needs_a_finite_held_out_loss_once():
    def pair_trained(unlearnable):
        """Train two numbers; held-out losses of the second are NaN in some epochs."""
        pair = nn.Module()
        pair.weights = nn.Parameter(torch.zeros(2))
        epochs = iter(range(10))

        def losses(network, positions):
            each = (network.weights - 1).square()
            if not network.training and next(epochs) in unlearnable:
                each = each * torch.tensor([1.0, float("nan")])
            return each

        recipe = TrainingRecipe(max_epochs=3, patience=3, batch_size=200)
        return train(pair, losses, 200, recipe, seed=0, n_stacked=2)

    assert pair_trained({0, 2}) == (3, 3)
    with pytest.raises(DataError, match="none of 3 epochs"):
        pair_trained({0, 1, 2})


def test_mirrored_images_are_shown_half_the_time_and_all_quantities_turn_together():
    plain = torch.zeros(1000, 2, dtype=torch.float16)
    pairs = MirroredPairs((plain, plain), (plain + 1, plain + 1), seed=0)
    features, images = pairs.pick(torch.arange(1000), is_training=True)
    assert features.dtype == torch.float32
    assert float(features.mean()) == pytest.approx(0.5, abs=0.05)
    assert torch.equal(features, images)
    held_out, _ = pairs.pick(torch.arange(10), is_training=False)
    assert float(held_out.sum()) == 0


def test_few_images_are_shown_more_often_until_there_are_enough_steps():
    recipe = TrainingRecipe(max_epochs=2, patience=1, batch_size=16, min_steps=50)
    assert recipe.lengthened(180) == TrainingRecipe(6, 3, 16, min_steps=50)  # 12 steps an epoch
    assert recipe.lengthened(16 * 25) == recipe
    losses = []

    def counting(network, positions):
        losses.append(network.training)
        return squared_error(network, positions)

    assert train(linear(), counting, 200, recipe, seed=0) == (6,)
    assert sum(losses) == 72


@pytest.mark.parametrize("n_steps", [1, 9, 10, 11])
def test_a_cycle_of_few_steps_has_a_warm_up_of_any_share(n_steps):
    recipe = TrainingRecipe(n_steps, n_steps, batch_size=200, warm_up=0.1)  # a step is an epoch
    network = linear()
    before = network.weight.detach().clone()
    train(network, squared_error, 200, recipe, seed=0)
    assert torch.isfinite(network.weight).all()
    assert not torch.equal(network.weight, before)

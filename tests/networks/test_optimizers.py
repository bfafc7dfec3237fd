"""Muon turns the weights of convolutions; AdamW changes all the rest."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from privynet_opt.networks.optimizers import (
    WEIGHT_DECAY,
    Muon,
    MuonRecipe,
    make_optimizers,
    orthogonalised,
)
from privynet_opt.networks.training import TrainingRecipe, train

RECIPE = MuonRecipe(peak_learning_rate=0.02, momentum=0.8)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Conv2d(6, 3, 3))


def with_gradients(net):
    torch.manual_seed(1)
    net(torch.randn(8, 4, 8, 8)).square().mean().backward()
    return net


def change(recipe, memory_format=torch.contiguous_format):
    net = with_gradients(network().to(memory_format=memory_format))
    before = copy.deepcopy(net)
    for optimizer in make_optimizers(net, 1e-3, recipe):
        optimizer.step()
    return before, net


def test_a_step_of_muon_is_nearly_the_orthogonal_matrix_next_to_the_gradient():
    before, after = change(RECIPE)
    for index in (0, 2):
        step = (before[index].weight - after[index].weight).detach().flatten(1) / 0.02
        left, _, right = torch.linalg.svd(after[index].weight.grad.flatten(1), full_matrices=False)
        nearest = left @ right
        similarity = torch.nn.functional.cosine_similarity(step.flatten(), nearest.flatten(), 0)
        assert similarity > 0.95
        assert float(step.norm()) == pytest.approx(len(step) ** 0.5, rel=0.2)


@pytest.mark.parametrize("shape", [(12, 2, 1, 1), (3, 2, 2, 2)])
def test_tall_and_wide_updates_are_orthogonalised_alike(shape):
    update = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    turned = update.flatten(1).T[..., None, None]
    assert torch.allclose(
        orthogonalised(update).flatten(1), orthogonalised(turned).flatten(1).T, atol=1e-5
    )
    left, _, right = torch.linalg.svd(update.flatten(1), full_matrices=False)
    assert torch.allclose(orthogonalised(update).flatten(1), left @ right, atol=0.35)


def test_steps_follow_nesterov_momentum_while_weights_decay():
    weight = nn.Parameter(torch.ones(3, 2, 1, 1))
    muon = Muon([weight], MuonRecipe(peak_learning_rate=0.02, momentum=0.5))
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 3, 2, 1, 1, generator=generator)
    weight.grad = first
    muon.step()
    before, weight.grad = weight.detach().clone(), second.clone()
    muon.step()
    step = before * (1 - 0.02 * WEIGHT_DECAY) - weight.detach()
    velocity = 0.5 * first + second
    assert torch.allclose(step, 0.02 * orthogonalised(second + 0.5 * velocity), atol=1e-7)


def test_a_relative_step_is_in_proportion_to_the_weights():
    before, after = change(MuonRecipe(peak_learning_rate=0.02, momentum=0.8, relative=True))
    for index in (0, 2):
        was, now = before[index].weight.detach(), after[index].weight.detach()
        assert float((was - now).norm()) == pytest.approx(0.02 * float(was.norm()), rel=0.2)


def test_how_weights_lie_in_memory_changes_no_step():
    _, usual = change(RECIPE)
    _, other = change(RECIPE, torch.channels_last)
    for index in (0, 2):
        assert torch.allclose(usual[index].weight, other[index].weight, atol=1e-6)


def test_what_is_no_convolution_is_changed_as_by_adamw_alone():
    _, mixed = change(RECIPE)
    _, alone = change(None)
    for index, name in ((0, "bias"), (1, "weight"), (1, "bias"), (2, "bias")):
        assert torch.equal(getattr(mixed[index], name), getattr(alone[index], name))
    for index in (0, 2):  # AdamW would have moved each number by its learning rate
        assert not torch.allclose(mixed[index].weight, alone[index].weight, atol=1e-4)


def test_a_weight_without_a_gradient_stays():
    net = network()
    net[0].weight.requires_grad_(False)
    _, muon = make_optimizers(with_gradients(net), 1e-3, RECIPE)
    before = net[0].weight.clone()
    muon.step()
    assert torch.equal(net[0].weight, before)


def test_muon_follows_the_one_cycle_of_the_training(monkeypatch):
    rates = []
    step = Muon.step

    def noted(self, closure=None):
        rates.append((self.param_groups[0]["lr"], self.param_groups[0]["momentum"]))
        step(self, closure)

    monkeypatch.setattr(Muon, "step", noted)
    images = torch.rand(110, 4, 8, 8)
    recipe = TrainingRecipe(max_epochs=2, patience=2, batch_size=10, warm_up=0.1, muon=RECIPE)
    train(network(), lambda net, at: net(images[at]).square().mean(), 110, recipe, seed=0)
    speeds, momenta = zip(*rates, strict=True)
    assert len(rates) == 20
    assert max(speeds) == pytest.approx(0.02) == speeds[1]
    assert speeds[0] < 0.001
    assert speeds[-1] < 1e-4
    assert set(momenta) == {0.8}

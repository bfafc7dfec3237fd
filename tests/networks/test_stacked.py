"""Networks that are trained together end as they would alone, in double precision to rounding."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.nn import functional

from privynet_opt.attacks.decoder import Decoder
from privynet_opt.networks.cloud import CloudNetwork
from privynet_opt.networks.stacked import Stack
from privynet_opt.networks.training import TrainingRecipe, train

CPU = torch.device("cpu")
KEPT = [[4, 1], [0, 2, 3, 5], [3]]
N_IMAGES = 40
RECIPE = TrainingRecipe(max_epochs=5, patience=1, batch_size=16, peak_learning_rate=1e-2)

ROUNDING = 1e-6
"""Sums of some hundred products in double precision (1e-16 each) differ by 1e-14 with their order;
AdamW divides by gradients that may be as small, which some ten steps carry on. A wrong group, draw
or clip changes weights by the learning rate."""

DECODERS = [
    partial(Decoder, grid=grid, image_size=4)
    for grid in (4, 2, 1)  # finer than the trunk, as fine, and one cell
]
SPREADING = partial(Decoder, grid=1, image_size=8)  # coarser than the trunk
CLOUDS = [partial(CloudNetwork, grid=grid, n_classes=3) for grid in (2, 3)]
GATHERING = partial(CloudNetwork, grid=16, n_classes=3)


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def stack_of(make, kept):
    return Stack(lambda channels: make(channels).double(), kept, 7, CPU)


def outputs(network, seen):
    nothing = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    return network(seen, nothing) if isinstance(network, Decoder) else network(seen)


def trained(make, kept, scale=1.0):
    """Return networks trained together, by random features and targets, and their epochs."""
    stack = stack_of(make, kept)
    grid = make.keywords["grid"]
    features = draw(N_IMAGES, 6, grid, grid)
    labels = features.mean((2, 3)).argmax(1) % 3
    images = functional.interpolate(features[:, :3], size=2 * [make.keywords.get("image_size", 1)])

    def losses(network, positions):
        seen = outputs(network, stack.side_by_side(features[positions]))
        if seen.dim() == 4:
            each = [(own - images[positions]).square().mean() for own in seen.chunk(len(kept), 1)]
        else:
            scores = seen.chunk(len(kept), 1)
            each = [functional.cross_entropy(own, labels[positions]) for own in scores]
        return scale * torch.stack(each)

    epochs = train(stack.whole, losses, N_IMAGES, RECIPE, 3, n_stacked=len(stack))
    return stack.networks(), epochs


@pytest.mark.parametrize("make", [*DECODERS, SPREADING, *CLOUDS, GATHERING])
def test_a_stack_computes_what_each_network_does_alone(make):
    features = draw(5, 6, *2 * [make.keywords["grid"]])
    stack = stack_of(make, KEPT)
    together = outputs(stack.whole.eval(), stack.side_by_side(features)).chunk(len(KEPT), 1)
    for kept, own in zip(KEPT, together, strict=True):
        alone = stack_of(make, [kept]).whole.eval()
        torch.testing.assert_close(own, outputs(alone, features[:, kept]))


@pytest.mark.parametrize("make", [*DECODERS, *CLOUDS])
def test_networks_trained_together_end_as_each_does_alone(make):
    together, epochs = trained(make, KEPT, scale=100.0)  # gradients are clipped
    for kept, network, trained_for in zip(KEPT, together, epochs, strict=True):
        (alone,), (epochs_alone,) = trained(make, [kept], scale=100.0)
        assert trained_for == epochs_alone
        assert not network.training
        own, expected = network.state_dict(), alone.state_dict()
        for name in expected:
            if "num_batches" not in name:  # all share the counter, which nothing depends on
                torch.testing.assert_close(own[name], expected[name], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("kept", [[0, 1, 2], [2, 0, 1], [1, 2]])
def test_a_single_network_sees_its_channels_in_their_order(kept):
    features = draw(2, 3, 4, 4)
    stack = Stack(partial(CloudNetwork, grid=4, n_classes=2), [kept], 7, CPU)
    torch.testing.assert_close(stack.side_by_side(features), features[:, kept])

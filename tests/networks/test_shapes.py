"""Decoder and cloud network can be built for every grid that tiles its image."""

from __future__ import annotations

import pytest
import torch

from privynet_opt.attacks.decoder import Decoder
from privynet_opt.networks.cloud import CloudNetwork, train_cloud_network
from privynet_opt.networks.training import TrainingRecipe

GRIDS = [
    (size, grid)
    for size in (8, 20, 24, 27, 28, 30, 32, 36, 48, 56, 224)
    for grid in range(1, min(size, 56) + 1)
    if size % grid == 0
]


@pytest.mark.parametrize(("size", "grid"), GRIDS)
def test_networks_take_any_grid_that_tiles_the_image(size, grid):
    features, linear = torch.zeros(2, 3, grid, grid), torch.zeros(2, 3, size, size)
    with torch.no_grad():
        assert Decoder(3, grid, size).eval()(features, linear).shape == linear.shape
        assert CloudNetwork(3, grid, 5).eval()(features).shape == (2, 5)


def test_shapes_that_were_measured_keep_their_networks():
    assert [Decoder(3, grid, 32).trunk_grid for grid in (1, 2, 4, 8, 16, 32)] == [8] * 4 + [16] * 2
    entered = [CloudNetwork(3, grid, 5).enter[0].downscale_factor for grid in (2, 8, 16, 32)]
    assert entered == [1, 1, 2, 4]


def test_a_last_batch_of_one_image_is_joined_to_the_one_before():
    images = 17 + 1  # the eighteenth is held out
    recipe = TrainingRecipe(max_epochs=2, patience=2, batch_size=16)
    features = torch.randn(images, 4, 1, 1, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(images) % 2
    _, epochs = train_cloud_network(features, labels, 2, recipe, seed=1)
    assert epochs >= 1

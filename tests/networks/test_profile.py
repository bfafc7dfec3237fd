"""Costs are exact: closed form for VGG16, torch's own counter for everything else."""

from __future__ import annotations

import itertools

import pytest
from torch import nn

from privynet_opt.cost import COST_NAMES, cut_costs
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.networks.local import build_local_network
from privynet_opt.networks.profile import (
    measure_live_bytes,
    measure_macs,
    profile_cut,
    state_bytes,
    whole_costs,
)

VGG16 = [(3, 64, 32), (64, 64, 32), (64, 128, 16), (128, 128, 16), (128, 256, 8), (256, 256, 8)]
"""In-channels, out-channels and grid of VGG16's first convolutions on 32×32 images."""


@pytest.mark.parametrize("kept", [1, 5, 64])
@pytest.mark.parametrize("depth", [1, 2, 4, 6])
def test_vgg16_costs_equal_the_closed_form(load, depth, kept):
    backbone = load("vgg16")
    (cut,) = choose_cuts(find_cuts(backbone.graph, 32), [f"conv{depth}"])
    layers = [*VGG16[: depth - 1], (VGG16[depth - 1][0], kept, VGG16[depth - 1][2])]
    macs = sum(9 * inside * outside * grid**2 for inside, outside, grid in layers)
    parameters = sum(4 * outside * (9 * inside + 1) for inside, outside, _ in layers)
    image = 3 * 32 * 32
    moments = [grid**2 * (i * (i != 3) + o) for i, o, grid in layers[:1]]
    moments += [
        inside * (previous[2] ** 2) + outside * grid**2
        for previous, (inside, outside, grid) in itertools.pairwise(layers)
        if previous[2] == grid
    ]
    moments += [  # the pooling between two stages reads the larger map and writes the smaller
        outside * (grid**2 + (grid // 2) ** 2)
        for (_, outside, grid), following in itertools.pairwise(layers)
        if following[2] != grid
    ]
    costs = {
        name: int(value) for name, value in cut_costs(profile_cut(backbone, cut, 32), kept).items()
    }
    assert tuple(costs) == COST_NAMES
    assert costs["local_macs"] == macs
    assert costs["local_flops"] == 2 * macs
    assert costs["parameter_bytes"] == parameters
    assert costs["peak_activation_bytes"] == 4 * (image + max(moments))
    assert costs["memory_bytes"] == parameters + costs["peak_activation_bytes"]
    assert costs["feature_bytes"] == 4 * kept * cut.height * cut.width


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "efficientnet_b0", "convnext_tiny"])
def test_profile_equals_a_count_on_the_built_network(load, name):
    backbone = load(name)
    for cut in find_cuts(backbone.graph, 64)[1::4]:
        kept = max(1, cut.channels // 2 - 3)
        local = build_local_network(backbone, cut, range(kept))
        costs = cut_costs(profile_cut(backbone, cut, 64), kept)
        assert costs["local_macs"] == measure_macs(local, 64)
        assert costs["parameter_bytes"] == state_bytes(local)
        assert costs["peak_activation_bytes"] == max(measure_live_bytes(local, 64))


def test_live_bytes_of_a_chain_follow_input_and_output():
    chain = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2))
    image, features, pooled = 3 * 64, 4 * 64, 4 * 16
    indices = 2 * pooled  # max pooling computes int64 positions before they are dropped
    live = measure_live_bytes(chain, 8)
    assert live[:2] == [4 * (image + features)] * 2
    assert live[2] in {4 * (image + features + pooled), 4 * (image + features + pooled + indices)}


def test_the_whole_network_is_counted_to_its_last_layer(load):
    layers = [*VGG16, VGG16[-1], (256, 512, 4), *[(512, 512, 4)] * 2, *[(512, 512, 2)] * 3]
    dense = [(512 * 7 * 7, 4096), (4096, 4096), (4096, 1000)]
    macs = sum(9 * i * o * grid**2 for i, o, grid in layers) + sum(i * o for i, o in dense)
    weights = sum(o * (9 * i + 1) for i, o, _ in layers) + sum(o * (i + 1) for i, o in dense)
    peak = 3 * 32**2 + 2 * 64 * 32**2  # the image, held, and what the second convolution maps
    assert whole_costs(load("vgg16"), 32) == {
        "local_flops": 2 * macs,
        "memory_bytes": 4 * (weights + peak),
    }


def test_a_network_that_needs_larger_images_is_not_counted(load):
    assert whole_costs(load("vgg16"), 8) == {}

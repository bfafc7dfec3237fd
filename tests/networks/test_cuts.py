"""Cuts are exactly the places where one tensor is alive."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn

from privynet_opt.errors import NetworkError, TopologyError
from privynet_opt.networks.cuts import choose_cuts, find_cuts, single_tensor_nodes


class Branches(nn.Module):
    """A skip connection over two convolutions, then one convolution."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))

    def forward(self, x):
        x = torch.relu(x)
        return self.c(self.b(self.a(x)) + x)


def test_nothing_inside_a_skip_connection_is_a_cut():
    graph = fx.symbolic_trace(Branches())
    names = {node.name for node in single_tensor_nodes(graph.graph)}
    assert names == {"x", "relu", "add", "c"}


def test_vgg16_offers_thirteen_convolutions_and_five_poolings(load):
    cuts = find_cuts(load("vgg16").graph, 32)
    assert [c.name for c in cuts if c.kind == "pool"] == [f"conv{n}p" for n in (2, 4, 7, 10, 13)]
    assert [c.name for c in cuts if c.kind == "conv"] == [f"conv{n}" for n in range(1, 14)]
    assert [(c.channels, c.height) for c in cuts if c.name in {"conv2p", "conv7", "conv10p"}] == [
        (64, 16),
        (256, 8),
        (512, 2),
    ]


def test_a_cut_whose_cells_do_not_tile_the_image_is_not_offered(load):
    tiling, not_tiling = (find_cuts(load("small_cnn").graph, size) for size in (32, 30))
    assert tiling[-1].name == "conv4p"  # of 30 pixels, it has seven rows and columns
    assert [cut.name for cut in not_tiling] == [cut.name for cut in tiling[:-1]]
    with pytest.raises(TopologyError, match="whose cells tile the image, but got 'conv4p'"):
        choose_cuts(not_tiling, ["conv4p"])


def test_resnet18_is_cut_between_blocks_only(load):
    names = [cut.name for cut in find_cuts(load("resnet18").graph, 64)]
    blocks = [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]
    assert names == ["conv1", "conv1p", *blocks]


def test_a_network_for_one_size_names_it(load):
    with pytest.raises(NetworkError, match=r"image_size=32 \(.*Expected 224.*\)\. Use that size"):
        find_cuts(load("vit_b_32").graph, 32)


def test_why_there_is_no_cut_is_told_apart(load):
    with pytest.raises(NetworkError, match="but VisionTransformer has none"):
        find_cuts(load("vit_b_32").graph, 224)
    of_seven_rows = fx.symbolic_trace(nn.Sequential(nn.Conv2d(3, 3, 2)))
    with pytest.raises(NetworkError, match=r"multiple of .*, but 8 is of none of the 1 cuts"):
        find_cuts(of_seven_rows, 8)


def test_unknown_cut_is_answered_with_the_nearest(load):
    cuts = find_cuts(load("small_cnn").graph, 8)
    with pytest.raises(TopologyError, match="Did you mean 'conv4p'"):
        choose_cuts(cuts, ["conv5p"])


@pytest.mark.parametrize(("name", "size"), [("vgg16", 8), ("small_cnn", 2)])
def test_image_too_small_for_the_network_is_one_line_without_internals(load, capsys, name, size):
    backbone = load(name)
    with pytest.raises(NetworkError) as caught:
        find_cuts(backbone.graph, size)
    assert str(caught.value) == (
        f"`image_size` must suit the network, but {type(backbone.network).__name__} cannot process "
        f"images of image_size={size}. Use a larger size."
    )
    assert capsys.readouterr().err == ""

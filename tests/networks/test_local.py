"""The local network equals the kept channels of the whole network, and nothing else is left."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import fx

from privynet_opt.errors import NetworkError, TopologyError
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.networks.local import build_head, build_local_network, without_tail
from privynet_opt.networks.profile import measure_macs, state_bytes

NETWORKS = {
    "vgg16": ("conv1", "conv2p", "conv7", "conv13p"),
    "vgg16_bn": ("conv2", "conv4p", "conv13"),
    "resnet18": ("conv1p", "layer1.0", "layer2.0", "layer3.1"),
    "mobilenet_v2": ("conv1", "conv2", "features.3", "conv20", "conv52"),
    "efficientnet_b0": ("conv2", "conv5", "features.2.1", "features.6.3", "conv81"),
    "convnext_tiny": ("conv1", "features.1.0", "conv5", "features.7.2"),
}
"""Networks and cuts of every kind they offer: convolution, pooling, residual block."""

SIZE = 64


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    torch.manual_seed(0)
    backbone = load_backbone(request.param)  # its statistics are changed: a copy of its own
    for module in backbone.network.modules():  # fresh statistics would make every norm alike
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    cuts = choose_cuts(find_cuts(backbone.graph, SIZE), NETWORKS[request.param])
    images = torch.randn(2, 3, SIZE, SIZE)
    return backbone, cuts, images, backbone.network(images)


def test_features_of_the_head_are_all_that_the_rest_of_the_network_needs(case):
    backbone, cuts, images, whole = case
    nodes = {node.name: node for node in backbone.graph.graph.nodes}
    for cut in cuts:
        features = build_head(backbone, cut)(images)
        assert features.shape[1:] == (cut.channels, cut.height, cut.width)
        known = {nodes[cut.node]: features}
        rest = fx.Interpreter(backbone.graph).run(torch.zeros_like(images), initial_env=known)
        torch.testing.assert_close(rest, whole)


def test_a_backbone_without_its_tail_has_the_same_cuts_and_features_and_fewer_weights(case):
    backbone, cuts, images, _ = case
    shorter = without_tail(backbone, SIZE)
    assert find_cuts(shorter.graph, SIZE) == find_cuts(backbone.graph, SIZE)
    assert shorter.weights_sha256 == backbone.weights_sha256
    for cut in cuts:
        features = build_head(shorter, cut)(images)
        torch.testing.assert_close(features, build_head(backbone, cut)(images), rtol=0, atol=0)
    assert state_bytes(shorter.network) < state_bytes(backbone.network)


def test_a_backbone_without_its_tail_needs_no_weights_that_its_cuts_do_not():
    backbone = replace(load_backbone("vgg16"), missing=frozenset({"features.28.weight"}))
    shorter = without_tail(backbone, SIZE)
    early, late = choose_cuts(find_cuts(shorter.graph, SIZE), ["conv12", "conv13"])
    assert build_head(shorter, early)
    with pytest.raises(NetworkError, match=r"features\.28\.weight"):
        build_head(shorter, late)


def test_the_head_can_begin_after_an_earlier_cut_and_leaves_its_features_as_they_are(case):
    backbone, cuts, images, _ = case
    for start, cut in pairwise(cuts):
        features = build_head(backbone, start)(images)
        before = features.clone()
        after = build_head(backbone, cut, start)
        assert set(after.state_dict()).isdisjoint(build_head(backbone, start).state_dict())
        torch.testing.assert_close(after(features), build_head(backbone, cut)(images))
        torch.testing.assert_close(features, before, rtol=0, atol=0)


def test_local_network_gives_exactly_the_kept_channels(case):
    backbone, cuts, images, _ = case
    for cut in cuts:
        kept = torch.randperm(cut.channels)[: max(1, cut.channels // 3)].tolist()
        expected = build_head(backbone, cut)(images)[:, kept]
        local = build_local_network(backbone, cut, kept)
        torch.testing.assert_close(local(images), expected, rtol=1e-4, atol=1e-5)


def test_a_local_network_holds_only_what_it_reads(case):
    backbone, cuts, _, _ = case
    for cut in cuts:
        local = build_local_network(backbone, cut, [cut.channels - 1, 0])
        read = {str(n.target) for n in local.graph.nodes if n.op in ("get_attr", "call_module")}
        held = set(local.state_dict())
        assert {name for name in held if not {name, name.rpartition(".")[0]} & read} == set()


def test_unkept_filters_are_gone_and_the_backbone_is_untouched(case):
    backbone, cuts, images, whole = case
    for cut in cuts:
        size = {
            count: sum(
                p.numel() for p in build_local_network(backbone, cut, range(count)).parameters()
            )
            for count in (1, cut.channels)
        }
        assert size[1] < size[cut.channels]
        one, every = (build_local_network(backbone, cut, range(n)) for n in (1, cut.channels))
        assert measure_macs(one, SIZE) < measure_macs(every, SIZE)
    torch.testing.assert_close(backbone.network(images), whole)


@pytest.mark.parametrize(
    ("kept", "fault"), [([], "none"), ([3, 3], "a repeated one"), ([0, 16], "16"), ([-1], "-1")]
)
def test_impossible_choices_are_named(kept, fault):
    backbone = load_backbone("small_cnn")
    cut = find_cuts(backbone.graph, 8)[0]
    with pytest.raises(TopologyError, match=rf"distinct channels of conv1 \(0 to 15\).*{fault}"):
        build_local_network(backbone, cut, kept)

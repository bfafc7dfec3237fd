"""Loading networks: what fits, what does not, and how it is said."""

from __future__ import annotations

import pytest
import torch

from privynet_opt.errors import NetworkError
from privynet_opt.networks.backbone import load_backbone, state_sha256
from privynet_opt.networks.cuts import find_cuts
from privynet_opt.networks.local import build_head
from privynet_opt.networks.small_cnn import SmallCNN


def save(state, path):
    torch.save(state, path)
    return path


def test_weights_file_is_loaded_to_the_last_bit(tmp_path):
    torch.manual_seed(7)
    source = SmallCNN()
    backbone = load_backbone("small_cnn", save(source.state_dict(), tmp_path / "w.pth"))
    assert backbone.weights == "w.pth"
    assert backbone.weights_sha256 == state_sha256(source)
    assert not any(p.requires_grad for p in backbone.network.parameters())


def test_hash_changes_with_one_weight():
    torch.manual_seed(7)
    network = SmallCNN()
    before = state_sha256(network)
    with torch.no_grad():
        network.classifier.bias[0] += 1e-3
    assert state_sha256(network) != before


def test_random_weights_are_the_same_every_time():
    first, second = (load_backbone("small_cnn") for _ in range(2))
    assert first.weights_sha256 == second.weights_sha256


def test_what_torchvision_will_change_one_day_is_not_warned_of(recwarn):
    load_backbone("googlenet")
    assert not [w for w in recwarn if issubclass(w.category, FutureWarning)]


def test_weights_without_classifier_serve_every_cut(tmp_path):
    state = {k: v for k, v in SmallCNN().state_dict().items() if k.startswith("features")}
    backbone = load_backbone("small_cnn", save(state, tmp_path / "features.pth"))
    for cut in find_cuts(backbone.graph, 8):
        build_head(backbone, cut)


def test_cut_that_needs_a_missing_weight_is_refused(tmp_path):
    state = {k: v for k, v in SmallCNN().state_dict().items() if not k.startswith("features.7")}
    backbone = load_backbone("small_cnn", save(state, tmp_path / "partial.pth"))
    cuts = {cut.name: cut for cut in find_cuts(backbone.graph, 8)}
    build_head(backbone, cuts["conv3"])
    with pytest.raises(NetworkError, match=r"up to the cut conv4.*lacks 'features.7"):
        build_head(backbone, cuts["conv4"])


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_weights_of_a_diverged_training_are_refused(tmp_path, broken):
    state = SmallCNN().state_dict()
    name = next(k for k in state if k.startswith("features.") and k.endswith("weight"))
    state[name] = state[name].clone()
    state[name][0, 0, 0, 0] = broken
    with pytest.raises(NetworkError, match=rf"must be finite, but in bad.pth .*'{name}' holds NaN"):
        load_backbone("small_cnn", save(state, tmp_path / "bad.pth"))


def test_weights_of_another_network_are_refused(tmp_path):
    state = SmallCNN(n_classes=3).state_dict()
    with pytest.raises(NetworkError, match=r"must fit small_cnn.*classifier.*shape \(3,"):
        load_backbone("small_cnn", save(state, tmp_path / "w.pth"))


@pytest.mark.parametrize("name", ["small_cnn", "resnet18"])
def test_weights_that_are_neither_a_file_nor_known_are_refused(name):
    with pytest.raises(NetworkError, match=r"`weights` must be a file that exists, .* got 'nope'"):
        load_backbone(name, "nope")


def test_unexpected_tensor_is_named(tmp_path):
    state = {**SmallCNN().state_dict(), "extra": torch.zeros(1)}
    with pytest.raises(NetworkError, match="'extra' does not exist"):
        load_backbone("small_cnn", save(state, tmp_path / "w.pth"))


def test_file_that_is_no_state_dict_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(NetworkError, match="cannot be read"):
        load_backbone("small_cnn", path)
    with pytest.raises(NetworkError, match="must hold a state dict"):
        load_backbone("small_cnn", save([1, 2], tmp_path / "list.pth"))


def test_missing_file_and_unknown_names_are_told_apart(tmp_path):
    with pytest.raises(NetworkError, match="does not exist"):
        load_backbone("small_cnn", tmp_path / "gone.pth")
    with pytest.raises(NetworkError, match="Did you mean 'vgg16'"):
        load_backbone("vgg_16")
    with pytest.raises(NetworkError, match="Did you mean 'IMAGENET1K_V1'"):
        load_backbone("vgg16", "IMAGENET1K_V9")

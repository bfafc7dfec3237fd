"""An exported file computes the kept channels of the whole network, and holds nothing of others."""

from __future__ import annotations

import functools
import io
import json
import pickle
import re
import zipfile

import pytest
import torch

from privynet_opt.deploy.device_network import DeviceNetwork
from privynet_opt.deploy.network_file import FORMATS, load_network, write_network
from privynet_opt.deploy.self_check import random_images, self_check
from privynet_opt.errors import DataError, NetworkError
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.coding import FeatureCoding
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.networks.local import build_head, build_local_network

NETWORKS = {"vgg16": "conv4p", "resnet18": "layer1.0", "mobilenet_v2": "features.3"}
MOBILE_PAIR = ("features.3.conv.2", "features.3.conv.3")
SIZE = 32


@functools.cache
def local_network(name):
    backbone = load_backbone(name)
    (cut,) = choose_cuts(find_cuts(backbone.graph, SIZE), [NETWORKS.get(name, "conv2p")])
    kept = list(range(1, cut.channels, 3))
    return backbone, cut, kept, build_local_network(backbone, cut, kept)


def device_network(name, bits=32):
    backbone, cut, kept, local = local_network(name)
    features = local(backbone.normalise(random_images(SIZE)))
    coding = FeatureCoding(bits, (len(kept), cut.height, cut.width))
    return DeviceNetwork(local, backbone.mean, backbone.std, coding, coding.ranges([features]))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Export a network of `NETWORKS`, each in each format only once."""

    @functools.cache
    def write(name, ending):
        path = tmp_path_factory.mktemp("exported") / f"network.{ending}"
        write_network(device_network(name), SIZE, path)
        return path

    return write


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_file_equals_the_kept_channels_of_the_whole_network(name, ending, written):
    backbone, cut, kept, _ = local_network(name)
    images = random_images(SIZE)
    expected = build_head(backbone, cut)(backbone.normalise(images))[:, kept]
    scale = max(1.0, float(expected.abs().max()))
    run = load_network(written(name, ending), SIZE)
    for n in (100, 1):
        assert float((run(images[:n]) - expected[:n]).abs().max()) <= 1e-5 * scale


@pytest.mark.parametrize("ending", FORMATS)
def test_the_file_holds_every_kept_filter_and_none_of_the_others(ending, written):
    backbone, _, kept, _ = local_network("vgg16")
    content = written("vgg16", ending).read_bytes()
    filters = backbone.network.features[7].weight  # the fourth convolution, which conv4p ends
    is_inside = [filters[c].numpy().tobytes() in content for c in range(len(filters))]
    assert [c for c, inside in enumerate(is_inside) if inside] == kept
    later = backbone.network.features[10].weight[0].numpy().tobytes()
    assert later not in content


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    ("name", "convolution", "normalisation"),
    [("resnet18", "layer1.0.conv2", "layer1.0.bn2"), ("mobilenet_v2", *MOBILE_PAIR)],
)
def test_kept_filters_alone_are_inside_as_they_are_or_folded_with_their_normalisation(
    name, convolution, normalisation, ending, written
):
    backbone, _, kept, _ = local_network(name)
    content = written(name, ending).read_bytes()
    plain = backbone.network.get_submodule(convolution).weight
    after = backbone.network.get_submodule(normalisation)
    scale = after.weight / torch.sqrt(after.running_var + after.eps)
    folded = plain * scale.view(-1, 1, 1, 1)
    inside = {
        channel
        for filters in (plain, folded)
        for channel in range(len(filters))
        if filters[channel].numpy().tobytes() in content
    }
    assert sorted(inside) == kept


@pytest.mark.parametrize("ending", FORMATS)
def test_the_file_names_neither_channels_nor_this_machine(ending, written):
    _, _, kept, _ = local_network("vgg16")
    content = written("vgg16", ending).read_bytes()
    assert torch.tensor(kept).numpy().tobytes() not in content
    for trace in (b"site-packages", b"privynet_opt/", b".py"):
        assert trace not in content


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("bits", [16, 8, 4])
def test_coded_features_equal_those_of_pytorch(bits, ending, tmp_path):
    network = device_network("small_cnn", bits)
    path = tmp_path / f"network.{ending}"
    write_network(network, SIZE, path)
    check = self_check(network, load_network(path, SIZE), random_images(SIZE), "random images")
    assert check.n_images == 100
    assert check.largest_difference < 1e-2 * check.largest_feature


def test_a_self_check_refuses_a_network_that_computes_something_else():
    network = device_network("small_cnn")

    def run(images):
        return network(images) + 2e-5

    with pytest.raises(NetworkError, match=r"must equal the PyTorch one to .*up to 2.0e-05"):
        self_check(network, run, random_images(SIZE), "random images")


def test_a_self_check_runs_the_file_in_small_batches_of_different_sizes():
    network, sizes = device_network("small_cnn"), []

    def run(images):
        sizes.append(len(images))
        return network(images)

    self_check(network, run, random_images(SIZE), "random images")
    assert sizes == [32, 32, 32, 4]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_damaged_file_is_named(ending, tmp_path):
    path = tmp_path / f"network.{ending}"
    path.write_bytes(b"no network")
    with pytest.raises(NetworkError, match=rf"{path} is not .*Export it again"):
        load_network(path, SIZE)


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


WEIGHTS, CONSTANTS = (f"data/{k}/model_{k}_config.json" for k in ("weights", "constants"))


def pickled_tensor(records, payload):
    config = json.loads(records[WEIGHTS])
    tensor = next(iter(config["config"].values()))
    tensor["use_pickle"] = True
    records[WEIGHTS] = json.dumps(config).encode()
    content = io.BytesIO()
    torch.save(payload, content)
    records["data/weights/" + tensor["path_name"]] = content.getvalue()


def pickled_constant(records, payload):
    constant = next(iter(json.loads(records[WEIGHTS])["config"].values()))
    constant["path_name"] = "opaque_obj_0"  # is unpickled whatever `use_pickle` says
    records[CONSTANTS] = json.dumps({"config": {"constant": constant}}).encode()
    content = pickle.dumps(payload)
    records["data/constants/opaque_obj_0"] = content + bytes(-len(content) % 4)


def pickled_images(records, payload):
    saved(records, "data/sample_inputs/model.pt", payload)


def pickled_weights(records, payload):
    saved(records, "data/weights/model.pt", payload)


def pickled_constants(records, payload):
    saved(records, "data/constants/model.pt", payload)


def saved(records, name, payload):
    content = io.BytesIO()
    torch.save(payload, content)
    records[name] = content.getvalue()


POISONS = [pickled_tensor, pickled_constant, pickled_images, pickled_weights, pickled_constants]


def records_of(path):
    archive = torch._C.PyTorchFileReader(str(path))
    names = [n for n in archive.get_all_records() if n != "byteorder" and n[0] != "."]
    return {name: archive.get_record(name) for name in names}


def write_records(path, records):
    archive = torch._C.PyTorchFileWriter(str(path))
    for name, content in records.items():
        archive.write_record(name, content, len(content))
    archive.write_end_of_file()


@pytest.mark.parametrize("poison", POISONS)
def test_a_file_with_pickled_code_is_refused_before_it_runs(poison, written, tmp_path):
    path, marker = tmp_path / "network.pt2", tmp_path / "payload has run"
    records = records_of(written("mobilenet_v2", "pt2"))
    write_records(path, records)
    load_network(path, SIZE)
    poison(records, Payload(marker))
    write_records(path, records)
    with pytest.raises(NetworkError, match=rf"{path} does \(data/.*\) and was not opened"):
        load_network(path, SIZE)
    assert not marker.exists()


def test_a_file_with_compiled_code_is_refused(written, tmp_path):
    path = tmp_path / "network.pt2"
    records = records_of(written("mobilenet_v2", "pt2"))
    write_records(path, {**records, "data/aotinductor/model/model.so": b"code"})
    with pytest.raises(NetworkError, match=r"no code.*model\.so.* was not opened"):
        load_network(path, SIZE)


@pytest.mark.parametrize(
    "code", ["open({0!r}, 'w')", "Symbol('s', positive=open({0!r}, 'w'))", "(1).__class__"]
)
def test_a_file_with_code_as_a_size_is_refused_before_it_runs(code, written, tmp_path):
    path, marker = tmp_path / "network.pt2", tmp_path / "payload_has_run"
    records = records_of(written("mobilenet_v2", "pt2"))
    model = records["models/model.json"].decode()
    (size, *_) = re.findall(r'"expr_str": ("Symbol[^"]*")', model)
    poisoned = model.replace(size, json.dumps(code.format(str(marker))))
    write_records(path, {**records, "models/model.json": poisoned.encode()})
    with pytest.raises(NetworkError, match=r"no code.*\(models/model\.json\) and was not opened"):
        load_network(path, SIZE)
    assert not marker.exists()


def test_a_file_of_the_first_format_is_refused_before_its_code_runs(written, tmp_path):
    path, marker = tmp_path / "network.pt2", tmp_path / "payload has run"
    records = records_of(written("mobilenet_v2", "pt2"))
    names = ("exported_program.json", "state_dict.pt", "constants.pt", "example_inputs.pt")
    content = io.BytesIO()
    torch.save(Payload(marker), content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", "8.20")
        for name in names:
            payload = records["models/model.json"] if name.endswith("json") else content.getvalue()
            archive.writestr(f"serialized_{name}", payload)
    with pytest.raises(NetworkError, match=rf"{path} is not "):
        load_network(path, SIZE)
    assert not marker.exists()


def test_a_file_that_zipfile_reads_as_one_of_the_first_format_is_refused(written, monkeypatch):
    path = written("mobilenet_v2", "pt2")
    monkeypatch.setattr(zipfile.ZipFile, "namelist", lambda _: ["version"])
    with pytest.raises(NetworkError, match=r"no code.*\(version\) and was not opened"):
        load_network(path, SIZE)


def test_a_written_file_keeps_no_tensor_pickled_and_no_example(written):
    for name in NETWORKS:
        records = records_of(written(name, "pt2"))
        tensors = [
            t for c in (WEIGHTS, CONSTANTS) for t in json.loads(records[c])["config"].values()
        ]
        assert not any(tensor["use_pickle"] for tensor in tensors)
        assert records["data/sample_inputs/model.pt"] == b""


@pytest.mark.parametrize("ending", FORMATS)
def test_images_of_another_size_or_kind_are_refused(ending, written):
    run = load_network(written("mobilenet_v2", ending), SIZE)
    images = random_images(SIZE)[:2]
    for wrong, shape in ((images[..., :31], r"uint8 \(2, 3, 32, 31\)"), (images / 255, "float32")):
        with pytest.raises(DataError, match=rf"must be uint8 of shape \(n, 3, 32, 32\).*{shape}"):
            run(wrong)

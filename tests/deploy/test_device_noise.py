"""A device adds the noise that was measured, and nobody can subtract it."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import torch

from privynet_opt.characterization.bank import build_bank
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.characterization.transmission import Transmission
from privynet_opt.deploy.bundle import load_bundle
from privynet_opt.deploy.choice import choose
from privynet_opt.deploy.cloud_model import load_cloud_model
from privynet_opt.deploy.cloud_training import train_cloud
from privynet_opt.deploy.device_noise import DeviceNoise
from privynet_opt.deploy.export import ExportOptions, export
from privynet_opt.deploy.extract import extract
from privynet_opt.deploy.network_file import FORMATS, load_network
from privynet_opt.deploy.predict import find_images, predict
from privynet_opt.deploy.self_check import random_images
from privynet_opt.deploy.words import bundle_lines
from privynet_opt.errors import BundleError
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.networks.local import build_local_network
from privynet_opt.topology import LocalTopology

NOISY = LocalTopology("conv3", 12, "lda", 0, 32, 0.7)
SHAPE = (12, 4, 4)


@pytest.fixture(scope="module")
def noisy(answer):
    chosen = choose(answer)
    return replace(chosen, topology=NOISY)


@pytest.fixture(scope="module", params=FORMATS)
def bundle(request, noisy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("noisy") / "bundle"
    return export(noisy, folder, ExportOptions(file_format=request.param))


def local_features(choice, kept, images):
    backbone = load_backbone("small_cnn", choice.spec.network.weights)
    (cut,) = choose_cuts(find_cuts(backbone.graph, 8), ["conv3"])
    with torch.no_grad():
        return build_local_network(backbone, cut, kept)(backbone.normalise(images))


def bank_of(choice):
    backbone = load_backbone("small_cnn", choice.spec.network.weights)
    (cut,) = choose_cuts(find_cuts(backbone.graph, 8), ["conv3"])
    splits = load_splits(choice.spec, None)
    return build_bank(FeatureSource(backbone, cut, splits, torch.device("cpu"), keep=True))


def test_noise_is_standard_normal_and_as_specified():
    images = random_images(8)
    noise = DeviceNoise(b"secret", SHAPE).of(images)
    values = noise.flatten().double()
    assert noise.shape == (100, *SHAPE) and noise.dtype == torch.float32
    assert float(values.mean()) == pytest.approx(0, abs=0.03)
    assert float(values.std()) == pytest.approx(1, abs=0.02)
    assert float((values**4).mean()) == pytest.approx(3, abs=0.25)
    assert float(torch.corrcoef(noise.flatten(1)).fill_diagonal_(0).abs().max()) < 0.35
    bits = hashlib.shake_256(b"secret" + images[7].numpy().tobytes()).digest(4 * 192)
    drawn = [int.from_bytes(bits[k : k + 4], "little") for k in range(0, 4 * 192, 4)]
    expected = [NormalDist().inv_cdf((number + 0.5) / 2**32) for number in drawn]
    np.testing.assert_allclose(noise[7].flatten(), expected, atol=1e-5)


def test_an_image_has_one_noise_wherever_it_stands_and_another_with_another_secret():
    images = random_images(8)
    noise = DeviceNoise(b"secret", SHAPE).of(images)
    assert torch.equal(DeviceNoise(b"secret", SHAPE).of(images[40:41])[0], noise[40])
    other = DeviceNoise(b"secres", SHAPE).of(images)
    changed = images.clone()
    changed[:, 0, 0, 0] ^= 1
    for unlike in (other, DeviceNoise(b"secret", SHAPE).of(changed), noise.roll(1, 0)):
        shared = torch.corrcoef(torch.stack([noise.flatten(), unlike.flatten()]))[0, 1]
        assert abs(float(shared)) < 0.03


def test_each_channel_gets_the_noise_that_was_measured(noisy, bundle):
    images = load_splits(noisy.spec, None).score.images
    kept = bundle.private["kept_channels"]
    run = load_network(bundle.network_path, 8, bundle.noise)
    added = run(images) - local_features(noisy, kept, images)
    bank = bank_of(noisy)
    expected = 0.7 * bank.std[0, kept]
    torch.testing.assert_close(added.std((0, 2, 3)), expected.flatten(), rtol=0.06, atol=0)
    torch.testing.assert_close(added, expected * bundle.noise.of(images), rtol=0, atol=1e-4)


@pytest.mark.parametrize("bits", [8, 4])
def test_codes_of_noisy_features_are_the_measured_ones(noisy, tmp_path, bits):
    coded = replace(noisy, topology=replace(NOISY, feature_bits=bits))
    bundle = export(coded, tmp_path / "bundle", ExportOptions())
    images = load_splits(noisy.spec, None).score.images
    kept, coding = bundle.private["kept_channels"], bundle.manifest.coding
    bank = bank_of(noisy)
    way = Transmission.of(coded.topology, bank, kept)
    noise = 0.7 * bank.std[:, kept] * bundle.noise.of(images)
    expected = coding.encode(local_features(noisy, kept, images) + noise, way.ranges)
    sent = load_network(bundle.network_path, 8, bundle.noise)(images)
    assert float((sent != expected).float().mean()) < 2e-3


def test_the_manifest_tells_that_there_is_noise_and_the_private_part_from_what(
    noisy, bundle, tmp_path
):
    public = json.loads((bundle.directory / "manifest.json").read_text())
    assert public["sent_as"] == {"feature_bits": 32, "noise_std": 0.7}
    assert public["file"]["noise"]["shape"] == ["n", *SHAPE]
    secret = bundle.private["noise_secret"]
    assert len(bytes.fromhex(secret)) == 32
    assert secret not in json.dumps(public)
    assert bytes.fromhex(secret) not in bundle.network_path.read_bytes()
    said = " ".join("\n".join(bundle_lines(bundle, noisy)).split())
    assert "Noise: 0.7 standard deviations of each channel" in said
    assert "which filters are kept and the secret of the noise" in said
    assert secret not in repr(bundle) and str(bundle.noise.secret) not in repr(bundle.noise)
    other = export(noisy, tmp_path / "other", ExportOptions())
    assert other.private["noise_secret"] != secret


@pytest.mark.parametrize("secret_seed", [False, True])
def test_a_drawn_choice_with_noise_is_scaled_in_its_secret_order(noisy, tmp_path, secret_seed):
    drawn = replace(noisy, topology=LocalTopology("conv3", 9, "random", 1, 32, 0.637))
    bundle = export(drawn, tmp_path / "bundle", ExportOptions(secret_seed=secret_seed))
    kept = bundle.private["kept_channels"]
    images = load_splits(noisy.spec, None).score.images
    run = load_network(bundle.network_path, 8, bundle.noise)
    added = run(images) - local_features(noisy, kept, images)
    expected = 0.637 * bank_of(noisy).std[0, kept] * bundle.noise.of(images)
    torch.testing.assert_close(added, expected, rtol=0, atol=1e-4)
    # a table tells which seed was measured with that noise
    assert "637" not in json.dumps({**bundle.manifest.content, "bundle_id": ""})
    assert bundle.private["sent_as"]["noise_std"] == 0.637


def test_mirrored_images_are_not_sent_with_noise(bundle, digit_folder, tmp_path):
    with pytest.raises(BundleError, match=r"`--mirrored` must be left out where noise is added"):
        extract(bundle, digit_folder, tmp_path / "features", mirrored=True)
    assert not (tmp_path / "features").exists()


def test_a_noisy_bundle_without_its_secret_is_named(bundle, tmp_path):
    copied = shutil.copytree(bundle.directory, tmp_path / "bundle")
    private = json.loads((copied / "private.json").read_text())
    del private["noise_secret"]
    (copied / "private.json").write_text(json.dumps(private))
    with pytest.raises(BundleError, match=r"must have `noise_secret`.*private\.json has not"):
        load_bundle(copied)
    for secret in ("00", 5):
        (copied / "private.json").write_text(json.dumps({**private, "noise_secret": secret}))
        with pytest.raises(BundleError, match=r"`noise_secret` must be 64 hexadecimal digits"):
            load_bundle(copied)


def test_noisy_features_are_the_same_in_every_extraction_and_lead_to_predictions(
    bundle, digit_folder, tmp_path
):
    folders = [
        extract(bundle, digit_folder, tmp_path / str(size), shard_images=size).folder
        for size in (240, 70)
    ]
    first, second = (
        torch.cat([shard["features"] for shard in folder.part("train")]) for folder in folders
    )
    torch.testing.assert_close(first, second, rtol=0, atol=1e-4)
    train_cloud(folders[0], tmp_path / "cloud", epochs=12)
    files = find_images([digit_folder])
    model = load_cloud_model(tmp_path / "cloud")
    said = list(predict(bundle, model, files))
    assert sum(p.file.parent.name == p.class_name for p in said) > 0.5 * len(said)

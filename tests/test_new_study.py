"""A written study is one that can be measured as it is."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from privynet_opt import new_study
from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.cli import main
from privynet_opt.datasets.load import KNOWN_NAMES
from privynet_opt.errors import DataError, NetworkError, StudyError
from privynet_opt.networks.small_cnn import SmallCNN
from privynet_opt.networks.vision import torchvision
from privynet_opt.new_study import NOT_MIRRORABLE, write_study
from privynet_opt.study_spec import load_study


@pytest.fixture
def images(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (420, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", images=pixels, labels=np.arange(420) % 2)
    return tmp_path / "mine.npz"


def test_a_new_study_holds_every_cut_and_divides_the_images(tmp_path: Path, images: Path) -> None:
    spec = load_study(write_study(tmp_path / "shapes", "resnet18", images).file)
    assert spec.name == "shapes"
    assert (spec.network.name, spec.network.weights) == ("resnet18", "IMAGENET1K_V1")
    assert (spec.data.name, spec.data.image_size) == ("mine", 32)
    assert {"conv1", "layer1.0", "layer4.1"} <= set(spec.search_space.cut_layers)
    assert max(spec.search_space.kept_filters) == 512
    settings = spec.characterization
    assert (settings.n_cloud, settings.n_attacker, settings.n_score) == (168, 168, 84)


@pytest.mark.parametrize(
    "network",
    ["vgg11", "vgg19_bn", "resnet50", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny"],
)
def test_any_backbone_gets_a_study(tmp_path: Path, images: Path, network: str) -> None:
    spec = load_study(write_study(tmp_path / network, network, images, image_size=64).file)
    assert len(spec.search_space.cut_layers) >= 3


def test_what_is_written_can_be_measured(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, data = tmp_path / "tiny", ["--data", str(images)]
    arguments = ["new-study", str(study), "--network", "small_cnn", "--image-size", "8", *data]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert f"characterize --study {study} --data {images}" in told
    assert "\nImages: mine, 420 of 2 classes\n" in told
    file = study / "study.toml"
    text = file.read_text()
    assert '    "conv1",  # 16 × 8 × 8\n' in text
    assert load_study(study).data.mirrorable
    file.write_text(re.sub(r' {4}"conv(?!1")[^\n]*\n', "", text))  # one cut is enough here
    out = tmp_path / "measured"
    arguments = ["--study", str(study), *data, "--fidelity", "screen", "--output", str(out)]
    assert main(["characterize", *arguments]) == 0
    assert (out / "characterization.csv").exists()


def test_the_commands_that_are_told_are_for_a_shell(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my images"
    folder.mkdir()
    study, data = folder / "shapes", images.rename(folder / "mine.npz")
    arguments = ["--network", "small_cnn", "--image-size", "8"]
    assert main(["new-study", str(study), "--data", str(data), *arguments]) == 0
    named = f"--study '{study}' --data '{data}'"
    assert f"privynet-opt tune {named} --budget 30m" in capsys.readouterr().out
    assert f"#   privynet-opt tune {named} --budget 30m" in (study / "study.toml").read_text()


def test_mistakes_are_named_before_anything_is_written(tmp_path: Path, images: Path) -> None:
    with pytest.raises(NetworkError, match="'resnet81'"):
        write_study(tmp_path / "a", "resnet81", images)
    with pytest.raises(NetworkError, match=r"gone\.pth does not exist"):
        write_study(tmp_path / "a", "resnet18", images, weights="gone.pth")
    for network in ("small_cnn", "vgg16"):
        with pytest.raises(NetworkError, match="got 'IMAGENET1K_V9'"):
            write_study(tmp_path / "a", network, images, weights="IMAGENET1K_V9")
    with pytest.raises(StudyError, match=r"named as a shipped study .* got 'digits'"):
        write_study(tmp_path / "digits", "small_cnn", images)
    for labels in (np.arange(2), np.zeros(420, dtype=int)):
        few = tmp_path / "few.npz"
        np.savez(few, images=np.zeros((len(labels), 8, 8, 3), dtype=np.uint8), labels=labels)
        with pytest.raises(DataError, match=r"images of two classes .* but .*few\.npz has"):
            write_study(tmp_path / "a", "small_cnn", few, image_size=8)
    for part, n in (("train", 2), ("test", 1)):  # one to train the cloud, one for the attacker
        for name in ("cat", "dog"):
            (tmp_path / "parts" / part / name).mkdir(parents=True)
        for index in range(n):
            place = tmp_path / "parts" / part / ("cat", "dog")[index] / "0.png"
            Image.new("RGB", (8, 8)).save(place)
    with pytest.raises(DataError, match=r"enough to divide .* has 2 of 2"):
        write_study(tmp_path / "a", "small_cnn", tmp_path / "parts", image_size=8)
    with pytest.raises(StudyError, match="letters, digits"):
        write_study(tmp_path / "a b", "resnet18", images)
    with pytest.raises(StudyError, match="60 at most, but got 'nnn"):
        write_study(tmp_path / ("n" * 300), "small_cnn", images)
    with pytest.raises(StudyError, match="at most 2,048 pixels, but got 100000"):
        write_study(tmp_path / "a", "small_cnn", images, image_size=100_000)
    assert not (tmp_path / "a").exists()
    write_study(tmp_path / "a", "small_cnn", images, image_size=8)
    with pytest.raises(StudyError, match="must not replace a study"):
        write_study(tmp_path / "a", "small_cnn", images, image_size=8)


def test_names_of_any_characters_are_written_as_toml_has_them(tmp_path: Path, images: Path) -> None:
    odd = tmp_path / "\U0001f600 \x7f\n"
    odd.mkdir()
    data = images.rename(odd / "\x7f\U0001f600\n'.npz")
    weights = odd / "\x7f\U0001f600.pth"
    torch.save(SmallCNN().state_dict(), weights)
    written = write_study(odd / "shapes", "small_cnn", data, str(weights), image_size=8)
    spec = load_study(written.file)
    assert spec.data.name == "\x7f\U0001f600\n'"
    assert spec.network.weights == str(weights.resolve())


def test_names_that_are_no_utf_8_are_told_and_those_of_classes_do_no_harm(
    tmp_path: Path, images: Path
) -> None:
    odd = os.fsdecode(b"\xff")
    shutil.copy(images, tmp_path / f"{odd}.npz")
    torch.save(SmallCNN().state_dict(), tmp_path / f"{odd}.pth")
    for option, data, weights in (
        ("data", tmp_path / f"{odd}.npz", "none"),
        ("weights", images, str(tmp_path / f"{odd}.pth")),
    ):
        with pytest.raises(StudyError, match=rf"^`{option}` must be named in UTF-8, .*\\udcff"):
            write_study(tmp_path / "a", "small_cnn", data, weights)
    assert not (tmp_path / "a").exists()
    for name, grey in ((odd, 0), ("dog", 255)):
        (tmp_path / "own" / name).mkdir(parents=True)
        for number in range(6):
            Image.new("L", (8, 8), grey).save(tmp_path / "own" / name / f"{number}.png")
    load_study(write_study(tmp_path / "a", "small_cnn", tmp_path / "own", image_size=8).file)


def test_a_study_that_cannot_be_read_back_is_not_left_behind(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(new_study, "TEMPLATE", "name = {name}\nname = {name}")
        with pytest.raises(StudyError, match="must be valid TOML"):
            write_study(tmp_path / "a", "small_cnn", images, image_size=8)
    load_study(write_study(tmp_path / "a", "small_cnn", images, image_size=8).file)


def test_a_large_picture_is_resized_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # of 64
    for name, grey in (("dark", 0), ("light", 255)):
        (tmp_path / "own" / name).mkdir(parents=True)
        for number in range(4):
            path = tmp_path / "own" / name / f"{number}.png"
            Image.new("RGB", (8, 8), (grey, number, grey)).save(path)
    data = ["--data", str(tmp_path / "own"), "--image-size", "4"]
    assert main(["new-study", str(tmp_path / "s"), "--network", "small_cnn", *data]) == 0
    assert not [w for w in recwarn if "exceeds limit" in str(w.message)]


def test_own_digits_are_not_replaced_by_the_packages_own(tmp_path: Path, images: Path) -> None:
    own = images.rename(tmp_path / "digits.npz")
    spec = load_study(write_study(tmp_path / "scan", "small_cnn", own, image_size=8).file)
    assert spec.data.name == "digits-file"
    assert spec.data.mirrorable
    assert load_splits(spec, own).cloud.class_names == ("0", "1")
    with pytest.raises(DataError, match="'digits-file' are, but it was not given"):
        load_splits(spec, None)


def test_images_of_digits_are_not_mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.io import savemat

    monkeypatch.setattr(torchvision().datasets.SVHN, "_check_integrity", lambda self: True)
    (tmp_path / "numbers").mkdir()
    for part in ("train", "test"):
        pixels = np.zeros((32, 32, 3, 6), dtype=np.uint8)
        labels = np.array([[1, 2, 10] * 2]).T
        savemat(tmp_path / "numbers" / f"{part}_32x32.mat", {"X": pixels, "y": labels})
    for place, kind, n in ((tmp_path / "numbers", "svhn", 6 + 6), (None, "digits", 1797)):
        written = write_study(tmp_path / f"of-{kind}", "small_cnn", place, image_size=8)
        assert (written.data, written.n_images) == (kind, n)
        spec = load_study(written.file)
        assert (spec.data.name, spec.data.mirrorable) == (kind, False)


def test_what_is_not_mirrorable_is_named_as_data_are() -> None:
    assert set(NOT_MIRRORABLE) <= set(KNOWN_NAMES)


@pytest.mark.parametrize("file", ["images.zip", "images.npz"])
def test_data_of_another_format_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    with (tmp_path / file).open("wb") as stream:
        np.save(stream, np.zeros((3, 8, 8), dtype=np.uint8))
    arguments = ["new-study", str(tmp_path / "a"), "--network", "small_cnn"]
    assert main([*arguments, "--data", str(tmp_path / file)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "`--data` must " in told
    assert str(tmp_path / file) in told
    assert not (tmp_path / "a").exists()

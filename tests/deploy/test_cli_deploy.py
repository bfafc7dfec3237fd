"""The commands from a saved answer to predictions, as a user types them."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import shutil
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from privynet_opt.characterization.recipes import FROM_SCRATCH
from privynet_opt.cli import main
from privynet_opt.deploy import network_file
from privynet_opt.deploy.feature_folder import open_features
from privynet_opt.deploy.training_words import training_lines


def said(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def one_line(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


@pytest.fixture(scope="module")
def trained(answer, digit_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed")
    for command in (
        ["export", answer, "--output", folder / "bundle"],
        ["extract", folder / "bundle", "--data", digit_folder, "--output", folder / "features"],
        ["train-cloud", folder / "features", "--output", folder / "cloud", "--epochs", "12"],
    ):
        assert main([str(argument) for argument in command]) == 0
    return folder


def test_every_image_gets_a_class_and_a_probability(trained, digit_folder, capsys):
    out = said(capsys, "predict", trained / "bundle", trained / "cloud", digit_folder)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["file"] for row in rows] == [str(p) for p in sorted(digit_folder.rglob("*.png"))]
    right = [f"/{row['class']}/" in row["file"] for row in rows]
    assert sum(right) / len(right) > 0.6
    assert all(0.2 <= float(row["probability"]) <= 1 for row in rows)


def test_hidden_images_of_a_folder_get_no_class(trained, digit_folder, tmp_path, capsys):
    image = next(digit_folder.rglob("*.png"))
    for name in ("seen.png", ".hidden.png", ".thumbnails/small.png", "sub/too.png"):
        (tmp_path / "new" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, tmp_path / "new" / name)
    # The folder that is given may itself be hidden.
    (tmp_path / "new").rename(tmp_path / ".new")
    out = said(capsys, "predict", trained / "bundle", trained / "cloud", tmp_path / ".new")
    files = [Path(row["file"]) for row in csv.DictReader(io.StringIO(out))]
    assert [str(f.relative_to(tmp_path / ".new")) for f in files] == ["seen.png", "sub/too.png"]


def test_predictions_go_to_a_file_and_unreadable_images_are_left_out(
    trained, digit_folder, tmp_path, capsys
):
    images = shutil.copytree(digit_folder / "7", tmp_path / "flat")
    bad = images / "000.png"
    bad.write_bytes(b"none")
    command = ["predict", trained / "bundle", trained / "cloud", images]
    assert f"{bad} is not" in one_line(capsys, *command, "--output", tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()
    one_line(capsys, "predict", trained / "bundle", trained / "cloud", digit_folder, bad)
    out = said(capsys, *command, "--output", tmp_path / "p.csv", "--skip-bad")
    assert out == f"Written: {tmp_path / 'p.csv'}\n"
    rows = list(csv.DictReader((tmp_path / "p.csv").open()))
    assert [row["file"] for row in rows] == [str(p) for p in sorted(images.iterdir()) if p != bad]


def test_predictions_go_through_a_link_and_into_a_pipe(trained, digit_folder, tmp_path, capsys):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    image = digit_folder / "7" / "007.png"
    command = ["predict", trained / "bundle", trained / "cloud", image, "--output"]
    said(capsys, *command, tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    written = (tmp_path / "real.csv").read_text()
    assert str(image) in written
    reading, writing = os.pipe()
    # Nothing more is printed: it could be the pipe that is printed to.
    assert said(capsys, *command, f"/proc/self/fd/{writing}") == ""
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == written


def test_a_file_name_keeps_its_bytes(trained, digit_folder, tmp_path, capsys):
    name = os.fsencode(tmp_path) + b"/\xff.png"
    shutil.copy(next((digit_folder / "7").iterdir()), name)
    command = ["predict", trained / "bundle", trained / "cloud", tmp_path]
    said(capsys, *command, "--output", tmp_path / "p.csv")
    assert name in (tmp_path / "p.csv").read_bytes()


def test_networks_of_different_bundles_do_not_predict(trained, answer, tmp_path, capsys):
    said(capsys, "export", answer, "--output", tmp_path / "other")
    err = one_line(capsys, "predict", tmp_path / "other", trained / "cloud", trained)
    assert "images must end in" in err
    image = next(p for p in trained.parent.rglob("*.png"))
    err = one_line(capsys, "predict", tmp_path / "other", trained / "cloud", image)
    assert "must be trained on features of this bundle" in err


def test_export_says_what_was_predicted_and_what_is_measured(answer, tmp_path, capsys):
    out = said(capsys, "export", answer, "--format", "onnx", "--output", tmp_path / "b")
    for words in ("90% interval", "accuracy", "psnr_db", "compute", "licence"):
        assert words in out
    for words in ("peak memory, live tensors", "peak memory, PyTorch", "time, onnxruntime"):
        assert words in out
    assert "Self-check: on 100" in out
    assert out.count(" not yet\n") == 3 and "`train-cloud` counts the accuracy" in out
    assert max(map(len, out.splitlines())) <= 100 + len(str(tmp_path))


def test_a_row_beyond_what_was_measured_is_exported_with_a_word_of_warning(
    answer, tmp_path, capsys
):
    front = json.loads((answer / "front.json").read_text())
    beyond = next(n for n, row in enumerate(front["front"], 1) if row["extrapolation"])
    out = said(capsys, "export", answer, "--point", beyond, "--output", tmp_path / "b")
    assert f"predicted ({front['predicted_fidelity']})" in out
    assert "Outside the range of the trained measurements" in out


@pytest.mark.parametrize(
    ("part", "name", "value", "words"),
    [
        ("network", "weights_as_measured", True, "for the study's images, 340 of them in training"),
        ("network", "weights_as_measured", False, "nothing, since weights are not those"),
        ("data", "images_as_measured", False, "nothing, since images are not those"),
        ("coding", "bits", 4, "nothing, since bits are not those"),
    ],
)
def test_a_prediction_is_told_only_of_what_it_was_made_for(part, name, value, words):
    content = {
        "values": {
            "predicted": {"accuracy": [0.8, 0.9, 0.95]},
            "predicted_fidelity": "standard",
        },
        "study": {"cloud_images": 340},
        "network": {"weights_as_measured": True},
        "data": {"images_as_measured": None, "mirrorable": False},
        "coding": {"bits": 32},
        "sent_as": {"feature_bits": 32, "noise_std": 0.0},
    }
    content[part] = {**content[part], name: value}
    told = " ".join("\n".join(training_lines(METRICS, folder_of(content), Path("out"))).split())
    assert words in told and ("90.0%" in told) == ("nothing" not in words)
    assert "in training class accuracy" in told or "nothing" in words  # trained as predicted


METRICS = {
    "classes": {}, "accuracy": 0.5, "test_images": 9, "test_images_are": "some",
    "train_images": 80, "epochs": 3, "mirrored": False,
    "recipe": asdict(FROM_SCRATCH["standard"].cloud),
}  # fmt: skip


def test_what_so_few_images_tell_of_others_stands_beside_the_accuracy():
    for n_images, interval in ((10, "26.9 to 73.1%"), (900, "47.3 to 52.7%")):
        lines = training_lines(METRICS | {"test_images": n_images}, folder_of({}), Path("out"))
        assert f"of other images like these: {interval} at 90%" in lines[1]


def folder_of(content):
    return SimpleNamespace(manifest=SimpleNamespace(content=content))


@pytest.mark.parametrize(
    ("fidelity", "mirrorable", "noise_std", "trained", "words"),
    [
        ("standard", True, 0.0, {"recipe": {"max_epochs": 1}}, ", by another recipe"),
        ("standard", True, 0.0, {"mirrored": True}, ", without mirror images"),
        ("full", True, 0.0, {}, ", by another recipe and with their mirror images"),
        ("full", True, 0.5, {}, ", by another recipe"),
        ("full", False, 0.0, {"recipe": asdict(FROM_SCRATCH["full"].cloud)}, ""),
    ],
)
def test_a_training_other_than_those_predicted_is_told(
    fidelity, mirrorable, noise_std, trained, words
):
    content = {
        "values": {"predicted": {"accuracy": [0.8, 0.9, 0.95]}, "predicted_fidelity": fidelity},
        "study": {"cloud_images": 340},
        "network": {"weights_as_measured": True},
        "data": {"images_as_measured": True, "mirrorable": mirrorable},
        "coding": {"bits": 32},
        "sent_as": {"feature_bits": 32, "noise_std": noise_std},
    }
    lines = training_lines(METRICS | trained, folder_of(content), Path("out"))
    told = " ".join("\n".join(lines).split())
    assert f"340 of them in training{words} class accuracy" in told


def test_what_onnx_needs_is_named(answer, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(network_file, "ONNX_PACKAGES", ("no_such_package",))
    err = one_line(capsys, "export", answer, "--format", "onnx", "--output", tmp_path / "b")
    assert "Install privynet_opt[onnx]" in err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("export {0}", "a folder that `privynet-opt run` or `tune` wrote"),
        ("extract {0} --data {0}", "a folder that `privynet-opt export` wrote"),
        ("train-cloud {0}", "a folder that `privynet-opt extract` wrote"),
        ("predict {0} {0} {0}/none.png", "none.png does not. Check the path"),
    ],
)
def test_a_wrong_folder_is_told_in_one_line(command, words, tmp_path, capsys):
    assert words in one_line(capsys, *command.format(tmp_path).split())


def test_the_command_told_for_a_bundle_makes_the_features(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained / "bundle", "my bundle")
    complaint = one_line(capsys, "train-cloud", "my bundle")
    assert "but my bundle is a bundle. Extract features first: " in complaint
    command = shlex.split(complaint.partition(" first: ")[2])
    said(capsys, *command[1:])
    open_features(Path(command[-1])).check()


def test_the_command_told_for_other_images_has_a_place_for_them(trained, tmp_path, capsys):
    copy = shutil.copytree(trained / "bundle", tmp_path / "bundle")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["data"]["name"] = "cifar10"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    told = f"privynet-opt extract {copy} --data DIR --output features\n"
    assert one_line(capsys, "train-cloud", copy).endswith(told)


def test_the_command_told_for_no_features_writes_where_nothing_lies(tmp_path, capsys):
    told = "first: privynet-opt extract BUNDLE --data DIR --output {}\n"
    missing = tmp_path / "missing"
    assert one_line(capsys, "train-cloud", tmp_path).endswith(told.format("features"))
    assert one_line(capsys, "train-cloud", missing).endswith(told.format(missing))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_told_in_one_line(trained, tmp_path, capsys):
    command = ["train-cloud", trained / "features", "--output", tmp_path, "--device", "cuda"]
    assert "finds no CUDA device" in one_line(capsys, *command)


@pytest.mark.parametrize("seed", ["-1", str(2**64), "1e3"])
def test_a_seed_that_torch_does_not_take_is_told_in_one_line(trained, tmp_path, capsys, seed):
    command = ["train-cloud", trained / "features", "--output", tmp_path, "--seed", seed]
    assert "--seed" in one_line(capsys, *command)

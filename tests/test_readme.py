"""The README's commands, word for word, from an empty folder; only networks train more briefly."""

from __future__ import annotations

import csv
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from privynet_opt.characterization import laboratory, recipes
from privynet_opt.cli import main
from privynet_opt.datasets.load import load_images
from privynet_opt.deploy import cloud_training
from privynet_opt.proxies import model_choice
from privynet_opt.proxies.models import MODELS
from privynet_opt.tuning import rounds

README = Path(__file__).resolve().parents[1] / "README.md"


def commands_after(marker: str) -> list[list[str]]:
    """Return the commands of the code block that a marker of the README stands before."""
    block = README.read_text().split(f"<!-- {marker} -->\n```sh\n")[1].split("```")[0]
    return [shlex.split(line) for line in block.splitlines()]


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train for one epoch, fit one model, and be content with the first verdict."""
    standard = recipes.FROM_SCRATCH["standard"]
    short = {
        part: replace(getattr(standard, part), max_epochs=1, min_steps=0)
        for part in ("decoder", "cloud")
    }
    monkeypatch.setitem(recipes.FROM_SCRATCH, "standard", replace(standard, **short))
    monkeypatch.setattr(cloud_training, "RECIPE", replace(cloud_training.RECIPE, min_steps=0))
    monkeypatch.setattr(rounds, "STABLE_ROUNDS", 1)
    name = "gaussian process over a linear trend"
    monkeypatch.setattr(model_choice, "candidate_models", lambda n_rows: {name: MODELS[name]})
    monkeypatch.setattr(laboratory, "threads_per_worker", lambda workers, dask: 1)
    torch.set_num_threads(1)


def write_images(folder: Path) -> list[Path]:
    """Write digits in colour as a user's folder of images, and some new ones; return those."""
    digits, _ = load_images("digits", None, 16, ["5", "6", "7"])
    new = []
    for position, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        is_new = position % 20 == 0
        home = folder / ("new-images" if is_new else f"images/{digits.class_names[int(label)]}")
        home.mkdir(parents=True, exist_ok=True)
        path = home / f"{position:03d}.png"
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
        new += [path.relative_to(folder)] if is_new else []
    return sorted(new)


def test_a_folder_of_images_becomes_a_running_split(
    tmp_path: Path,
    brief: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    new = write_images(tmp_path)
    monkeypatch.chdir(tmp_path)
    commands = commands_after("running-split")
    chain = ["new-study", "tune", "report", "export", "extract", "train-cloud", "predict"]
    assert [command[:2] for command in commands] == [["privynet-opt", name] for name in chain]
    for command in commands:
        capsys.readouterr()
        assert main(command[1:]) == 0, capsys.readouterr()
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["file"] for row in rows] == list(map(str, new))
    assert {row["class"] for row in rows} <= {"5", "6", "7"}

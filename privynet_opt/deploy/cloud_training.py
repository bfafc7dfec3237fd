"""Train the cloud network on features that arrived; what the cloud does, with what it may know.

The recipe is that of the fidelity ``full``, which is what accuracies are predicted for. A tenth of
the training images only decides which epoch is kept. Accuracy is counted on test images where the
features have any, else on another tenth that is kept out of training altogether. All features are
held in memory, in half precision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from privynet_opt.characterization.channel_statistics import moments, standardise
from privynet_opt.characterization.recipes import FROM_SCRATCH
from privynet_opt.deploy.cloud_model import MODEL, CloudModel, load_cloud_model
from privynet_opt.deploy.feature_folder import FeatureFolder
from privynet_opt.deploy.training_claim import claim, read_json
from privynet_opt.errors import BundleError
from privynet_opt.files import prepare_output, write_atomically
from privynet_opt.networks.cloud import train_cloud_network
from privynet_opt.networks.device import checked_device

RECIPE = FROM_SCRATCH["full"].cloud

TEST_SHARE = 0.1
"""Share of the images that test the network where the features hold no test images."""

LEAST_IMAGES = 20
"""Fewer cannot be divided into images to train on, to stop by and to test with."""

METRICS = "metrics.json"
CHECKPOINT = "checkpoint.pt"

Metrics = dict[str, Any]

REPORTED = (
    "accuracy", "test_images", "test_images_are", "classes", "train_images", "epochs", "recipe",
    "mirrored",
)  # fmt: skip
"""What is told of a training that was finished before."""


def train_cloud(
    folder: FeatureFolder,
    output: Path,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    watch: Callable[[int, float], None] | None = None,
) -> Metrics:
    """Train a cloud network, or go on with one whose training was stopped.

    Args:
        folder: The features, complete.
        output: Folder for checkpoints, the model and its metrics.
        epochs: Length of the training cycle; None takes the recipe's.
        seed: Seed of initial weights, order and division of the images.
        device: ``"cpu"`` or ``"cuda"``.
        watch: Called after each epoch with the epochs trained and the held-out loss.

    Returns:
        What ``metrics.json`` says: accuracy, by class as well, and how it was trained.

    Raises:
        BundleError: If features are missing, damaged or too few, or a finished training's files
            are damaged.
        NetworkError: If `device` is unknown or not there.
        OutputError: If the folder was begun with something else or cannot be written to.
    """
    checked = checked_device(device)
    folder.check()
    recipe = RECIPE if epochs is None else replace(RECIPE, max_epochs=epochs, min_steps=0)
    claim(prepare_output(output), folder, recipe, seed, checked.type)
    if (output / MODEL).exists() and (output / METRICS).exists():
        load_cloud_model(output)
        return read_json(output / METRICS, REPORTED)
    data = _TrainingData.of(folder, seed, checked)
    network, trained = train_cloud_network(
        data.features,
        data.labels,
        len(folder.class_names),
        recipe,
        seed,
        data.mirrored,
        output / CHECKPOINT,
        watch,
    )
    model = CloudModel(folder.manifest, folder.class_names, data.mean, data.std, network)
    metrics: Metrics = {
        **_score(model, data.test()),
        "test_images_are": "the test part" if data.has_test_part else "held out of training",
        "train_images": len(data.labels),
        "epochs": trained,
        "seed": seed,
        "recipe": asdict(recipe),
        "mirrored": folder.mirrored,
    }
    model.save(output)
    write_atomically(output / METRICS, json.dumps(metrics, indent=1, ensure_ascii=False) + "\n")
    (output / CHECKPOINT).unlink(missing_ok=True)
    return metrics


@dataclass(frozen=True)
class _TrainingData:
    """Standardised half-precision features in the order of a random division, and test features."""

    features: Tensor
    labels: Tensor
    mirrored: Tensor | None
    mean: Tensor
    std: Tensor
    has_test_part: bool
    test: Callable[[], Iterator[tuple[Tensor, Tensor]]]

    @classmethod
    def of(cls, folder: FeatureFolder, seed: int, device: torch.device) -> _TrainingData:
        """Read the features in two passes: moments, then standardised values."""
        none = torch.empty(0, dtype=torch.int64)
        labels = torch.cat([none, *(shard["labels"] for shard in folder.part("train"))])
        has_test_part = any(len(shard["labels"]) for shard in folder.part("test"))
        if len(labels) < LEAST_IMAGES:
            raise BundleError(
                f"features must be of {LEAST_IMAGES} training images or more, but "
                f"{folder.directory} has {len(labels)}. Extract more images."
            )
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        n_test = 0 if has_test_part else max(1, int(TEST_SHARE * len(labels)))
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order)) - n_test  # negative for test images
        coding = folder.manifest.coding

        def training() -> Iterator[Tensor]:
            for shard, at in _with_places(folder, place):
                if (at >= 0).any():
                    yield coding.decode(shard["features"][at >= 0])

        mean, std = moments(training())
        shape = (len(labels) - n_test, *coding.shape)
        tensors = {
            name: torch.empty(shape, dtype=torch.float16, device=device)
            for name in ("features", "mirrored")
            if name == "features" or folder.mirrored
        }
        for shard, at in _with_places(folder, place):
            for name, tensor in tensors.items():
                seen = coding.decode(shard[name][at >= 0])
                tensor[at[at >= 0].to(device)] = standardise(seen, mean, std).half().to(device)

        def test() -> Iterator[tuple[Tensor, Tensor]]:
            if has_test_part:
                for shard in folder.part("test"):
                    yield shard["features"], shard["labels"]
            else:
                for shard, at in _with_places(folder, place):
                    yield shard["features"][at < 0], shard["labels"][at < 0]

        return cls(
            tensors["features"],
            labels[order[n_test:]].to(device),
            tensors.get("mirrored"),
            mean.to(device),
            std.to(device),
            has_test_part,
            test,
        )


def _with_places(
    folder: FeatureFolder, place: Tensor
) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    """Yield the training shards, each with the places of its images."""
    start = 0
    for shard in folder.part("train"):
        stop = start + len(shard["labels"])
        yield shard, place[start:stop]
        start = stop


def _score(model: CloudModel, batches: Iterator[tuple[Tensor, Tensor]]) -> Metrics:
    """Count correct answers, by class and by what was mistaken for what."""
    n_classes = len(model.class_names)
    confusion = torch.zeros(n_classes, n_classes, dtype=torch.int64)
    for coded, labels in batches:
        for part, truth in zip(coded.split(512), labels.split(512), strict=True):
            answers = model.probabilities(part).argmax(1).cpu()
            confusion += torch.bincount(
                truth * n_classes + answers, minlength=n_classes**2
            ).view_as(confusion)
    seen, right = confusion.sum(1).tolist(), confusion.diagonal().tolist()
    return {
        "accuracy": sum(right) / sum(seen),
        "test_images": sum(seen),
        "classes": {
            name: {"images": n, "accuracy": hits / n if n else None}
            for name, n, hits in zip(model.class_names, seen, right, strict=True)
        },
        "confusion": confusion.tolist(),
    }

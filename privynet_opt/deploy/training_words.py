"""What training a cloud network prints on stdout."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privynet_opt.characterization.recipes import FROM_SCRATCH, MIRRORING
from privynet_opt.plain_text import aligned, wrapped
from privynet_opt.report.words import format_interval, format_value
from privynet_opt.sampling import wilson_interval

if TYPE_CHECKING:
    from privynet_opt.deploy.feature_folder import FeatureFolder

CHANCE_LEVEL = 0.9
"""Level of the interval for images that were not counted: that of the predictions, unless asked."""


def print_epoch(epoch: int, held_out_loss: float) -> None:
    """Show on a terminal's stderr how far a training is.

    Args:
        epoch: Epochs trained.
        held_out_loss: After the last one.
    """
    if sys.stderr.isatty():
        print(f"epoch {epoch}: held-out loss {held_out_loss:.4f}", file=sys.stderr)


def training_lines(metrics: dict[str, Any], folder: FeatureFolder, output: Path) -> list[str]:
    """Return what a cloud network reached.

    Args:
        metrics: From `train_cloud`.
        folder: The features it was trained on.
        output: Where its files are.
    """
    content = folder.manifest.content
    said = "  predicted: see what `export` printed; here it would tell which filters are kept"
    if "values" in content:
        lower, value, upper = content["values"]["predicted"]["accuracy"]
        interval = format_interval("accuracy", lower, upper)
        n_images = content["study"]["cloud_images"]
        said = (
            f"  predicted: {format_value('accuracy', value)} ({interval}), for the study's images, "
            f"{n_images:,} of them in training{_otherwise(metrics, content)}"
        )
        other = _what_is_other(content)
        if other:
            said = f"  predicted: nothing, since {other} are not those that were measured"
    rows = [("class", "accuracy", "images")]
    for name, score in metrics["classes"].items():
        accuracy = "-" if score["accuracy"] is None else f"{score['accuracy']:.1%}"
        rows.append((name, accuracy, f"{score['images']:,}"))
    return [
        f"Accuracy: {metrics['accuracy']:.1%} of {metrics['test_images']:,} images "
        f"({metrics['test_images_are']})",
        *wrapped(_of_so_few(metrics), "", "    "),
        *wrapped(said, "", "    "),
        *aligned(rows, "<>>"),
        f"Trained on {metrics['train_images']:,} images for {metrics['epochs']} epochs",
        f"Files in {output}",
        *aligned(
            [
                ("cloud.safetensors", "the cloud network"),
                ("metrics.json", "accuracy, by class, and the confusion matrix"),
                ("manifest.json", "of the bundle that its features come from"),
            ],
            "<<",
        ),
    ]


def _of_so_few(metrics: dict[str, Any]) -> str:
    """Return what the count says of images that were not counted."""
    ends = wilson_interval(metrics["accuracy"], metrics["test_images"], CHANCE_LEVEL)
    interval = format_interval("accuracy", *ends)
    return f"  of other images like these: {interval} at {CHANCE_LEVEL:.0%}, by their number alone"


def _otherwise(metrics: dict[str, Any], content: dict[str, Any]) -> str:
    """Return how a training differs from those that predictions of accuracy are of."""
    fidelity = content["values"]["predicted_fidelity"]
    are_sent = content["data"]["mirrorable"] and not content["sent_as"]["noise_std"]
    are_mirrored = fidelity in MIRRORING and are_sent
    ways = {
        "by another recipe": metrics["recipe"] != asdict(FROM_SCRATCH[fidelity].cloud),
        "with their mirror images": are_mirrored and not metrics["mirrored"],
        "without mirror images": metrics["mirrored"] and not are_mirrored,
    }
    other = " and ".join(way for way, is_other in ways.items() if is_other)
    return f", {other}" if other else ""


def _what_is_other(content: dict[str, Any]) -> str:
    """Return what differs from what the predictions are of, as a public manifest tells it."""
    others = {
        "weights": not content["network"]["weights_as_measured"],
        "images": content["data"]["images_as_measured"] is False,
        "bits": content["coding"]["bits"] != content["sent_as"]["feature_bits"],
    }
    return " and ".join(name for name, is_other in others.items() if is_other)

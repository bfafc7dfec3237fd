"""Where a table's numbers come from: network, data, recipes, hardware and versions."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from privynet_opt.characterization.recipes import describe
from privynet_opt.characterization.schema import (
    CLOUD_NOISE,
    FIDELITIES,
    TRAINED_FIDELITIES,
    source_hashes,
)
from privynet_opt.cost import CutProfile
from privynet_opt.datasets.image_set import Splits
from privynet_opt.networks.backbone import Backbone
from privynet_opt.networks.precision import uses_bfloat16
from privynet_opt.networks.profile import whole_costs

PACKAGES = ("torch", "torchvision", "numpy", "privynet_opt")
"""Whose versions are recorded."""


def identity(
    backbone: Backbone,
    splits: Splits,
    image_size: int,
    start: str = "scratch",
    is_noisy: bool = False,
) -> dict[str, Any]:
    """Return what decides the value of a measurement.

    Args:
        backbone: The network.
        splits: The three image sets.
        image_size: Rows and columns of an image.
        start: Where trained fidelities start, as for `describe`.
        is_noisy: Whether the study's devices may add noise.

    Returns:
        Plain data; two runs may share a folder only if theirs are equal, but for `CLOUD_NOISE`,
        which rows without noise do not depend on.
    """
    return {
        **({CLOUD_NOISE: "drawn once for each image, which is not mirrored"} if is_noisy else {}),
        "weights": backbone.weights_sha256,
        "images": {name: getattr(splits, name).sha256() for name in ("cloud", "attacker", "score")},
        "image_size": image_size,
        "recipes": {name: describe(name, start, splits.mirrorable) for name in FIDELITIES},
    }


def is_same_source(sidecar: dict[str, Any], own: dict[str, Any]) -> bool:
    """Return whether a table was measured with the weights and the images of another run.

    Args:
        sidecar: Of the table.
        own: The other run's `identity`.
    """
    return source_hashes(sidecar) == (own["weights"], own["images"])


def fidelities_alike(sidecar: dict[str, Any], own: dict[str, Any]) -> list[str]:
    """Return the fidelities at which a table was measured as another run measures.

    Args:
        sidecar: Of the table.
        own: The other run's `identity`.

    Returns:
        Those of the same recipe; none where weights or images differ.
    """
    if not is_same_source(sidecar, own):
        return []
    recipes = json.loads(json.dumps(own["recipes"]))  # as the sidecar holds them
    theirs = sidecar["fidelities"]
    alike = [name for name, recipe in recipes.items() if theirs.get(name) == recipe]
    if CLOUD_NOISE in own and CLOUD_NOISE not in sidecar and "noise_std" in sidecar["columns"]:
        alike = [name for name in alike if name not in TRAINED_FIDELITIES]
    return alike


def sidecar(
    backbone: Backbone,
    weights_file: Path | None,
    splits: Splits,
    profiles: list[CutProfile],
    data: dict[str, Any],
    notes: dict[str, str],
    device: torch.device,
    own: dict[str, Any],
) -> dict[str, Any]:
    """Return the table's sidecar, less what is known only once the rows are written.

    Args:
        backbone: The network.
        weights_file: File the weights were read from, if any.
        splits: The three image sets.
        profiles: The measured cuts, in the order of the network.
        data: Name and image size of the data, and its readable scale.
        notes: Sentences on where ``"data"`` and ``"weights"`` come from, given by the user.
        device: Where it was measured.
        own: The run's `identity`.

    Returns:
        Plain data.
    """
    return {
        **{name: own[name] for name in (CLOUD_NOISE,) if name in own},
        "network": {
            "name": backbone.name,
            "weights": backbone.weights,
            "weights_sha256": backbone.weights_sha256,
            "weights_file_sha256": _file_sha256(weights_file),
            "provenance": notes.get("weights", ""),
            "mean": list(backbone.mean),
            "std": list(backbone.std),
            "whole": whole_costs(backbone, data["image_size"]),
        },
        "data": {
            **data,
            "provenance": notes.get("data", ""),
            "class_names": list(splits.score.class_names),
            "n_images": {
                name: len(getattr(splits, name)) for name in ("cloud", "attacker", "score")
            },
            "sha256": own["images"],
        },
        "fidelities": own["recipes"],
        "measured": circumstances(device),
        "cuts": [asdict(profile) for profile in profiles],
    }


def circumstances(device: torch.device) -> dict[str, Any]:
    """Return when and on what a measurement is made, as plain data.

    Args:
        device: Where to.
    """
    return {
        "date": datetime.date.today().isoformat(),
        "hardware": _hardware(device),
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _file_sha256(path: Path | None) -> str:
    return "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capability = torch.backends.cpu.get_cpu_capability()
    numbers = ", networks in bfloat16" if uses_bfloat16(device) else ""
    return f"{os.cpu_count()} CPU cores ({platform.machine()}, {capability}{numbers})"


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "source tree"
    return versions

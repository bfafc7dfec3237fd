"""What a folder's training is of: another one never goes on in it, nor passes for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from privynet_opt.deploy.bundle import MANIFEST, refuse_bundle
from privynet_opt.deploy.cloud_model import CLAIM
from privynet_opt.deploy.feature_folder import FeatureFolder
from privynet_opt.deploy.feature_index import INDEX
from privynet_opt.errors import BundleError, OutputError
from privynet_opt.files import write_atomically
from privynet_opt.networks.training import TrainingRecipe


def claim(
    output: Path, folder: FeatureFolder, recipe: TrainingRecipe, seed: int, device: str
) -> None:
    """Make sure that a folder holds no training of other features, another recipe or device.

    Args:
        output: The folder; the manifest of the features is copied into it.
        folder: The features.
        recipe: How long and how fast the network is trained.
        seed: Of initial weights, order and division.
        device: Its type, ``"cpu"`` or ``"cuda"``: the generators of one do not go on on the other.

    Raises:
        BundleError: If what was claimed before cannot be read.
        OutputError: If the folder holds something else or cannot be written to.
    """
    refuse_bundle(output)
    if (output / INDEX).exists():
        raise OutputError(
            f"`output` must be a folder of its own, but {output} holds features. Choose another "
            "--output folder."
        )
    sums = "".join(f"{name} {value}\n" for name, value in sorted(folder.sums().items()))
    mine = {
        "bundle": folder.manifest.sha256,
        "classes": list(folder.class_names),
        "mirrored": folder.mirrored,
        "features": hashlib.sha256(sums.encode()).hexdigest(),
        "recipe": asdict(recipe),
        "seed": seed,
        "device": device,
    }
    path = output / CLAIM
    if path.exists():
        theirs = read_json(path)
        different = [name for name in mine if theirs.get(name) != mine[name]]
        if different:
            raise OutputError(
                f"`output` must hold a training with the same {different[0]}, but {output} was "
                "begun with another. Choose another --output folder."
            )
    elif (output / MANIFEST).exists():
        raise OutputError(
            f"`output` must be a folder of its own, but {output} holds a {MANIFEST} and no "
            f"{CLAIM}. Choose another --output folder."
        )
    else:
        write_atomically(path, json.dumps(mine, indent=1) + "\n")
    write_atomically(output / MANIFEST, (folder.directory / MANIFEST).read_text(encoding="utf-8"))


def read_json(path: Path, needed: Sequence[str] = ()) -> dict[str, Any]:
    """Read a JSON object that a training wrote.

    Args:
        path: The file.
        needed: What it must have.

    Raises:
        BundleError: If it cannot be read, is no object or lacks something.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        content = error
    if not isinstance(content, dict) or any(name not in content for name in needed):
        raise BundleError(
            f"{path.name} must be one that `privynet-opt train-cloud` wrote, but {path} cannot be "
            f"used ({type(content).__name__}). Train again in another --output folder."
        )
    return content

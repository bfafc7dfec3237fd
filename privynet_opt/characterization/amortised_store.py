"""Keep a cut's amortised networks beside the measurements, so that it is trained once.

A file belongs to one network, one cut, one division of the images and one recipe; it is refused
for any other. What is stored are the two networks and the principal components that their
coordinates run along; the rest follows from the cut's Gram matrix, which takes seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from privynet_opt.attacks.amortised import AmortisedNetworks
from privynet_opt.attacks.coordinates import CutCoordinates
from privynet_opt.errors import TableError

COMPONENTS = "coordinates.components"


def save_networks(path: Path, networks: AmortisedNetworks, belongs_to: dict[str, Any]) -> None:
    """Store trained networks atomically.

    Args:
        path: The file.
        networks: Trained.
        belongs_to: What they were trained on; plain data.
    """
    tensors = {
        f"{part}.{name}": tensor.cpu().contiguous()
        for part in ("decoder", "cloud")
        for name, tensor in getattr(networks, part).state_dict().items()
    }
    tensors[COMPONENTS] = networks.coordinates.components.cpu().contiguous()
    metadata = {
        "belongs_to": fingerprint(belongs_to),
        "cut_layer": str(belongs_to.get("cut_layer", "")),
        "epochs": json.dumps(networks.epochs),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata)
    os.replace(temporary, path)


def load_networks(
    path: Path, networks: AmortisedNetworks, belongs_to: dict[str, Any]
) -> AmortisedNetworks:
    """Read networks into untrained ones of the same cut.

    Args:
        path: The file.
        networks: Untrained; their weights and components are replaced.
        belongs_to: What they must have been trained on.

    Returns:
        The networks, trained.

    Raises:
        TableError: If the file is damaged or belongs to other weights, images, cut or recipe.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise TableError(
            f"amortised networks must be readable, but {path} is not ({error}). "
            "Remove the file; the cut is trained again."
        ) from error
    if metadata.get("belongs_to") != fingerprint(belongs_to):
        raise TableError(
            f"amortised networks must belong to the same weights, images, cut and recipe, but "
            f"{path} was trained for another (cut {metadata.get('cut_layer', '?')}). "
            "Choose another --output folder, or remove the file to train the cut again."
        )
    if COMPONENTS not in tensors:
        raise TableError(
            f"amortised networks must be stored with their components, but {path} has none: an "
            "earlier version wrote it. Remove the file; the cut is trained again."
        )
    ridge = networks.coordinates.ridge
    coordinates = CutCoordinates.along(ridge, tensors.pop(COMPONENTS).to(ridge.gram))
    for part in ("decoder", "cloud"):
        own = {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(part)}
        getattr(networks, part).load_state_dict(own)
        getattr(networks, part).eval()
    decoder_epochs, cloud_epochs = json.loads(metadata["epochs"])
    return replace(networks, coordinates=coordinates, epochs=(decoder_epochs, cloud_epochs))


def fingerprint(belongs_to: dict[str, Any]) -> str:
    """Return a hash of what networks were trained on.

    Args:
        belongs_to: Plain data.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(json.dumps(belongs_to, sort_keys=True).encode()).hexdigest()

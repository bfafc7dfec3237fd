"""Export a chosen topology: the device network as a file, checked, with its manifest."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from privynet_opt import __version__
from privynet_opt.characterization.stems import BATCH
from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.characterization.transmission import NOISE_REACH
from privynet_opt.datasets.image_set import Splits
from privynet_opt.deploy.bundle import MANIFEST, Bundle, write_bundle
from privynet_opt.deploy.channels import channel_deviations, choose_channels, needs_images
from privynet_opt.deploy.choice import Choice
from privynet_opt.deploy.device_network import DeviceNetwork
from privynet_opt.deploy.device_noise import SECRET_BYTES, DeviceNoise
from privynet_opt.deploy.network_file import RUNTIMES, load_network, require, write_network
from privynet_opt.deploy.runtime import measure_runtime
from privynet_opt.deploy.self_check import N_IMAGES, random_images, self_check
from privynet_opt.deploy.weights_licence import known_licence
from privynet_opt.errors import DataError, NetworkError, OutputError, TopologyError
from privynet_opt.files import prepare_output
from privynet_opt.networks.backbone import Backbone, check_weights, load_backbone
from privynet_opt.networks.coding import FeatureCoding
from privynet_opt.networks.cuts import Cut, choose_cuts, find_cuts
from privynet_opt.networks.local import build_local_network
from privynet_opt.selection import is_drawn

SECRET_SEED_BITS = 63
"""A seed that nobody tries out; numpy and JSON take it as it is."""


@dataclass(frozen=True)
class ExportOptions:
    """How a choice is exported.

    Attributes:
        file_format: One of `network_file.FORMATS`.
        bits: One of `topology.FEATURE_BITS`; None takes what the choice was measured with.
        data: Where the study's images are; needed where filters are chosen by statistics of them
            and where features are coded by their ranges or get noise in proportion to their
            deviations. None also for data the package can make.
        weights: Weights file or name; None takes the study's.
        secret_seed: Whether filters are drawn anew with a seed that is in no study.
        allow_other: Whether weights and images may be others than those that were measured.
        skip_bad: Leave out files and sub-folders that cannot be read, and warn of them.
    """

    file_format: str = "pt2"
    bits: int | None = None
    data: Path | None = None
    weights: str | None = None
    secret_seed: bool = False
    allow_other: bool = False
    skip_bad: bool = False


def export(choice: Choice, output: Path, options: ExportOptions) -> Bundle:
    """Write a bundle.

    Args:
        choice: What is exported.
        output: The bundle's folder; it must not hold another bundle.
        options: How.

    Returns:
        The bundle, its network checked against PyTorch.

    Raises:
        OutputError: If the folder holds a bundle or cannot be written to.
        TopologyError: If a secret seed is asked for where nothing is drawn.
        PrivyNetOptError: If network, weights or images are not usable or not those measured.
    """
    require(options.file_format)
    bits = options.bits or choice.topology.feature_bits
    if (output / MANIFEST).exists():
        raise OutputError(
            f"`output` must not hold a bundle yet, but {output} does. Features and cloud networks "
            "belong to the bundle they were made with: choose another --output folder."
        )
    choice = _with_secret_seed(choice) if options.secret_seed else choice
    spec = choice.spec
    weights = options.weights or spec.network.weights
    check_weights(spec.network.name, weights)
    measured = choice.table.sidecar["network"]
    if not (options.allow_other or Path(weights).is_file() or weights == measured["weights"]):
        raise _other_weights(measured, weights, "not that file")  # before they are downloaded
    backbone = load_backbone(spec.network.name, weights)
    if backbone.weights_sha256 != measured.get("weights_sha256") and not options.allow_other:
        raise _other_weights(measured, backbone.weights, f"{backbone.weights_sha256[:12]}…")
    image_size = spec.data.image_size
    (cut,) = choose_cuts(find_cuts(backbone.graph, image_size), [choice.topology.cut_layer])
    splits, as_measured = _images(choice, cut, bits, options)
    kept = choose_channels(choice.topology, backbone, cut, splits, choice.table.searched)
    if _is_secret(choice):
        kept = _shuffled(kept)
    local = build_local_network(backbone, cut, kept)
    coding = FeatureCoding(bits, (len(kept), cut.height, cut.width))
    noise = noise_std = None
    reach: Tensor | float = 0.0
    if choice.topology.noise_std:
        assert splits is not None, "images are at hand where noise is added"
        noise = DeviceNoise(secrets.token_bytes(SECRET_BYTES), coding.shape)
        deviations = channel_deviations(backbone, cut, splits)[list(kept)]
        noise_std = choice.topology.noise_std * deviations
        reach = NOISE_REACH * noise_std.flatten()
    ranges = coding.ranges(_features(local, backbone, splits), reach)
    network = DeviceNetwork(local, backbone.mean, backbone.std, coding, ranges, noise, noise_std)
    path = prepare_output(output) / f"network.{options.file_format}"
    write_network(network, image_size, path)
    return _described(choice, backbone, network, kept, splits, as_measured, path, options)


def _with_secret_seed(choice: Choice) -> Choice:
    topology = choice.topology
    if not _is_secret(choice):
        raise TopologyError(
            f"a secret seed must have filters to draw, but {topology} draws none. Leave "
            "--secret-seed out, or choose with --point a row of the front by random, or by "
            "privynet with fewer filters."
        )
    seed = secrets.randbits(SECRET_SEED_BITS)
    # What was measured was measured of the other draw.
    point = {name: value for name, value in choice.point.items() if "measured" not in name}
    drawn = replace(topology, selection_seed=seed)
    return replace(choice, topology=drawn, point=point, validated=None)


def _is_secret(choice: Choice) -> bool:
    """Return whether filters are drawn, so that who knows the study does not know which."""
    topology = choice.topology
    channels = choice.table.cuts[topology.cut_layer].channels
    return is_drawn(topology.selection_strategy, channels, topology.kept_filters)


def _shuffled(kept: tuple[int, ...]) -> tuple[int, ...]:
    """Return drawn channels in an order that nobody knows: an ascending one helps to guess them."""
    return tuple(secrets.SystemRandom().sample(kept, len(kept)))


def _other_weights(measured: dict[str, Any], weights: str, how: str) -> NetworkError:
    name, digest = measured["weights"], str(measured.get("weights_sha256"))[:12]
    return NetworkError(
        f"`weights` must be those that were measured ({name}, hash {digest}…), but {weights} is "
        f"{how}. Give them with --weights, or allow others with --allow-other: no prediction holds "
        "for them."
    )


def _images(
    choice: Choice, cut: Cut, bits: int, options: ExportOptions
) -> tuple[Splits | None, bool | None]:
    """Return images where they are needed or given, and whether they are those measured."""
    is_needed = bits <= 8 or choice.topology.noise_std > 0 or needs_images(choice.topology, cut)
    if options.data is None and not is_needed:
        return None, None
    splits = load_splits(choice.spec, options.data, options.skip_bad)
    measured = choice.table.sidecar["data"].get("sha256", {})
    sets = {"cloud": splits.cloud, "attacker": splits.attacker}
    other = [name for name, images in sets.items() if images.sha256() != measured.get(name)]
    if other and not options.allow_other:
        raise DataError(
            f"`--data` must be the images that were measured, but the {other[0]}'s images of "
            f"{options.data or choice.spec.data.name} have another hash. Give those, or allow "
            "others with --allow-other: no prediction holds for them."
        )
    return splits, not other


@torch.no_grad()
def _features(local: nn.Module, backbone: Backbone, splits: Splits | None) -> Iterator[Tensor]:
    """Yield the features of the images that the predictions assume the cloud to be trained on."""
    if splits is not None:
        for images in splits.cloud.images.split(BATCH):
            yield local(backbone.normalise(images))


def _described(
    choice: Choice,
    backbone: Backbone,
    network: DeviceNetwork,
    kept: tuple[int, ...],
    splits: Splits | None,
    images_as_measured: bool | None,
    path: Path,
    options: ExportOptions,
) -> Bundle:
    """Check and time the written network, and write what is known of it."""
    image_size = choice.spec.data.image_size
    run = load_network(path, image_size, network.noise)
    if splits is None:
        images, which = random_images(image_size), "random images"
    else:
        images = splits.cloud.images[:N_IMAGES]
        which = "images of the study" if images_as_measured else "other images than the study's"
    check = self_check(network, run, images, which)
    runtime = measure_runtime(network, images[:1], run, RUNTIMES[options.file_format])
    topology, sidecar, is_secret = choice.topology, choice.table.sidecar, _is_secret(choice)
    coding = network.coding
    telling = {
        "values": choice.values,
        "sent_as": {"feature_bits": topology.feature_bits, "noise_std": topology.noise_std},
        "self_check": check.as_dict(),
        "runtime": runtime.as_dict(),
    }
    public = {
        "privynet_opt": __version__,
        "study": {
            "name": choice.spec.name,
            "table_sha256": sidecar["table_sha256"],
            "cloud_images": _cloud_images(choice),
        },
        "network": {
            "name": backbone.name,
            "weights": backbone.weights,
            "weights_sha256": backbone.weights_sha256,
            "weights_as_measured": backbone.weights_sha256
            == sidecar["network"].get("weights_sha256"),
            "weights_licence": known_licence(choice.spec, backbone),
            "weights_provenance": sidecar["network"].get("provenance", ""),
        },
        "topology": {
            "cut_layer": topology.cut_layer,
            "kept_filters": topology.kept_filters,
            "selection_strategy": topology.selection_strategy,
            "choice_is_secret": is_secret,
        },
        "data": {
            "name": choice.spec.data.name,
            "image_size": image_size,
            "classes": list(choice.spec.data.classes),
            "mirrorable": choice.spec.data.mirrorable,
            "images_as_measured": images_as_measured,  # null: none were looked at
        },
        "file": {
            "name": path.name,
            "format": options.file_format,
            "input": {"name": "images", "dtype": "uint8", "shape": ["n", 3, *2 * [image_size]]},
            **({} if network.noise is None else {"noise": _noise_input(network.noise)}),
            "output": {
                "name": "features",
                "dtype": str(coding.dtype).removeprefix("torch."),
                "shape": ["n", *coding.coded_shape],
            },
        },
        "coding": coding.as_dict(),
        "costs": choice.costs | {"sent_bytes": coding.bytes_per_image},
        **({} if is_secret else telling),
    }
    private = {
        "selection_seed": topology.selection_seed,
        "kept_channels": list(kept),
        **({} if network.noise is None else {"noise_secret": network.noise.secret.hex()}),
        **(telling if is_secret else {}),
    }
    return write_bundle(path.parent, path.name, public, private)


def _cloud_images(choice: Choice) -> int:
    """Return how many images trained the cloud networks whose accuracy is predicted."""
    sidecar = choice.table.sidecar
    most = sidecar["fidelities"][choice.predicted_fidelity]["max_images"]
    return int(min(most, sidecar["data"]["n_images"]["cloud"]))


def _noise_input(noise: DeviceNoise) -> dict[str, Any]:
    """Describe the second input of a network that adds noise."""
    return {
        "name": "noise",
        "dtype": "float32",
        "shape": ["n", *noise.shape],
        "values": "standard normal, secret, of its own for every image; see device_noise.py",
    }

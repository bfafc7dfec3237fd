"""Load a pre-trained network and know exactly which weights it has."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from privynet_opt.errors import NetworkError, did_you_mean
from privynet_opt.networks.small_cnn import SmallCNN
from privynet_opt.networks.vision import torchvision

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Per-channel mean that torchvision's ImageNet weights expect, pixels in [0, 1]."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""Per-channel standard deviation that torchvision's ImageNet weights expect."""

RANDOM_WEIGHTS_SEED = 0
"""Seed of the initial weights where a study asks for none that are trained."""


@dataclass(frozen=True)
class Backbone:
    """A pre-trained network, traced, in evaluation mode, with frozen parameters.

    Attributes:
        name: The name it was loaded by.
        weights: What the weights are called: torchvision's name, a file's name, or ``"none"``.
        weights_sha256: Hash over names, shapes and bytes of the loaded tensors.
        missing: Parameters that the weights file did not hold; no cut may need them.
        network: The network itself.
        graph: Its torch.fx trace; shares parameters with `network`.
        mean: Per-channel mean subtracted from pixels in [0, 1].
        std: Per-channel divisor.
    """

    name: str
    weights: str
    weights_sha256: str
    missing: frozenset[str]
    network: nn.Module
    graph: fx.GraphModule
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def normalise(self, images: Tensor) -> Tensor:
        """Turn 8-bit images into network input.

        Args:
            images: uint8, shape ``(n, 3, height, width)``.

        Returns:
            float32 of the same shape, ``(pixel / 255 - mean) / std``.
        """
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, -1, 1, 1)
        return (images.float() / 255 - mean) / std


def load_backbone(name: str, weights: str | Path = "none") -> Backbone:
    """Load a torchvision classification network, or the package's own small one.

    Args:
        name: torchvision's name (``"vgg16"``, ``"resnet18"``, ...) or ``"small_cnn"``.
        weights: Path of a state-dict file, torchvision's weights name such as
            ``"IMAGENET1K_V1"``, or ``"none"`` for random weights of a fixed seed.

    Returns:
        The backbone in evaluation mode.

    Raises:
        NetworkError: If there is no such network, it cannot be traced, or the weights do not fit.
    """
    check_weights(name, weights)
    path = Path(weights)
    from_file = path.is_file()
    named = None if from_file or str(weights) == "none" else str(weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_WEIGHTS_SEED)
        network = _build(name, named)
    missing = _load_file(network, name, path) if from_file else frozenset()
    network.eval().requires_grad_(False)
    try:
        graph = fx.symbolic_trace(network)
    except (fx.proxy.TraceError, TypeError) as error:
        raise NetworkError(
            f"`network` must be traceable by torch.fx, but {name!r} is not: {error}. "
            "Choose a network whose forward pass does not branch on its input."
        ) from error
    return Backbone(
        name=name,
        weights=path.name if from_file else str(weights),
        weights_sha256=state_sha256(network, missing),
        missing=missing,
        network=network,
        graph=graph,
    )


def state_sha256(network: nn.Module, without: frozenset[str] = frozenset()) -> str:
    """Return a hash over names, shapes and bytes of a network's parameters and buffers.

    Args:
        network: Any module.
        without: Names that are left out.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if name not in without:
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_weights(name: str, weights: str | Path) -> None:
    """Make sure that a network exists, and has weights of a name; nothing is loaded.

    Args:
        name: As for `load_backbone`.
        weights: Likewise; a file is not looked into.

    Raises:
        NetworkError: If there is no such network, or no such weights.
    """
    path = Path(weights)
    is_path = path.suffix in {".pth", ".pt", ".safetensors"} or len(path.parts) > 1
    if is_path and not path.is_file():
        raise NetworkError(f"`weights` must be a file, but {path} does not exist. Check the path.")
    offered = []
    if name != "small_cnn":
        models = torchvision().models
        known = models.list_models(module=models)
        if name not in known:
            raise NetworkError(
                f"`network` must be a torchvision classification network or 'small_cnn', but got "
                f"{name!r}. " + did_you_mean(name, [*known, "small_cnn"])
            )
        offered = [w.name for w in models.get_model_weights(name)]
    if str(weights) not in (*offered, "none") and not path.is_file():
        theirs = f", or torchvision weights of {name}" if offered else ""
        raise NetworkError(
            f"`weights` must be a file that exists, 'none'{theirs}, but got {str(weights)!r}. "
            + did_you_mean(str(weights), [*offered, "none"])
        )


def _build(name: str, weights: str | None) -> nn.Module:
    if name == "small_cnn":
        return SmallCNN()
    models = torchvision().models
    try:
        with warnings.catch_warnings():  # GoogLeNet and Inception announce other initial weights
            warnings.simplefilter("ignore", FutureWarning)
            network: nn.Module = models.get_model(name, weights=weights)
    except OSError as error:
        raise NetworkError(
            f"`weights` {weights} of {name} could not be downloaded ({error}). "
            "Give a state-dict file instead: --weights FILE."
        ) from error
    return network


def _load_file(network: nn.Module, name: str, path: Path) -> frozenset[str]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports unreadable files by many unrelated types
        raise NetworkError(
            f"`weights` must be a state dict saved by torch.save, but {path.name} cannot be read "
            f"({type(error).__name__}). Save network.state_dict() and give that file."
        ) from error
    own = network.state_dict()
    if not isinstance(state, dict) or not state:
        raise NetworkError(
            f"`weights` must hold a state dict, but {path.name} holds {type(state).__name__}. "
            "Save network.state_dict() and give that file."
        )
    unexpected = sorted(set(state) - set(own))
    misfits = [k for k in state if k in own and state[k].shape != own[k].shape]
    if unexpected or misfits:
        first = unexpected[0] if unexpected else misfits[0]
        why = (
            "does not exist in it"
            if unexpected
            else f"has shape {tuple(state[first].shape)} instead of {tuple(own[first].shape)}"
        )
        raise NetworkError(
            f"`weights` must fit {name}, but in {path.name} the tensor {first!r} {why} "
            f"({len(unexpected) + len(misfits)} such tensors). Give weights of a {name}."
        )
    broken = [k for k, v in state.items() if v.is_floating_point() and not v.isfinite().all()]
    if broken:
        raise NetworkError(
            f"`weights` must be finite, but in {path.name} the tensor {broken[0]!r} holds NaN or "
            f"infinity ({len(broken)} such tensors): its training has diverged. Give weights from "
            "before that."
        )
    network.load_state_dict(state, strict=False)
    return frozenset(set(own) - set(state))

"""The trained cloud network as a file: received features in, class probabilities out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from privynet_opt.characterization.channel_statistics import standardise
from privynet_opt.deploy.bundle import MANIFEST, Manifest, read_manifest
from privynet_opt.errors import BundleError
from privynet_opt.files import write_atomically
from privynet_opt.networks.cloud import CloudNetwork
from privynet_opt.networks.precision import mixed_precision

MODEL = "cloud.safetensors"
CLAIM = "training.json"

_NETWORK = "network."
_METADATA = "privynet_opt"


@dataclass(frozen=True)
class CloudModel:
    """A cloud network with what turns received features into its input.

    Attributes:
        manifest: Of the bundle whose features it was trained on.
        class_names: One name per class.
        mean: Mean map over the training images, shape ``(1, C, h, w)``.
        std: Per-channel standard deviation around it, shape ``(1, C, 1, 1)``.
        network: Trained on standardised features.
    """

    manifest: Manifest
    class_names: tuple[str, ...]
    mean: Tensor
    std: Tensor
    network: CloudNetwork

    @torch.no_grad()
    def probabilities(self, coded: Tensor) -> Tensor:
        """Return how likely each class is.

        Args:
            coded: Features as they were sent, shape ``(n, *coded_shape)``.

        Returns:
            float32, shape ``(n, n_classes)``.
        """
        features = self.manifest.coding.decode(coded.to(self.mean.device))
        seen = standardise(features, self.mean, self.std).half().float()
        with mixed_precision(self.mean.device):
            scores: Tensor = self.network(seen)
        return scores.float().softmax(1)

    def save(self, directory: Path) -> Path:
        """Write the model.

        Args:
            directory: The folder; it holds the manifest.

        Returns:
            The file.

        Raises:
            OutputError: If it cannot be written.
        """
        state = {f"{_NETWORK}{name}": t for name, t in self.network.state_dict().items()}
        tensors = {**state, "mean": self.mean, "std": self.std}
        told = {"manifest_sha256": self.manifest.sha256, "classes": self.class_names}
        plain = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        # One entry: safetensors writes several in an order that changes from run to run.
        metadata = {_METADATA: json.dumps(told, ensure_ascii=False)}
        write_atomically(directory / MODEL, safetensors.torch.save(plain, metadata))
        return directory / MODEL


def load_cloud_model(directory: Path) -> CloudModel:
    """Read a trained cloud network.

    Args:
        directory: What `train-cloud` wrote.

    Raises:
        BundleError: If the folder holds none, or the model and the manifest are not of one bundle.
    """
    path = directory / MODEL
    if not path.is_file():
        raise BundleError(
            f"a cloud network must be a folder that `privynet-opt train-cloud` wrote, but "
            f"{directory} has no {MODEL}. Train it to the end first."
        )
    manifest = read_manifest(directory / MANIFEST)
    try:
        with safe_open(path, "pt") as file:
            told = json.loads(file.metadata()[_METADATA])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = {n.removeprefix(_NETWORK): t for n, t in tensors.items() if n.startswith(_NETWORK)}
        class_names = tuple(told["classes"])
        channels, grid, _ = manifest.coding.shape
        network = CloudNetwork(channels, grid, len(class_names))
        network.load_state_dict(state)
        mean, std = tensors["mean"], tensors["std"]
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"a cloud network must be readable, but {path} is not ({type(error).__name__}). "
            "Train it again with `privynet-opt train-cloud`."
        ) from error
    if told["manifest_sha256"] != manifest.sha256:
        raise BundleError(
            f"a cloud network must lie beside the manifest it was trained with, but {path} states "
            f"{told['manifest_sha256'][:12]}… and {directory / MANIFEST} has "
            f"{manifest.sha256[:12]}…. Restore the folder, or train again."
        )
    return CloudModel(manifest, class_names, mean, std, network.eval())

"""The amortised attacker: one decoder per cut attacks every subset of its channels.

Every subset is first brought to the cut's shared coordinates in closed form; one decoder, trained
over many subsets at once and told how much of each coordinate a subset explains, does the
non-linear part for all of them. The same is done for the label with one cloud network. An attacker
could run it, so its PSNR is a lower bound on leakage; a cloud could run it, so its accuracy is
attained. Scoring another subset costs one solve and one forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from privynet_opt.attacks.coordinates import CutCoordinates, SubsetCoordinates
from privynet_opt.attacks.decoder import Decoder
from privynet_opt.networks.cloud import LABEL_SMOOTHING, CloudNetwork
from privynet_opt.networks.precision import mixed_precision
from privynet_opt.networks.training import TrainingRecipe, train
from privynet_opt.selection import ChannelStatistics, kept_channels
from privynet_opt.topology import LocalTopology

N_SUBSETS = 240
"""Subsets the networks are trained over."""

TRAINING_STRATEGIES = ("random", "lda", "privacy", "privynet", "magnitude")
"""Strategies whose subsets they are trained over, beside random ones."""

IMAGES_PER_SUBSET = 8
"""A mini-batch mixes subsets, each seen through so many images."""

SMALLEST_ERROR = 1e-4
"""The decoder's squared error is divided by the linear attacker's, as PSNR does, so that the
subsets that leak little do not drown those that leak most; by at least this (40 dB)."""


@dataclass(frozen=True)
class AmortisedNetworks:
    """A cut's decoder and cloud network for every subset of its channels.

    Attributes:
        coordinates: Brings a subset to the cut's coordinates.
        decoder: Recovers images.
        cloud: Recovers labels.
        seed: Seed they were trained with.
        epochs: Epochs that decoder and cloud network were trained.
    """

    coordinates: CutCoordinates
    decoder: Decoder
    cloud: CloudNetwork
    seed: int
    epochs: tuple[int, int] = (0, 0)

    @classmethod
    def untrained(
        cls, coordinates: CutCoordinates, grid: int, n_classes: int, seed: int
    ) -> AmortisedNetworks:
        """Build the networks of a cut.

        Args:
            coordinates: Of the cut.
            grid: Rows and columns of its features.
            n_classes: Number of classes.
            seed: Seed of the initial weights and of the training.

        Returns:
            The networks, on the device of the coordinates.
        """
        torch.manual_seed(seed)
        n, device = coordinates.n_coordinates, coordinates.power.device
        image_size = coordinates.ridge.mean_image.shape[-1]
        decoder = Decoder(n, grid, image_size, n_conditions=n)
        cloud = CloudNetwork(n, grid, n_classes, n_conditions=n)
        for network in (decoder, cloud):
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(coordinates, decoder, cloud, seed)

    @torch.no_grad()
    def score(self, kept: Sequence[int], features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Attack and classify held-out images of one subset.

        Args:
            kept: Channel indices of the cut.
            features: Standardised features of those channels, ``(n, k, grid, grid)``.

        Returns:
            The linear and the decoder's reconstructions, clamped to [0, 1],
            ``(n, 3, size, size)`` each, and class scores ``(n, n_classes)``.
        """
        subset = self.coordinates.solve(kept)
        parts = []
        for batch in torch.split(features, 256):
            seen, linear = subset.apply(batch.float())
            explained = subset.explained.expand(len(batch), -1)
            with mixed_precision(features.device):
                recovered = self.decoder(seen, linear, explained).clamp(0, 1)
                scores = self.cloud(seen, explained).float()
            parts.append((linear.clamp(0, 1), recovered, scores))
        linear, recovered, scores = (torch.cat(part) for part in zip(*parts, strict=True))
        return linear, recovered, scores


Solved = Sequence[tuple[Sequence[int], SubsetCoordinates]]
"""Channel indices and map of each subset that networks are trained over."""


class SubsetMixer:
    """Show a network every training image through changing subsets.

    Args:
        solved: Channel indices and map of each subset.
        features: Standardised features of all channels, ``(n, C, grid, grid)``.
        seed: Seed of which image meets which subset.
    """

    def __init__(
        self,
        solved: Solved,
        features: Tensor,
        seed: int,
    ) -> None:
        self.solved = solved
        self.features = features
        self.generator = torch.Generator().manual_seed(seed)

    def mix(self, positions: Tensor, is_training: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what the networks see of a mini-batch.

        Args:
            positions: Images, shape ``(n,)``.
            is_training: Whether subsets are drawn anew; held-out images always meet the same.

        Returns:
            Coordinates ``(n, P + K, grid, grid)``, linear reconstructions
            ``(n, 3, size, size)``, explained shares ``(n, P + K)``, and the mean square error
            ``(n,)`` that each image's subset leaves to a linear attacker.
        """
        parts = []
        for chunk in torch.split(positions, IMAGES_PER_SUBSET):
            if is_training:
                index = int(torch.randint(len(self.solved), (), generator=self.generator))
            else:
                index = int(chunk[0]) // IMAGES_PER_SUBSET % len(self.solved)
            kept, subset = self.solved[index]
            seen, linear = subset.apply(self.features[chunk][:, list(kept)].float())
            explained = subset.explained.expand(len(chunk), -1)
            parts.append((seen, linear, explained, subset.linear_error.expand(len(chunk))))
        seen, linear, explained, error = (torch.cat(part) for part in zip(*parts, strict=True))
        return seen, linear, explained, error


def training_subsets(
    cut_layer: str, statistics: ChannelStatistics, n_subsets: int, seed: int
) -> list[tuple[int, ...]]:
    """Choose the subsets the networks of a cut are trained over.

    Args:
        cut_layer: Name of the cut.
        statistics: Of the cut.
        n_subsets: How many.
        seed: Seed of sizes and draws.

    Returns:
        Channel indices; sizes log-uniform from 1 to all, half drawn at random, half by the
        selection strategies in turn, since a search picks unusual subsets.
    """
    sizes = np.random.default_rng(seed).uniform(0, math.log(statistics.channels), n_subsets)
    subsets = []
    for index, size in enumerate(np.exp(sizes).round().astype(int).tolist()):
        turn = index // 2 % len(TRAINING_STRATEGIES)
        strategy = "random" if index % 2 else TRAINING_STRATEGIES[turn]
        is_drawn = strategy in ("random", "privynet")
        topology = LocalTopology(cut_layer, size, strategy, seed + index if is_drawn else 0)
        subsets.append(kept_channels(topology, statistics))
    return subsets


def train_amortised(
    networks: AmortisedNetworks,
    subsets: Sequence[Sequence[int]],
    attacker: Callable[[], tuple[Tensor, Tensor]],
    cloud: Callable[[], tuple[Tensor, Tensor]],
    recipes: tuple[TrainingRecipe, TrainingRecipe],
    checkpoints: Path | None = None,
) -> AmortisedNetworks:
    """Train a cut's networks over many subsets, one after the other.

    Args:
        networks: Untrained networks of the cut; they are trained in place.
        subsets: From `training_subsets`.
        attacker: Returns features of all channels ``(n, C, grid, grid)`` and images in [0, 1],
            which are let go of before those of the cloud are asked for.
        cloud: Returns features of all channels and labels.
        recipes: Length and speed of decoder and cloud network.
        checkpoints: Folder where each epoch's state is kept, so that a killed training resumes;
            None keeps nothing.

    Returns:
        The networks, trained.
    """
    solved = [(kept, networks.coordinates.solve(kept)) for kept in subsets]
    states = [
        None if checkpoints is None else checkpoints / f"{n}.pt" for n in ("decoder", "cloud")
    ]
    decoder_epochs = _train_decoder(networks, solved, *attacker(), recipes[0], states[0])
    cloud_epochs = _train_cloud(networks, solved, *cloud(), recipes[1], states[1])
    return replace(networks, epochs=(decoder_epochs, cloud_epochs))


def _train_decoder(
    networks: AmortisedNetworks,
    solved: Solved,
    features: Tensor,
    images: Tensor,
    recipe: TrainingRecipe,
    state: Path | None,
) -> int:
    """Train the decoder in place and return its epochs."""
    mixer = SubsetMixer(solved, features, networks.seed)

    def loss(network: nn.Module, positions: Tensor) -> Tensor:
        seen, linear, explained, linear_error = mixer.mix(positions, network.training)
        with mixed_precision(seen.device):
            recovered = network(seen, linear, explained)
        errors = (recovered - images[positions].float()).square().mean((1, 2, 3))
        relative: Tensor = (errors / linear_error.clamp_min(SMALLEST_ERROR)).mean()
        return relative

    (epochs,) = train(
        networks.decoder, loss, len(features), recipe, networks.seed, state,
        generators=(mixer.generator,),
    )  # fmt: skip
    return epochs


def _train_cloud(
    networks: AmortisedNetworks,
    solved: Solved,
    features: Tensor,
    labels: Tensor,
    recipe: TrainingRecipe,
    state: Path | None,
) -> int:
    """Train the cloud network in place and return its epochs."""
    mixer = SubsetMixer(solved, features, networks.seed)

    def loss(network: nn.Module, positions: Tensor) -> Tensor:
        seen, _, explained, _ = mixer.mix(positions, network.training)
        with mixed_precision(seen.device):
            scores = network(seen, explained)
        smoothing = LABEL_SMOOTHING if network.training else 0.0
        return functional.cross_entropy(
            scores.float(), labels[positions], label_smoothing=smoothing
        )

    (epochs,) = train(
        networks.cloud, loss, len(features), recipe, networks.seed, state,
        generators=(mixer.generator,),
    )  # fmt: skip
    return epochs

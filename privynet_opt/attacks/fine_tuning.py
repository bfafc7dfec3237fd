"""Networks of a topology's own that start from the amortised networks of its cut."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from privynet_opt.attacks.amortised import AmortisedNetworks
from privynet_opt.attacks.coordinates import SubsetCoordinates
from privynet_opt.attacks.decoder import Decoder
from privynet_opt.attacks.folded_decoder import fold
from privynet_opt.batches import joined
from privynet_opt.networks.cloud import LABEL_SMOOTHING
from privynet_opt.networks.mirroring import MirroredPairs
from privynet_opt.networks.precision import mixed_precision
from privynet_opt.networks.training import TrainingRecipe, train

BATCH = 256
"""Images whose coordinates are computed together."""


def adapt_decoder(
    networks: AmortisedNetworks,
    kept: Sequence[int],
    attacker: tuple[Tensor, Tensor],
    recipe: TrainingRecipe,
    seed: int,
) -> AmortisedNetworks:
    """Tune a copy of a cut's decoder to one subset of its channels.

    Args:
        networks: The cut's trained networks; they are left as they are.
        kept: Channel indices of the cut.
        attacker: Standardised features of those channels, ``(n, k, grid, grid)``, and images in
            [0, 1], ``(n, 3, size, size)``.
        recipe: Length and speed.
        seed: Seed of the order of images.

    Returns:
        The networks with a decoder that is good for this subset alone, and the epochs it was
        trained here.
    """
    subset = networks.coordinates.solve(kept)
    decoder = fold(networks.decoder, subset.explained)
    return _tune_decoder(networks, decoder, subset, attacker, None, recipe, seed)


def _tune_decoder(
    networks: AmortisedNetworks,
    decoder: Decoder,
    subset: SubsetCoordinates,
    attacker: tuple[Tensor, Tensor],
    mirrored: Tensor | None,
    recipe: TrainingRecipe,
    seed: int,
) -> AmortisedNetworks:
    features, images = attacker
    flipped = None if mirrored is None else (*_coordinates(subset, mirrored), images.flip(-1))
    pairs = MirroredPairs((*_coordinates(subset, features), images), flipped, seed)

    def loss(network: nn.Module, positions: Tensor) -> Tensor:
        seen, linear, truth = pairs.pick(positions, network.training)
        with mixed_precision(seen.device):
            recovered = network(seen, linear, subset.explained.expand(len(seen), -1))
        return functional.mse_loss(recovered, truth)

    (epochs,) = train(decoder, loss, len(images), recipe, seed, keep_start=True)
    return replace(networks, decoder=decoder, seed=seed, epochs=(epochs, networks.epochs[1]))


def fine_tune(
    networks: AmortisedNetworks,
    kept: Sequence[int],
    attacker: tuple[Tensor, Tensor],
    cloud: tuple[Tensor, Tensor],
    recipes: tuple[TrainingRecipe, TrainingRecipe],
    seed: int,
    mirrored: tuple[Tensor, Tensor] | None = None,
) -> AmortisedNetworks:
    """Train copies of a cut's networks on one subset of its channels.

    Args:
        networks: The cut's trained networks; they are left as they are.
        kept: Channel indices of the cut.
        attacker: Features and images, as for `adapt_decoder`.
        cloud: Features of those channels and labels.
        recipes: Length and speed of decoder and cloud network.
        seed: Seed of the order of images.
        mirrored: Features of the attacker's and of the cloud's mirrored images, to train on those
            as well.

    Returns:
        Networks that are good for this subset alone, and the epochs they were trained here.
    """
    subset = networks.coordinates.solve(kept)
    flipped, also_heard = mirrored or (None, None)
    decoder = copy.deepcopy(networks.decoder)
    adapted = _tune_decoder(networks, decoder, subset, attacker, flipped, recipes[0], seed)
    network = copy.deepcopy(networks.cloud)
    features, labels = cloud
    turned = None if also_heard is None else _coordinates(subset, also_heard)[:1]
    pairs = MirroredPairs(_coordinates(subset, features)[:1], turned, seed)

    def loss(network: nn.Module, positions: Tensor) -> Tensor:
        (heard,) = pairs.pick(positions, network.training)
        with mixed_precision(heard.device):
            scores = network(heard, subset.explained.expand(len(heard), -1))
        smoothing = LABEL_SMOOTHING if network.training else 0.0
        return functional.cross_entropy(
            scores.float(), labels[positions], label_smoothing=smoothing
        )

    torch.manual_seed(seed)  # dropout
    (epochs,) = train(network, loss, len(labels), recipes[1], seed, keep_start=True)
    return replace(adapted, cloud=network, epochs=(adapted.epochs[0], epochs))


@torch.no_grad()
def _coordinates(subset: SubsetCoordinates, features: Tensor) -> tuple[Tensor, Tensor]:
    linear: list[Tensor] = []

    def coordinates() -> Iterator[Tensor]:
        for batch in torch.split(features, BATCH):
            seen, recovered = subset.apply(batch.float())
            linear.append(recovered)
            yield seen.half()

    return joined(coordinates(), len(features)), torch.cat(linear)

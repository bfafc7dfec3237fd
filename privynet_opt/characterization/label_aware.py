"""The attacker who knows an image's label too, as the cloud does of the images it trains on.

He sees the mean map of the image's class beside each channel, and looks for what sets the image
apart from the mean image of its class; of an image that he trains on, the means of the others. His
decoder is trained like any other, from scratch.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from privynet_opt.attacks.class_means import ClassMeans
from privynet_opt.attacks.decoder import reconstruct, train_decoders
from privynet_opt.attacks.ridge import RidgeAttacker
from privynet_opt.batches import joined
from privynet_opt.characterization.channel_statistics import gram_images
from privynet_opt.characterization.measure import privacy_loss
from privynet_opt.characterization.own_networks import attacker_set, mirrors
from privynet_opt.characterization.recipes import TRAINED
from privynet_opt.characterization.stems import BATCH
from privynet_opt.characterization.transmission import Transmission
from privynet_opt.networks.training import Receive
from privynet_opt.selection import kept_channels

if TYPE_CHECKING:
    from privynet_opt.characterization.bank import CutBank
    from privynet_opt.topology import LocalTopology

GREY = 0.5
"""What is left of an image is told around it, like an image."""


def measure_label_aware(
    bank: CutBank, topology: LocalTopology, fidelity: str, training_seed: int
) -> dict[str, Any]:
    """Attack one topology by an attacker who knows the labels of his images and of the scored ones.

    Args:
        bank: The topology's cut; its source keeps the features.
        topology: What is attacked.
        fidelity: ``"standard"`` or ``"full"``.
        training_seed: Seed of the decoder.

    Returns:
        The columns of a row that tell topology, recipe and privacy loss, ``decoder_epochs`` and
        ``seconds``.
    """
    started = time.perf_counter()
    kept = list(kept_channels(topology, bank.statistics))
    sent = Transmission.of(topology, bank, kept)
    recipe = TRAINED["scratch"][fidelity]
    features, images = attacker_set(bank, kept, recipe.max_images)
    labels = bank.source.splits.attacker.labels[: len(features)].to(features.device)
    n_classes = len(bank.source.splits.attacker.class_names)
    maps, pictures = (ClassMeans.fit(rows, labels, n_classes) for rows in (features, images))
    known, expected = pictures.without(images, labels), pictures.of(bank.score_labels)
    mirrored = None
    if mirrors(bank, fidelity):
        flipped = bank.mirrored("attacker", kept)
        mirrored = _beside_class(flipped, ClassMeans.fit(flipped, labels, n_classes), labels)
        known, expected = (_symmetric(pictures) for pictures in (known, expected))

    seen = _beside_class(features, maps, labels)
    unknown = images - known + GREY
    scored = bank.score_features[:, kept]
    ridge = _ridge(bank, seen, unknown)
    channels, power = range(seen.shape[1]), _error_power(sent, scored)
    start = ridge.decoder(channels, power, ridge.starting_penalty(len(channels)))
    receives = None if sent.is_plain else [_received(sent.receiver(training_seed), len(kept))]
    ((decoder, epochs),) = train_decoders(
        seen,
        [channels],
        unknown,
        [start],
        recipe.decoder,
        training_seed,
        mirrored,
        receives=receives,
    )
    arrived = _beside(sent.scored(scored), maps.of(bank.score_labels))
    linear = ridge.decoder(channels, power).reconstruct_all(arrived)
    attempts = (made + expected - GREY for made in (linear, reconstruct(decoder, start, arrived)))
    leak, _ = privacy_loss(bank, next(attempts), "decoder", next(attempts))
    return {
        **vars(topology),
        "fidelity": fidelity,
        "training_seed": training_seed,
        **leak,
        "decoder_epochs": epochs,
        "seconds": time.perf_counter() - started,
    }


def _symmetric(pictures: Tensor) -> Tensor:
    """Return pictures that are their own mirror images, as those of images seen both ways are."""
    return (pictures + pictures.flip(-1)) / 2


def _beside_class(features: Tensor, maps: ClassMeans, labels: Tensor) -> Tensor:
    """Return channels of training images, then the mean maps of the others of each one's class."""
    batches = zip(features.split(BATCH), labels.split(BATCH), strict=True)
    return joined((_beside(seen, maps.without(seen, own)) for seen, own in batches), len(features))


def _beside(features: Tensor, of_class: Tensor) -> Tensor:
    """Return channels, then as many of the mean maps of each image's class."""
    return torch.cat([features, of_class.to(features.dtype)], 1)


def _received(receive: Receive, n_channels: int) -> Receive:
    """Return what makes of channels what arrives; the class maps beside them are not sent."""
    return lambda seen: _beside(receive(seen[:, :n_channels]), seen[:, n_channels:])


@torch.no_grad()
def _ridge(bank: CutBank, seen: Tensor, images: Tensor) -> RidgeAttacker:
    """Return the closed-form attacker of channels and mean maps."""
    n = gram_images(bank.cut, len(seen))
    batches = zip(seen[:n].split(BATCH), images[:n].split(BATCH), strict=True)
    return RidgeAttacker.fit(batches, images[:n].mean(0))


def _error_power(sent: Transmission, scored: Tensor) -> Tensor:
    """Return what noise and coding add to channels, and nothing to as many mean maps."""
    power = sent.error_power(scored)
    return torch.cat([power, torch.zeros_like(power)])

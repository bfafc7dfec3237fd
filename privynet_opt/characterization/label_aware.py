"""The attacker who knows an image's label too, as the cloud does of the images it trains on.

He sees the mean map of the image's class beside each channel, and looks for what sets the image
apart from the mean image of its class. His decoder is trained like any other: from what the ridge
recovers of both, and from scratch.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from privynet_opt.attacks.class_means import class_means
from privynet_opt.attacks.decoder import reconstruct, train_decoders
from privynet_opt.attacks.ridge import LinearDecoder, RidgeAttacker
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
        ``seconds``. The ridge alone recovers as much as the label does, or more.
    """
    started = time.perf_counter()
    kept = list(kept_channels(topology, bank.statistics))
    sent = Transmission.of(topology, bank, kept)
    recipe = TRAINED["scratch"][fidelity]
    features, images = attacker_set(bank, kept, recipe.max_images)
    labels = bank.source.splits.attacker.labels[: len(features)].to(features.device)
    n_classes = len(bank.source.splits.attacker.class_names)
    maps = class_means(features, labels, n_classes)
    pictures = class_means(images, labels, n_classes)
    mirrored = None
    if mirrors(bank, fidelity):
        flipped = bank.mirrored("attacker", kept)
        mirrored = _beside(flipped, class_means(flipped, labels, n_classes)[labels])
        pictures = (pictures + pictures.flip(-1)) / 2

    seen = _beside(features, maps[labels])
    unknown = images - pictures[labels] + GREY
    scored = bank.score_features[:, kept]
    ridge = _ridge(bank, seen, unknown, sent.error_power(scored))
    receives = None if sent.is_plain else [_received(sent.receiver(training_seed), len(kept))]
    ((decoder, epochs),) = train_decoders(
        seen,
        [range(seen.shape[1])],
        unknown,
        [ridge],
        recipe.decoder,
        training_seed,
        mirrored,
        receives=receives,
    )
    known = pictures[bank.score_labels] - GREY
    arrived = _beside(sent.scored(scored), maps[bank.score_labels])
    linear, recovered = ridge.reconstruct_all(arrived), reconstruct(decoder, ridge, arrived)
    leak, _ = privacy_loss(bank, known + linear, "decoder", known + recovered)
    return {
        **vars(topology),
        "fidelity": fidelity,
        "training_seed": training_seed,
        **leak,
        "decoder_epochs": epochs,
        "seconds": time.perf_counter() - started,
    }


def _beside(features: Tensor, of_class: Tensor) -> Tensor:
    """Return channels, then as many of the mean maps of each image's class."""
    return torch.cat([features, of_class.to(features.dtype)], 1)


def _received(receive: Receive, n_channels: int) -> Receive:
    """Return what makes of channels what arrives; the class maps beside them are not sent."""
    return lambda seen: _beside(receive(seen[:, :n_channels]), seen[:, n_channels:])


@torch.no_grad()
def _ridge(bank: CutBank, seen: Tensor, images: Tensor, error_power: Tensor) -> LinearDecoder:
    """Return the linear decoder of channels, some of which arrive with an error, and mean maps."""
    n = gram_images(bank.cut, len(seen))
    batches = zip(seen[:n].split(BATCH), images[:n].split(BATCH), strict=True)
    attacker = RidgeAttacker.fit(batches, images[:n].mean(0))
    exact = error_power.new_zeros(seen.shape[1] - len(error_power))
    return attacker.decoder(range(seen.shape[1]), torch.cat([error_power, exact]))

"""How much features tell of an image, for the bound on every attacker (`recovery_bound`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from privynet_opt.characterization.bank import CutBank
from privynet_opt.selection import kept_channels
from privynet_opt.topology import LocalTopology

N_IMAGES = 128
"""Images that the Fisher information is averaged over; each has signs of its own."""

SEED = 0
"""Of the random signs."""


def measure_information(bank: CutBank, topologies: Iterable[LocalTopology]) -> list[dict[str, Any]]:
    """Measure what the features of local networks tell of an image at most.

    Args:
        bank: Their cut.
        topologies: What is measured; how features are sent does not matter.

    Returns:
        One entry for each: its fields; ``information``, ``E ‖J‖² / d`` of its standardised
        features; ``plain_psnr_db``, the PSNR in dB of the mean square error that the closed-form
        attack reaches where they are sent plainly.
    """
    channels = {topology: list(kept_channels(topology, bank.statistics)) for topology in topologies}
    per_channel = channel_information(bank, set(chain.from_iterable(channels.values())))
    entries = []
    for topology, kept in channels.items():
        recovered = bank.ridge.decoder(kept).reconstruct_all(bank.score_features[:, kept])
        error = (bank.score_images - recovered.clamp(0, 1)).square().mean()
        entries.append(
            {
                **topology.as_dict(),
                "information": float(per_channel[kept].sum()),
                "plain_psnr_db": float(-10 * error.log10()),
            }
        )
    return entries


def channel_information(bank: CutBank, channels: Collection[int]) -> Tensor:
    """Return ``E ‖J_c‖² / d`` of some channels of a cut.

    The squared norm of a channel's Jacobian is that of its product with random signs, on average
    over the signs (Hutchinson 1989). Where images are grey, an
    image is its grey values: an attacker knows that the three colours are one.

    Args:
        bank: The cut; features are standardised by its deviations.
        channels: Which channels; each takes a pass back through the network.

    Returns:
        Shape ``(C,)``, pixels in [0, 1]; NaN for other channels.
    """
    source = bank.source
    images = source.splits.attacker.images[:N_IMAGES].to(source.device)
    is_grey = bool((images == images[:, :1]).all())
    pixels = images.float().requires_grad_()
    generator = torch.Generator().manual_seed(SEED)
    squares = torch.full((bank.std.shape[1],), torch.nan)
    with torch.enable_grad():
        features = source.head(source.backbone.normalise(pixels)) / bank.std
        for index, channel in enumerate(features.unbind(1)):
            # Drawn for every channel, so that a value does not depend on which others are asked.
            signs = torch.randint(0, 2, channel.shape, generator=generator).to(channel) * 2 - 1
            if index not in channels:
                continue
            (gradient,) = torch.autograd.grad((channel * signs).sum(), pixels, retain_graph=True)
            gradient = 255 * (gradient.sum(1) if is_grey else gradient)
            squares[index] = gradient.square().mean()
    return squares

"""What arrives of a topology's features: noise added on the device, then coded.

Measurements work with standardised features; the device adds its noise to features as they are and
codes them between fixed ends. Whoever receives codes is assumed to know those ends, since he can
compute them on images like these, and so to undo the map: an attacker is not helped by not knowing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from privynet_opt.batches import joined
from privynet_opt.characterization.channel_statistics import standardise
from privynet_opt.characterization.stems import BATCH
from privynet_opt.characterization.whole_image_view import WholeImageView
from privynet_opt.networks.coding import FeatureCoding, Ranges
from privynet_opt.networks.training import Receive
from privynet_opt.topology import LocalTopology

if TYPE_CHECKING:
    from privynet_opt.characterization.bank import CutBank

NOISE_REACH = 3.0
"""Codes of noisy features reach so many deviations of the noise beyond the extremes of the training
images: one normal draw in 740 lies farther out on a side, and is clamped where its feature is an
extreme."""

SCORING_SEED = 20_170_921
"""Seed of the noise on the scored images, the same in every measurement."""


@dataclass(frozen=True)
class Transmission:
    """How the features of some channels of a cut are sent.

    Attributes:
        noise_std: Standard deviation of the noise, of standardised features.
        coding: How many bits are sent.
        ranges: What codes stand for, of features that are not standardised; None for floats.
        mean: Mean map of the channels, ``(1, k, h, w)``.
        std: Standard deviation of each, ``(1, k, 1, 1)``.
    """

    noise_std: float
    coding: FeatureCoding
    ranges: Ranges | None
    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, topology: LocalTopology, bank: CutBank, kept: Sequence[int]) -> Transmission:
        """Return how a topology sends its features.

        Args:
            topology: The topology.
            bank: Its cut.
            kept: Its channels, in order; or any others, all of which are sent as it sends its own.
        """
        channels = list(kept)
        mean, std = bank.mean[:, channels], bank.std[:, channels]
        coding = FeatureCoding(topology.feature_bits, (len(channels), *mean.shape[2:]))
        ranges = None
        if coding.has_codes:
            lowest, highest = (ends[channels] for ends in bank.extremes())
            reach = NOISE_REACH * topology.noise_std * std.flatten()
            ranges = coding.between(lowest - reach, highest + reach)
        return cls(topology.noise_std, coding, ranges, mean, std)

    @property
    def is_plain(self) -> bool:
        """Whether features arrive as they are."""
        return self.coding.bits == 32 and not self.noise_std

    def received(self, features: Tensor, generator: torch.Generator) -> Tensor:
        """Return what arrives of features, the noise drawn anew.

        Args:
            features: Standardised, any precision, shape ``(n, k, h, w)``.
            generator: Draws the noise; of the features' device.

        Returns:
            Standardised again, float32, the same shape.
        """
        arrived = features.float()
        if self.noise_std:
            noise = torch.randn(arrived.shape, generator=generator, device=arrived.device)
            arrived = arrived + self.noise_std * noise
        if self.coding.bits == 32:
            return arrived
        sent = self.coding.encode(arrived * self.std + self.mean, self.ranges)
        values = self.coding.decode(sent)
        if self.ranges is not None:
            width = self.coding.highest_code * self.ranges.step
            values = self.ranges.lowest + width * values
        return standardise(values, self.mean, self.std)

    def receiver(self, seed: int) -> Receive:
        """Return `received` with a generator of its own, for a training.

        Args:
            seed: Seed of the noise.
        """
        return functools.partial(self.received, generator=generator_on(self.mean.device, seed))

    def sent_once(self, features: Tensor, seed: int) -> Tensor:
        """Return what arrives of images that are sent once, as a device sends them.

        Args:
            features: As in `received`.
            seed: Seed of the noise.

        Returns:
            Of the features' precision and shape.
        """
        receive = self.receiver(seed)
        batches = (receive(batch).to(features.dtype) for batch in features.split(BATCH))
        return joined(batches, len(features))

    def scored(self, features: Tensor) -> Tensor:
        """Return what arrives of the scored images' features, the same in every measurement.

        Args:
            features: As in `received`.
        """
        return self.received(features, generator_on(features.device, SCORING_SEED))

    def whole_image(self, bank: CutBank, kept: Sequence[int]) -> WholeImageView:
        """Return the closed forms of whole images, fitted to features as they arrive.

        They see the regions that they would see if the features were sent plainly.

        Args:
            bank: The cut.
            kept: The channels, in order.
        """
        channels = list(kept)
        generator = generator_on(self.mean.device, SCORING_SEED + 1)

        def seen(split: str, n_images: int) -> Iterator[Tensor]:
            batches = bank.seen(split, n_images)
            return (self.received(batch[:, channels], generator) for batch in batches)

        arrived = self.scored(bank.score_features[:, channels])
        centre = self.mean / self.std
        return WholeImageView.of(bank.source.splits, centre, seen, arrived, bank.cut)

    def error_power(self, features: Tensor) -> Tensor:
        """Return the mean square of what noise and coding add to each channel.

        Args:
            features: Standardised features that coding errors are measured on.

        Returns:
            Shape ``(k,)``; exact where only noise is added.
        """
        if self.coding.bits == 32:
            return torch.full((features.shape[1],), self.noise_std**2, device=features.device)
        return (self.scored(features) - features.float()).square().mean((0, 2, 3))


def generator_on(device: torch.device, seed: int) -> torch.Generator:
    """Return a seeded generator of a device.

    Args:
        device: The device.
        seed: The seed.
    """
    return torch.Generator(device).manual_seed(seed)

"""Bring every subset of a cut's channels into the same coordinates, in closed form.

Subsets of a cut differ only in their coordinates. By linear regression on the 3×3 neighbourhood
of each cell, a subset is brought to what it says about (a) the pixels that the cell covers and
(b) the leading principal components of the *whole* cut's channel vector, together with the share
of each one's variance that it explains. One network can then attack every subset.
All of it follows from the Gram matrix of the closed-form attacker; a subset costs one solve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from privynet_opt.attacks.neighbourhoods import CELLS, NEIGHBOURHOOD
from privynet_opt.attacks.ridge import RidgeAttacker

N_COMPONENTS = 64
"""Principal components of the channel vector, at most."""


@dataclass(frozen=True)
class SubsetCoordinates:
    """The map from one subset's features to the cut's shared coordinates.

    Attributes:
        weight: Shape ``(P + K, k, 3, 3)``; the first ``P = 3 s²`` outputs are pixels.
        bias: Shape ``(P + K,)``.
        explained: Share of each coordinate's variance that the subset explains, ``(P + K,)``.
        scale: Standard deviation of each coordinate, ``(P + K,)``.
        linear_error: Mean square error of the linear reconstruction on the attacker's images.
        mean_image: Shape ``(3, size, size)``.
    """

    weight: Tensor
    bias: Tensor
    explained: Tensor
    scale: Tensor
    linear_error: Tensor
    mean_image: Tensor

    def apply(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return coordinates and the linear reconstruction.

        Args:
            features: The subset's features, centred, shape ``(n, k, h, w)``.

        Returns:
            Coordinates divided by their standard deviation, ``(n, P + K, h, w)``, and the image
            recovered linearly, ``(n, 3, size, size)``.
        """
        raw = functional.conv2d(features, self.weight, self.bias, padding=NEIGHBOURHOOD // 2)
        stride = self.mean_image.shape[-1] // features.shape[-1]
        linear = functional.pixel_shuffle(raw[:, : 3 * stride**2], stride) + self.mean_image
        return raw / self.scale.view(1, -1, 1, 1), linear


@dataclass(frozen=True)
class CutCoordinates:
    """Everything needed to bring any subset of a cut into shared coordinates.

    Attributes:
        ridge: The closed-form attacker of the cut.
        components: Principal components of the channel vector, ``(C, K)``. They are kept with
            networks that were trained on them: their signs, and the order of equals, are the linear
            algebra library's.
        cross: Mean product of neighbourhoods and coordinates, ``(9 C + 1, P + K)``.
        power: Mean square of each coordinate, ``(P + K,)``.
    """

    ridge: RidgeAttacker
    components: Tensor
    cross: Tensor
    power: Tensor

    @classmethod
    def of(cls, ridge: RidgeAttacker, n_components: int = N_COMPONENTS) -> CutCoordinates:
        """Derive the coordinates of a cut; no image is looked at again.

        Args:
            ridge: The closed-form attacker, fitted.
            n_components: Principal components of the channel vector, at most the channels.

        Returns:
            The coordinates.
        """
        channels = (len(ridge.gram) - 1) // CELLS
        centre = torch.arange(channels, device=ridge.gram.device) * CELLS + CELLS // 2
        _, vectors = torch.linalg.eigh(ridge.gram[centre][:, centre].double())
        return cls.along(ridge, vectors.flip(1)[:, :n_components].to(ridge.gram))

    @classmethod
    def along(cls, ridge: RidgeAttacker, components: Tensor) -> CutCoordinates:
        """Derive the coordinates of a cut with given components.

        Args:
            ridge: The closed-form attacker, fitted.
            components: Orthonormal, ``(C, K)``.
        """
        centre = torch.arange(len(components), device=ridge.gram.device) * CELLS + CELLS // 2
        with_channels = ridge.gram[:, centre] @ components
        power = (with_channels[centre] * components).sum(0)
        return cls(
            ridge,
            components,
            torch.cat([ridge.cross, with_channels], 1),
            torch.cat([ridge.pixel_power, power]).clamp_min(1e-12),
        )

    @property
    def n_coordinates(self) -> int:
        """Pixels of a cell plus principal components."""
        return len(self.power)

    def solve(self, kept: Sequence[int], penalty: float | None = None) -> SubsetCoordinates:
        """Solve for the coordinates of a subset.

        Args:
            kept: Channel indices of the cut.
            penalty: Ridge penalty on standardised features; None for the attacker's own.

        Returns:
            The map for features of those channels, in that order.
        """
        solution = self.ridge.solve(kept, self.cross, penalty)
        explained = (solution * self.cross[self.ridge.rows(kept)]).sum(0) / self.power
        explained = explained.clamp(0, 1)
        unexplained = ((1 - explained) * self.power)[: len(self.ridge.pixel_power)]
        weight = solution[:-1].T.reshape(-1, len(kept), NEIGHBOURHOOD, NEIGHBOURHOOD)
        return SubsetCoordinates(
            weight.contiguous(),
            solution[-1].contiguous(),
            explained,
            self.power.sqrt(),
            unexplained.mean(),
            self.ridge.mean_image,
        )

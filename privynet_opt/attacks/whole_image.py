"""Closed-form regression on the maps of the whole image, for any subset of a cut's channels.

How bright a part of an image is, of what colour and in what scene, shows all over its features,
far beyond the window of cells that the ridge sees. This regression sees every map at once: pooled
to a few regions, as it is and as its signed square root, which compresses the rare strong
responses of a rectified feature. As for the ridge, one Gram matrix serves every subset.
Of the attacker's images it predicts a thumbnail, of the cloud's images the label; for the
thumbnail, maps of a fine grid are pooled to finer regions as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from privynet_opt.attacks.gram_matrix import add_outer_products, mirror
from privynet_opt.batches import joined

MOST_COLUMNS = 8_192
"""Columns of a cut's Gram matrix, at most: 0.3 GB."""

MOST_FINE_COLUMNS = 12_288
"""The same where finer regions are among them: 0.6 GB."""

MOST_SOLVED = 2_560
"""Columns of a subset, at most, as solving more would take seconds: of more channels fewer
summaries are looked at, all of them only of the channels that say most. Means alone recover 0.15 dB
less than with the roots (conv5, 96 filters). At conv4p 4,096 columns recover 0.03 dB more on
average over 36 subsets, 0.11 of 64 filters and more, in 2.3 times the time, and rank no better."""

MOST_REGIONS = 4
"""The maps are pooled to at most 4×4 regions."""

FINE_REGIONS = 8
"""Grids of so many rows or more are pooled to 8×8 regions as well, to predict the thumbnail: at the
first cuts of VGG16 that recovers from 0.2 dB (conv4) to 1.3 dB (conv2p) more on average. Predicting
labels, finer regions of 24 channels or more lose accuracy."""

SUMMARIES = 2
"""Numbers for each region of a map: the mean, and the mean signed square root."""

MOST_IMAGES = 10_000
"""The Gram matrix sees at most so many images."""

PENALTY = 0.1
"""Penalty on standardised summaries, times columns over images: at conv6, of 0.03, 0.1 and 0.3 the
least is best where that ratio is 0.1 (16 filters, 5,000 images), 0.1 where it is 1 (64 filters,
2,000 images)."""

SMALLEST_PENALTY = 1e-3
"""Of few columns: the matrix stays positive definite where summaries repeat each other."""

SMALLEST_STD = 1e-6
"""A summary that hardly varies is divided by at least this."""

THUMBNAIL = 8
"""Rows and columns of the thumbnail, or the next smaller number that divides the image's."""

CHUNK = 1_024
"""Images that are multiplied at a time."""


@dataclass(frozen=True)
class Regions:
    """Into which regions the maps of a cut are pooled.

    Attributes:
        coarse: Rows and columns of those whose means and mean roots are taken.
        fine: Rows and columns of those whose means alone are taken besides; 0 for none.
    """

    coarse: int
    fine: int = 0

    @classmethod
    def at(cls, channels: int, grid: int) -> Regions:
        """Return the regions of a cut.

        Args:
            channels: Of the cut.
            grid: Rows and columns of its features.

        Returns:
            The largest power of two within `MOST_COLUMNS`, `MOST_REGIONS` and the grid, at least 1,
            and `FINE_REGIONS` if grid and `MOST_FINE_COLUMNS` allow.
        """
        widest = MOST_COLUMNS / (SUMMARIES * channels)
        side = 1
        while 2 * side <= min(MOST_REGIONS, grid) and (2 * side) ** 2 <= widest:
            side *= 2
        both = cls(side, FINE_REGIONS)
        is_fine = grid >= FINE_REGIONS and channels * both.widths[-1] <= MOST_FINE_COLUMNS
        return both if is_fine else cls(side)

    @property
    def widths(self) -> tuple[int, ...]:
        """How many summaries of a map there are: the coarse means, the roots too, the fine too."""
        means = self.coarse**2
        coarse = (means, SUMMARIES * means)
        return (*coarse, coarse[-1] + self.fine**2) if self.fine else coarse


def summarise(features: Tensor, centre: Tensor, regions: Regions) -> Tensor:
    """Summarise each map of an image.

    Args:
        features: Standardised, shape ``(n, C, h, w)``.
        centre: What standardising subtracted, in standard deviations, ``(1, C, h, w)``.
        regions: Of the cut.

    Returns:
        float32, shape ``(n, C, m)``: means over the coarse regions, then means of the signed square
        root of the features before they were centred, then means over the fine regions.
    """
    seen = features.float()
    raw = seen + centre
    root = raw.abs().sqrt_().copysign_(raw)
    views = [(seen, regions.coarse), (root, regions.coarse)]
    if regions.fine:
        views.append((seen, regions.fine))
    pooled = [functional.adaptive_avg_pool2d(maps, side).flatten(2) for maps, side in views]
    return torch.cat(pooled, 2)


@dataclass(frozen=True)
class WholeImageRegression:
    """Everything needed to predict something of an image from some maps of it.

    Attributes:
        gram: Correlation of the summaries, shape ``(C m, C m)``, channel-major.
        cross: Mean product of standardised summaries and centred targets, ``(C m, t)``.
        mean: Mean of each summary, shape ``(C, m)``.
        std: Standard deviation of each summary, shape ``(C, m)``.
        target_mean: Mean of each target, shape ``(t,)``.
        n_images: How many images were seen.
        widths: How many first summaries of a map may be looked at, ascending.
    """

    gram: Tensor
    cross: Tensor
    mean: Tensor
    std: Tensor
    target_mean: Tensor
    n_images: int
    widths: tuple[int, ...]

    @classmethod
    def fit(
        cls, summaries: Iterable[Tensor], targets: Tensor, regions: Regions
    ) -> WholeImageRegression:
        """Accumulate the Gram matrix.

        Args:
            summaries: Batches of `summarise`, ``(n, C, m)``; kept, in half precision.
            targets: What is to be predicted of each image, shape ``(n_images, t)``.
            regions: Those of the summaries.

        Returns:
            The regression for every subset.
        """
        seen = joined((batch.half() for batch in summaries), len(targets))
        chunks = torch.split(seen.flatten(1), CHUNK)
        n = len(seen)
        mean = torch.stack([chunk.float().sum(0) for chunk in chunks]).sum(0) / n
        spread = torch.stack([(chunk.float() - mean).square().sum(0) for chunk in chunks])
        std = (spread.sum(0) / n).sqrt().clamp_min(SMALLEST_STD)
        target_mean = targets.float().mean(0)
        gram = seen.new_zeros(len(mean), len(mean), dtype=torch.float32)
        cross = gram.new_zeros(len(mean), targets.shape[1])
        for chunk, wanted in zip(chunks, torch.split(targets, CHUNK), strict=True):
            standard = (chunk.float() - mean) / std
            add_outer_products(gram, standard)
            cross.addmm_(standard.T, wanted.float() - target_mean)
        mirror(gram)
        shape = seen.shape[1:]
        return cls(
            gram.div_(n), cross.div_(n), mean.view(shape), std.view(shape), target_mean, n,
            regions.widths,
        )  # fmt: skip

    def predict(self, summaries: Tensor, kept: Sequence[int]) -> Tensor:
        """Predict the targets from some channels only.

        Args:
            summaries: `summarise` of all channels, shape ``(n, C, m)``, or more of them.
            kept: Channel indices.

        Returns:
            Shape ``(n, t)``.
        """
        parts = self._looked_at(kept)
        block = self._block(parts)
        block.diagonal().add_(max(PENALTY * len(block) / self.n_images, SMALLEST_PENALTY))
        by_channel = self.cross.view(*self.mean.shape, -1)
        wanted = torch.cat([by_channel[index, :width].flatten(0, 1) for index, width in parts])
        solution = torch.cholesky_solve(wanted, torch.linalg.cholesky(block))
        mean, std = (
            torch.cat([each[index, :width].flatten() for index, width in parts])
            for each in (self.mean, self.std)
        )
        solution /= std[:, None]
        seen = [summaries[:, index, :width].float().flatten(1) for index, width in parts]
        return torch.cat(seen, 1) @ solution + (self.target_mean - mean @ solution)

    def _looked_at(self, kept: Sequence[int]) -> list[tuple[Tensor, int]]:
        """Return channels with how many first summaries of each are looked at.

        As many of each as can be solved; of the channels that say most by themselves, more.
        """
        index = torch.as_tensor(kept, device=self.gram.device)
        solved = [width for width in self.widths if len(kept) * width <= MOST_SOLVED]
        width = max(solved, default=min(self.widths))
        wider = min((other for other in self.widths if other > width), default=width)
        spare = MOST_SOLVED - len(kept) * width
        n_wider = max(0, spare // (wider - width)) if wider > width else 0
        said = self.cross.view(len(self.mean), -1).square().sum(1)
        index = index[said[index].argsort(descending=True, stable=True)]
        parts = [(index[:n_wider], wider), (index[n_wider:], width)]
        return [(channels, each) for channels, each in parts if len(channels)]

    def _block(self, parts: list[tuple[Tensor, int]]) -> Tensor:
        """Return the Gram matrix of some channels' first summaries."""
        by_channel = self.gram.view(*self.mean.shape, *self.mean.shape)
        sizes = [len(index) * width for index, width in parts]
        block = self.gram.new_empty(sum(sizes), sum(sizes))
        for (left, rows), band in zip(parts, block.split(sizes), strict=True):
            for (right, columns), tile in zip(parts, band.split(sizes, 1), strict=True):
                # Whole channels are copied at once: numbers one by one take half of the solving.
                pairs = by_channel[:, :rows, :, :columns][left[:, None], :, right].transpose(1, 2)
                tile.unflatten(1, (-1, columns)).unflatten(0, (-1, rows)).copy_(pairs)
        return block


def thumbnails(images: Tensor) -> Tensor:
    """Return what the attacker predicts of images.

    Args:
        images: Shape ``(n, 3, size, size)``.

    Returns:
        Means over blocks of pixels, shape ``(n, 3 t²)``.
    """
    return functional.avg_pool2d(images, _block(images)).flatten(1)


def with_thumbnails(images: Tensor, wanted: Tensor) -> Tensor:
    """Shift each block of pixels to the mean that a thumbnail says.

    Args:
        images: Shape ``(n, 3, size, size)``.
        wanted: As `thumbnails` returns them.

    Returns:
        The shape of `images`.
    """
    block = _block(images)
    side = images.shape[-1] // block
    shift = (wanted - thumbnails(images)).view(len(images), 3, side, 1, side, 1)
    return (images.view(len(images), 3, side, block, side, block) + shift).view_as(images)


def _block(images: Tensor) -> int:
    """Return the rows and columns of pixels that one of the thumbnail's covers."""
    size = images.shape[-1]
    return min(size // side for side in range(1, THUMBNAIL + 1) if size % side == 0)

"""The closed-form attacker: a linear decoder for any subset of a cut's channels.

Each cell of the feature grid covers ``s × s`` pixels. The decoder predicts them, as a difference
to the mean image, from the 3×3 neighbourhood of cells around it, as a difference to the mean map.
All subsets of a cut share one Gram matrix over all channels: a subset's decoder is the solution
of a sub-block of it, so scoring one costs a solve and a convolution. It is the linear
minimum-mean-square-error attack for this neighbourhood; a trained decoder below it is undertrained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from privynet_opt.attacks.neighbourhoods import CELLS, NEIGHBOURHOOD, NeighbourhoodProducts
from privynet_opt.batches import joined
from privynet_opt.errors import TopologyError

RIDGE = 2e-3
"""Penalty on standardised features, relative to the number of samples."""

FEWEST_SAMPLES = 4.5
"""Samples per coefficient below which the penalty is the number of coefficients per sample instead.
On CIFAR-10 with 100 to 1,000 images (VGG16, five cuts, 16 to 512 filters) that was within 0.2 dB of
the best of seven penalties everywhere; `RIDGE` was up to 3.5 dB weaker than that, and 2.9 dB worse
than the mean image. With more samples `RIDGE` still lost up to 0.4 dB, but the shipped tables, of
4.7 samples or more, were measured with it (and 1.3 of 43 dB of 200 images at conv1, all 64 filters,
where the image is given away)."""

FEW_TO_START_FROM = 100.0
STARTING_PENALTY = 4.0
"""Below so many samples per coefficient the penalty of a decoder that a trained one starts from is
so many coefficients per sample. The usual ridge fits its own images too well there: what it leaves
of them is not what it leaves of others, and training on it gains little. What own decoders of VGG16
on CIFAR-10 gain by it at ``standard``, on average in dB: three topologies of 8.7 samples per
coefficient 0.36 (conv10p 0.68), one of 17 0.36, five of 23 0.18, five of 35 0.08, six of 46 to 69
0.08, seven of 92 at 2×2 cells 0.04 and six at 4×4 cells 0.12; at ``full`` 1.04 (8.7), 0.40 (17) and
0.17 (92). With more samples little is left: 128 filters of conv10 (139) gain 0.03. Of 340 digits 32
filters of conv4p (4.7) gain 1.2; two (72) lose 0.1, they have little to overfit with. To train on
what a ridge of other images leaves of each (five folds) gains nothing beside the usual penalty: 192
filters of conv10p by lda 14.49 dB, not 14.52; so cautious a start 14.86."""

BATCH = 128
"""Images recovered at a time: what is computed of them stays in the processor's cache."""

CONSTANT_PENALTY = 1e-6
"""Penalty on the constant: none in effect, but the block stays positive definite."""


@dataclass(frozen=True)
class LinearDecoder:
    """A convolution from features to the pixels their cells cover.

    Attributes:
        weight: Shape ``(3 s², k, 3, 3)``.
        bias: Shape ``(3 s²,)``.
        mean_image: Shape ``(3, size, size)``.
    """

    weight: Tensor
    bias: Tensor
    mean_image: Tensor

    def reconstruct(self, features: Tensor) -> Tensor:
        """Return the images the decoder recovers.

        Args:
            features: Standardised, shape ``(n, k, h, w)``.

        Returns:
            Shape ``(n, 3, size, size)``, not clamped.
        """
        cells = functional.conv2d(features, self.weight, self.bias, padding=NEIGHBOURHOOD // 2)
        stride = self.mean_image.shape[-1] // features.shape[-1]
        return functional.pixel_shuffle(cells, stride) + self.mean_image

    @torch.no_grad()
    def reconstruct_all(self, features: Tensor, kept: Sequence[int] | None = None) -> Tensor:
        """Return the images recovered from many features, in batches.

        Args:
            features: Standardised, any precision, shape ``(n, C, h, w)``.
            kept: The decoder's channels among them; None for all.

        Returns:
            Shape ``(n, 3, size, size)``, not clamped.
        """
        own = slice(None) if kept is None else list(kept)
        batches = torch.split(features, BATCH)
        recovered = (self.reconstruct(batch[:, own].float()) for batch in batches)
        return joined(recovered, len(features))


@dataclass(frozen=True)
class RidgeAttacker:
    """Everything needed to attack any subset of one cut's channels.

    Attributes:
        gram: Mean outer product of neighbourhoods, shape ``(9 C + 1, 9 C + 1)``; channel-major,
            the last row and column belong to the constant 1.
        cross: Mean product of neighbourhoods and pixels, shape ``(9 C + 1, 3 s²)``.
        pixel_power: Mean square of each of the ``3 s²`` pixel coordinates around the mean image.
        mean_image: Shape ``(3, size, size)``.
        samples: Cells of the attacker's images, which the decoder is fitted to.
    """

    gram: Tensor
    cross: Tensor
    pixel_power: Tensor
    mean_image: Tensor
    samples: int

    @classmethod
    def fit(cls, batches: Iterable[tuple[Tensor, Tensor]], mean_image: Tensor) -> RidgeAttacker:
        """Accumulate the Gram matrix; memory does not grow with the number of images.

        Args:
            batches: Pairs of features ``(n, C, h, w)``, centred on their mean map, and images
                ``(n, 3, size, size)`` in [0, 1].
            mean_image: Mean of the attacker's images, shape ``(3, size, size)``.

        Returns:
            The attacker.
        """
        products: NeighbourhoodProducts | None = None
        power = torch.zeros(())
        for features, images in batches:
            _, channels, height, width = features.shape
            if products is None:
                products = NeighbourhoodProducts(channels, height, width, features.device)
            stride = images.shape[-1] // width
            pixels = functional.pixel_unshuffle(images - mean_image, stride)
            products.add(features.float(), pixels)
            power = power + pixels.square().sum((0, 2, 3))
        assert products is not None, "an attacker has images"
        cells = products.cells
        gram, cross = products.gram() / cells, products.cross() / cells
        return cls(gram, cross, power / cells, mean_image, cells)

    def decoder(
        self,
        kept: Sequence[int],
        error_power: Tensor | None = None,
        penalty: float | None = None,
    ) -> LinearDecoder:
        """Solve for the decoder of a subset.

        Args:
            kept: Channel indices of the cut.
            error_power: Mean square of what noise and coding add to each of these channels, shape
                ``(k,)``, independent of the features and of each other; None where nothing is.
            penalty: Ridge penalty; None for that of `penalty`.

        Returns:
            The decoder for features of those channels, in that order.
        """
        added = None if error_power is None else self._on_cells(error_power)
        solution = self.solve(kept, self.cross, penalty, added)
        weight = solution[:-1].T.reshape(-1, len(kept), NEIGHBOURHOOD, NEIGHBOURHOOD)
        return LinearDecoder(weight.contiguous(), solution[-1].contiguous(), self.mean_image)

    def channel_exposure(self) -> Tensor:
        """Return how much of the image each channel alone gives away.

        Returns:
            Shape ``(C,)``: share of the pixels' variance that the linear decoder of that single
            channel explains on the attacker's images; higher is leakier.
        """
        channels = (len(self.gram) - 1) // CELLS
        explained = torch.stack(
            [
                (self.solve([c], self.cross) * self.cross[self.rows([c])]).sum()
                for c in range(channels)
            ]
        )
        return explained / self.pixel_power.sum()

    def rows(self, kept: Sequence[int]) -> Tensor:
        """Return the rows of the Gram matrix that belong to some channels, and the constant's.

        Args:
            kept: Channel indices of the cut.

        Returns:
            int64, shape ``(9 k + 1,)``.

        Raises:
            TopologyError: If an index is not one of the cut's channels.
        """
        device = self.gram.device
        channels = (len(self.gram) - 1) // CELLS
        outside = [index for index in kept if not 0 <= index < channels]
        if outside:
            raise TopologyError(
                f"`kept` must be indices from 0 to {channels - 1}, but got {outside[0]}. "
                f"The cut has {channels} channels: choose among those."
            )
        first = torch.as_tensor(kept, device=device)[:, None] * CELLS
        cells = (first + torch.arange(CELLS, device=device)).flatten()
        return torch.cat([cells, torch.tensor([len(self.gram) - 1], device=device)])

    def _on_cells(self, error_power: Tensor) -> Tensor:
        """Return what an error adds to the diagonal of the Gram matrix, shape ``(9 k,)``.

        Beyond the edge of the grid there is nothing, and so no error.
        """
        size = self.mean_image.shape[-1]
        grid = size // round((self.cross.shape[1] / 3) ** 0.5)
        inside = error_power.new_tensor([grid - 1, grid, grid - 1]) / grid
        return torch.outer(error_power, torch.outer(inside, inside).flatten()).flatten()

    def penalty(self, kept_filters: int) -> float:
        """Return the ridge penalty of a decoder: larger where few samples would be fitted too well.

        Args:
            kept_filters: Channels that it sees.
        """
        coefficients = CELLS * kept_filters + 1
        is_few = self.samples < FEWEST_SAMPLES * coefficients
        return coefficients / self.samples if is_few else RIDGE

    def starting_penalty(self, kept_filters: int) -> float:
        """Return the penalty of a decoder that a trained one starts from.

        Args:
            kept_filters: Channels that it sees.
        """
        coefficients = CELLS * kept_filters + 1
        is_few = self.samples < FEW_TO_START_FROM * coefficients
        usual = self.penalty(kept_filters)
        return STARTING_PENALTY * coefficients / self.samples if is_few else usual

    def solve(
        self,
        kept: Sequence[int],
        cross: Tensor,
        penalty: float | None = None,
        added: Tensor | None = None,
    ) -> Tensor:
        """Regress targets on the neighbourhoods of some channels.

        Args:
            kept: Channel indices of the cut.
            cross: Mean product of all neighbourhoods and the targets, shape ``(9 C + 1, t)``.
            penalty: Ridge penalty; None for that of `penalty`. The constant goes almost
                unpenalised.
            added: Mean square of errors on the neighbourhoods, shape ``(9 k,)``; None for none.

        Returns:
            Coefficients, shape ``(9 k + 1, t)``.
        """
        rows = self.rows(kept)
        penalty = self.penalty(len(kept)) if penalty is None else penalty
        block = self.gram[rows[:, None], rows]
        block.diagonal()[:-1] += penalty if added is None else penalty + added
        block.diagonal()[-1] += CONSTANT_PENALTY
        return torch.cholesky_solve(cross[rows], torch.linalg.cholesky(block))

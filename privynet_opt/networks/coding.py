"""How features travel: as floats, or as a few bits each; measured and deployed the same way.

16 bits are IEEE half-precision floats. 8 and 4 bits are unsigned codes of an affine map, one per
channel, from the lowest to the highest value that the channel took on the training images, as is
usual for activations (Jacob et al., arXiv:1712.05877; Krishnamoorthi, arXiv:1806.08342, §2.1), and
beyond both where noise is added; values outside are clamped. Two codes of 4 bits share a byte, the
first in its upper half.

The extremes of a channel name it to whoever has the network and such images. They stay in the
exported network: the cloud decodes a code to its place between them, which is all it needs, since
it standardises every channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_DTYPES = {32: torch.float32, 16: torch.float16, 8: torch.uint8, 4: torch.uint8}


class Ranges(NamedTuple):
    """What codes stand for, each of shape ``(C, 1, 1)``; never told to the cloud.

    Attributes:
        lowest: Value of code 0.
        step: Difference between neighbouring codes.
    """

    lowest: Tensor
    step: Tensor


def extremes(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest value of each channel.

    Args:
        batches: Features, each ``(n, C, h, w)``, at least one.

    Returns:
        Shape ``(C,)`` each.
    """
    ends = [(f.amin((0, 2, 3)), f.amax((0, 2, 3))) for f in batches]
    lowest = torch.stack([low for low, _ in ends]).amin(0)
    return lowest, torch.stack([high for _, high in ends]).amax(0)


@dataclass(frozen=True)
class FeatureCoding:
    """The code of one topology's features, as far as the cloud may know it.

    Attributes:
        bits: One of `topology.FEATURE_BITS`.
        shape: Channels, rows and columns of one image's features.
    """

    bits: int
    shape: tuple[int, int, int]

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> FeatureCoding:
        """Build a coding from its JSON form.

        Args:
            fields: The dataclass's fields by name.
        """
        channels, height, width = fields["shape"]
        return cls(int(fields["bits"]), (channels, height, width))

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @property
    def has_codes(self) -> bool:
        """Whether codes are sent, not floats."""
        return self.bits <= 8

    @property
    def highest_code(self) -> int:
        """Of features that are sent as codes."""
        return int(2**self.bits - 1)

    @property
    def dtype(self) -> torch.dtype:
        """Of coded features."""
        return _DTYPES[self.bits]

    @property
    def coded_shape(self) -> tuple[int, ...]:
        """Shape of one image's coded features."""
        channels, height, width = self.shape
        return (channels, -(-height * width // 2)) if self.bits == 4 else self.shape

    @property
    def bytes_per_image(self) -> int:
        """Bytes that one image sends."""
        return torch.Size(self.coded_shape).numel() * self.dtype.itemsize

    def ranges(self, batches: Iterable[Tensor], reach: Tensor | float = 0.0) -> Ranges | None:
        """Return the ranges of features like those given.

        Args:
            batches: Features of training images, ``(n, C, h, w)``; not looked at for floats.
            reach: How far beyond the extremes of each channel codes go, shape ``(C,)``.

        Returns:
            The ranges; None for floats.
        """
        if not self.has_codes:
            return None
        lowest, highest = extremes(batches)
        return self.between(lowest - reach, highest + reach)

    def between(self, lowest: Tensor, highest: Tensor) -> Ranges:
        """Return the ranges of features that are coded between extremes.

        Args:
            lowest: Of each channel, shape ``(C,)``.
            highest: Likewise.
        """
        spread = highest - lowest
        step = torch.where(spread > 0, spread / self.highest_code, torch.ones_like(spread))
        return Ranges(lowest.view(-1, 1, 1), step.view(-1, 1, 1))

    def encode(self, features: Tensor, ranges: Ranges | None) -> Tensor:
        """Return features as they are sent.

        Args:
            features: float32, shape ``(n, C, h, w)``.
            ranges: What codes stand for; None for floats.

        Returns:
            `dtype`, shape ``(n, *coded_shape)``.
        """
        if ranges is None:
            return features.to(self.dtype)
        codes = torch.round((features - ranges.lowest) / ranges.step).clamp(0, self.highest_code)
        if self.bits == 4:
            codes = codes.flatten(2)
            if codes.shape[2] % 2:
                codes = functional.pad(codes, (0, 1))
            codes = codes[:, :, 0::2] * 16 + codes[:, :, 1::2]
        return codes.to(self.dtype)

    def decode(self, coded: Tensor) -> Tensor:
        """Return the features that were sent, as far as the cloud may know them.

        Args:
            coded: `dtype`, shape ``(n, *coded_shape)``.

        Returns:
            float32, shape ``(n, C, h, w)``; of codes their share of the highest one.
        """
        if not self.has_codes:
            return coded.float()
        if self.bits == 4:
            codes = torch.stack([coded >> 4, coded & 15], dim=3).flatten(2)
            _, height, width = self.shape
            coded = codes[:, :, : height * width].unflatten(2, (height, width))
        return coded.float() / self.highest_code

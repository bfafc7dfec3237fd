"""How features travel: as floats, or as a few bits each, which the cloud turns back into floats.

16 bits are IEEE half-precision floats. 8 and 4 bits are unsigned codes of an affine map, one per
channel, from the lowest to the highest value that the channel took on the training images, as is
usual for activations (Jacob et al., arXiv:1712.05877; Krishnamoorthi, arXiv:1806.08342, §2.1);
values outside are clamped. Two codes of 4 bits share a byte, the first in its upper half.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

FEATURE_BITS = (32, 16, 8, 4)
"""Bits per feature that can be asked for."""

_DTYPES = {32: torch.float32, 16: torch.float16, 8: torch.uint8, 4: torch.uint8}


@dataclass(frozen=True)
class FeatureCoding:
    """The code of one topology's features.

    Attributes:
        bits: One of `FEATURE_BITS`.
        shape: Channels, rows and columns of one image's features.
        lowest: Value of code 0, per channel; empty for floats.
        step: Difference between neighbouring codes, per channel; empty for floats.
    """

    bits: int
    shape: tuple[int, int, int]
    lowest: tuple[float, ...] = ()
    step: tuple[float, ...] = ()

    @classmethod
    def fitted(
        cls, bits: int, shape: tuple[int, int, int], batches: Iterable[Tensor]
    ) -> FeatureCoding:
        """Return the code for features like those given.

        Args:
            bits: One of `FEATURE_BITS`.
            shape: Channels, rows and columns of one image's features.
            batches: Features of training images, ``(n, C, h, w)``; not looked at for floats.
        """
        if bits > 8:
            return cls(bits, shape)
        ends = [(f.amin((0, 2, 3)), f.amax((0, 2, 3))) for f in batches]
        lowest = torch.stack([low for low, _ in ends]).amin(0)
        spread = torch.stack([high for _, high in ends]).amax(0) - lowest
        step = torch.where(spread > 0, spread / (2**bits - 1), torch.ones_like(spread))
        return cls(bits, shape, tuple(lowest.tolist()), tuple(step.tolist()))

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> FeatureCoding:
        """Build a coding from its JSON form.

        Args:
            fields: The dataclass's fields by name.
        """
        channels, height, width = fields["shape"]
        lowest, step = (tuple(map(float, fields[name])) for name in ("lowest", "step"))
        return cls(int(fields["bits"]), (channels, height, width), lowest, step)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

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

    def per_channel(self) -> tuple[Tensor, Tensor]:
        """Return `lowest` and `step` as float32 tensors of shape ``(C, 1, 1)``."""
        lowest, step = (torch.tensor(v, dtype=torch.float32) for v in (self.lowest, self.step))
        return lowest.view(-1, 1, 1), step.view(-1, 1, 1)

    def encode(self, features: Tensor, lowest: Tensor, step: Tensor) -> Tensor:
        """Return features as they are sent.

        Args:
            features: float32, shape ``(n, C, h, w)``.
            lowest: From `per_channel`; not used for floats.
            step: From `per_channel`; not used for floats.

        Returns:
            `dtype`, shape ``(n, *coded_shape)``.
        """
        if self.bits > 8:
            return features.to(self.dtype)
        codes = torch.round((features - lowest) / step).clamp(0, 2**self.bits - 1)
        if self.bits == 4:
            codes = codes.flatten(2)
            if codes.shape[2] % 2:
                codes = functional.pad(codes, (0, 1))
            codes = codes[:, :, 0::2] * 16 + codes[:, :, 1::2]
        return codes.to(self.dtype)

    def decode(self, coded: Tensor) -> Tensor:
        """Return the features that were sent.

        Args:
            coded: `dtype`, shape ``(n, *coded_shape)``.

        Returns:
            float32, shape ``(n, C, h, w)``.
        """
        if self.bits > 8:
            return coded.float()
        if self.bits == 4:
            codes = torch.stack([coded >> 4, coded & 15], dim=3).flatten(2)
            _, height, width = self.shape
            coded = codes[:, :, : height * width].unflatten(2, (height, width))
        lowest, step = (v.to(coded.device) for v in self.per_channel())
        return coded.float() * step + lowest

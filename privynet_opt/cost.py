"""Exact cost of a local network, from the declared profile of its cut; numpy only.

A `CutProfile` is written once by `privynet_opt.networks.profile`, which counts on the built
network, and travels in the sidecar of the characterization table, so that a study never needs
torch. With the unkept filters removed, every count is affine in the number of kept filters:
only the producers of the cut tensor get narrower. Peak memory is the largest of several affine
lines, one for each moment of the forward pass that can be the fullest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

COST_NAMES = (
    "local_macs",
    "local_flops",
    "parameter_bytes",
    "peak_activation_bytes",
    "memory_bytes",
    "feature_bytes",
)
"""What `cut_costs` returns, in this order."""

BYTES_PER_FLOAT = 4
"""Weights and activations are float32, and features unless they are sent in fewer bits."""


@dataclass(frozen=True)
class CutProfile:
    """One place where the network can be cut, and what it costs to compute it.

    Attributes:
        name: Name of the cut layer.
        kind: ``"conv"``, ``"pool"`` or ``"block"``: what ends at this cut.
        node: Name of the traced graph's node whose output is the cut tensor.
        depth: Convolutions computed up to the cut.
        channels: Output channels of the uncut tensor.
        height: Rows of the cut tensor.
        width: Columns of the cut tensor.
        macs: Multiply-adds for one image, ``(fixed, per kept filter)``.
        parameters: Bytes of weights and buffers, ``(fixed, per kept filter)``.
        peak: Bytes of live tensors for one image at the moments that can be the fullest,
            ``((fixed, per kept filter), ...)``.
    """

    name: str
    kind: str
    node: str
    depth: int
    channels: int
    height: int
    width: int
    macs: tuple[int, int]
    parameters: tuple[int, int]
    peak: tuple[tuple[int, int], ...]

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> CutProfile:
        """Build a profile from its JSON form (lists instead of tuples).

        Args:
            fields: The dataclass's fields by name.

        Returns:
            The profile.
        """
        macs, parameters = (tuple(fields[name]) for name in ("macs", "parameters"))
        peak = tuple((int(a), int(b)) for a, b in fields["peak"])
        return cls(**{**fields, "macs": macs, "parameters": parameters, "peak": peak})


def cut_costs(
    profile: CutProfile,
    kept_filters: ArrayLike,
    feature_bits: ArrayLike = 32,
    noise_std: ArrayLike = 0.0,
) -> dict[str, NDArray[np.int64]]:
    """Return the exact costs of keeping some filters of one cut.

    Args:
        profile: The cut.
        kept_filters: Counts of kept filters, any shape, each from 1 to ``profile.channels``.
        feature_bits: Bits per feature that is sent, of that shape or one for all.
        noise_std: Noise that is added to each feature, likewise; all that counts is whether there
            is any.

    Returns:
        One array of the shape of `kept_filters` per name in `COST_NAMES`. ``local_flops`` is two
        per multiply-add; ``memory_bytes`` is parameters plus peak activations; ``feature_bytes``
        is what one image sends to the cloud; two features of 4 bits share a byte, in a channel of
        an odd number of cells the last has one of its own. Noise is one number per feature, held
        from the beginning as the network's second input; what drawing it takes is not counted.
    """
    kept = np.asarray(kept_filters, dtype=np.int64)
    bits, noisy = np.asarray(feature_bits), np.asarray(noise_std) > 0
    cells = profile.height * profile.width
    macs = _line(profile.macs, kept)
    per_channel = noisy + 2 * (bits <= 8)  # deviation of the noise, lowest value and step of codes
    parameters = _line(profile.parameters, kept) + BYTES_PER_FLOAT * per_channel * kept
    computing = np.max([_line(line, kept) for line in profile.peak], axis=0)
    computing += noisy * BYTES_PER_FLOAT * cells * kept
    peak = np.maximum(computing, _bytes_while_sending(cells, bits, noisy) * kept)
    return {
        "local_macs": macs,
        "local_flops": 2 * macs,
        "parameter_bytes": parameters,
        "peak_activation_bytes": peak,
        "memory_bytes": parameters + peak,
        "feature_bytes": kept * -(-cells * bits // 8),
    }


def _bytes_while_sending(
    cells: int, bits: NDArray[np.int64], noisy: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the bytes of each channel that are alive at the fullest moment after its features.

    ``deploy.device_network`` adds noise out of place: features, noise, scaled noise and their sum.
    ``networks.coding`` holds, beside the features, halves; or of 8 bits two floats, before and
    after a step; or of 4 bits what pairs of codes add up to, their two halves and the sum.
    """
    pairs = -(-cells // 2)
    floats = BYTES_PER_FLOAT * cells
    coding = np.select(
        [bits == 16, bits == 8, bits == 4],
        [floats + 2 * cells, 3 * floats, floats + 4 * BYTES_PER_FLOAT * pairs],
        floats,
    )
    return np.where(noisy, np.maximum(4 * floats, coding + floats), coding)


def _line(line: tuple[int, int], kept: NDArray[np.int64]) -> NDArray[np.int64]:
    fixed, per_filter = line
    return fixed + per_filter * kept

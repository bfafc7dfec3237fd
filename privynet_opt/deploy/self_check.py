"""Does the exported file compute what PyTorch computes? It is compared before it is used."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from privynet_opt.deploy.device_network import DeviceNetwork
from privynet_opt.deploy.network_file import Run
from privynet_opt.errors import NetworkError

N_IMAGES = 100
"""Images that are compared."""

BATCH = 32
"""Images that are computed at once; the last batch is smaller, so that another size is tried."""

TOLERANCE = 1e-5
"""Largest difference of float features, relative to the largest of them where that exceeds 1."""

HALF_PRECISION = 2**-10
"""Neighbouring half-precision numbers differ by so much, relative to the larger one."""

ROUNDED_OTHERWISE = 1e-3
"""Largest share of codes that may fall on the other side of a rounding boundary, by one code."""


@dataclass(frozen=True)
class SelfCheck:
    """The exported network against the PyTorch one.

    Attributes:
        images: On what they were compared, in words.
        n_images: How many.
        largest_difference: Of any feature, once decoded (`FeatureCoding.decode`).
        largest_feature: Absolute value, once decoded.
        differing_share: Share of coded features that are not equal.
    """

    images: str
    n_images: int
    largest_difference: float
    largest_feature: float
    differing_share: float

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def random_images(image_size: int) -> Tensor:
    """Return images of noise, the same ones each time.

    Args:
        image_size: Rows and columns.

    Returns:
        uint8, shape ``(N_IMAGES, 3, image_size, image_size)``.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (N_IMAGES, 3, image_size, image_size)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@torch.no_grad()
def self_check(network: DeviceNetwork, run: Run, images: Tensor, which: str) -> SelfCheck:
    """Compare an exported network with the network it was exported from.

    Args:
        network: In PyTorch.
        run: Exported and read back.
        images: uint8, shape ``(n, 3, size, size)``.
        which: What the images are, for the record.

    Returns:
        The comparison.

    Raises:
        NetworkError: If they differ by more than rounding.
    """
    expected, got = (
        torch.cat([compute(batch) for batch in images.split(BATCH)]) for compute in (network, run)
    )
    coding = network.coding
    wanted, seen = (coding.decode(coded) for coded in (expected, got))
    check = SelfCheck(
        images=which,
        n_images=len(images),
        largest_difference=float((seen - wanted).abs().max()),
        largest_feature=float(wanted.abs().max()),
        differing_share=float((got != expected).float().mean()),
    )
    scale = max(1.0, check.largest_feature)
    if coding.bits > 8:
        allowed = scale * (TOLERANCE if coding.bits == 32 else HALF_PRECISION)
        is_equal = check.largest_difference <= allowed
    else:
        allowed = 1.001 / coding.highest_code
        is_equal = check.largest_difference <= allowed
        is_equal &= check.differing_share <= ROUNDED_OTHERWISE
    if not is_equal:
        raise NetworkError(
            f"an exported network must equal the PyTorch one to {allowed:.1e}, but features "
            f"differ by up to {check.largest_difference:.1e} ({check.differing_share:.2%} of them "
            "at all). Choose the other --format, and please report this network."
        )
    return check

"""Guess which channels were kept from nothing but the features that were sent.

PrivyNet (arXiv:1709.06161, section 1) counts on an attacker who does not know which channels of
the public network are kept. But the network is public, so the attacker knows what every channel
of it looks like on images of the same kind: a mean map and a spread that tell channels apart.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def guess_channels(
    received_mean: Tensor, received_std: Tensor, known_mean: Tensor, known_std: Tensor
) -> list[int]:
    """Match received feature maps to the channels of the public network, one to one.

    Args:
        received_mean: Mean map of each received channel, shape ``(k, h, w)``.
        received_std: Its standard deviation around that map, shape ``(k,)``.
        known_mean: The same of every channel on the attacker's own images, ``(C, h, w)``.
        known_std: Shape ``(C,)``.

    Returns:
        The guessed index of each received channel: the assignment (Kuhn 1955) of the smallest
        total distance between mean maps and between spreads, in units of the known spread.
    """
    scale = known_std[None, :]
    difference = torch.cdist(received_mean.flatten(1), known_mean.flatten(1)).square()
    difference = difference / received_mean[0].numel()
    distance = (difference + (received_std[:, None] - scale).square()) / scale.square()
    received, guessed = linear_sum_assignment(distance.cpu().numpy())
    assert received.tolist() == list(range(len(received_mean)))
    return [int(channel) for channel in guessed]

"""Sums of outer products: half of a Gram matrix, since the other half is the same."""

from __future__ import annotations

from torch import Tensor

BLOCK = 1_024
"""Rows of a Gram matrix that are added to at a time."""


def add_outer_products(gram: Tensor, seen: Tensor) -> None:
    """Add the outer products of samples to a Gram matrix, from its diagonal on.

    Args:
        gram: Shape ``(d, d)``, changed in place; at least as precise as the samples.
        seen: Shape ``(n, d)``.
    """
    for block in _blocks(gram):
        rows, left, right = gram[block, block.start :], seen[:, block].T, seen[:, block.start :]
        if rows.dtype == seen.dtype:
            rows.addmm_(left, right)
        else:
            rows += left @ right


def mirror(gram: Tensor) -> None:
    """Copy what was added beyond the diagonal to the other half.

    Args:
        gram: As `add_outer_products` leaves it, changed in place.
    """
    for block in _blocks(gram):
        gram[block.stop :, block] = gram[block, block.stop :].T


def _blocks(gram: Tensor) -> list[slice]:
    return [slice(first, first + BLOCK) for first in range(0, len(gram), BLOCK)]

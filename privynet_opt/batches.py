"""Join batches of tensors without scattering memory."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def joined(batches: Iterable[Tensor], n: int) -> Tensor:
    """Return all rows of some batches, in memory that is taken at once.

    Kept one by one until the last, batches that are computed from larger tensors leave holes in
    the heap that no later one fits in: a gigabyte in some hundred batches.

    Args:
        batches: At least one tensor, all alike but for their number of rows.
        n: How many rows they have together.

    Returns:
        Shape ``(n, ...)``.
    """
    whole, done = torch.empty(0), 0
    for batch in batches:
        if not done:
            whole = batch.new_empty(n, *batch.shape[1:])
        whole[done : done + len(batch)] = batch
        done += len(batch)
    assert done == n, "every row is in one batch"
    return whole

"""Add channels one at a time, each time the one that says most of the label per dB it leaks.

Both are told in closed form, from the Gram matrices of the ridge attacker and of the linear
classifier: adding channels to a least-squares fit is a block elimination, whose pivots are what
the next channel would add to it (forward selection by a pivoted block Cholesky factorisation).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privynet_opt.attacks import linear_classifier
from privynet_opt.attacks.linear_classifier import LinearClassifier
from privynet_opt.attacks.neighbourhoods import CELLS
from privynet_opt.attacks.ridge import CONSTANT_PENALTY, RidgeAttacker

FLOOR_SHARE = 0.5
"""Keeps channels that say nothing and leak nothing from being first. At conv6 of VGG16 0.1 to 1 are
alike; 10 and more choose for accuracy alone, and lose 1 to 3 points at equal privacy."""

PANEL = 16
"""Channels whose products are taken from the Gram matrix together: one by one, each would read and
write all of it. Until then only what the next choice needs is up to date."""


class ForwardSelection:
    """A ridge regression that channels are added to.

    Args:
        gram: Mean outer product of the regressors, ``(C b, C b)``, ``b`` for each channel.
        cross: Mean product of regressors and targets, ``(C b, t)``.
        block: Regressors of a channel.
        penalty: Ridge penalty.
    """

    def __init__(self, gram: Tensor, cross: Tensor, block: int, penalty: float) -> None:
        self.gram = gram.clone()
        self.gram.diagonal().add_(penalty)
        self.cross = cross.clone()
        self.block = block
        n = len(gram) // block
        pairs = self.gram.view(n, block, n, block)
        self.pivots = pairs.diagonal(dim1=0, dim2=2).permute(2, 0, 1).contiguous()
        self.columns = gram.new_empty(len(gram), 0)
        self.shares = gram.new_empty(0, len(gram))

    def gains(self) -> Tensor:
        """Return what each channel that is left would add to the explained power of the targets."""
        cross = self.cross.unflatten(0, (-1, self.block))
        solved = torch.linalg.solve(self.pivots, cross @ cross.mT)
        gains: Tensor = solved.diagonal(dim1=1, dim2=2).sum(1).clamp_min(0)
        return gains

    def add(self, index: int) -> None:
        """Take a channel into the fit: what is left of all others is what it does not explain.

        Args:
            index: Of the channel among those that are left; the last of them takes its place.
        """
        own = slice(index * self.block, (index + 1) * self.block)
        column = torch.addmm(self.gram[:, own], self.columns, self.shares[:, own], alpha=-1)
        share = torch.linalg.solve(column[own], column.mT)
        self.cross.addmm_(share.mT, self.cross[own].clone(), alpha=-1)
        by_channel = column.unflatten(0, (-1, self.block))
        self.pivots -= by_channel @ share.unflatten(1, (-1, self.block)).transpose(0, 1)
        self.columns = torch.cat([self.columns, column], 1)
        self.shares = torch.cat([self.shares, share])
        if len(self.shares) == PANEL * self.block:
            self.gram.addmm_(self.columns, self.shares, alpha=-1)
            self.columns, self.shares = self.columns[:, :0], self.shares[:0]
        self._drop(index)

    def _drop(self, index: int) -> None:
        """Put the last channel that is left in the place of another."""
        own = slice(index * self.block, (index + 1) * self.block)
        end = len(self.gram) - self.block
        for rows in (self.gram, self.cross, self.columns):
            rows[own] = rows[end:].clone()
        for columns in (self.gram, self.shares):
            columns[:, own] = columns[:, end:].clone()
        self.pivots[index] = self.pivots[-1].clone()
        self.gram, self.shares = self.gram[:end, :end], self.shares[:, :end]
        self.cross, self.columns = self.cross[:end], self.columns[:end]
        self.pivots = self.pivots[:-1]


def greedy_order(ridge: RidgeAttacker, classifier: LinearClassifier) -> NDArray[np.int64]:
    """Order a cut's channels by the label they say per dB they leak.

    Args:
        ridge: The cut's closed-form attacker.
        classifier: The cut's closed-form cloud network.

    Returns:
        Channel indices, shape ``(C,)``; the first ``k`` are the greedy choice of ``k`` channels.
        Each step takes the channel of largest ``gain / (leak + floor)``: its gain in the explained
        variance of the label, over what it leaks in dB, the attacker's mean square error before
        over after. The floor is `FLOOR_SHARE` of what a channel of the whole cut leaks on average.
    """
    images = _without_constant(ridge)
    labels = ForwardSelection(
        classifier.gram, classifier.cross, classifier.mean.shape[1], linear_classifier.RIDGE
    )
    n = len(classifier.mean)
    before = float(ridge.pixel_power.sum())
    after = before - float((ridge.solve(range(n), ridge.cross) * ridge.cross).sum())
    floor = FLOOR_SHARE * 10 * math.log10(before / after) / n
    left, order = list(range(n)), []
    while left:
        recovered = images.gains()
        leak = 10 * torch.log10(before / (before - recovered))
        worth = labels.gains() / (leak + floor)
        best = int(worth.argmax())
        order.append(left[best])
        left[best] = left[-1]
        left.pop()
        before -= float(recovered[best])
        images.add(best)
        labels.add(best)
    return np.array(order, dtype=np.int64)


def _without_constant(ridge: RidgeAttacker) -> ForwardSelection:
    """Return the attacker's regression with the constant in it and no channel yet."""
    constant = ridge.gram[-1, -1] + CONSTANT_PENALTY
    share = ridge.gram[-1:, :-1] / constant
    gram = ridge.gram[:-1, :-1] - ridge.gram[:-1, -1:] @ share
    cross = ridge.cross[:-1] - share.mT @ ridge.cross[-1:]
    return ForwardSelection(gram, cross, CELLS, ridge.penalty(len(gram) // CELLS))

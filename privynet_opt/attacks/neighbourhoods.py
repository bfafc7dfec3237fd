"""Products of neighbouring cells, summed over images, without building the neighbourhoods.

A cell's neighbourhood is the 3×3 window of cells around it, zero beyond the border. Two entries of
it are one channel at a cell and another channel at a cell some displacement away, so the Gram
matrix of all neighbourhoods repeats 25 matrices of channel products, one for each displacement, of
which 13 are not the transpose of another: a sixth of the work of multiplying the 9 C entries. What
the border takes away from a window is whole rows and columns, hence sums by parts of the grid.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

NEIGHBOURHOOD = 3
"""Side of the window of cells that predicts one cell's pixels."""

CELLS = NEIGHBOURHOOD**2

Offset = tuple[int, int]
Range = tuple[int, int]
"""Rows, or columns, from the first to before the last."""

Part = tuple[Range, Range]
"""Rows and columns of some cells."""

WINDOW: tuple[Offset, ...] = tuple(product((-1, 0, 1), (-1, 0, 1)))
"""Places of the neighbourhood around its cell, in the order of `torch.nn.functional.unfold`."""

DISPLACEMENTS = tuple(d for d in product(range(-2, 3), range(-2, 3)) if d >= (0, 0))


class NeighbourhoodProducts:
    """Sums over cells of the outer products of a neighbourhood with itself and with targets.

    Args:
        channels: Channels ``C`` of the features.
        height: Rows of the features.
        width: Their columns.
        device: Where the sums are.
    """

    def __init__(self, channels: int, height: int, width: int, device: torch.device) -> None:
        self.size = (height, width)
        self.parts: list[Part] = list(product(_parts(height), _parts(width)))
        shape = (len(DISPLACEMENTS), len(self.parts), channels, channels)
        self.pairs = torch.zeros(shape, device=device)
        self.sums = torch.zeros((len(self.parts), channels), device=device)
        self.targets: Tensor | float = 0.0
        self.target_sums: Tensor | float = 0.0
        self.cells = 0

    def add(self, features: Tensor, targets: Tensor) -> None:
        """Take a batch into account.

        Args:
            features: Shape ``(n, C, h, w)``, float32.
            targets: What each cell's neighbourhood predicts, shape ``(n, t, h, w)``.
        """
        seen, wanted = (x.permute(2, 3, 0, 1).contiguous() for x in (features, targets))
        self.cells += seen.shape[:3].numel()
        for index, (rows, columns) in enumerate(self.parts):
            self.sums[index] += seen[slice(*rows), slice(*columns)].sum((0, 1, 2))
            for pairs, displacement in zip(self.pairs, DISPLACEMENTS, strict=True):
                pairs[index] += self._products(seen, seen, displacement, (rows, columns))
        whole = ((0, self.size[0]), (0, self.size[1]))
        by_place = [self._products(wanted, seen, place, whole).T for place in WINDOW]
        self.targets = self.targets + torch.stack(by_place, 1)
        self.target_sums = self.target_sums + wanted.sum((0, 1, 2))

    def _products(self, here: Tensor, there: Tensor, displacement: Offset, part: Part) -> Tensor:
        """Return the products of cells of a part with those a displacement away, if there are."""
        at, away = [], []
        for (first, last), step, n in zip(part, displacement, self.size, strict=True):
            first, last = max(first, -step), min(last, n - step)
            at.append(slice(first, max(first, last)))
            away.append(slice(first + step, max(first, last) + step))
        left, right = here[tuple(at)], there[tuple(away)]
        return left.flatten(0, 2).T @ right.flatten(0, 2)

    def gram(self) -> Tensor:
        """Return the sum of the neighbourhoods' outer products.

        Returns:
            Shape ``(9 C + 1, 9 C + 1)``; channel-major, the last row and column belong to the
            constant 1.
        """
        channels = self.sums.shape[1]
        blocks = self.sums.new_empty(channels, CELLS, channels, CELLS)
        constant = self.sums.new_empty(channels, CELLS)
        for i, place in enumerate(WINDOW):
            inside = [_is_seen(place, part, self.size) for part in self.parts]
            constant[:, i] = self.sums[inside].sum(0)
            for j, other in enumerate(WINDOW[i:], i):
                displacement = (other[0] - place[0], other[1] - place[1])
                block = self.pairs[DISPLACEMENTS.index(displacement)][inside].sum(0)
                blocks[:, i, :, j] = block
                blocks[:, j, :, i] = block.T
        flat = constant.flatten()
        gram = self.sums.new_empty(len(flat) + 1, len(flat) + 1)
        gram[:-1, :-1] = blocks.reshape(len(flat), len(flat))
        gram[-1, :-1] = gram[:-1, -1] = flat
        gram[-1, -1] = self.cells
        return gram

    def cross(self) -> Tensor:
        """Return the sum of the outer products of neighbourhoods and targets.

        Returns:
            Shape ``(9 C + 1, t)``.
        """
        assert isinstance(self.targets, Tensor) and isinstance(self.target_sums, Tensor)
        return torch.cat([self.targets.flatten(0, 1), self.target_sums[None]])


def _parts(n: int) -> list[Range]:
    """Divide rows, or columns, into those that windows miss at either border, and the rest."""
    parts = dict.fromkeys([(0, 1), (1, n - 1), (n - 1, n)])
    return [(first, last) for first, last in parts if first < last]


def _is_seen(place: Offset, part: Part, size: tuple[int, int]) -> bool:
    """Whether cells of a part stand at a place of the window of some cell inside the grid."""
    return all(
        first >= max(step, 0) and last <= n + min(step, 0)
        for (first, last), step, n in zip(part, place, size, strict=True)
    )

"""Topologies far apart, to begin with: nothing is known yet but what costs nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def spread_points(points: ArrayLike, n: int, known: Sequence[int] = ()) -> list[int]:
    """Choose points so that none of the others is far from all of them.

    The greedy solution of the k-centre problem (Gonzalez 1985), whose largest distance is at most
    twice the smallest possible: begin with the point nearest the mean, then take what is farthest
    from everything taken.

    Args:
        points: Shape ``(n_points, n_inputs)``; each input counts in its standard deviations.
        n: How many are taken, at most.
        known: Positions of points that are there already.

    Returns:
        Positions of the points taken, in that order.
    """
    inputs = np.asarray(points, dtype=float)
    deviation = inputs.std(axis=0)
    scaled = (inputs - inputs.mean(axis=0)) / np.where(deviation > 1e-12, deviation, 1.0)
    taken = list(known)
    away = np.full(len(scaled), np.inf)
    for index in taken:
        away = np.minimum(away, np.linalg.norm(scaled - scaled[index], axis=1))
    while len(taken) < min(n + len(known), len(scaled)):
        closeness = -np.linalg.norm(scaled, axis=1) if not taken else away
        closeness = closeness.copy()
        closeness[taken] = -np.inf
        pick = int(closeness.argmax())
        taken.append(pick)
        away = np.minimum(away, np.linalg.norm(scaled - scaled[pick], axis=1))
    return taken[len(known) :]

"""Domination and hypervolume; numpy only, losses only (lower is better).

Exact for any number of objectives: a sweep in two dimensions, slices along the last objective in
three, and above them the sum of what each point adds to the points after it (While et al., "A fast
way of calculating exact hypervolumes", 2012), which grows less with the number of objectives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Losses = NDArray[np.float64]


def non_dominated(losses: ArrayLike) -> NDArray[np.bool_]:
    """Return which points no other point beats.

    A point is dominated where another is at least as low in every objective and lower in one, so
    equal points do not dominate each other.

    Args:
        losses: Shape ``(n, n_objectives)``; a point with a NaN is never on the front.

    Returns:
        Shape ``(n,)``, True on the front.
    """
    points = _points(losses)
    mask = np.zeros(len(points), dtype=bool)
    order = np.flatnonzero(~np.isnan(points).any(axis=1))
    # A point that dominates another comes before it in lexicographic order.
    order = order[np.lexsort(points[order].T[::-1])] if points.shape[1] else order
    while len(order):
        best, rest = points[order[0]], points[order]
        mask[order[(rest == best).all(axis=1)]] = True
        order = order[(rest < best).any(axis=1)]
    return mask


def hypervolume(losses: ArrayLike, reference: ArrayLike) -> float:
    """Return the volume that is dominated by the points and bounded by the reference point.

    Args:
        losses: Shape ``(n, n_objectives)``; points not below the reference in every objective, or
            with a NaN, add nothing.
        reference: Shape ``(n_objectives,)``.

    Returns:
        The exact volume, in the product of the objectives' units; 0 without points.
    """
    corner = np.asarray(reference, dtype=float)
    points = _points(losses)
    points = points[(points < corner).all(axis=1)]
    return _volume(points[non_dominated(points)], corner)


def hypervolume_gain(losses: ArrayLike, front: ArrayLike, reference: ArrayLike) -> float:
    """Return how much the hypervolume of a front grows by one more point.

    Only what the point adds is computed: its box less what the front already covers of it (While
    et al., section III).

    Args:
        losses: The point, shape ``(n_objectives,)``.
        front: Shape ``(n, n_objectives)``.
        reference: Shape ``(n_objectives,)``.

    Returns:
        The gain, 0 for a point that is dominated or not below the reference.
    """
    point, corner = np.asarray(losses, dtype=float), np.asarray(reference, dtype=float)
    if not (point < corner).all():
        return 0.0
    covered = hypervolume(np.maximum(_points(front), point), corner)
    return max(0.0, float(np.prod(corner - point)) - covered)


def hypervolume_history(
    losses: ArrayLike, feasible: ArrayLike, reference: ArrayLike
) -> NDArray[np.float64]:
    """Return the hypervolume after each of a sequence of points.

    Args:
        losses: Shape ``(n, n_objectives)``, in the order the points were found.
        feasible: Shape ``(n,)``; infeasible points add nothing.
        reference: Shape ``(n_objectives,)``.

    Returns:
        Shape ``(n,)``, never falling.
    """
    points, corner = _points(losses), np.asarray(reference, dtype=float)
    counts = np.asarray(feasible, dtype=bool) & (points < corner).all(axis=1)
    gains = np.zeros(len(points))
    front = points[:0]
    for index in np.flatnonzero(counts):
        point = points[index]
        if (front <= point).all(axis=1).any():
            continue
        gains[index] = hypervolume_gain(point, front, corner)
        front = np.vstack([front[~(point <= front).all(axis=1)], point])
    return np.cumsum(gains)


def _points(losses: ArrayLike) -> Losses:
    points = np.asarray(losses, dtype=float)
    return points if points.ndim == 2 else points.reshape(len(points), -1)


def _volume(points: Losses, corner: Losses) -> float:
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(corner[0] - points.min())
    if points.shape[1] == 2:
        return _area(points, corner)
    points = points[np.argsort(points[:, -1], kind="stable")]
    if points.shape[1] > 3:
        worst_first = points[::-1]  # fewer of those that are left cover a part of its box
        gains = (
            hypervolume_gain(point, worst_first[index + 1 :], corner)
            for index, point in enumerate(worst_first)
        )
        return float(sum(gains))
    heights = np.append(points[1:, -1], corner[-1]) - points[:, -1]
    areas = [_area(points[: index + 1, :-1], corner[:-1]) for index in range(len(points))]
    return float(heights @ areas)


def _area(points: Losses, corner: Losses) -> float:
    points = points[np.argsort(points[:, 0], kind="stable")]
    depth = np.minimum.accumulate(points[:, 1])
    widths = np.append(points[1:, 0], corner[0]) - points[:, 0]
    return float(widths @ (corner[1] - depth))

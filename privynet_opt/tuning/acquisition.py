"""What a measurement is worth, and which ones to make together. Arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

SAME_CUT_SHARE = 0.8
"""A topology at a cut whose features are computed anyway is taken instead of the most valuable one
if it is worth this share of it: at VGG16's cuts the features cost as much as a measurement."""


def normal_std(lower: ArrayLike, upper: ArrayLike, mean: ArrayLike, confidence: float) -> Floats:
    """Return the standard deviation of a normal distribution with a given central interval.

    Args:
        lower: Lower ends; an end that was clipped to a possible value is nearer than the other.
        upper: Upper ends.
        mean: Means, the centres of unclipped intervals.
        confidence: What the interval holds, in (0, 1).

    Returns:
        The farther end's distance from the mean over the normal quantile of that level.
    """
    from scipy.special import ndtri

    middle = np.asarray(mean, dtype=float)
    reach = np.maximum(np.asarray(upper) - middle, middle - np.asarray(lower))
    return np.asarray(reach / ndtri((1 + confidence) / 2))


def constrained_expected_improvement(
    accuracy: ArrayLike,
    accuracy_std: ArrayLike,
    incumbent: float,
    excess: ArrayLike,
    excess_std: ArrayLike,
    is_possible: ArrayLike,
    least: float = 0.0,
) -> Floats:
    """Return by how much each measurement is expected to raise the accuracy within the limits.

    With accuracy ``A ~ N(accuracy, accuracy_std)``, incumbent ``t``, least accuracy ``l`` and each
    predicted limit kept where ``E_j ~ N(excess_j, excess_std_j)`` is at most 0, all independent::

        value = is_possible · E[(A - t)⁺ 1{A ≥ l}] · Π_j P(E_j ≤ 0)

    Expected improvement (Jones et al. 1998, eq. 15) times the probability of feasibility (Gardner
    et al. 2014, eq. 5; Gelbart et al. 2014, eq. 4). A limit on the accuracy itself is no
    factor of its own, since it is not independent of the improvement: it cuts the same integral,
    ``E[(A - t)⁺ 1{A ≥ l}] = (accuracy - t) Φ(z) + accuracy_std φ(z)`` with
    ``z = (accuracy - max(t, l)) / accuracy_std``.

    Args:
        accuracy: Predicted accuracies, shape ``(n,)``.
        accuracy_std: Their standard deviations, at least 0.
        incumbent: Accuracy of the topology that would be recommended now; 0 where there is none,
            so that finding one at all is worth its accuracy.
        excess: Predicted excess over each limit, kept at ``<= 0``; shape ``(n_limits, n)``.
        excess_std: Their standard deviations, at least 0.
        is_possible: Whether no exact number rules the topology out, shape ``(n,)``.
        least: The smallest accuracy that is allowed.

    Returns:
        Shape ``(n,)``, at least 0, in units of accuracy.
    """
    from scipy.special import ndtr

    mean, std = np.asarray(accuracy, dtype=float), np.asarray(accuracy_std, dtype=float)
    z = _deviations(mean - max(incumbent, least), std)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    gain = np.maximum((mean - incumbent) * ndtr(z) + std * density, 0.0)
    over = np.asarray(excess, dtype=float).reshape(-1, len(mean))
    spread = np.asarray(excess_std, dtype=float).reshape(-1, len(mean))
    kept = ndtr(_deviations(-over, spread)).prod(axis=0)
    return np.where(np.asarray(is_possible, dtype=bool), gain * kept, 0.0)


def pick_batch(
    values: ArrayLike, cuts: Sequence[str], groups: Sequence[object], n: int, least: float
) -> list[int]:
    """Choose measurements that are made before the next fit.

    Args:
        values: Their worth, shape ``(n_candidates,)``.
        cuts: The cut of each.
        groups: What tells nearly the same twice, such as (cut, kept filters): one of each is taken.
        n: How many, at most.
        least: What is worth less than this is not taken.

    Returns:
        Positions, the most valuable first; a topology at a cut that is in the batch already goes
        before a more valuable one elsewhere if it is worth `SAME_CUT_SHARE` of it.
    """
    left = np.array(values, dtype=float)
    names = np.array(cuts, dtype=object)
    chosen: list[int] = []
    while len(chosen) < n:
        best = int(left.argmax()) if len(left) else -1
        if best < 0 or left[best] < least:
            break
        at_hand = np.where(np.isin(names, [cuts[index] for index in chosen]), left, -np.inf)
        nearest = int(at_hand.argmax())
        pick = nearest if at_hand[nearest] >= max(least, SAME_CUT_SHARE * left[best]) else best
        chosen.append(pick)
        left[[groups[index] == groups[pick] for index in range(len(left))]] = -np.inf
    return chosen


def _deviations(distance: Floats, std: Floats) -> Floats:
    """Return distances in standard deviations; where nothing is uncertain, plus or minus infinity.

    On the limit exactly, and certain, counts as kept.
    """
    certain = np.where(distance >= 0, np.inf, -np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(std > 0, distance / std, certain)

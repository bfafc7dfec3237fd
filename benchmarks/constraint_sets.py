"""Random questions for benchmarks: seeded limits that some topology of a study meets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from privynet_opt.constraints import Constraint
from privynet_opt.metrics import checked_column

LIMITED = ("psnr_db", "local_flops", "memory_bytes")
QUANTILES = (0.15, 0.9)
"""Limits lie between these quantiles of what the topologies have: neither hopeless nor idle."""

DIGITS = 3


def constraint_sets(
    candidates: pd.DataFrame, n_sets: int, seed: int = 0
) -> Iterator[tuple[Constraint, ...]]:
    """Draw sets of limits on privacy loss, computation and memory, until enough can be met.

    Args:
        candidates: Every topology of the space that may be recommended.
        n_sets: How many sets that at least one topology meets.
        seed: Of the draws; a larger `n_sets` only adds sets.
    """
    generator = np.random.default_rng(seed)
    while n_sets:
        drawn = generator.uniform(*QUANTILES, len(LIMITED))
        limits = tuple(_limit(candidates, *pair) for pair in zip(LIMITED, drawn, strict=True))
        meets = [c.violation(candidates[checked_column(c.metric)]) <= 0 for c in limits]
        if np.all(meets, axis=0).any():
            n_sets -= 1
            yield limits


def _limit(candidates: pd.DataFrame, metric: str, quantile: float) -> Constraint:
    value = candidates[checked_column(metric)].quantile(quantile)
    return Constraint(f"{metric} <= {float(f'{value:.{DIGITS}g}')!r}")

"""Choose the model of a target by what it says of rows that it has not seen."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd

from privynet_opt.proxies.base import Floats
from privynet_opt.proxies.folds import Folds, group_folds, held_out, row_groups
from privynet_opt.proxies.intervals import held_out_stds
from privynet_opt.proxies.models import candidate_models
from privynet_opt.proxies.record import TargetRecord

SURE = 1e-12
"""A standard deviation as good as none."""


def fit_target(matrix: Floats, rows: pd.DataFrame, target: str) -> TargetRecord:
    """Try every model on the same folds and keep the one of the smallest score.

    The mean error alone is blind to intervals: two models that err alike can differ much in how
    far they claim to err, and a limit on privacy holds for the interval.

    Args:
        matrix: Inputs of the rows, shape ``(n_rows, n_inputs)``.
        rows: Measured rows, in the order of `privynet_opt.proxies.fit.trained_rows`.
        target: What is predicted.

    Returns:
        The choice, its hyper-parameters, and its held-out predictions.
    """
    measured = rows[target].to_numpy()
    folds = group_folds(row_groups(rows))
    builds, tried, errors, crps = {}, {}, {}, {}
    for name, build in candidate_models(len(rows)).items():
        start = build().fit(matrix, measured).hyperparameters_
        builds[name] = partial(build, start=start)
        tried[name] = held_out(builds[name], matrix, measured, folds)
        means, _ = tried[name]
        errors[name] = float(np.abs(means - measured).mean())
        crps[name] = normal_crps(measured, means, held_out_stds(target, rows, tried[name]))
    best = min(crps, key=crps.__getitem__)
    cut_folds: Folds = group_folds(list(rows["cut_layer"]), len(rows))
    loco: tuple[Floats, Floats] = (np.array([]), np.array([]))
    if len(cut_folds) > 1:
        loco = held_out(builds[best], matrix, measured, cut_folds)
    start = builds[best].keywords["start"]
    return TargetRecord(best, start, errors, crps, *map(list, (*tried[best], *loco)))


def normal_crps(measured: Floats, means: Floats, stds: Floats) -> float:
    """Return the mean continuous ranked probability score of normal predictions.

    The mean absolute error of predictions that also say how sure they are: it equals it where all
    ``stds`` are 0, and of normal errors it is smallest for those that err as far as they say
    (Gneiting and Raftery, JASA 2007, §4.2).

    Args:
        measured: Shape ``(n_rows,)``.
        means: Predictions.
        stds: Their standard deviations, at least 0.

    Returns:
        In the unit of what was measured; the smaller the better.
    """
    from scipy.stats import norm

    stds = np.maximum(stds, SURE)
    z = (measured - means) / stds
    score = z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / math.sqrt(math.pi)
    return float(np.mean(stds * score))

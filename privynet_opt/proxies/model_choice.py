"""Choose the model of a target by what it says of rows that it has not seen."""

from __future__ import annotations

import math
from functools import partial
from statistics import NormalDist

import numpy as np
import pandas as pd

from privynet_opt.proxies.base import Floats
from privynet_opt.proxies.folds import Folds, group_folds, held_out, row_groups
from privynet_opt.proxies.intervals import held_out_reach
from privynet_opt.proxies.models import MODELS, candidate_models
from privynet_opt.proxies.record import TargetRecord

CHOICE_CONFIDENCE = 0.9
"""What intervals promise while models are compared; the choice is the same at every level asked."""

NORMAL_REACH = NormalDist().inv_cdf((1 + CHOICE_CONFIDENCE) / 2)
"""By how many standard deviations such an interval of a normal prediction reaches."""

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
    starts, tried, errors, crps = {}, {}, {}, {}
    for name, build in candidate_models(len(rows)).items():
        starts[name] = build().fit(matrix, measured).hyperparameters_
        tried[name] = held_out(partial(build, start=starts[name]), matrix, measured, folds)
        reach = held_out_reach(target, rows, tried[name], CHOICE_CONFIDENCE)
        errors[name] = float(np.abs(tried[name][0] - measured).mean())
        crps[name] = normal_crps(measured, tried[name][0], reach / NORMAL_REACH)
    best = min(crps, key=crps.__getitem__)
    cut_folds: Folds = group_folds(list(rows["cut_layer"]), len(rows))
    loco: tuple[Floats, Floats] = (np.array([]), np.array([]))
    if len(cut_folds) > 1:
        loco = held_out(partial(MODELS[best], start=starts[best]), matrix, measured, cut_folds)
    return TargetRecord(best, starts[best], errors, crps, *map(list, (*tried[best], *loco)))


def normal_crps(measured: Floats, means: Floats, stds: Floats) -> float:
    """Return the mean continuous ranked probability score of normal predictions.

    The mean absolute error of predictions that also say how sure they are: it equals it where all
    ``stds`` are 0, and is smallest in expectation for those that err as far as they say (Gneiting
    and Raftery, JASA 2007, §4.2).

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

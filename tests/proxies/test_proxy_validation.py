"""Measures of held-out predictions agree with those of other libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import r2_score

from privynet_opt.proxies.validation import explained_variance, rank_correlation


def test_rank_correlation_and_r2_agree_with_scipy_and_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    a = generator.integers(0, 9, 40).astype(float)
    b = a + generator.standard_normal(40)
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert explained_variance(a, b) == pytest.approx(r2_score(a, b))


def test_constant_values_have_no_correlation() -> None:
    assert math.isnan(rank_correlation(np.ones(4), np.arange(4.0)))
    assert math.isnan(explained_variance(np.ones(4), np.arange(4.0)))

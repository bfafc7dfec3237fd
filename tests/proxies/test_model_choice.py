"""The model is chosen that errs least and knows best how far, not only the one that errs least."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from privynet_opt.proxies import model_choice
from privynet_opt.proxies.model_choice import normal_crps

N_ROWS = 60
NOISE = np.where(np.arange(N_ROWS) % 2, 1.0, 0.01) * np.random.default_rng(2).normal(size=N_ROWS)
"""Every second row is hard to predict."""


class Told:
    """Predicts zero everywhere, and how far it errs as it was told."""

    def __init__(self, hyperparameters=None, start=None):
        self.hyperparameters_ = []

    def fit(self, inputs, targets):
        return self

    def predict(self, inputs):
        return np.zeros(len(inputs)), self.spread(inputs[:, 0])


class Uniform(Told):
    spread = staticmethod(np.ones_like)


class Knowing(Told):
    spread = staticmethod(lambda number: np.where(number % 2, 1.0, 0.01))


def rows():
    kept = np.arange(N_ROWS) // 2
    return pd.DataFrame({"cut_layer": "conv1", "kept_filters": kept, "psnr_db": NOISE})


@pytest.mark.parametrize("names", [["uniform", "knowing"], ["knowing", "uniform"]])
def test_of_two_that_err_alike_the_one_that_knows_where_is_chosen(monkeypatch, names):
    models = {name: {"uniform": Uniform, "knowing": Knowing}[name] for name in names}
    monkeypatch.setattr(model_choice, "candidate_models", lambda n_rows: models)
    inputs = np.arange(N_ROWS, dtype=float)[:, None]
    record = model_choice.fit_target(inputs, rows(), "psnr_db")
    assert record.errors["uniform"] == record.errors["knowing"]
    assert record.crps["knowing"] < 0.9 * record.crps["uniform"]
    assert record.model == "knowing"


def test_a_sure_prediction_is_charged_its_error():
    errors = np.array([0.0, 2.0, -4.0])
    sure = normal_crps(errors, np.zeros(3), np.zeros(3))
    assert sure == pytest.approx(2.0)


def test_score_is_the_integral_that_defines_it():
    x = np.linspace(-12, 12, 240_001)
    for measured, mean, std in [(0.3, 0.0, 1.0), (-1.0, 0.5, 0.4), (2.0, 2.0, 2.0)]:
        squares = (stats.norm.cdf(x, mean, std) - (x >= measured)) ** 2
        by_hand = float(np.trapezoid(squares, x))
        one = [np.array([value]) for value in (measured, mean, std)]
        assert normal_crps(*one) == pytest.approx(by_hand, rel=1e-3)


def test_neither_cautious_nor_overconfident_predictions_win():
    draws = np.random.default_rng(0).normal(size=20_000)
    right, cautious, sure = (
        normal_crps(draws, np.zeros_like(draws), np.full_like(draws, std)) for std in (1, 1.5, 0.6)
    )
    assert right < min(cautious, sure)

"""The model is chosen that errs least and knows best how far, not only the one that errs least."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from privynet_opt.proxies import model_choice
from privynet_opt.proxies.folds import group_folds, row_groups
from privynet_opt.proxies.intervals import held_out_stds
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
    cuts = np.where(kept % 3, "conv1", "conv2")
    return pd.DataFrame({"cut_layer": cuts, "kept_filters": kept, "psnr_db": NOISE})


@pytest.mark.parametrize("names", [["uniform", "knowing"], ["knowing", "uniform"]])
def test_of_two_that_err_alike_the_one_that_knows_where_is_chosen(monkeypatch, names):
    models = {name: {"uniform": Uniform, "knowing": Knowing}[name] for name in names}
    monkeypatch.setattr(model_choice, "candidate_models", lambda n_rows: models)
    inputs = np.arange(N_ROWS, dtype=float)[:, None]
    record = model_choice.fit_target(inputs, rows(), "psnr_db")
    assert record.errors["uniform"] == record.errors["knowing"]
    assert record.crps["knowing"] < 0.9 * record.crps["uniform"]
    assert record.model == "knowing"


def test_a_rows_own_error_does_not_change_how_sure_it_is_said_to_be():
    before, outlier = rows(), 7
    after = before.copy()
    after.loc[outlier, "psnr_db"] = 50.0
    held_out = np.zeros(N_ROWS), np.ones(N_ROWS)
    calm, shaken = (held_out_stds("psnr_db", table, held_out) for table in (before, after))
    fold = next(fold for fold in group_folds(row_groups(before)) if outlier in fold)
    assert (shaken[fold] == calm[fold]).all()
    assert (np.delete(shaken, fold) > np.delete(calm, fold)).any()


def test_said_and_real_errors_are_of_one_size():
    table = rows().assign(cut_layer="conv1", psnr_db=np.random.default_rng(1).normal(0, 3, N_ROWS))
    stds = held_out_stds("psnr_db", table, (np.zeros(N_ROWS), np.full(N_ROWS, 0.01)))
    assert stds == pytest.approx(np.full(N_ROWS, table["psnr_db"].std(ddof=0)), rel=0.15)


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

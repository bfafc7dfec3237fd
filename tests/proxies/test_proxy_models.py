from __future__ import annotations

import numpy as np
import pytest

from privynet_opt.proxies.base import NotFittedError
from privynet_opt.proxies.gaussian_process import GaussianProcess
from privynet_opt.proxies.inputs import INPUT_NAMES
from privynet_opt.proxies.log_scale import LARGEST_EXCESS, LogScale
from privynet_opt.proxies.models import MODELS
from privynet_opt.proxies.monotone_boosting import RISING_INPUTS, MonotoneBoosting

N_INPUTS = len(INPUT_NAMES)
each_model = pytest.mark.parametrize("build", MODELS.values(), ids=list(MODELS))


def problem(n_rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """A smooth target that rises with the screen values, and a little noise."""
    generator = np.random.default_rng(3)
    inputs = generator.uniform(-1, 1, (n_rows, N_INPUTS))
    smooth = 20 + 3 * inputs[:, 6] + inputs[:, 5] + np.sin(2 * inputs[:, 0])
    return inputs, smooth + 0.05 * generator.standard_normal(n_rows)


@each_model
def test_fit_returns_self(build) -> None:
    model = build()
    assert model.fit(*problem()) is model


@each_model
def test_predict_before_fit_raises(build) -> None:
    with pytest.raises(NotFittedError, match="`fit` must come before `predict`"):
        build().predict(problem()[0])


@each_model
def test_predict_gives_a_mean_and_a_positive_spread_per_row(build) -> None:
    means, spreads = build().fit(*problem()).predict(problem()[0][:7])
    assert means.shape == spreads.shape == (7,)
    assert (spreads > 0).all()


@each_model
def test_held_out_rows_are_predicted_better_than_by_the_mean(build) -> None:
    inputs, targets = problem(90)
    means, _ = build().fit(inputs[:60], targets[:60]).predict(inputs[60:])
    error = np.abs(means - targets[60:]).mean()
    assert error < 0.5 * np.abs(targets[:60].mean() - targets[60:]).mean()


@each_model
def test_order_of_the_rows_does_not_matter(build) -> None:
    inputs, targets = problem()
    order = np.random.default_rng(0).permutation(len(targets))
    straight = build().fit(inputs, targets).predict(inputs)[0]
    shuffled = build().fit(inputs[order], targets[order]).predict(inputs)[0]
    assert shuffled == pytest.approx(straight, abs=0.02)


@each_model
def test_learned_hyperparameters_give_the_same_model_without_a_search(build) -> None:
    inputs, targets = problem()
    searched = build().fit(inputs, targets)
    given = build(hyperparameters=searched.hyperparameters_).fit(inputs, targets)
    assert given.hyperparameters_ == pytest.approx(searched.hyperparameters_)
    assert given.predict(inputs)[0] == pytest.approx(searched.predict(inputs)[0], abs=1e-9)


@each_model
@pytest.mark.parametrize("n_rows", [2, 3, 6])
def test_a_handful_of_rows_is_enough_to_fit(build, n_rows: int) -> None:
    inputs, targets = problem()
    means, spreads = build().fit(inputs[:n_rows], targets[:n_rows]).predict(inputs)
    assert np.isfinite(means).all()
    assert np.isfinite(spreads).all()


@each_model
def test_constant_inputs_and_targets_are_predicted_constant(build) -> None:
    inputs, _ = problem()
    inputs[:, 3] = 5.0
    means, _ = build().fit(inputs, np.full(len(inputs), 0.4)).predict(inputs)
    assert means == pytest.approx(np.full(len(inputs), 0.4), abs=1e-6)


def test_process_without_trend_returns_to_the_mean_far_away() -> None:
    inputs, targets = problem()
    model = GaussianProcess(has_trend=False).fit(inputs, targets)
    means, spreads = model.predict(np.full((1, N_INPUTS), 1e5))
    assert means[0] == pytest.approx(targets.mean(), abs=1e-3)
    assert spreads[0] > 3 * model.predict(inputs)[1].max()


def test_process_with_trend_goes_on_along_it_and_grows_unsure() -> None:
    inputs, _ = problem()
    model = GaussianProcess(has_trend=True).fit(inputs, 2 * inputs[:, 6] + 1)
    beyond = np.zeros((1, N_INPUTS))
    beyond[0, 6] = 3.0
    means, spreads = model.predict(beyond)
    assert means[0] == pytest.approx(7, abs=0.3)
    assert spreads[0] > model.predict(inputs)[1].max()


def test_log_scale_predicts_an_exponential_better_and_is_less_sure_of_large_values() -> None:
    inputs, _ = problem(60)
    targets = 12 + np.exp(2 * inputs[:, 1] + inputs[:, 3])
    errors = {}
    for model in (GaussianProcess(has_trend=True), LogScale(has_trend=True)):
        means, spreads = model.fit(inputs[:30], targets[:30]).predict(inputs[30:])
        errors[type(model)] = np.abs(means - targets[30:]).mean()
    assert errors[LogScale] < 0.7 * errors[GaussianProcess]
    assert np.corrcoef(spreads, means)[0, 1] > 0.5


def test_log_scale_never_follows_its_trend_beyond_three_extents() -> None:
    inputs, _ = problem(40)
    targets = np.exp(2 * inputs[:, 1])
    far = np.zeros((1, N_INPUTS))
    far[0, 1] = 1e3
    means, _ = LogScale(has_trend=True).fit(inputs, targets).predict(far)
    assert means[0] <= targets.min() + LARGEST_EXCESS * np.ptp(targets)


def test_boosting_is_constant_outside_the_table() -> None:
    model = MonotoneBoosting().fit(*problem())
    edge, beyond = np.full((1, N_INPUTS), 1.0), np.full((1, N_INPUTS), 100.0)
    assert model.predict(edge)[0] == model.predict(beyond)[0]


@pytest.mark.parametrize("name", sorted(RISING_INPUTS))
def test_boosting_never_falls_along_a_rising_input(name: str) -> None:
    inputs, targets = problem()
    model = MonotoneBoosting().fit(inputs, -targets)
    line = np.repeat(inputs[:1], 50, axis=0)
    line[:, INPUT_NAMES.index(name)] = np.linspace(-1, 1, 50)
    assert (np.diff(model.predict(line)[0]) >= -1e-9).all()


@pytest.mark.parametrize("has_trend", [False, True])
def test_process_is_the_textbook_posterior(has_trend: bool) -> None:
    """Second implementation: Rasmussen and Williams (2006), equations 2.25, 2.26 and 4.17."""
    inputs, targets = problem(20)
    new = problem(25)[0][20:]
    lengths = np.linspace(1, 3, N_INPUTS)
    signal, trend, noise = 0.8, 0.5, 0.02
    theta = np.log([signal, *lengths, *([trend] if has_trend else []), noise])
    model = GaussianProcess(has_trend, hyperparameters=theta.tolist()).fit(inputs, targets)

    centre, scale = inputs.mean(axis=0), inputs.std(axis=0)
    a, b = (inputs - centre) / scale, (new - centre) / scale

    def covariance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        r = np.sqrt(5) * np.sqrt((((x[:, None] - y[None]) / lengths) ** 2).sum(axis=2))
        return signal * (1 + r + r**2 / 3) * np.exp(-r) + has_trend * trend * (1 + x @ y.T)

    within = covariance(a, a) + (noise + 1e-8) * np.eye(20)
    weights = np.linalg.solve(within, covariance(a, b)).T
    level, unit = targets.mean(), targets.std()
    means = level + weights @ (targets - level)
    variances = np.diag(covariance(b, b)) + noise - (weights * covariance(b, a)).sum(axis=1)
    predicted, spreads = model.predict(new)
    assert predicted == pytest.approx(means, rel=1e-6)
    assert spreads == pytest.approx(unit * np.sqrt(variances), rel=1e-5)

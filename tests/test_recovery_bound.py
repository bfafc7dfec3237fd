"""The bound on every attacker, where the best attack is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from privynet_opt.recovery_bound import PRIOR_STD, recovery_bound_db

D = 6


def best_psnr_db(weights: np.ndarray, noise_std: float) -> float:
    """The best attack on ``W x + n``, where ``x`` is normal of deviation `PRIOR_STD`."""
    precision = weights.T @ weights / noise_std**2 + np.eye(D) / PRIOR_STD**2
    return float(-10 * np.log10(np.trace(np.linalg.inv(precision)) / D))


@pytest.mark.parametrize("noise_std", [0.01, 0.1, 1.0, 10.0])
def test_no_attack_on_a_linear_network_exceeds_it_and_on_an_even_one_the_best_reaches_it(
    noise_std: float,
) -> None:
    for seed in range(5):
        weights = np.random.default_rng(seed).normal(size=(4, D))
        bound = recovery_bound_db(float((weights**2).sum() / D), noise_std)
        assert best_psnr_db(weights, noise_std) <= bound
    even = 3 * np.linalg.qr(np.random.default_rng(0).normal(size=(D, D)))[0]
    bound = recovery_bound_db(float((even**2).sum() / D), noise_std)
    assert best_psnr_db(even, noise_std) == pytest.approx(bound)


def test_without_noise_nothing_is_bounded_and_with_much_only_the_grain() -> None:
    assert recovery_bound_db(5.0, 0.0) == math.inf
    assert recovery_bound_db(5.0, 1e9) == pytest.approx(20.0)

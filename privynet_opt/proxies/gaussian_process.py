"""Gaussian-process regression with hyper-parameters kept sane on few rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from privynet_opt.proxies.base import Floats, check_fitted

_PRIORS = {"signal": (0.0, 1.0), "length": (1.1, 1.0), "trend": (0.0, 1.5), "noise": (-4.6, 1.5)}
"""Mean and standard deviation of the logarithm of each kernel parameter, in standardised units:
length scales near 3 (inputs span about 4), noise near a tenth of the targets' deviation."""

_BOUNDS = (1e-4, 1e4)
_MAX_ITERATIONS = 60


class GaussianProcess:
    """Matérn-5/2 process with one length scale per standardised input, and noise.

    Away from the table the mean returns to the trend and the spread grows to the prior's.
    Hyper-parameters maximise the marginal likelihood times a log-normal prior, which keeps
    length scales of inputs that do not matter from running away on few rows.

    Args:
        has_trend: Whether a Bayesian linear trend in all inputs is part of the prior; without
            it the process returns to the mean of the targets.
        hyperparameters: Fixed logarithms of the kernel's parameters; None searches them.
        start: Where the search begins; None begins at the prior's centre.
    """

    def __init__(
        self,
        has_trend: bool,
        hyperparameters: list[float] | None = None,
        start: list[float] | None = None,
    ) -> None:
        self.has_trend = has_trend
        self.hyperparameters = hyperparameters
        self.start = start

    def fit(self, inputs: Floats, targets: Floats) -> Self:
        """Fit kernel parameters and condition on the rows."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor

        self._centre, self._scale = inputs.mean(axis=0), _spread(inputs)
        self._level, self._unit = targets.mean(), _spread(targets)
        kernel = _kernel(inputs.shape[1], self.has_trend)
        given = self.hyperparameters or self.start
        if given is not None:
            kernel = kernel.clone_with_theta(np.asarray(given))
        optimizer = None if self.hyperparameters else _search(self.has_trend, inputs.shape[1])
        self._regressor = GaussianProcessRegressor(kernel, alpha=1e-8, optimizer=optimizer)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a parameter on its bound is fine
            self._regressor.fit(self._standardise(inputs), (targets - self._level) / self._unit)
        self.hyperparameters_ = [float(value) for value in self._regressor.kernel_.theta]
        return self

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Return the posterior mean and standard deviation of a new measurement, noise included."""
        check_fitted(self)
        means, stds = self._regressor.predict(self._standardise(inputs), return_std=True)
        return self._level + self._unit * means, self._unit * stds

    def _standardise(self, inputs: Floats) -> Floats:
        standardised: Floats = (inputs - self._centre) / self._scale
        return standardised


def _kernel(n_inputs: int, has_trend: bool) -> Any:
    from sklearn.gaussian_process.kernels import (
        ConstantKernel,
        DotProduct,
        Matern,
        WhiteKernel,
    )

    def centre(name: str) -> float:
        return float(np.exp(_PRIORS[name][0]))

    lengths = np.full(n_inputs, centre("length"))
    kernel = ConstantKernel(centre("signal"), _BOUNDS) * Matern(lengths, _BOUNDS, nu=2.5)
    if has_trend:
        line = DotProduct(sigma_0=1.0, sigma_0_bounds="fixed")
        kernel = kernel + ConstantKernel(centre("trend"), _BOUNDS) * line
    return kernel + WhiteKernel(centre("noise"), _BOUNDS)


def _search(has_trend: bool, n_inputs: int) -> Callable[..., tuple[Floats, float]]:
    """Return scikit-learn's optimizer hook: L-BFGS on the likelihood times the prior."""
    names = ["signal", *["length"] * n_inputs, *["trend"] * has_trend, "noise"]
    centre, width = np.array([_PRIORS[name] for name in names]).T

    def optimize(objective: Any, start: Floats, bounds: Floats) -> tuple[Floats, float]:
        from scipy.optimize import minimize

        def penalised(theta: Floats) -> tuple[float, Floats]:
            loss, gradient = objective(theta)
            deviation = (theta - centre) / width
            return loss + deviation @ deviation / 2, gradient + deviation / width

        options = {"maxiter": _MAX_ITERATIONS}
        found = minimize(
            penalised, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        )
        return found.x, float(found.fun)

    return optimize


def _spread(values: Floats) -> Any:
    spread = np.asarray(values.std(axis=0))
    return np.where(spread > 1e-12, spread, 1.0)

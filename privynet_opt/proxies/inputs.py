"""What a proxy knows about a topology: where it is cut, how much it sends, what cheap attacks say.

The one place that turns topologies into a design matrix. Depth and cells come from the cut's
profile, estimates from the table's amortised or closed-form measurements of the same local network
with its features sent plainly; bits and noise are inputs beside them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privynet_opt.characterization.envelope import sent_plainly
from privynet_opt.characterization.schema import TRAINED_FIDELITIES
from privynet_opt.characterization.table import CharacterizationTable
from privynet_opt.errors import TableError, TopologyError, did_you_mean
from privynet_opt.proxies.base import Floats
from privynet_opt.proxies.estimates import TARGETS, Estimates
from privynet_opt.topology import SENDING_DEFAULTS

INPUT_NAMES = (
    "depth",
    "log_kept_filters",
    "log_cells",
    "estimated_accuracy",
    "log_estimated_psnr",
    "estimated_ssim",
    "accuracy_over_screen",
    "log_psnr_over_screen",
    "ssim_over_screen",
    "is_full",
)
"""Columns of the design matrix: convolutions up to the cut; natural logarithms of kept filters and
feature cells (together the bytes sent); the estimates, psnr_db as the logarithm of what
it exceeds the table's smallest by, plus `PSNR_OFFSET_DB`; what these exceed the closed-form values
by, 0 in a table without amortised ones; 1 for a measurement at the highest trained fidelity, else
0. Adding multiply-adds and bytes, which follow from these, made the held-out error of psnr_db
larger. `benchmarks/proxy_error.py` prints the errors with fewer inputs."""

SENDING_INPUTS = ("code_step", "noise_std")
"""Further columns where the table has measurements of coded or noisy features: two to the power of
minus the bits, which is the difference between neighbouring codes as a share of their range; the
noise."""

PSNR_OFFSET_DB = 1.0
"""Keeps the logarithm finite at the most private topology."""

COVERED_SHARE = 0.5
"""A few amortised rows of a cut tell nothing of its other topologies: they do not count."""


class ProxyInputs:
    """Look up and compute the inputs of topologies, measured or not.

    Estimates are the values of the cut's amortised networks, where they scored at least
    `COVERED_SHARE` of what the closed form did; in a table without them, the closed-form values.
    A cut or a strategy at a cut that only the closed form measured, in a table where others have
    amortised values, takes what least squares over the others makes of its closed-form values.

    Args:
        table: Its cuts, its ``screen`` and its ``amortised`` rows are used, of these those of
            features that were sent plainly.

    Raises:
        TableError: If the table has no such ``screen`` row.
    """

    def __init__(self, table: CharacterizationTable) -> None:
        self.cuts = table.cuts
        self.names = input_names(table)
        self._trained = pd.MultiIndex.from_frame(table.trained[["cut_layer", "selection_strategy"]])
        table = replace(table, rows=table.rows[sent_plainly(table.rows)])
        if table.screen.empty:
            raise TableError(
                f"`fidelity` must be 'screen' in some rows, but {table.path} has none. Proxies "
                "build on closed-form values: measure them with `privynet-opt characterize`."
            )
        self._screen = Estimates(table.screen, table.cuts)
        self._floor_db = float(table.screen["psnr_db"].min())
        self._amortised = None
        amortised = _of_covered_cuts(table)
        if not amortised.empty:
            self._amortised = Estimates(amortised, table.cuts)
            known = _with_constant(self._shape(amortised), self._screened(amortised))
            values = self._on_log_scale(amortised[list(TARGETS)].to_numpy())
            self._bridge = np.linalg.lstsq(known, values, rcond=None)[0]

    def matrix(self, topologies: pd.DataFrame, fidelities: pd.Series | str) -> Floats:
        """Return the design matrix.

        Args:
            topologies: The columns `TOPOLOGY_COLUMNS`; those that say how features are sent may be
                missing where they are the default, others are ignored.
            fidelities: What each topology was, or is to be, measured at: ``standard``, ``full``.

        Returns:
            Shape ``(n_topologies, len(self.names))``.

        Raises:
            TopologyError: If a cut layer has no profile, or fewer channels than are kept.
        """
        self._check(topologies)
        is_full = np.equal(fidelities, TRAINED_FIDELITIES[-1]) + np.zeros(len(topologies))
        shape, screened = self._shape(topologies), self._screened(topologies)
        estimates = self._estimates(topologies, shape, screened)
        inputs = [shape, estimates, estimates - screened, is_full]
        if self.names != INPUT_NAMES:
            inputs.append(sending_inputs(topologies))
        return np.column_stack(inputs)

    def are_guessed(self, topologies: pd.DataFrame) -> NDArray[np.bool_]:
        """Return whether the estimates are those of other strategies, or only of the closed form.

        The latter counts at a cut whose other strategies the amortised networks scored, and neither
        where the strategy was trained there, so that its errors are known.

        Args:
            topologies: As in `matrix`.

        Returns:
            Shape ``(n_topologies,)``.
        """
        known = self._screen.know(topologies)
        if self._amortised is not None:
            covered = topologies["cut_layer"].isin(self._amortised.cut_layers).to_numpy()
            known = np.where(covered, self._amortised.know(topologies), known)
        ways = pd.MultiIndex.from_frame(topologies[list(self._trained.names)])
        return ~(known | ways.isin(self._trained))

    def _shape(self, topologies: pd.DataFrame) -> Floats:
        cuts = [self.cuts[name] for name in topologies["cut_layer"]]
        shape = np.array([(cut.depth, 0.0, np.log(cut.height * cut.width)) for cut in cuts])
        shape = shape.reshape(len(topologies), 3)
        shape[:, 1] = np.log(topologies["kept_filters"].to_numpy(dtype=float))
        return shape

    def _estimates(self, topologies: pd.DataFrame, shape: Floats, screened: Floats) -> Floats:
        if self._amortised is None:
            return screened
        values: Floats = _with_constant(shape, screened) @ self._bridge
        known = self._amortised.know(topologies)
        values[known] = self._on_log_scale(self._amortised.values(topologies[known]))
        return values

    def _screened(self, topologies: pd.DataFrame) -> Floats:
        return self._on_log_scale(self._screen.values(topologies))

    def _on_log_scale(self, values: Floats) -> Floats:
        accuracy, psnr_db, ssim = values.T
        excess_db = np.maximum(psnr_db - self._floor_db, 0) + PSNR_OFFSET_DB
        return np.column_stack([accuracy, np.log(excess_db), ssim])

    def _check(self, topologies: pd.DataFrame) -> None:
        known = topologies["cut_layer"].isin(list(self.cuts))
        if not known.all():
            name = str(topologies["cut_layer"][~known].iloc[0])
            raise TopologyError(
                f"`cut_layer` must be a cut of the characterization table, but got {name!r}. "
                + did_you_mean(name, self.cuts)
            )
        kept = topologies["kept_filters"]
        channels = topologies["cut_layer"].map({n: cut.channels for n, cut in self.cuts.items()})
        wrong = (kept < 1) | (kept > channels)
        if wrong.any():
            row = topologies[wrong].iloc[0]
            limit = self.cuts[row["cut_layer"]].channels
            raise TopologyError(
                f"`kept_filters` must be from 1 to the {limit} channels of {row['cut_layer']}, "
                f"but got kept_filters={row['kept_filters']}. Choose a count in that range."
            )


def input_names(table: CharacterizationTable) -> tuple[str, ...]:
    """Return the columns of a table's design matrix.

    Args:
        table: The table.
    """
    return INPUT_NAMES if sent_plainly(table.rows).all() else (*INPUT_NAMES, *SENDING_INPUTS)


def sending_inputs(topologies: pd.DataFrame) -> Floats:
    """Return `SENDING_INPUTS` of topologies, shape ``(n_topologies, 2)``.

    Args:
        topologies: As in `ProxyInputs.matrix`.
    """
    bits, noise = (sending(topologies, name) for name in SENDING_DEFAULTS)
    return np.column_stack([2.0**-bits, noise])


def sending(topologies: pd.DataFrame, name: str) -> Floats:
    """Return how features are sent, the default where a frame does not say.

    Args:
        topologies: Any rows.
        name: One of `SENDING_DEFAULTS`.
    """
    if name in topologies:
        return topologies[name].to_numpy(dtype=float)
    return np.full(len(topologies), float(SENDING_DEFAULTS[name]))


def _with_constant(*blocks: Floats) -> Floats:
    return np.column_stack([np.ones(len(blocks[0])), *blocks])


def _of_covered_cuts(table: CharacterizationTable) -> pd.DataFrame:
    counts = table.amortised.groupby("cut_layer").size()
    share = counts / table.screen.groupby("cut_layer").size().reindex(counts.index)
    covered = share.index[share >= COVERED_SHARE]
    return table.amortised[table.amortised["cut_layer"].isin(covered)]

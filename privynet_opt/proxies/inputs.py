"""What a proxy knows about a topology: where it is cut, how much it sends, how it screens.

The one place that turns topologies into a design matrix. Depth and cells come from the cut's
profile, screen values from the table's closed-form measurements of the same topology.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privynet_opt.characterization.table import TRAINED_FIDELITIES, CharacterizationTable
from privynet_opt.errors import TableError, TopologyError, did_you_mean

TOPOLOGY_COLUMNS = ["cut_layer", "kept_filters", "selection_strategy", "selection_seed"]
"""The columns that name a topology."""

TARGETS = ("accuracy", "psnr_db", "ssim")
"""What is predicted; also what the screen estimates in closed form."""

INPUT_NAMES = (
    "depth",
    "log_kept_filters",
    "log_cells",
    "screen_accuracy",
    "log_screen_psnr",
    "screen_ssim",
    "is_full",
)
"""Columns of the design matrix: convolutions up to the cut; natural logarithms of kept filters and
feature cells (together the bytes sent); the closed-form values, psnr_db as the logarithm of what
it exceeds the table's smallest by, plus `PSNR_OFFSET_DB`; 1 for a measurement at the highest
trained fidelity, else 0. Adding multiply-adds and bytes, which follow from these, made the held-out
error of psnr_db larger (benchmarks/proxy_error.py prints it)."""

PSNR_OFFSET_DB = 1.0
"""Keeps the logarithm finite at the most private screened topology."""


class ProxyInputs:
    """Look up and compute the inputs of topologies, measured or not.

    A topology that was screened uses its own screen values. Any other takes the curve of its
    (cut layer, strategy) over the logarithm of the kept filters, averaged over seeds, linear
    between screened counts and constant beyond them. Where all channels are kept every strategy
    is the same network, so that row belongs to every curve of its cut. A strategy never screened
    at a cut takes the cut's curve over all strategies, a cut never screened the
    strategy's curve over the whole table.

    Args:
        table: Its cuts and its ``screen`` rows are used.

    Raises:
        TableError: If the table has no ``screen`` row.
    """

    def __init__(self, table: CharacterizationTable) -> None:
        self.cuts = table.cuts
        self._screen = table.screen
        if self._screen.empty:
            raise TableError(
                f"`fidelity` must be 'screen' in some rows, but {table.path} has none. Proxies "
                "build on closed-form values: measure them with `privynet-opt characterize`."
            )
        self._measured = self._screen.groupby(TOPOLOGY_COLUMNS)[list(TARGETS)].mean()

    def matrix(self, topologies: pd.DataFrame, fidelities: pd.Series | str) -> NDArray[np.float64]:
        """Return the design matrix.

        Args:
            topologies: The columns `TOPOLOGY_COLUMNS`; others are ignored.
            fidelities: What each topology was, or is to be, measured at: ``standard``, ``full``.

        Returns:
            Shape ``(n_topologies, len(INPUT_NAMES))``.

        Raises:
            TopologyError: If a cut layer has no profile, or fewer channels than are kept.
        """
        self._check(topologies)
        kept = topologies["kept_filters"].to_numpy(dtype=np.int64)
        columns = {name: np.empty(len(kept)) for name in INPUT_NAMES}
        columns["log_kept_filters"] = np.log(kept)
        columns["is_full"] = np.where(np.equal(fidelities, TRAINED_FIDELITIES[-1]), 1.0, 0.0)
        for name, rows in topologies.groupby("cut_layer").indices.items():
            cut = self.cuts[str(name)]
            columns["depth"][rows] = cut.depth
            columns["log_cells"][rows] = np.log(cut.height * cut.width)
        accuracy, psnr_db, ssim = self.screen_values(topologies).T
        excess_db = np.maximum(psnr_db - self._screen["psnr_db"].min(), 0) + PSNR_OFFSET_DB
        columns |= {
            "screen_accuracy": accuracy,
            "log_screen_psnr": np.log(excess_db),
            "screen_ssim": ssim,
        }
        return np.column_stack([np.broadcast_to(columns[n], len(kept)) for n in INPUT_NAMES])

    def screen_values(self, topologies: pd.DataFrame) -> NDArray[np.float64]:
        """Return closed-form accuracy, psnr_db and ssim; see the class for what is interpolated.

        Args:
            topologies: The columns `TOPOLOGY_COLUMNS`.

        Returns:
            Shape ``(n_topologies, 3)``, in the order of `TARGETS`.
        """
        keys = pd.MultiIndex.from_frame(topologies[TOPOLOGY_COLUMNS])
        values = self._measured.reindex(keys).to_numpy(copy=True)
        missing = topologies.reset_index(drop=True)[np.isnan(values[:, 0])]
        for (cut, strategy), rows in missing.groupby(["cut_layer", "selection_strategy"]):
            log_kept, curve = self._curve(str(cut), str(strategy))
            at = np.log(rows["kept_filters"].to_numpy(dtype=float))
            interpolated = [np.interp(at, log_kept, column) for column in curve.T]
            values[rows.index.to_numpy()] = np.column_stack(interpolated)
        return values

    def _curve(self, cut: str, strategy: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        at_cut = self._screen[self._screen["cut_layer"] == cut]
        if at_cut.empty:
            at_cut = self._screen
        own = at_cut["selection_strategy"] == strategy
        whole = at_cut["kept_filters"] == at_cut["cut_layer"].map(self._channels())
        rows = at_cut[own | whole] if own.any() else at_cut
        means = rows.groupby("kept_filters")[list(TARGETS)].mean()
        return np.log(means.index.to_numpy(dtype=float)), means.to_numpy()

    def _channels(self) -> dict[str, int]:
        return {name: cut.channels for name, cut in self.cuts.items()}

    def _check(self, topologies: pd.DataFrame) -> None:
        known = topologies["cut_layer"].isin(list(self.cuts))
        if not known.all():
            name = str(topologies["cut_layer"][~known].iloc[0])
            raise TopologyError(
                f"`cut_layer` must be a cut of the characterization table, but got {name!r}. "
                + did_you_mean(name, self.cuts)
            )
        kept, channels = topologies["kept_filters"], topologies["cut_layer"].map(self._channels())
        wrong = (kept < 1) | (kept > channels)
        if wrong.any():
            row = topologies[wrong].iloc[0]
            limit = self.cuts[row["cut_layer"]].channels
            raise TopologyError(
                f"`kept_filters` must be from 1 to the {limit} channels of {row['cut_layer']}, "
                f"but got kept_filters={row['kept_filters']}. Choose a count in that range."
            )

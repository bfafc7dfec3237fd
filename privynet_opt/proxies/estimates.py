"""What one cheap fidelity says about topologies, measured at it or not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privynet_opt.cost import CutProfile
from privynet_opt.proxies.base import Floats
from privynet_opt.topology import LOCAL_COLUMNS

TARGETS = ("accuracy", "psnr_db", "ssim")
"""What every fidelity measures and the proxies predict."""

_CURVE = ["cut_layer", "selection_strategy"]


class Estimates:
    """Look up the values of one fidelity, interpolated where it did not measure.

    A topology that was measured uses its own values. Any other takes the curve of its
    (cut layer, strategy) over the logarithm of the kept filters, averaged over seeds, linear
    between measured counts and constant beyond them. Where all channels are kept every strategy
    is the same network, so that row belongs to every curve of its cut. A strategy never measured
    at a cut takes the cut's curve over all strategies, a cut never measured the strategy's curve
    over the whole table: what `know` says no of.

    Args:
        rows: Measurements of the fidelity, at least one, of features that were sent plainly.
        cuts: Profiles by name of the cut layer.

    Attributes:
        cut_layers: The cuts with a measurement.
    """

    def __init__(self, rows: pd.DataFrame, cuts: Mapping[str, CutProfile]) -> None:
        self.cut_layers = frozenset(rows["cut_layer"])
        self._rows = rows
        self._channels = {name: cut.channels for name, cut in cuts.items()}
        self._curves = pd.MultiIndex.from_frame(rows[_CURVE])
        self._measured = rows.groupby(list(LOCAL_COLUMNS))[list(TARGETS)].mean()

    def know(self, topologies: pd.DataFrame) -> NDArray[np.bool_]:
        """Return whether a topology's strategy was measured at its cut.

        Args:
            topologies: The columns `LOCAL_COLUMNS`; others are ignored.

        Returns:
            Shape ``(n_topologies,)``; where all channels are kept, whether the cut was measured.
        """
        pairs = pd.MultiIndex.from_frame(topologies[_CURVE])
        is_whole = topologies["kept_filters"] == topologies["cut_layer"].map(self._channels)
        at_cut = topologies["cut_layer"].isin(self.cut_layers)
        return np.asarray(pairs.isin(self._curves) | (is_whole & at_cut), dtype=bool)

    def values(self, topologies: pd.DataFrame) -> Floats:
        """Return accuracy, psnr_db and ssim.

        Args:
            topologies: The columns `LOCAL_COLUMNS`; others are ignored.

        Returns:
            Shape ``(n_topologies, 3)``, in the order of `TARGETS`.
        """
        keys = pd.MultiIndex.from_frame(topologies[list(LOCAL_COLUMNS)])
        values = self._measured.reindex(keys).to_numpy(copy=True)
        missing = topologies.reset_index(drop=True)[np.isnan(values[:, 0])]
        for (cut, strategy), rows in missing.groupby(["cut_layer", "selection_strategy"]):
            log_kept, curve = self._curve(str(cut), str(strategy))
            at = np.log(rows["kept_filters"].to_numpy(dtype=float))
            interpolated = [np.interp(at, log_kept, column) for column in curve.T]
            values[rows.index.to_numpy()] = np.column_stack(interpolated)
        return values

    def _curve(self, cut: str, strategy: str) -> tuple[Floats, Floats]:
        at_cut = self._rows[self._rows["cut_layer"] == cut]
        if at_cut.empty:
            at_cut = self._rows
        own = at_cut["selection_strategy"] == strategy
        whole = at_cut["kept_filters"] == at_cut["cut_layer"].map(self._channels)
        rows = at_cut[own | whole] if own.any() else at_cut
        means = rows.groupby("kept_filters")[list(TARGETS)].mean()
        return np.log(means.index.to_numpy(dtype=float)), means.to_numpy()

"""Fit a proxy for accuracy, psnr_db and ssim to the trained rows of a characterization table.

Stands between the table and the optimizer: afterwards any topology of the study's space can be
predicted, with an interval, in microseconds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from privynet_opt.characterization.envelope import with_envelope
from privynet_opt.characterization.schema import KEY, TRAINED_FIDELITIES
from privynet_opt.characterization.table import CharacterizationTable
from privynet_opt.errors import TableError
from privynet_opt.proxies.base import Floats
from privynet_opt.proxies.estimates import TARGETS
from privynet_opt.proxies.folds import row_groups
from privynet_opt.proxies.inputs import ProxyInputs
from privynet_opt.proxies.intervals import interval, scales_by_cut
from privynet_opt.proxies.model_choice import fit_target
from privynet_opt.proxies.models import MODELS
from privynet_opt.proxies.record import TargetRecord, read_record, table_key, write_record
from privynet_opt.proxies.trained_range import TrainedRange
from privynet_opt.proxies.validation import validate

MIN_TRAINED_ROWS = 5
MIN_GROUPS = 3
"""Fewer trained rows, or fewer distinct (cut layer, kept filters) among them, are not fitted."""


class Proxies:
    """Predict accuracy, psnr_db and ssim of topologies, each with an interval.

    Predictions are for the highest trained fidelity that the table holds of at least `MIN_GROUPS`
    distinct (cut layer, kept filters): the value closest to what the
    strongest attacker and the best cloud network reach.

    Args:
        table: The table the record was fitted to, raised to its monotone envelope.
        record: What fitting learned, by target.
        confidence: Share of measurements that the intervals are to cover, in (0, 1).

    Attributes:
        validations: Held-out errors by target.
        fidelity: The fidelity that is predicted.
        confidence: As given.
    """

    def __init__(
        self, table: CharacterizationTable, record: dict[str, TargetRecord], confidence: float
    ) -> None:
        rows = trained_rows(table)
        self.confidence = confidence
        self.fidelity = _predicted_fidelity(rows)
        self._inputs = ProxyInputs(table)
        self._range = TrainedRange(rows, self._inputs)
        matrix = self._inputs.matrix(rows, rows["fidelity"])
        self.validations = {
            target: validate(target, entry, rows, confidence) for target, entry in record.items()
        }
        self._scales = {
            target: scales_by_cut(target, rows, entry.held_out, entry.without_cut, confidence)
            for target, entry in record.items()
        }
        self._models = {
            target: MODELS[entry.model](hyperparameters=entry.hyperparameters).fit(
                matrix, rows[target].to_numpy()
            )
            for target, entry in record.items()
        }

    def predict(self, topologies: pd.DataFrame) -> pd.DataFrame:
        """Predict topologies, measured or not.

        Args:
            topologies: The columns `TOPOLOGY_COLUMNS`; those that say how features are sent may be
                missing where they are the default, others are ignored.

        Returns:
            With the same index, per target the columns ``<target>``, ``<target>_lower`` and
            ``<target>_upper``, and ``extrapolation``: whether anything of `TrainedRange.exceeded`
            is. For a cut layer without a trained row the interval is as wide as the errors on
            whole cut layers held out; these are so few that its level is a guess.

        Raises:
            TopologyError: If a cut layer has no profile, or fewer channels than are kept.
        """
        matrix = self._inputs.matrix(topologies, self.fidelity)
        columns: dict[str, Floats] = {}
        for target, model in self._models.items():
            means, spreads = model.predict(matrix) if len(matrix) else (np.empty(0), np.empty(0))
            scales, new_cut_scale = self._scales[target]
            reach = spreads * topologies["cut_layer"].map(scales).fillna(new_cut_scale).to_numpy()
            names = (target, f"{target}_lower", f"{target}_upper")
            columns |= zip(names, interval(target, means, reach), strict=True)
        exceeded = self._range.exceeded(topologies)
        return pd.DataFrame(columns, index=topologies.index).assign(
            extrapolation=exceeded.any(axis=1)
        )

    def why_extrapolated(self, topology: pd.Series) -> tuple[str, ...]:
        """Return in words what a topology exceeds of the trained rows, nothing where it does not.

        Args:
            topology: With `TOPOLOGY_COLUMNS`, of a cut layer that has a profile.
        """
        return self._range.reasons(topology)


def fit_proxies(
    table: CharacterizationTable, confidence: float = 0.9, cache: Path | None = None
) -> Proxies:
    """Fit the proxies of a table, choosing the model of each target by cross-validation.

    Args:
        table: At least `MIN_TRAINED_ROWS` trained rows, and screen rows. Privacy losses are
            raised to the table's monotone envelope first.
        confidence: Share of measurements that the intervals are to cover, in (0, 1).
        cache: JSON file that keeps what was learned; read if it belongs to this table, written
            otherwise. Fitting 80 rows takes seconds, reading milliseconds.

    Returns:
        The proxies; the same for every order of the table's rows.

    Raises:
        TableError: If the table has too few trained rows, or none in closed form.
    """
    key = table_key(table)
    table = with_envelope(table)
    rows = trained_rows(table)
    record = None if cache is None else read_record(cache, key, len(rows))
    if record is None:
        matrix = ProxyInputs(table).matrix(rows, rows["fidelity"])
        record = {target: fit_target(matrix, rows, target) for target in TARGETS}
        if cache is not None:
            write_record(cache, key, record)
    return Proxies(table, record, confidence)


def trained_rows(table: CharacterizationTable) -> pd.DataFrame:
    """Return the rows proxies are fitted to, in an order that depends on their keys alone.

    Args:
        table: The table.

    Returns:
        The trained rows by cut layer in network order, kept filters and the rest of the key.

    Raises:
        TableError: If there are too few.
    """
    order = {name: index for index, name in enumerate(table.cuts)}
    rows = table.trained.assign(cut_order=table.trained["cut_layer"].map(order))
    rows = rows.sort_values(["cut_order", *KEY[1:]], ignore_index=True).drop(columns="cut_order")
    n_groups = len(set(row_groups(rows)))
    if len(rows) < MIN_TRAINED_ROWS or n_groups < MIN_GROUPS:
        raise TableError(
            f"{table.path} must have at least {MIN_TRAINED_ROWS} rows of fidelity "
            f"{' or '.join(TRAINED_FIDELITIES)} in {MIN_GROUPS} different (cut_layer, "
            f"kept_filters), but got {len(rows)} in {n_groups}. Measure more topologies with "
            "`privynet-opt characterize`."
        )
    return rows


def _predicted_fidelity(rows: pd.DataFrame) -> str:
    groups = {name: len(set(row_groups(some))) for name, some in rows.groupby("fidelity")}
    enough = [name for name, n in groups.items() if n >= MIN_GROUPS]
    return str(max(enough or groups, key=TRAINED_FIDELITIES.index))

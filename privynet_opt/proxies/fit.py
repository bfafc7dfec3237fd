"""Fit a proxy for accuracy, psnr_db and ssim to the trained rows of a characterization table.

Stands between the table and the optimizer: afterwards any topology of the study's space can be
predicted, with an interval, in microseconds.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privynet_opt.characterization.envelope import with_envelope
from privynet_opt.characterization.schema import KEY, TRAINED_FIDELITIES
from privynet_opt.characterization.table import CharacterizationTable
from privynet_opt.errors import TableError
from privynet_opt.proxies.base import Floats
from privynet_opt.proxies.estimates import TARGETS
from privynet_opt.proxies.inputs import ProxyInputs
from privynet_opt.proxies.models import MODELS, candidate_models
from privynet_opt.proxies.record import TargetRecord, read_record, table_key, write_record
from privynet_opt.proxies.trained_range import TrainedRange
from privynet_opt.proxies.validation import (
    Folds,
    ProxyValidation,
    conformal_scale,
    cross_conformal_scales,
    explained_variance,
    group_folds,
    group_scale,
    held_out,
    interval_groups,
    rank_correlation,
)
from privynet_opt.topology import TOPOLOGY_COLUMNS

MIN_TRAINED_ROWS = 5
MIN_GROUPS = 3
"""Fewer trained rows, or fewer distinct (cut layer, kept filters) among them, are not fitted."""

TARGET_RANGES = {"accuracy": (0.0, 1.0), "psnr_db": (-np.inf, np.inf), "ssim": (-1.0, 1.0)}
"""Predictions and intervals are clipped to what a target can be."""


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
            target: _validate(target, entry, rows, confidence) for target, entry in record.items()
        }
        self._scales = {
            target: _scales(entry, rows, target, confidence) for target, entry in record.items()
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
            columns |= _interval(target, means, reach)
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
        record = {target: _fit_target(matrix, rows, target) for target in TARGETS}
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
    n_groups = len(set(_groups(rows)))
    if len(rows) < MIN_TRAINED_ROWS or n_groups < MIN_GROUPS:
        raise TableError(
            f"{table.path} must have at least {MIN_TRAINED_ROWS} rows of fidelity "
            f"{' or '.join(TRAINED_FIDELITIES)} in {MIN_GROUPS} different (cut_layer, "
            f"kept_filters), but got {len(rows)} in {n_groups}. Measure more topologies with "
            "`privynet-opt characterize`."
        )
    return rows


def _groups(rows: pd.DataFrame) -> list[tuple[str, int]]:
    return list(zip(rows["cut_layer"], rows["kept_filters"], strict=True))


def _alike(rows: pd.DataFrame) -> NDArray[np.int64]:
    groups = _groups(rows)
    order = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    return np.array([order[group] for group in groups])


def _predicted_fidelity(rows: pd.DataFrame) -> str:
    groups = {name: len(set(_groups(some))) for name, some in rows.groupby("fidelity")}
    enough = [name for name, n in groups.items() if n >= MIN_GROUPS]
    return str(max(enough or groups, key=TRAINED_FIDELITIES.index))


def _fit_target(matrix: Floats, rows: pd.DataFrame, target: str) -> TargetRecord:
    """Try every model on the same folds and keep the one of the smallest error."""
    targets = rows[target].to_numpy()
    folds = group_folds(_groups(rows))
    starts, tried = {}, {}
    for name, build in candidate_models(len(targets)).items():
        starts[name] = build().fit(matrix, targets).hyperparameters_
        tried[name] = held_out(partial(build, start=starts[name]), matrix, targets, folds)
    errors = {name: float(np.abs(means - targets).mean()) for name, (means, _) in tried.items()}
    best = min(errors, key=errors.__getitem__)
    cut_folds: Folds = group_folds(list(rows["cut_layer"]), len(rows))
    loco: tuple[Floats, Floats] = (np.array([]), np.array([]))
    if len(cut_folds) > 1:
        loco = held_out(partial(MODELS[best], start=starts[best]), matrix, targets, cut_folds)
    return TargetRecord(best, starts[best], errors, *map(list, (*tried[best], *loco)))


def _scales(
    entry: TargetRecord, rows: pd.DataFrame, target: str, confidence: float
) -> tuple[dict[str, float], float]:
    """Return the scale of intervals by trained cut, and at a cut never trained."""
    cuts, measured = rows["cut_layer"].tolist(), rows[target].to_numpy()
    groups, alike = interval_groups(cuts), _alike(rows)
    scores = _scores(measured, entry.means, entry.spreads)
    scales = {
        cut: group_scale(scores, groups, alike, str(group), confidence)
        for cut, group in dict(zip(cuts, groups, strict=True)).items()
    }
    new_cut = conformal_scale(scores, confidence)
    if entry.loco_means:
        loco = _scores(measured, entry.loco_means, entry.loco_spreads)
        new_cut = max(new_cut, conformal_scale(loco, confidence))
    return scales, new_cut


def _scores(measured: Floats, means: list[float], spreads: list[float]) -> Floats:
    scores: Floats = np.abs(measured - np.array(means)) / np.array(spreads)
    return scores


def _interval(target: str, means: Floats, reach: Floats) -> dict[str, Floats]:
    low, high = TARGET_RANGES[target]
    return {
        target: np.clip(means, low, high),
        f"{target}_lower": np.clip(means - reach, low, high),
        f"{target}_upper": np.clip(means + reach, low, high),
    }


def _validate(
    target: str, entry: TargetRecord, rows: pd.DataFrame, confidence: float
) -> ProxyValidation:
    measured, groups = rows[target].to_numpy(), _groups(rows)
    means = np.array(entry.means)
    scores = _scores(measured, entry.means, entry.spreads)
    shared = interval_groups(rows["cut_layer"].tolist())
    folds = group_folds(groups)
    scales = cross_conformal_scales(scores, shared, _alike(rows), folds, confidence)
    interval = _interval(target, means, scales * np.array(entry.spreads))
    predicted, lower, upper = interval.values()
    loco = np.array(entry.loco_means or [np.nan])
    return ProxyValidation(
        target=target,
        model=entry.model,
        errors=entry.errors,
        n_rows=len(rows),
        n_groups=len(set(groups)),
        mean_absolute_error=float(np.abs(predicted - measured).mean()),
        spearman=rank_correlation(predicted, measured),
        r2=explained_variance(measured, predicted),
        confidence=confidence,
        coverage=float(((lower <= measured) & (measured <= upper)).mean()),
        half_width=float(np.median((upper - lower) / 2)),
        loco_mean_absolute_error=float(np.abs(loco - measured).mean()),
        loco_spearman=rank_correlation(loco, measured) if entry.loco_means else np.nan,
        predictions=rows[[*TOPOLOGY_COLUMNS, "fidelity"]].assign(
            measured=measured, predicted=predicted, lower=lower, upper=upper
        ),
    )

"""Do the limits hold? The recommended topology and its neighbours measured by a fresh attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from privynet_opt.arguments import (
    as_path,
    known_word,
    path_or_none,
    weights_or_none,
    whole_number,
)
from privynet_opt.candidates import decided_by, strongest_leaks
from privynet_opt.characterization.schema import TRAINED_FIDELITIES
from privynet_opt.errors import DataError, OutputError, StudyError
from privynet_opt.label_knowledge import UNKNOWN, with_label_aware
from privynet_opt.metrics import PREDICTED, PRIVACY_LOSSES
from privynet_opt.search_space import TOPOLOGY_COLUMNS
from privynet_opt.topology import LocalTopology

if TYPE_CHECKING:
    from privynet_opt.characterization.fresh import FreshMeasurements
    from privynet_opt.characterization.table import CharacterizationTable
    from privynet_opt.constraints import Constraint
    from privynet_opt.result import OptimizationResult
    from privynet_opt.study_spec import StudySpec


ROUNDING = 1e-5
"""Share by which a value of the table, of six digits, may exceed the same one measured again."""


@dataclass(frozen=True)
class Validation:
    """Predictions against fresh measurements.

    Attributes:
        points: One row per topology, the recommended one first: `TOPOLOGY_COLUMNS`; per predicted
            metric ``t``: ``t``, ``t_lower``, ``t_upper``, ``measured_t`` and ``inside_t``, whether
            the interval holds the measurement; ``earlier``, whether an attack that the table held
            before, of the same images and weights, recovered more than the fresh ones, so that a
            privacy loss is measured by it; ``broken``, the limits that the measurement breaks;
            ``undecided``, those on accuracy that a cheaper cloud network than the predicted one
            does not reach; and the columns of `label_knowledge.with_label_aware`.
        predicted_fidelity: Of the predictions and their intervals.
        fidelity: Of the measurements.
        training_seed: Seed of their networks, which no row of the table had.
        measured: The measurements, with what they were made with; None where this was read back.
        same_source: Whether images, weights and recipe are those of the table; only then may the
            rows be added to it, and its pictures be shown beside these.
    """

    points: pd.DataFrame
    predicted_fidelity: str
    fidelity: str
    training_seed: int
    measured: FreshMeasurements | None
    same_source: bool

    @property
    def holds(self) -> bool:
        """Whether the recommended topology breaks no limit as measured."""
        return not self.points["broken"].iloc[0]


def validate(
    result: OptimizationResult,
    output: str | Path,
    k: int = 5,
    data: str | Path | None = None,
    weights: str | None = None,
    device: str = "cpu",
    fidelity: str = "full",
    skip_bad: bool = False,
) -> Validation:
    """Measure the recommended topology and its neighbours on the front by a fresh attack.

    Args:
        result: What `optimize` returned; it must recommend something.
        output: Folder that keeps finished measurements.
        k: Neighbours on the front, those of the most similar predictions.
        data: Where the images are; None only for data the package can make itself.
        weights: Weights file or name; None takes the study's.
        device: ``"cpu"`` or ``"cuda"``.
        fidelity: How long networks are trained: ``"standard"`` or ``"full"``.
        skip_bad: Leave out files and sub-folders that cannot be read, and warn of them.

    Returns:
        The comparison.

    Raises:
        StudyError: If nothing is recommended, `k` is no number of neighbours or `fidelity` unknown.
        PrivyNetOptError: If network, weights, images or folder are not usable.
    """
    from privynet_opt.characterization.fresh import measure_again

    k = whole_number("k", k, least=0)
    known_word("fidelity", fidelity, TRAINED_FIDELITIES)
    folder = as_path("output", output, OutputError)
    images, weights = path_or_none("data", data, DataError), weights_or_none(weights)
    if result.best is None:
        raise StudyError(
            "`validate` must have a recommended topology, but nothing is recommended. "
            "Relax a limit: the answer says which and how far."
        )
    chosen = neighbourhood(result.front, result.best, k)
    seed = int(result.table.rows["training_seed"].max()) + 1
    measured = measure_again(
        result.spec,
        [LocalTopology(*row) for row in chosen[list(TOPOLOGY_COLUMNS)].itertuples(index=False)],
        fidelity,
        seed,
        folder,
        images,
        weights,
        device,
        result.table.searched,
        skip_bad,
    )
    table, predicted = result.table, result.proxies.fidelity
    rows, closed = pd.DataFrame(measured.rows), pd.DataFrame(measured.screened)
    for loss in PRIVACY_LOSSES:
        rows[loss] = np.fmax(rows[loss], closed[loss])
    known = strongest_leaks(chosen, table) if measured.is_of(table.sidecar) else None
    decided = decided_by(result.constraints, fidelity, predicted)
    points = compare(chosen, rows, known, result.constraints, decided)
    informed = pd.DataFrame(measured.label_aware)
    return Validation(
        points=with_label_aware(points, informed, result.constraints),
        predicted_fidelity=predicted,
        fidelity=fidelity,
        training_seed=seed,
        measured=measured,
        same_source=fidelity in measured.alike(table.sidecar),
    )


def neighbourhood(front: pd.DataFrame, best: pd.Series, k: int) -> pd.DataFrame:
    """Return the recommended topology and the points of the front most like it.

    Args:
        front: The front.
        best: The recommended topology, with the same columns.
        k: How many neighbours, at most.

    Returns:
        At most ``k + 1`` rows, the recommended first, then by distance in accuracy and psnr_db,
        each as a share of its range over the front.
    """
    values = front[["accuracy", "psnr_db"]].to_numpy(dtype=float)
    spread = np.ptp(values, axis=0) if len(front) else np.ones(2)
    away = (values - best[["accuracy", "psnr_db"]].to_numpy(dtype=float)) / np.where(
        spread > 0, spread, 1
    )
    is_best = (front[list(TOPOLOGY_COLUMNS)] == best[list(TOPOLOGY_COLUMNS)]).all(axis=1)
    order = np.argsort(np.linalg.norm(away, axis=1), kind="stable")
    others = front.iloc[order[~is_best.to_numpy()[order]]].head(k)
    return pd.concat([best.to_frame().T.astype(front.dtypes), others], ignore_index=True)


def compare(
    points: pd.DataFrame,
    rows: pd.DataFrame,
    known: pd.DataFrame | None,
    constraints: Sequence[Constraint],
    decided: Sequence[Constraint],
) -> pd.DataFrame:
    """Put measurements beside predictions.

    Args:
        points: Topologies with predictions and intervals.
        rows: Their measurements, in the same order.
        known: Their privacy losses by the strongest earlier attack, likewise; NaN where none; None
            where no earlier attack was on these images and weights.
        constraints: The limits; those on measured metrics are checked on the measurement.
        decided: Those of them that the measurement decides.

    Returns:
        The columns of `Validation.points`, nobody having attacked with labels.
    """
    strongest = rows[list(PREDICTED)].reset_index(drop=True)
    if known is not None:
        for loss in known:
            strongest[loss] = np.fmax(strongest[loss], known[loss].to_numpy())
    columns: dict[str, Any] = {name: points[name].to_numpy() for name in TOPOLOGY_COLUMNS}
    for target in PREDICTED:
        lower, upper = (points[f"{target}_{end}"].to_numpy() for end in ("lower", "upper"))
        measured = strongest[target].to_numpy()
        columns |= {
            target: points[target].to_numpy(),
            f"{target}_lower": lower,
            f"{target}_upper": upper,
            f"measured_{target}": measured,
            f"inside_{target}": (lower <= measured) & (measured <= upper),
        }
    fresh = rows[list(PREDICTED)].to_numpy() * (1 + ROUNDING)
    columns["earlier"] = (strongest > fresh).any(axis=1).to_numpy()
    measurable = [c for c in constraints if c.metric in PREDICTED]
    for name, limits in (
        ("broken", [c for c in measurable if c in decided]),
        ("undecided", [c for c in measurable if c not in decided]),
    ):
        columns[name] = [
            ", ".join(str(c) for c in limits if c.violation(row[c.metric]) > 0)
            for _, row in strongest.iterrows()
        ]
    return pd.DataFrame({**columns, **UNKNOWN})


def keep_every_limit(points: pd.DataFrame) -> list[bool]:
    """Return which topologies are known to keep every limit.

    Args:
        points: From `compare`.
    """
    return [not row["broken"] and not row["undecided"] for _, row in points.iterrows()]


def told_of_earlier(points: pd.DataFrame) -> str:
    """Return in words which privacy losses an earlier attack decides.

    Args:
        points: From `compare`.

    Returns:
        A sentence; empty where the fresh attack is the strongest of all.
    """
    n = int(points["earlier"].sum())
    if not n:
        return ""
    which = f"{n} of these topologies" if len(points) > 1 else "this topology"
    return f"An earlier attack recovered more of {which} than the fresh ones: its value is given."


def add_to_study(
    validation: Validation, spec: StudySpec, table: CharacterizationTable, copy: Path
) -> Path | None:
    """Add the measurements to the study's table.

    Args:
        validation: The comparison.
        spec: The study.
        table: Its table.
        copy: Where a shipped study is copied to first; a study of the user's own is extended where
            it lies.

    Returns:
        The folder of the extended study; None where images, weights or recipe are not the
        table's, so that the rows do not belong to it.
    """
    from privynet_opt.characterization.extend import copy_study, extend_table

    if not validation.same_source or validation.measured is None:
        return None
    is_shipped = spec.argument == spec.name
    path = copy_study(spec, copy) if is_shipped else table.path
    trained, closed = validation.measured.rows, _new_closed_forms(validation.measured, table)
    told = {"fidelity": validation.fidelity, "training_seed": validation.training_seed}
    extensions = [{**told, "rows": len(trained), **validation.measured.circumstances}]
    if closed:
        told = {"fidelity": "screen", "rows": len(closed)}
        extensions.append({**told, **validation.measured.circumstances})
    extend_table(path, [*trained, *closed], extensions)
    return path.parent


def _new_closed_forms(
    measured: FreshMeasurements, table: CharacterizationTable
) -> list[dict[str, Any]]:
    """Return the screened rows that a table lacks; none where it was screened by another recipe."""
    if "screen" not in measured.alike(table.sidecar):
        return []
    known = set(map(tuple, table.screen[list(TOPOLOGY_COLUMNS)].to_numpy().tolist()))
    return [
        row for row in measured.screened if tuple(row[n] for n in TOPOLOGY_COLUMNS) not in known
    ]

"""Every topology of the space with its predictions, exact costs, measurements and verdict.

Predictions come from the proxies, costs from the cuts' profiles; both vectorised over the whole
space, so that the search afterwards only looks rows up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from privynet_opt.characterization.schema import FIDELITIES, is_dearer
from privynet_opt.constraints import Constraint
from privynet_opt.cost import COST_NAMES, CutProfile, cut_costs
from privynet_opt.metrics import PREDICTED, PRIVACY_LOSSES, checked_column, to_losses
from privynet_opt.pareto import non_dominated
from privynet_opt.topology import SENDING_DEFAULTS, TOPOLOGY_COLUMNS

if TYPE_CHECKING:
    from privynet_opt.characterization.table import CharacterizationTable
    from privynet_opt.proxies import Proxies


def build_candidates(
    topologies: pd.DataFrame, table: CharacterizationTable, proxies: Proxies
) -> pd.DataFrame:
    """Return what is known of every topology, before any limit is applied.

    Args:
        topologies: Columns `TOPOLOGY_COLUMNS`, one row each.
        table: The measurements and the cuts' profiles.
        proxies: Fitted on the table.

    Returns:
        The topologies with, for each predicted metric ``t``, ``t``, ``t_lower``, ``t_upper``;
        the exact costs `COST_NAMES`; ``extrapolation``; ``measured``, ``measured_t`` and
        ``measured_fidelity`` where the topology itself was trained (NaN and ``""`` elsewhere). What
        any attack of the table recovered of a topology is the least that its privacy losses, and
        the upper ends of their intervals, are said to be.
    """
    predictions = proxies.predict(topologies).set_axis(topologies.index)
    costs = exact_costs(topologies, table.cuts)
    leaks = strongest_leaks(topologies, table)
    for loss, leak in leaks.items():
        for column in (str(loss), f"{loss}_upper"):
            predictions[column] = predictions[column].clip(lower=leak)
    measured = _measured(topologies, table.trained, leaks)
    return pd.concat([topologies, predictions, costs, measured], axis=1)


def judge(
    candidates: pd.DataFrame, objectives: Sequence[str], constraints: Sequence[Constraint]
) -> pd.DataFrame:
    """Return the candidates with their violations, feasibility and place on the front.

    Args:
        candidates: From `build_candidates`.
        objectives: Metric names.
        constraints: Limits; those on privacy are checked at the upper end of the interval.

    Returns:
        A copy with ``violation_<metric>`` per constraint (a share of the limit), ``feasible``
        and ``on_front`` (feasible, and no feasible candidate beats it in the objectives).
    """
    judged = candidates.copy()
    feasible = np.ones(len(judged), dtype=bool)
    for constraint in constraints:
        violation = constraint.violation(judged[checked_column(constraint.metric)])
        judged[f"violation_{constraint.metric}"] = violation
        feasible &= violation <= 0
    on_front = np.zeros(len(judged), dtype=bool)
    on_front[feasible] = non_dominated(to_losses(judged[feasible], objectives))
    judged["feasible"] = feasible
    judged["on_front"] = on_front
    return judged


def front_of(candidates: pd.DataFrame) -> pd.DataFrame:
    """Return the Pareto front, the most accurate topology first.

    Args:
        candidates: From `judge`.
    """
    front = candidates[candidates["on_front"]]
    order = front.sort_values(["accuracy", "local_flops"], ascending=[False, True], kind="stable")
    return order.reset_index(drop=True)


def recommendable(candidates: pd.DataFrame, extrapolate: bool) -> pd.DataFrame:
    """Return the candidates that may be recommended where they are feasible.

    Args:
        candidates: With the column ``extrapolation``.
        extrapolate: Whether those outside the range of the trained measurements may be, where the
            intervals promise nothing.
    """
    return candidates if extrapolate else candidates[~candidates["extrapolation"].astype(bool)]


def passed_over(candidates: pd.DataFrame, best: pd.Series | None) -> pd.Series | None:
    """Return the candidate that would be recommended if extrapolated ones could be, or None.

    Args:
        candidates: From `judge`.
        best: What is recommended.

    Returns:
        A feasible candidate outside the trained range that is more accurate than `best`.
    """
    top = best_of(candidates)
    return None if top is None or (best is not None and top.name == best.name) else top


def best_of(candidates: pd.DataFrame) -> pd.Series | None:
    """Return the feasible candidate of the highest predicted accuracy, or None.

    Args:
        candidates: From `judge` or `recommendable`.

    Returns:
        The row; of equally accurate ones that with the fewest local FLOPs.
    """
    feasible = candidates[candidates["feasible"]]
    if feasible.empty:
        return None
    order = np.lexsort([feasible["local_flops"], -feasible["accuracy"]])
    best: pd.Series = feasible.iloc[order[0]]
    return best


def exact_costs(topologies: pd.DataFrame, cuts: Mapping[str, CutProfile]) -> pd.DataFrame:
    """Return what topologies cost, counted.

    Args:
        topologies: Columns `TOPOLOGY_COLUMNS`.
        cuts: Profiles by name of the cut layer.

    Returns:
        Columns `COST_NAMES`, the same index.
    """
    costs = pd.DataFrame(0, index=topologies.index, columns=list(COST_NAMES), dtype=np.int64)
    for cut, rows in topologies.groupby("cut_layer", sort=False).groups.items():
        inputs = ("kept_filters", "feature_bits", "noise_std")
        of_each = (topologies.loc[rows, name].to_numpy() for name in inputs)
        for name, values in cut_costs(cuts[str(cut)], *of_each).items():
            costs.loc[rows, name] = values
    return costs


def strongest_leaks(topologies: pd.DataFrame, table: CharacterizationTable) -> pd.DataFrame:
    """Return each privacy loss as the strongest attack of the table had it.

    Args:
        topologies: Columns `TOPOLOGY_COLUMNS`.
        table: The measurements; attacks beside the usual ones, by other images or larger decoders,
            count as well.

    Returns:
        The columns ``psnr_db`` (dB) and ``ssim``, the index of `topologies`; NaN where no attack
        was run.
    """
    attacks = [table.rows]
    if table.sidecar.get("side_attacks"):
        attacks.append(pd.DataFrame(table.sidecar["side_attacks"]).assign(**SENDING_DEFAULTS))
    columns = [*TOPOLOGY_COLUMNS, *PRIVACY_LOSSES]
    everything = pd.concat([attack[columns] for attack in attacks])
    found = everything.groupby(list(TOPOLOGY_COLUMNS), sort=False)[list(PRIVACY_LOSSES)].max()
    return _aligned(found, topologies)


def decided_by(
    constraints: Sequence[Constraint], measured: str, predicted: str
) -> tuple[Constraint, ...]:
    """Return the limits on measured metrics of which a measurement says whether they are broken.

    A cheaper attack than the predicted one recovers less, so that a privacy loss beyond a limit is
    beyond it all the same; but a cheaper cloud network learns less, and of a limit on accuracy that
    it does not reach it decides nothing.

    Args:
        constraints: The limits.
        measured: Fidelity of the measurement.
        predicted: Fidelity of the predictions.
    """
    cheaper = is_dearer(predicted, measured)
    measurable = (c for c in constraints if c.metric in PREDICTED)
    return tuple(c for c in measurable if c.metric in PRIVACY_LOSSES or not cheaper)


def _measured(topologies: pd.DataFrame, trained: pd.DataFrame, leaks: pd.DataFrame) -> pd.DataFrame:
    """Return what is known of trained topologies: accuracy by their dearest rows, the leaks."""
    keys = list(TOPOLOGY_COLUMNS)
    rank = trained["fidelity"].map(FIDELITIES.index)
    dearest = rank == rank.groupby([trained[key] for key in keys]).transform("max")
    grouped = trained[dearest].groupby(keys, sort=False)
    found = grouped[["accuracy"]].mean().assign(fidelity=grouped["fidelity"].first())
    aligned = _aligned(found, topologies)
    is_trained = aligned["accuracy"].notna()
    values = aligned[["accuracy"]].join(leaks.where(is_trained))[list(PREDICTED)]
    fidelity = aligned["fidelity"].fillna("").astype(str)
    measured = values.assign(fidelity=fidelity).add_prefix("measured_")
    measured.insert(0, "measured", is_trained)
    return measured


def _aligned(found: pd.DataFrame, topologies: pd.DataFrame) -> pd.DataFrame:
    """Return rows by topology in the order of some topologies, NaN where there is none."""
    wanted = pd.MultiIndex.from_frame(topologies[list(TOPOLOGY_COLUMNS)])
    return found.reindex(wanted).set_axis(topologies.index)

"""PrivyNet's own procedure as a baseline: layer, then number of filters, then which filters.

The three factors of a topology are settled one after the other, never revised (Li et al.,
arXiv:1709.06161): the layer from the limits on computation and storage, the number of filters from
the limit on privacy loss, the filters by dropping the leakiest and the least discriminative and
drawing from the rest (strategy ``privynet``), once. It sees the same predictions as every other
sampler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privynet_opt.candidates import recommendable
from privynet_opt.constraints import Constraint
from privynet_opt.errors import StudyError
from privynet_opt.metrics import METRICS, checked_column
from privynet_opt.topology import LocalTopology

STRATEGY = "privynet"
"""How the procedure chooses filters."""

DEVICE_COSTS = (
    "local_macs",
    "local_flops",
    "parameter_bytes",
    "peak_activation_bytes",
    "memory_bytes",
)
"""Computation and storage: what a limit on decides the layer."""


@dataclass(frozen=True)
class HierarchicalChoice:
    """What the procedure chose.

    Attributes:
        steps: One sentence for each of its decisions, in order.
        topology: Its choice; None where a step found nothing.
        accuracy: The choice's predicted accuracy; NaN without one.
        broken: Limits that the choice breaks, since no step looks at them.
    """

    steps: tuple[str, ...]
    topology: LocalTopology | None = None
    accuracy: float = float("nan")
    broken: tuple[Constraint, ...] = ()


def hierarchical_choice(
    candidates: pd.DataFrame,
    constraints: Sequence[Constraint],
    extrapolate: bool = False,
    counted: Literal["all", "fewest"] = "all",
) -> HierarchicalChoice:
    """Choose a topology by PrivyNet's procedure.

    Args:
        candidates: From `judge`, every topology of the space.
        constraints: The limits they were judged by.
        extrapolate: Whether it may be one outside the range of the trained measurements.
        counted: Filters that a layer is computed and stored with while its number of filters is not
            settled yet. The paper's abstract does not say; all of them is the plain reading, the
            fewest admits deeper layers.

    Returns:
        The choice. It meets the limits on computation, storage and privacy loss by construction.

    Raises:
        StudyError: If the space lacks the strategy.
    """
    if not (candidates["selection_strategy"] == STRATEGY).any():
        raise StudyError(
            f"`sampler` must not be 'hierarchical' where `selection_strategies` lacks {STRATEGY!r}."
            " Add it to the study, or choose another sampler."
        )
    device = [c for c in constraints if c.metric in DEVICE_COSTS]
    privacy = [c for c in constraints if METRICS[c.metric].is_privacy_loss]
    whole = candidates.groupby("cut_layer", sort=False)["kept_filters"].transform("max")
    is_drawn = (candidates["selection_strategy"] == STRATEGY) & (candidates["selection_seed"] == 0)
    is_offered = is_drawn | (candidates["kept_filters"] == whole)
    offered = recommendable(candidates[is_offered], extrapolate)
    layer = _deepest(
        candidates[candidates["cut_layer"].isin(offered["cut_layer"])], device, counted
    )
    how = "all its filters" if counted == "all" else "one filter or more"
    if layer is None:
        return HierarchicalChoice((f"no layer: no cut keeps {_listed(device)} with {how}",))
    why = f" that keeps {_listed(device)} with {how}" if device else "; nothing limits the device"
    steps = [f"the layer: {layer}, the deepest cut{why}"]
    rows = offered[offered["cut_layer"] == layer]
    rows = rows[_meets(rows, [*privacy, *device])]
    if rows.empty:
        return HierarchicalChoice((*steps, f"no number of filters: none keeps {_listed(privacy)}"))
    chosen = rows.iloc[int(rows["kept_filters"].argmax())]
    kept = int(chosen["kept_filters"])
    most = f"the most that keep {_listed(privacy)}" if privacy else "the most there are"
    if len(rows) < _count_meeting(candidates[is_offered], layer, [*privacy, *device]):
        most += ", of those within the range of the trained measurements"
    steps.append(f"the number of filters: {kept}, {most}")
    if kept < int(whole[rows.index].iloc[0]):
        steps.append("the filters: drawn, less the leakiest and the least discriminative")
    return HierarchicalChoice(
        steps=tuple(steps),
        topology=LocalTopology.of(chosen),
        accuracy=float(chosen["accuracy"]),
        broken=tuple(c for c in constraints if chosen[f"violation_{c.metric}"] > 0),
    )


def _deepest(
    candidates: pd.DataFrame, device: Sequence[Constraint], counted: Literal["all", "fewest"]
) -> str | None:
    by_cut = candidates.groupby("cut_layer", sort=False)["kept_filters"]
    counts = by_cut.transform("max" if counted == "all" else "min")
    layers = candidates[candidates["kept_filters"] == counts]
    fitting = layers[_meets(layers, device)]
    return None if fitting.empty else str(fitting["cut_layer"].iloc[-1])


def _count_meeting(offered: pd.DataFrame, layer: str, constraints: Sequence[Constraint]) -> int:
    return int(_meets(offered[offered["cut_layer"] == layer], constraints).sum())


def _meets(rows: pd.DataFrame, constraints: Sequence[Constraint]) -> NDArray[np.bool_]:
    meets = np.ones(len(rows), dtype=bool)
    for constraint in constraints:
        meets &= constraint.violation(rows[checked_column(constraint.metric)]) <= 0
    return meets


def _listed(constraints: Sequence[Constraint]) -> str:
    return " and ".join(map(str, constraints))

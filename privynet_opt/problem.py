"""The candidates as rows that an Optuna trial looks up: values, violations, feasibility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial

from privynet_opt.constraints import Constraint
from privynet_opt.metrics import METRICS, to_losses
from privynet_opt.topology import LocalTopology

if TYPE_CHECKING:
    import pandas as pd

    from privynet_opt.search_space import SearchSpace


@dataclass(frozen=True)
class Problem:
    """The candidates as plain rows that a trial can be looked up in.

    Attributes:
        space: The topologies; row i of every other attribute belongs to the i-th.
        objectives: Metric names.
        values: Objective values.
        constraints: Names of the constraints, in the order every trial sets them.
        violations: Violations, shares of the limits.
        losses: Objective values as losses, shape ``(n, n_objectives)``.
        feasible: Shape ``(n,)``.
        on_front: Shape ``(n,)``.
    """

    space: SearchSpace
    objectives: tuple[str, ...]
    values: list[tuple[float, ...]]
    constraints: tuple[str, ...]
    violations: list[tuple[float, ...]]
    losses: NDArray[np.float64]
    feasible: NDArray[np.bool_]
    on_front: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        space: SearchSpace,
        candidates: pd.DataFrame,
        objectives: Sequence[str],
        constraints: Sequence[Constraint],
    ) -> Problem:
        """Return the problem that judged candidates pose.

        Args:
            space: What the candidates enumerate, in its order.
            candidates: From `judge`.
            objectives: Metric names.
            constraints: The limits they were judged by.
        """
        violations = [candidates[f"violation_{c.metric}"].tolist() for c in constraints]
        return cls(
            space=space,
            objectives=tuple(objectives),
            values=list(zip(*(candidates[o].tolist() for o in objectives), strict=True)),
            constraints=tuple(map(str, constraints)),
            violations=list(zip(*violations, strict=True)) or [()] * len(candidates),
            losses=to_losses(candidates, objectives),
            feasible=candidates["feasible"].to_numpy(bool),
            on_front=candidates["on_front"].to_numpy(bool),
        )

    def __call__(self, trial: Trial) -> tuple[float, ...]:
        """Evaluate a trial, as Optuna's objective function."""
        topology = self.space.suggest(trial)
        row = self.space.rows[topology]
        for name, violation in zip(self.constraints, self.violations[row], strict=True):
            trial.set_constraint(name, violation)
        trial.set_user_attr("topology", self.describe(row))
        return self.values[row]

    def describe(self, row: int) -> dict[str, Any]:
        """Return a topology's fields, as kept with each trial.

        Args:
            row: Its row.
        """
        return self.space.topologies[row].as_dict()

    def row_of(self, trial: FrozenTrial) -> int:
        """Return the row of a finished trial.

        Args:
            trial: A trial that this problem evaluated.
        """
        return self.space.rows[LocalTopology(**trial.user_attrs["topology"])]

    def known_trial(self, row: int) -> FrozenTrial:
        """Return a finished trial for a topology that enumeration found.

        Args:
            row: Its row.
        """
        return optuna.create_trial(
            params=self.space.parameters(self.space.topologies[row]),
            distributions=self.space.distributions(),
            values=self.values[row],
            constraints=dict(zip(self.constraints, self.violations[row], strict=True)),
            user_attrs={"topology": self.describe(row), "source": "enumeration"},
        )

    @property
    def directions(self) -> list[StudyDirection]:
        """Optuna's directions of the objectives."""
        return directions_of(self.objectives)


def directions_of(objectives: Sequence[str]) -> list[StudyDirection]:
    """Return Optuna's directions of objectives.

    Args:
        objectives: Metric names.
    """
    ways = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)
    return [ways[METRICS[name].higher_is_better] for name in objectives]

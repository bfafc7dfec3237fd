"""What a search hands over: one frozen object with the answer and everything behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from privynet_opt.characterization.table import CharacterizationTable
    from privynet_opt.constraints import Constraint
    from privynet_opt.infeasibility import Infeasibility
    from privynet_opt.optimizer import SearchOutcome
    from privynet_opt.proxies import Proxies
    from privynet_opt.study_spec import StudySpec


@dataclass(frozen=True, eq=False, repr=False)
class OptimizationResult:
    """Everything a study answered.

    Attributes:
        spec: The study, with the settings that were used.
        objectives: Metric names.
        constraints: The limits.
        table: The measurements.
        proxies: Fitted on them, with their held-out errors.
        candidates: Every topology of the space: predictions with intervals, exact costs,
            measurements, violations, ``feasible``, ``on_front``.
        front: The feasible candidates that no other beats, the most accurate first.
        best: The feasible candidate of the highest predicted accuracy; None where there is none.
        study: The Optuna study.
        search: What the bare search found, against enumeration.
        infeasibility: Why nothing is feasible; None where something is.
    """

    spec: StudySpec
    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    table: CharacterizationTable
    proxies: Proxies
    candidates: pd.DataFrame
    front: pd.DataFrame
    best: pd.Series | None
    study: optuna.Study
    search: SearchOutcome
    infeasibility: Infeasibility | None

    def report(self, path: str | Path) -> Path:
        """Write the report: one HTML file that works without a network.

        Args:
            path: The file.

        Returns:
            `path`.

        Raises:
            OutputError: If it cannot be written.
        """
        from privynet_opt.report.page import write_report

        return write_report(self, Path(path))

    def save(self, directory: str | Path) -> dict[str, Path]:
        """Write front, candidates and the Optuna study as files.

        Args:
            directory: The folder; made where missing.

        Returns:
            Paths by file name: ``front.csv``, ``front.json``, ``candidates.csv``,
            ``study.journal``.

        Raises:
            OutputError: If one of them cannot be written.
        """
        from privynet_opt.save import save_result

        return save_result(self, Path(directory))

    def __repr__(self) -> str:
        """Return the answer in a few lines."""
        from privynet_opt.summary import summary_lines

        return "\n".join(summary_lines(self))

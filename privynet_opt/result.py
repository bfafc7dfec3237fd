"""What a search hands over: one frozen object with the answer and everything behind it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from privynet_opt.arguments import as_path
from privynet_opt.errors import OutputError

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from privynet_opt.characterization.audit import Audit
    from privynet_opt.characterization.table import CharacterizationTable
    from privynet_opt.constraints import Constraint
    from privynet_opt.hierarchical import HierarchicalChoice
    from privynet_opt.infeasibility import Infeasibility
    from privynet_opt.optimizer import SearchOutcome
    from privynet_opt.proxies import Proxies
    from privynet_opt.shadow_prices import ShadowPrice
    from privynet_opt.study_spec import StudySpec
    from privynet_opt.validation import Validation


@dataclass(frozen=True, eq=False, repr=False)
class OptimizationResult:
    """Everything a study answered.

    Attributes:
        spec: The study, with the settings that were used.
        objectives: Metric names.
        constraints: The limits.
        table: The measurements.
        proxies: Fitted on them, with their held-out errors.
        candidates: Every topology of the space, or of one that cannot be listed those that the
            search tried: predictions with intervals, exact costs, measurements, violations,
            ``feasible``, ``on_front``.
        front: The feasible candidates that no other beats, the most accurate first.
        best: The feasible candidate of the highest predicted accuracy; None where there is none.
        study: The Optuna study.
        search: What the bare search found, against enumeration where there is any.
        infeasibility: Why nothing is feasible; None where something is.
        validation: What a fresh attack found, if there was one.
        shadow_prices: What moving one limit would do to the accuracy of what is recommended.
        hierarchical: What PrivyNet's own procedure chose, where that was the sampler.
        galleries: Folders of pictures that attackers recovered, those of this answer first.
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
    validation: Validation | None = None
    shadow_prices: tuple[ShadowPrice, ...] = ()
    hierarchical: HierarchicalChoice | None = None
    galleries: tuple[Path, ...] = ()

    @cached_property
    def audit(self) -> Audit:
        """What no optimal attacker could have measured; looked for once."""
        from privynet_opt.characterization.audit import audit_table

        return audit_table(self.table)

    def validate(
        self,
        k: int = 5,
        data: str | Path | None = None,
        weights: str | None = None,
        device: str = "cpu",
        fidelity: str = "full",
        output: str | Path | None = None,
        skip_bad: bool = False,
    ) -> Validation:
        """Measure the recommended topology and its neighbours on the front by a fresh attack.

        Args:
            k: How many neighbours.
            data: Where the images are; None only for data the package can make itself.
            weights: Weights file or name; None takes the study's.
            device: ``"cpu"`` or ``"cuda"``.
            fidelity: How long networks are trained: ``"standard"`` or ``"full"``.
            output: Folder that keeps finished measurements; None keeps none.
            skip_bad: Leave out files and sub-folders that cannot be read, and warn of them.

        Returns:
            The comparison of predictions with measurements.

        Raises:
            PrivyNetOptError: If nothing is recommended, a setting is wrong, or network, weights or
                images are not usable.
        """
        from privynet_opt.validation import validate

        if output is not None:
            return validate(self, output, k, data, weights, device, fidelity, skip_bad)
        with tempfile.TemporaryDirectory() as folder:
            return validate(self, folder, k, data, weights, device, fidelity, skip_bad)

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

        return write_report(self, as_path("path", path, OutputError))

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

        return save_result(self, as_path("directory", directory, OutputError))

    def __repr__(self) -> str:
        """Return the answer in a few lines."""
        from privynet_opt.summary import summary_lines

        return "\n".join(summary_lines(self))

"""Which topology of a saved result is deployed, and what the result says about it; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privynet_opt.characterization.study_table import load_study_table
from privynet_opt.cost import COST_NAMES
from privynet_opt.errors import StudyError
from privynet_opt.metrics import PREDICTED
from privynet_opt.saved import FRONT, command_of, read_front, read_validation
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LocalTopology

if TYPE_CHECKING:
    from privynet_opt.characterization.table import CharacterizationTable
    from privynet_opt.study_spec import StudySpec


@dataclass(frozen=True)
class Choice:
    """A topology of a saved result.

    Attributes:
        spec: The study.
        table: Its measurements.
        topology: What is deployed.
        point: Its row of the front: predictions with intervals, exact costs, measured values.
        predicted_fidelity: What the predictions are of.
        confidence: Level of the intervals.
        validated: What `validate` measured of it afresh: values by metric, ``fidelity``,
            ``same_source`` and the limits that were ``broken``; None where it did not.
    """

    spec: StudySpec
    table: CharacterizationTable
    topology: LocalTopology
    point: dict[str, Any]
    predicted_fidelity: str
    confidence: float
    validated: dict[str, Any] | None = None

    @property
    def costs(self) -> dict[str, int]:
        """Exact costs by name."""
        return {name: int(self.point[name]) for name in COST_NAMES}

    @property
    def values(self) -> dict[str, Any]:
        """Predicted values with their intervals, and measured ones where there are any."""
        measured = {
            target: self.point[f"measured_{target}"]
            for target in PREDICTED
            if self.point.get(f"measured_{target}") is not None
        }
        return {
            "predicted": {
                target: [self.point[f"{target}{end}"] for end in ("_lower", "", "_upper")]
                for target in PREDICTED
            },
            "predicted_fidelity": self.predicted_fidelity,
            "confidence": self.confidence,
            "extrapolation": self.point["extrapolation"],
            "measured": measured,
            "measured_fidelity": self.point.get("measured_fidelity") or None,
            "validated": self.validated,
        }


def choose(directory: Path, point: int | None = None) -> Choice:
    """Read a topology of a saved result; nothing is searched again.

    Args:
        directory: Folder that `privynet-opt run` or `tune` wrote.
        point: Row of its Pareto front, from 1; None takes the recommended topology.

    Returns:
        The choice.

    Raises:
        OutputError: If the folder holds no result.
        StudyError: If nothing is recommended, what is recommended broke a limit when it was
            validated, there is no such row, or the study was measured further since.
        PrivyNetOptError: If the study is not usable any more.
    """
    saved = read_front(directory)
    spec = load_study(saved["study_path"])
    table = load_study_table(spec)
    if table.answer_sha256 != saved["answer_sha256"]:
        raise StudyError(
            f"a result must be the answer of its study as it is now, but {table.path} has changed "
            f"since {directory / FRONT} was written. Run it again: {command_of(saved, directory)}"
        )
    row = saved["recommended"] if point is None else _row(saved["front"], point)
    if row is None:
        raise StudyError(
            "a topology must be recommended to be exported, but none meets every limit. Relax "
            "a limit, or choose a row of the front with --point."
        )
    topology = LocalTopology.of(row)
    validated = _validated(directory, topology)
    if validated and validated["broken"] and point is None:
        raise StudyError(
            f"a topology must keep the limits to be exported, but {topology} broke "
            f"{validated['broken']} when it was validated at {validated['fidelity']}. Ask for "
            "stricter limits, or choose a row of the front with --point."
        )
    fidelity, confidence = saved["predicted_fidelity"], float(saved["confidence"])
    return Choice(spec, table, topology, row, fidelity, confidence, validated)


def _validated(directory: Path, topology: LocalTopology) -> dict[str, Any] | None:
    """Return what a validation measured of a topology, None where it did not."""
    validation = read_validation(directory)
    if validation is None:
        return None
    for _, row in validation.points.iterrows():
        if LocalTopology.of(row) == topology:
            return {
                **{target: float(row[f"measured_{target}"]) for target in PREDICTED},
                "broken": str(row["broken"]),
                "fidelity": validation.fidelity,
                "same_source": validation.same_source,
            }
    return None


def _row(front: list[dict[str, Any]], point: int) -> dict[str, Any]:
    if not 1 <= point <= len(front):
        rows = f"1 to {len(front)}" if front else "none: it is empty"
        raise StudyError(
            f"`point` must be a row of the Pareto front ({rows}), but got point={point}. "
            "front.csv lists them."
        )
    return front[point - 1]

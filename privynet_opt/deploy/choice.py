"""Which topology of a saved result is deployed, and what the result says about it; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privynet_opt.characterization.table import load_table
from privynet_opt.cost import COST_NAMES
from privynet_opt.errors import StudyError
from privynet_opt.metrics import PREDICTED
from privynet_opt.save import FRONT, read_front
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
        confidence: Level of the intervals.
    """

    spec: StudySpec
    table: CharacterizationTable
    topology: LocalTopology
    point: dict[str, Any]
    confidence: float

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
            "confidence": self.confidence,
            "measured": measured,
            "measured_fidelity": self.point.get("measured_fidelity") or None,
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
        StudyError: If nothing is recommended, there is no such row, or the study was measured
            further since.
        PrivyNetOptError: If the study is not usable any more.
    """
    saved = read_front(directory)
    spec = load_study(saved["study_path"])
    table = load_table(spec.table_path)
    if table.sidecar["table_sha256"] != saved["table_sha256"]:
        raise StudyError(
            f"a result must be the answer of its study as it is now, but {table.path} has changed "
            f"since {directory / FRONT} was written. Run it again: "
            f"privynet-opt run --study {spec.argument}."
        )
    row = saved["recommended"] if point is None else _row(saved["front"], point)
    if row is None:
        raise StudyError(
            "a topology must be recommended to be exported, but none meets every limit. Relax "
            "a limit, or choose a row of the front with --point."
        )
    topology = LocalTopology.of(row)
    return Choice(spec, table, topology, row, float(saved["confidence"]))


def _row(front: list[dict[str, Any]], point: int) -> dict[str, Any]:
    if not 1 <= point <= len(front):
        rows = f"1 to {len(front)}" if front else "none: it is empty"
        raise StudyError(
            f"`point` must be a row of the Pareto front ({rows}), but got point={point}. "
            "front.csv lists them."
        )
    return front[point - 1]

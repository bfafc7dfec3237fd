"""What tunings of a folder have spent and concluded, in one file, so that a killed one goes on."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from privynet_opt.errors import OutputError
from privynet_opt.files import write_atomically

if TYPE_CHECKING:
    from privynet_opt.search_space_spec import SearchSpaceSpec
    from privynet_opt.study_sections import SearchSpec


@dataclass(frozen=True)
class Verdict:
    """What a round of tuning concluded.

    Attributes:
        n_trained: Measurements with networks of their own that it rests on.
        recommended: The topology in words; None where nothing is feasible.
        accuracy: Predicted.
        psnr_db: Predicted.
        psnr_db_upper: Upper end of its interval, which the limit is checked on.
        measured: Fidelity the topology was measured at; empty where it was not.
        broken: Limits that this measurement breaks.
        confirmed: Whether it was measured at the fidelity that is predicted, or a dearer one, and
            broke no limit.
    """

    n_trained: int
    recommended: str | None = None
    accuracy: float | None = None
    psnr_db: float | None = None
    psnr_db_upper: float | None = None
    measured: str = ""
    broken: tuple[str, ...] = ()
    confirmed: bool = False

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Verdict:
        """Return a verdict as JSON holds it.

        Args:
            fields: Its attributes.
        """
        return cls(**{**fields, "broken": tuple(fields["broken"])})


@dataclass
class Diary:
    """A question, what answering it has taken so far, and the verdict of every round.

    Attributes:
        path: The file; it also holds what was asked in the folder before.
        asked: The question, plain data.
        spent_seconds: Over all runs.
        durations: Seconds of each training measurement, by fidelity; whatever it was made for.
        verdicts: One per round.
        others: Entries of other questions, as the file has them.
    """

    path: Path
    asked: dict[str, Any]
    spent_seconds: float = 0.0
    durations: dict[str, list[float]] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path, search: SearchSpec, space: SearchSpaceSpec) -> Diary:
        """Return the diary of a question: as it was left, or empty.

        Args:
            path: The file; of other questions, only the durations are taken over.
            search: The question: its limits in any order, their level, whether extrapolation is
                allowed.
            space: What may be the answer.

        Raises:
            OutputError: If the file is none of a diary.
        """
        question = {
            "constraints": sorted(map(str, search.constraints)),
            "confidence": search.confidence,
            "extrapolate": search.extrapolate,
            "search_space": asdict(space),
        }
        asked = json.loads(json.dumps(question))  # tuples as JSON has them
        diary = cls(path, asked)
        if path.exists():
            try:
                left = json.loads(path.read_text(encoding="utf-8"))
                diary._read(left["durations"], left["questions"])
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise OutputError(
                    f"`output` must hold the diary of a tuning, but {path} cannot be used "
                    f"({type(error).__name__}). Delete it: what is measured is kept, the time "
                    "spent counts anew."
                ) from error
        return diary

    def _read(self, durations: dict[str, list[float]], questions: list[dict[str, Any]]) -> None:
        self.durations = {name: list(map(_seconds, each)) for name, each in durations.items()}
        for entry in questions:
            if entry["asked"] == self.asked:
                self.spent_seconds = _seconds(entry["spent_seconds"])
                self.verdicts = [Verdict.of(fields) for fields in entry["verdicts"]]
            else:
                self.others.append(entry)

    def save(self) -> None:
        """Write the file.

        Raises:
            OutputError: If it cannot be written.
        """
        own = {
            "asked": self.asked,
            "spent_seconds": self.spent_seconds,
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
        }
        content = {"durations": self.durations, "questions": [*self.others, own]}
        write_atomically(self.path, json.dumps(content, indent=1) + "\n")

    def expected_seconds(self, fidelity: str) -> float:
        """Return what a measurement takes by those made so far; 0 where there are none.

        Args:
            fidelity: Of the measurement.
        """
        return median(self.durations.get(fidelity) or [0.0])


def _seconds(value: float) -> float:
    """Return a time as JSON holds it, if it is one."""
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{value} is no time")
    return float(value)

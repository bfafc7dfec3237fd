"""The Python entry point: a study, limits and a time in; an answer that was measured for it out.

Wiring only: settings, laboratory, rounds, and at the end the same search as `optimize`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from privynet_opt.api import optimize, with_settings
from privynet_opt.arguments import as_path, path_or_none, weights_or_none
from privynet_opt.errors import DataError, OutputError, StudyError, TableError
from privynet_opt.files import prepare_output
from privynet_opt.proxies.fit import trained_rows
from privynet_opt.search_space import SearchSpace
from privynet_opt.tuning.budget import Budget, format_seconds, parse_budget
from privynet_opt.tuning.diary import Diary, Verdict
from privynet_opt.tuning.lines import begin_line
from privynet_opt.tuning.rounds import FIRST, IMPOSSIBLE, N_INITIAL, Tuning
from privynet_opt.tuning.valuation import why_impossible

if TYPE_CHECKING:
    from privynet_opt.characterization.table import CharacterizationTable
    from privynet_opt.constraints import ConstraintsLike
    from privynet_opt.result import OptimizationResult
    from privynet_opt.study_spec import StudySpec


@dataclass(frozen=True)
class Tuned:
    """What a tuning found.

    Attributes:
        result: The answer over everything measured, as from `optimize`; None where the limits rule
            every topology out before anything was trained.
        ending: Why it ended: ``"stable"``, ``"settled"``, ``"budget"`` or ``"impossible"``, as
            `rounds.Tuning.run` defines them.
        impossible: Which limits rule everything out, one fact each; empty but for that ending.
        verdicts: What each round concluded.
        n_trained: Trained measurements known at the end, those taken over included.
        spent_seconds: Time spent measuring and fitting, earlier runs in the folder included.
        directory: The study folder with everything measured.
    """

    result: OptimizationResult | None
    ending: str
    impossible: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    n_trained: int
    spent_seconds: float
    directory: Path


def tune(
    constraints: ConstraintsLike | None = None,
    *,
    study: str | Path | StudySpec,
    budget: str = "30m",
    objectives: str | Iterable[str] | None = None,
    confidence: float | None = None,
    data: str | Path | None = None,
    weights: str | None = None,
    device: str = "cpu",
    skip_bad: bool = False,
    output: str | Path | None = None,
    progress: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Measure a study where it decides which topology is recommended under some limits.

    Rows of the study's own table are taken over where they are of the same weights, images and
    recipe. What the limits leave is screened in closed form, a few topologies are trained, and
    rounds of fitting and measuring follow. A call with the same `output` goes on where the last one
    ended; the time it spent on the same limits counts.

    Args:
        constraints: As in `optimize`.
        study: Name of a shipped study, a path, or a loaded study; measured or not. A loaded one
            is asked as it is; the folder gets a copy of its ``study.toml``, which `reopen` reads.
        budget: How long, such as ``"90s"``, ``"30m"``, ``"2h"``: no measurement begins once it is
            over, or if the rest of it is less than such a measurement took.
        objectives: As in `optimize`.
        confidence: As in `optimize`.
        data: Where the images are; None only for data the package can make itself.
        weights: Weights file or name; None takes the study's.
        device: ``"cpu"`` or ``"cuda"``.
        skip_bad: Leave out files and sub-folders that cannot be read, and warn of them.
        output: The study folder that is written; None for ``privynet-opt-STUDY-tuned``.
        progress: Whether to tell every verdict and trained measurement on stderr, a line each.
        clock: Seconds that only go up.

    Returns:
        The answer and how it was reached.

    Raises:
        PrivyNetOptError: If study, limits, budget, network, images or folder are not usable, or the
            budget ends before there are enough measurements for an answer; what is measured is
            kept.
    """
    seconds = parse_budget(budget)
    if not callable(clock):
        raise StudyError(f"`clock` must be a function, but got {clock!r}. Leave it out.")
    images, weights = path_or_none("data", data, DataError), weights_or_none(weights)
    spec = with_settings(constraints, study, objectives=objectives, confidence=confidence)
    if not spec.search_space.can_be_listed:
        raise StudyError(
            "`search_space.noise_step` must be set for `tune`, which lists topologies, but "
            f"`noise_std` is {list(spec.search_space.noise_std or ())} and any value in it is one. "
            "Add one that divides the range to study.toml, such as 0.25 for [0.0, 1.0]."
        )
    folder = as_path("output", output or f"privynet-opt-{spec.name}-tuned", OutputError)
    diary = Diary.open(prepare_output(folder) / "tuning.json", spec.search, spec.search_space)
    time_left = Budget(seconds, diary.spent_seconds, clock)

    from privynet_opt.characterization.laboratory import Laboratory

    laboratory = Laboratory(spec, folder, images, weights, device, skip_bad)
    channels = {name: cut.channels for name, cut in laboratory.cuts.items()}
    space = SearchSpace.of_study(spec, channels, laboratory.searched)
    say = _tell if progress else _keep_quiet
    taken_over = laboratory.taken_over
    say(begin_line(spec.name, len(space), taken_over, seconds, diary.spent_seconds))
    tuning = Tuning(spec.search, space.enumerate(), laboratory, time_left, diary, say)
    try:
        ending = tuning.run()
    finally:
        diary.spent_seconds = time_left.spent
        diary.save()
        table = None if laboratory.is_empty else laboratory.table()
    n_trained = 0 if table is None else len(table.trained)
    facts: list[str] = []
    if ending == IMPOSSIBLE:
        screen = None if table is None else table.screen
        facts = why_impossible(tuning.topologies, laboratory.cuts, screen, spec.search.constraints)
    result = None
    if table is not None and _can_answer(table):
        # The question that was measured for, asked of the folder: a saved result is reopened there.
        result = optimize(study=replace(spec, directory=folder.resolve()), progress=progress)
    elif ending != IMPOSSIBLE:
        raise _too_short(budget, n_trained, diary.expected_seconds(FIRST))
    spent = diary.spent_seconds
    verdicts = tuple(diary.verdicts)
    return Tuned(result, ending, tuple(facts), verdicts, n_trained, spent, folder)


def _can_answer(table: CharacterizationTable) -> bool:
    try:
        trained_rows(table)
    except TableError:
        return False
    return True


def _too_short(budget: str, n_trained: int, seconds_each: float) -> StudyError:
    takes = f", about {format_seconds(seconds_each)} each" if seconds_each else ""
    return StudyError(
        f"`budget` must leave time to train {N_INITIAL} topologies{takes}, since nothing can be "
        f"predicted before, but {budget} ended after {n_trained}. Run the same command with a "
        "longer one: what is measured is kept."
    )


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _keep_quiet(line: str) -> None:
    pass

"""``privynet-opt run``: search a study, write its files and report, print the answer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from privynet_opt.commands.options import (
    EXTENDED_COPY,
    NOTHING_FEASIBLE,
    OK,
    Commands,
    add_limits,
    add_study,
    asked_limits,
    finish,
)
from privynet_opt.study_sections import SAMPLERS

if TYPE_CHECKING:
    from privynet_opt.study_sections import SearchSpec
    from privynet_opt.study_spec import StudySpec

SENSIBLE_TRIALS = {"tpe": 300, "gp": 50}
"""Samplers whose time per trial grows, and the most trials that end soon: measured with three
objectives, 300 of tpe took 6 s and 1,000 took 114 s; 100 of gp took 380 s."""

EXAMPLES = """\
examples:
  privynet-opt run --study cifar10
  privynet-opt run --study cifar10 --constraint 'psnr_db <= 17.5' --constraint 'local_flops <= 60e6'
  privynet-opt run --study ./my-study --objective accuracy --objective feature_bytes --open
"""


def add_to(commands: Commands) -> None:
    """Add the command to the parser.

    Args:
        commands: The subcommands of `privynet-opt`.
    """
    parser = commands.add_parser(
        "run",
        help="search a study under limits, print the answer and write the report",
        description="Search a study's topologies under limits; print the recommended one, write "
        "the Pareto front, the report and the Optuna study.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add_study(add)
    add_limits(add)
    add(
        "--objective",
        action="append",
        metavar="METRIC",
        help="a metric to improve; repeat for more; replaces the study's own",
    )
    add("--n-trials", type=int, metavar="N", help="trials of the search (study's: often 1000)")
    add("--seed", type=int, metavar="N", help="seed of the search; same seed, same answer")
    add(
        "--sampler",
        choices=SAMPLERS,
        help="how trials are chosen (study's: often nsga2); hierarchical is PrivyNet's own "
        "procedure, a baseline that makes one choice, set beside the recommended topology",
    )
    add(
        "--extrapolate",
        action="store_true",
        default=None,
        help="allow to recommend topologies outside the range of the trained measurements, where "
        "intervals promise nothing",
    )
    add(
        "--storage",
        metavar="URL",
        help="keep the Optuna study in a database (sqlite:///study.db) or journal (study.journal) "
        "and add to what it has; give every machine that shares it a --seed of its own",
    )
    add("--output", type=Path, metavar="DIR", help="folder to write (./privynet-opt-STUDY)")
    add("--open", action="store_true", help="show the report in the browser")
    add("--quiet", action="store_true", help="print the recommended topology only")
    finish(parser, run, "Finished trials of a --storage are kept; otherwise nothing is.")


def run(asked: argparse.Namespace) -> int:
    """Search a study, write its files and report, and print the answer.

    Args:
        asked: Parsed arguments of ``run``.
    """
    from privynet_opt.api import asked_study, optimize
    from privynet_opt.cli_output import print_result

    spec = asked_study(
        asked_limits(asked),
        study=asked.study,
        objectives=asked.objective,
        n_trials=asked.n_trials,
        seed=asked.seed,
        sampler=asked.sampler,
        confidence=asked.confidence,
        extrapolate=asked.extrapolate,
    )
    _warn_of_slow_sampler(spec.search)

    from privynet_opt.files import prepare_output

    output = prepare_output(Path(asked.output or f"privynet-opt-{spec.name}"))
    _tell_of_extended_copy(spec, output / EXTENDED_COPY)
    result = optimize(study=spec, storage=asked.storage, progress=not asked.quiet)
    files = {**result.save(output), "report.html": result.report(output / "report.html")}
    print_result(result, files, quiet=asked.quiet)
    if asked.open:
        import webbrowser

        if not webbrowser.open(files["report.html"].resolve().as_uri()):
            print(
                f"privynet-opt: no browser found; open {files['report.html']} in one",
                file=sys.stderr,
            )
    return OK if result.best is not None else NOTHING_FEASIBLE


def _tell_of_extended_copy(spec: StudySpec, copy: Path) -> None:
    if spec.argument == spec.name and copy.is_dir():
        print(
            f"privynet-opt: measurements that `validate` added to the study in {copy} do not "
            f"count here; --study {copy} counts them",
            file=sys.stderr,
        )


def _warn_of_slow_sampler(search: SearchSpec) -> None:
    most = SENSIBLE_TRIALS.get(search.sampler, search.n_trials)
    if search.n_trials > most:
        print(
            f"privynet-opt: sampler {search.sampler} gets slower with every trial; "
            f"{search.n_trials:,} may take very long, --n-trials {most} is sensible",
            file=sys.stderr,
        )

"""The options of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn, TypeAlias

from privynet_opt import __version__
from privynet_opt.characterization.schema import FIDELITIES, NOISE_DB, STARTS, TRAINED_FIDELITIES
from privynet_opt.study_sections import SAMPLERS

Command: TypeAlias = Callable[[argparse.Namespace], int]

OK = 0
USER_MISTAKE = 2
NOTHING_FEASIBLE = 3
LIMIT_BROKEN = 4
INTERRUPTED = 130

EPILOG = """\
exit codes: 0 done; 2 something asked for cannot be done (one line says what); 3 the search is done
and nothing is feasible (the answer says why); 4 the validated topology breaks a limit; 130
interrupted
"""

RUN_EXAMPLES = """\
examples:
  privynet-opt run --study cifar10
  privynet-opt run --study cifar10 --constraint 'psnr_db <= 17.5' --constraint 'local_flops <= 60e6'
  privynet-opt run --study ./my-study --objective accuracy --objective feature_bytes --open
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave."""
        self.exit(USER_MISTAKE, f"{self.prog}: {message}. See {self.prog} --help.\n")


def build_parser(functions: Mapping[str, Command]) -> Parser:
    """Return the parser of the whole command line.

    Args:
        functions: What each command calls, by its name.
    """
    parser = Parser(
        prog="privynet-opt",
        description="Choose what a split network keeps on the device: accuracy, privacy loss and "
        "cost of every PrivyNet topology, measured and searched.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"privynet-opt {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    _add_run(commands, functions["run"])
    _add_studies(commands, functions["studies"])
    _add_new_study(commands, functions["new_study"])
    _add_characterize(commands, functions["characterize"])
    _add_audit(commands, functions["audit"])
    _add_validate(commands, functions["validate"])
    return parser


def _add_run(commands: argparse._SubParsersAction[Parser], function: Command) -> None:
    run = commands.add_parser(
        "run",
        help="search a study under limits, print the answer and write the report",
        description="Search a study's topologies under limits; print the recommended one, write "
        "the Pareto front, the report and the Optuna study.",
        epilog=RUN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = run.add_argument
    _add_study(add)
    add(
        "--constraint",
        action="append",
        metavar="'METRIC <= LIMIT'",
        help="a limit, such as 'psnr_db <= 17.5'; repeat for more; replaces the "
        "study's own; 'none' for no limits",
    )
    add(
        "--objective",
        action="append",
        metavar="METRIC",
        help="a metric to improve; repeat for more; replaces the study's own",
    )
    add("--n-trials", type=int, metavar="N", help="trials of the search (study's: often 1000)")
    add("--seed", type=int, metavar="N", help="seed of the search; same seed, same answer")
    add("--sampler", choices=SAMPLERS, help="how trials are chosen (study's: often nsga2)")
    add(
        "--confidence",
        type=float,
        metavar="LEVEL",
        help="share of cases a privacy limit must hold in, such as 0.9",
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
    _finish(run, function, "Finished trials of a --storage are kept; otherwise nothing is.")


def _add_studies(commands: argparse._SubParsersAction[Parser], function: Command) -> None:
    studies = commands.add_parser(
        "studies",
        help="list the shipped studies",
        description="List the shipped studies: network, data, rows by fidelity.",
    )
    _finish(studies, function, "Nothing was changed.")


def _add_new_study(commands: argparse._SubParsersAction[Parser], function: Command) -> None:
    new = commands.add_parser(
        "new-study",
        help="write a study file for a network and your images",
        description="Write FOLDER/study.toml: every cut of the network, counts and strategies, "
        "and how the images are divided, each with a comment. Nothing is downloaded.",
    )
    add = new.add_argument
    add("name", type=Path, metavar="FOLDER", help="new folder; its name is the study's")
    add("--network", required=True, metavar="NAME", help="torchvision's name, such as resnet18")
    add("--data", type=Path, metavar="DIR", help="where the images are (scikit-learn's digits)")
    add("--weights", metavar="FILE|NAME", help="a state-dict file, torchvision's name, or 'none'")
    add(
        "--image-size",
        type=_positive,
        default=32,
        metavar="N",
        help="pixels, square; images of another size are resized (32)",
    )
    _add_skip_bad(add)
    _finish(new, function, "Nothing was changed.")


def _add_characterize(commands: argparse._SubParsersAction[Parser], function: Command) -> None:
    measure = commands.add_parser(
        "characterize",
        help="measure a study's topologies on images",
        description="Measure accuracy and privacy loss of a study's topologies and write its "
        "characterization table. A run in the same output folder goes on where it was stopped.",
    )
    add = measure.add_argument
    _add_study(add)
    add("--data", type=Path, metavar="DIR", help="where the images are")
    add("--weights", metavar="FILE", help="weights of the network (the study's)")
    add("--output", type=Path, metavar="DIR", help="folder to write")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (cpu)")
    add(
        "--fidelity",
        action="append",
        choices=FIDELITIES,
        help="what to measure; repeat for more (screen and standard)",
    )
    add(
        "--start",
        choices=STARTS,
        default=STARTS[0],
        help="where the networks of standard and full start: from scratch, or from the cut's "
        "amortised networks, which takes fewer epochs (scratch)",
    )
    _add_skip_bad(add)
    add(
        "--attacker-data",
        type=Path,
        metavar="DIR",
        help="images of another kind: also measure what an attacker loses who has only those",
    )
    add(
        "--double-capacity",
        action="store_true",
        help="also attack some topologies by decoders twice as wide and deep, for the audit",
    )
    add(
        "--repair",
        action="store_true",
        help="afterwards measure what an audit finds attacked too weakly at the next fidelity",
    )
    add("--workers", type=_positive, default=1, metavar="N", help="processes (1)")
    add(
        "--dask",
        metavar="ADDRESS",
        help="measure on the workers of a Dask scheduler, such as tcp://10.0.0.1:8786, which see "
        "the output folder under the same path",
    )
    add("--topologies", type=_positive, metavar="N", help="how many are trained (the study's)")
    add(
        "--data-note", default="", metavar="TEXT", help="where the images come from, for the report"
    )
    add("--weights-note", default="", metavar="TEXT", help="where the weights come from, likewise")
    _finish(measure, function, "Finished measurements are kept; run it again to go on.")


def _add_audit(commands: argparse._SubParsersAction[Parser], function: Command) -> None:
    audit = commands.add_parser(
        "audit",
        help="look for measurements whose attacker was too weak",
        description="Check a study's measurements against what no optimal attacker could break: "
        "more of the same channels leak no less, a deeper cut of all channels no more, a trained "
        "decoder recovers no less than the closed form. Lists what breaks a rule beyond noise, "
        "and how much random subsets of one size differ.",
    )
    add = audit.add_argument
    _add_study(add)
    add(
        "--noise-db",
        type=float,
        default=NOISE_DB,
        metavar="DB",
        help=f"differences up to so many dB are noise ({NOISE_DB})",
    )
    _finish(audit, function, "Nothing was changed.")


def _add_validate(commands: argparse._SubParsersAction[Parser], function: Command) -> None:
    validate = commands.add_parser(
        "validate",
        help="measure a recommended topology again, by a fresh attack",
        description="Measure the recommended topology of a run and its neighbours on the front "
        "with fresh networks; print whether the limits hold; add the measurements to the study's "
        "table (a shipped study is copied into the result's folder first) and answer anew.",
    )
    add = validate.add_argument
    add("result", type=Path, metavar="RESULT_DIR", help="folder that `run` wrote")
    add("--data", type=Path, metavar="DIR", help="where the images are")
    add("--weights", metavar="FILE", help="weights of the network (the study's)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (cpu)")
    add("--neighbours", type=int, default=5, metavar="K", help="how many neighbours (5)")
    add(
        "--fidelity",
        choices=TRAINED_FIDELITIES,
        help="how long networks are trained (the one above what is predicted, if there is one)",
    )
    _add_skip_bad(add)
    _finish(validate, function, "Finished measurements are kept; run it again to go on.")


def _add_study(add: Callable[..., object]) -> None:
    add("--study", required=True, metavar="NAME|PATH", help="a shipped study, or a study's folder")


def _add_skip_bad(add: Callable[..., object]) -> None:
    add("--skip-bad", action="store_true", help="leave out image files that cannot be read")


def _finish(parser: argparse.ArgumentParser, function: Command, kept: str) -> None:
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(function=function, kept_when_interrupted=kept)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, but got {text}")
    return number

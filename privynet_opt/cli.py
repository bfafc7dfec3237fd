"""The command line: parse, call, print, and turn errors into one line and an exit code.

Nothing heavy is imported before a command needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from privynet_opt.cli_parser import (
    INTERRUPTED,
    LIMIT_BROKEN,
    NOTHING_FEASIBLE,
    OK,
    USER_MISTAKE,
    build_parser,
)
from privynet_opt.errors import DataWarning, PrivyNetOptError

if TYPE_CHECKING:
    from privynet_opt.study_sections import SearchSpec

SENSIBLE_TRIALS = {"tpe": 300, "gp": 50}
"""Samplers whose time per trial grows, and the most trials that end soon: measured with three
objectives, 300 of tpe took 6 s and 1,000 took 114 s; 100 of gp took 380 s."""

_FORMAT_OTHERS = warnings.formatwarning


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        The exit code: 0 done, 2 the user's mistake, 3 nothing feasible, 4 a validated limit
        broken, 130 interrupted.
    """
    _never_fail_to_print()
    warnings.formatwarning = _format_warning
    functions = (run, studies, new_study, characterize, audit, validate)
    parser = build_parser({function.__name__: function for function in functions})
    try:
        asked = parser.parse_args(argv)
        if asked.command is None:
            parser.print_help()
            return OK
    except SystemExit as done:
        return int(done.code or OK)
    try:
        code: int = asked.function(asked)
        sys.stdout.flush()
        return code
    except PrivyNetOptError as error:
        if asked.debug:
            raise
        return _say(f"privynet-opt: {' '.join(str(error).split())}", USER_MISTAKE)
    except KeyboardInterrupt:
        if asked.debug:
            raise
        return _say(f"privynet-opt: interrupted. {asked.kept_when_interrupted}", INTERRUPTED)
    except BrokenPipeError:
        # The reader of stdout left (`| head`); nothing more can or need be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def run(asked: argparse.Namespace) -> int:
    """Search a study, write its files and report, and print the answer.

    Args:
        asked: Parsed arguments of ``run``.
    """
    from privynet_opt.api import asked_study, optimize
    from privynet_opt.cli_output import print_result

    spec = asked_study(
        [] if asked.constraint == ["none"] else asked.constraint,
        study=asked.study,
        objectives=asked.objective,
        n_trials=asked.n_trials,
        seed=asked.seed,
        sampler=asked.sampler,
        confidence=asked.confidence,
    )
    _warn_of_slow_sampler(spec.search)

    from privynet_opt.save import prepare_output

    output = prepare_output(Path(asked.output or f"privynet-opt-{spec.name}"))
    (output / "validation.json").unlink(missing_ok=True)  # of another answer
    result = optimize(study=spec, storage=asked.storage, progress=not asked.quiet)
    files = {**result.save(output), "report.html": result.report(output / "report.html")}
    print_result(result, files, quiet=asked.quiet)
    if asked.open:
        import webbrowser

        if not webbrowser.open(files["report.html"].resolve().as_uri()):
            _say(f"privynet-opt: no browser found; open {files['report.html']} in one", OK)
    return OK if result.best is not None else NOTHING_FEASIBLE


def studies(asked: argparse.Namespace) -> int:
    """List the shipped studies.

    Args:
        asked: Parsed arguments of ``studies``.
    """
    from privynet_opt.cli_output import print_studies
    from privynet_opt.study_spec import list_studies

    print_studies(list_studies())
    return OK


def new_study(asked: argparse.Namespace) -> int:
    """Write a study file.

    Args:
        asked: Parsed arguments of ``new-study``.
    """
    from privynet_opt.new_study import write_study

    file = write_study(
        asked.name, asked.network, asked.data, asked.weights, asked.image_size, asked.skip_bad
    )
    data = "" if asked.data is None else f" --data {asked.data}"
    print(f"Written: {file}")
    print(f"Measure it: privynet-opt characterize --study {asked.name}{data} --output measured")
    return OK


def characterize(asked: argparse.Namespace) -> int:
    """Measure a study's topologies.

    Args:
        asked: Parsed arguments of ``characterize``.
    """
    from privynet_opt.study_spec import load_study

    spec = load_study(asked.study)

    from privynet_opt.characterization import characterize as measuring

    table = measuring.characterize(
        spec,
        data=asked.data,
        weights=asked.weights,
        output=Path(asked.output or f"privynet-opt-{spec.name}-characterization"),
        device=asked.device,
        fidelities=tuple(dict.fromkeys(asked.fidelity or ("screen", "standard"))),
        workers=asked.workers,
        n_trained=asked.topologies,
        start=asked.start,
        repair=asked.repair,
        attacker_data=asked.attacker_data,
        double_capacity=asked.double_capacity,
        skip_bad=asked.skip_bad,
        dask=asked.dask,
        notes={"data": asked.data_note, "weights": asked.weights_note},
    )
    print(f"Measured: {table}")
    print(f"Search it: privynet-opt run --study {table.parent}")
    return OK


def audit(asked: argparse.Namespace) -> int:
    """Print which measurements of a study a stronger attacker would have contradicted.

    Args:
        asked: Parsed arguments of ``audit``.
    """
    from privynet_opt.characterization.audit import audit_table
    from privynet_opt.characterization.table import load_table
    from privynet_opt.cli_output import print_audit
    from privynet_opt.study_spec import load_study

    table = load_table(load_study(asked.study).table_path)
    print_audit(audit_table(table, asked.noise_db), table.path)
    return OK


def validate(asked: argparse.Namespace) -> int:
    """Measure a recommended topology and its neighbours again, and answer anew.

    Args:
        asked: Parsed arguments of ``validate``.
    """
    from privynet_opt.api import reopen
    from privynet_opt.cli_output import print_validation
    from privynet_opt.save import save_validation
    from privynet_opt.validation import add_to_study

    result = reopen(asked.result)
    validation = result.validate(
        k=max(0, asked.neighbours),
        data=asked.data,
        weights=asked.weights,
        device=asked.device,
        fidelity=asked.fidelity,
        output=asked.result / "validation",
        skip_bad=asked.skip_bad,
    )
    extended = add_to_study(validation, result.spec, result.table, asked.result / "study")
    answer = result if extended is None else reopen(asked.result, extended)
    answer = replace(answer, validation=validation)
    if extended is not None:
        answer.save(asked.result)
    save_validation(validation, asked.result)
    answer.report(asked.result / "report.html")
    print_validation(validation, answer, extended)
    return OK if validation.holds else LIMIT_BROKEN


def _warn_of_slow_sampler(search: SearchSpec) -> None:
    most = SENSIBLE_TRIALS.get(search.sampler, search.n_trials)
    if search.n_trials > most:
        _say(
            f"privynet-opt: sampler {search.sampler} gets slower with every trial; "
            f"{search.n_trials:,} may take very long, --n-trials {most} is sensible",
            OK,
        )


def _never_fail_to_print() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _format_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    if issubclass(category, DataWarning):
        return f"privynet-opt: {message}\n"
    return _FORMAT_OTHERS(message, category, filename, lineno, line)


def _say(line: str, code: int) -> int:
    print(line, file=sys.stderr)
    return code

"""The command line: parse, call, and turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence

from privynet_opt import __version__
from privynet_opt.commands import (
    audit,
    characterize,
    export,
    extract,
    new_study,
    predict,
    report,
    run,
    studies,
    train_cloud,
    tune,
    validate,
)
from privynet_opt.commands.options import INTERRUPTED, OK, USER_MISTAKE, Parser
from privynet_opt.errors import DataWarning, PrivyNetOptError
from privynet_opt.standard_streams import checked_stdout, never_fail_to_print

COMMANDS = (
    run,
    report,
    studies,
    new_study,
    characterize,
    tune,
    audit,
    validate,
    export,
    extract,
    train_cloud,
    predict,
)
"""In the order in which ``--help`` lists them."""

EPILOG = """\
exit codes: 0 done; 2 something asked for cannot be done (one line says what); 3 the search is done
and nothing is feasible (the answer says why); 4 the validated topology breaks a limit; 130
interrupted (Ctrl-C or SIGTERM)
"""

_FORMAT_OTHERS = warnings.formatwarning


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        The exit code: 0 done, 2 the user's mistake, 3 nothing feasible, 4 a validated limit
        broken, 130 interrupted.
    """
    never_fail_to_print()
    warnings.formatwarning = _format_warning
    # Of large pictures, Pillow: they are resized, and what it holds for an attack it refuses.
    warnings.filterwarnings("ignore", r"Image size \(\d+ pixels\) exceeds limit")
    asked = argparse.Namespace(debug=False, kept_when_interrupted="Nothing was begun.")
    try:
        with checked_stdout():
            code = _call(argv, asked)
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
        return OK


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="privynet-opt",
        description="Choose what a split network keeps on the device: accuracy, privacy loss and "
        "cost of every PrivyNet topology, measured and searched.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"privynet-opt {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return parser


def _call(argv: Sequence[str] | None, asked: argparse.Namespace) -> int:
    parser = build_parser()
    try:
        parser.parse_args(argv, asked)
    except SystemExit as done:
        return int(done.code or OK)
    if asked.command is None:
        parser.print_help()
        return OK
    code: int = asked.function(asked)
    return code


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

"""``privynet-opt studies``: list the shipped studies."""

from __future__ import annotations

import argparse

from privynet_opt.commands.options import OK, Commands, finish


def add_to(commands: Commands) -> None:
    """Add the command to the parser.

    Args:
        commands: The subcommands of `privynet-opt`.
    """
    parser = commands.add_parser(
        "studies",
        help="list the shipped studies",
        description="List the shipped studies: network, data, rows by fidelity.",
    )
    finish(parser, studies, "Nothing was changed.")


def studies(asked: argparse.Namespace) -> int:
    """List the shipped studies.

    Args:
        asked: Parsed arguments of ``studies``.
    """
    from privynet_opt.cli_output import print_studies
    from privynet_opt.study_spec import list_studies

    print_studies(list_studies())
    return OK

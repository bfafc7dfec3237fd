"""``privynet-opt audit``: look for measurements whose attacker was too weak."""

from __future__ import annotations

import argparse

from privynet_opt.characterization.schema import NOISE_DB
from privynet_opt.commands.options import OK, Commands, add_study, decibels, finish


def add_to(commands: Commands) -> None:
    """Add the command to the parser.

    Args:
        commands: The subcommands of `privynet-opt`.
    """
    parser = commands.add_parser(
        "audit",
        help="look for measurements whose attacker was too weak",
        description="Check a study's measurements against what no optimal attacker could break: "
        "more of the same channels leak no less, channels of a deeper cut no more than all of a "
        "shallower one, a trained decoder recovers no less than the closed form, nor than a "
        "cheaper attack. Lists what breaks a rule beyond noise, and how much random subsets of one "
        "size differ.",
    )
    add = parser.add_argument
    add_study(add)
    add(
        "--noise-db",
        type=decibels,
        default=NOISE_DB,
        metavar="DB",
        help=f"differences up to so many dB are noise ({NOISE_DB})",
    )
    finish(parser, audit, "Nothing was changed.")


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

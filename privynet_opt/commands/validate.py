"""``privynet-opt validate``: measure a recommended topology again and answer anew."""

from __future__ import annotations

import argparse
from dataclasses import replace

from privynet_opt.characterization.schema import GALLERY, TRAINED_FIDELITIES
from privynet_opt.commands.options import (
    EXTENDED_COPY,
    LIMIT_BROKEN,
    OK,
    Commands,
    add_measuring,
    add_result,
    finish,
    from_zero,
)


def add_to(commands: Commands) -> None:
    """Add the command to the parser.

    Args:
        commands: The subcommands of `privynet-opt`.
    """
    parser = commands.add_parser(
        "validate",
        help="measure a recommended topology again, by a fresh attack",
        description="Measure the recommended topology of a run and its neighbours on the front "
        "with fresh networks; print whether the limits hold; add the measurements to the study's "
        "table (a shipped study is copied into the result's folder first) and answer anew.",
    )
    add = parser.add_argument
    add_result(add)
    add_measuring(add)
    add("--neighbours", type=from_zero, default=5, metavar="K", help="how many neighbours (5)")
    add(
        "--fidelity",
        choices=TRAINED_FIDELITIES,
        default="full",
        help="how long networks are trained (full)",
    )
    finish(parser, validate, "Finished measurements are kept; run it again to go on.")


def validate(asked: argparse.Namespace) -> int:
    """Measure a recommended topology and its neighbours again, and answer anew.

    Args:
        asked: Parsed arguments of ``validate``.
    """
    from privynet_opt.api import reopen
    from privynet_opt.characterization.gallery_store import copy_gallery
    from privynet_opt.cli_output import print_answer_after, print_validation
    from privynet_opt.save import save_validation
    from privynet_opt.validation import add_to_study

    result = reopen(asked.result)
    validation = result.validate(
        k=asked.neighbours,
        data=asked.data,
        weights=asked.weights,
        device=asked.device,
        fidelity=asked.fidelity,
        output=asked.result / "validation",
        skip_bad=asked.skip_bad,
    )
    print_validation(validation)  # told and kept, whatever cannot be written after it
    save_validation(validation, asked.result)
    extended = add_to_study(validation, result.spec, result.table, asked.result / EXTENDED_COPY)
    answer = result if extended is None else reopen(asked.result, extended)
    assert validation.measured is not None  # it was measured just now
    pictures = validation.measured.gallery
    if validation.same_source:
        copy_gallery(pictures, asked.result / GALLERY)
    else:  # pictures of other images, or by another network or recipe, are not for later reports
        answer = replace(answer, galleries=(pictures, *answer.galleries))
    answer = replace(answer, validation=validation)
    if extended is not None:
        answer.save(asked.result)  # a saved answer is of no validation
        save_validation(validation, asked.result)
    answer.report(asked.result / "report.html")
    print_answer_after(validation, answer, extended)
    return OK if validation.holds else LIMIT_BROKEN

"""``privynet-opt tune``: measure a study where it decides, for a given time, and answer."""

from __future__ import annotations

import argparse
from pathlib import Path

from privynet_opt.commands.options import (
    NOTHING_FEASIBLE,
    OK,
    Commands,
    add_limits,
    add_measuring,
    add_study,
    asked_limits,
    finish,
)

DESCRIPTION = """\
Measure a study where it decides which topology is recommended under the limits. What the limits
leave is screened in closed form and six topologies are trained; then each round fits the proxies,
prints the verdict and trains the recommended topology and up to three more: those of the largest
expected gain in accuracy times the probability of keeping the limits. It ends when the budget does,
when three rounds in a row recommended the same topology and that was measured and keeps every
limit, or when nothing left is expected to gain 0.1 points of accuracy.

Rows of the study's own table are taken over where weights, images and recipe are the same.
Amortised networks are not trained, since those of one cut can take the whole budget; where they
were measured before (`characterize --fidelity amortised` in the same --output), proxies use them.
Where a study searches noise, its noise_step says in which steps.
"""

EXAMPLES = """\
examples:
  privynet-opt tune --study digits --budget 5m
  privynet-opt tune --study ./my-study --data images/ --budget 2h --constraint 'psnr_db <= 17.5'
"""


def add_to(commands: Commands) -> None:
    """Add the command to the parser.

    Args:
        commands: The subcommands of `privynet-opt`.
    """
    parser = commands.add_parser(
        "tune",
        help="measure a study where it decides, for a given time, and answer",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add_study(add)
    add(
        "--budget",
        default="30m",
        metavar="TIME",
        help="how long to measure, such as 90s, 30m or 2h, all runs of the same question in the "
        "same --output together (a question is the limits, the confidence, whether extrapolation "
        "is allowed, and the search space); a measurement that has begun is finished (30m)",
    )
    add_limits(add)
    add_measuring(add)
    add("--output", type=Path, metavar="DIR", help="folder to write (./privynet-opt-STUDY-tuned)")
    finish(parser, tune, "Finished measurements are kept; run it again to go on.")


def tune(asked: argparse.Namespace) -> int:
    """Measure for a while, then write and print the answer.

    Args:
        asked: Parsed arguments of ``tune``.
    """
    from privynet_opt import tuning
    from privynet_opt.cli_output import print_result
    from privynet_opt.plain_text import wrapped
    from privynet_opt.tuning.lines import best_measured_line, ending_line

    tuned = tuning.tune(
        asked_limits(asked),
        study=asked.study,
        budget=asked.budget,
        confidence=asked.confidence,
        data=asked.data,
        weights=asked.weights,
        device=asked.device,
        skip_bad=asked.skip_bad,
        output=asked.output,
        progress=True,
    )
    ended = ending_line(tuned.ending, tuned.verdicts, tuned.spent_seconds, tuned.n_trained)
    print("\n".join(wrapped(ended)))
    for fact in tuned.impossible:
        print("\n".join(wrapped(fact, "  - ", "    ")))
    result, output = tuned.result, tuned.directory
    if result is None:
        return NOTHING_FEASIBLE
    files = {**result.save(output), "report.html": result.report(output / "report.html")}
    better = best_measured_line(result)
    if better is not None:
        print("\n".join(wrapped(better)))
    print()
    print_result(result, files, quiet=False)
    return OK if result.best is not None else NOTHING_FEASIBLE

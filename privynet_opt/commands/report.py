"""``privynet-opt report``: write the report of a saved result again, or compare two."""

from __future__ import annotations

import argparse
from pathlib import Path

from privynet_opt.commands.options import (
    OK,
    Commands,
    add_result,
    finish,
)


def add_to(commands: Commands) -> None:
    """Add the command to the parser.

    Args:
        commands: The subcommands of `privynet-opt`.
    """
    parser = commands.add_parser(
        "report",
        help="write the report of a saved result again, or compare two results",
        description="Write the report of a result that `run` or `tune` saved, from its study as it "
        "is now.",
    )
    add = parser.add_argument
    add_result(add)
    add(
        "--compare",
        type=Path,
        metavar="OTHER_DIR",
        help="also write comparison.html: this result and another side by side",
    )
    add("--png", type=Path, metavar="DIR", help="also write the figures as PNG files (extra: png)")
    add(
        "--no-pictures",
        action="store_true",
        help="leave out the images and what was recovered of them",
    )
    finish(parser, report, "A report that was there before is kept.")


OLDER = (
    "The study was measured further since front.json and front.csv were written: the report shows "
    "the answer as it is now. All are written by"
)


def report(asked: argparse.Namespace) -> int:
    """Write a report again.

    Args:
        asked: Parsed arguments of ``report``.
    """
    from dataclasses import replace

    from privynet_opt.api import reopen
    from privynet_opt.saved import command_of, read_front, read_validation

    result = replace(reopen(asked.result), validation=read_validation(asked.result))
    other = None if asked.compare is None else reopen(asked.compare)
    if asked.no_pictures:
        result = replace(result, galleries=())
    print(f"Report: {result.report(asked.result / 'report.html')}")
    saved = read_front(asked.result)
    if saved["answer_sha256"] != result.table.answer_sha256:
        print(f"{OLDER} {command_of(saved, asked.result)}")
    if other is not None:
        from privynet_opt.report.page import write_comparison

        names = asked.result.resolve().name, asked.compare.resolve().name
        if names[0] == names[1]:
            names = str(asked.result), str(asked.compare)
        path = asked.result / "comparison.html"
        print(f"Comparison: {write_comparison((result, other), names, path)}")
    if asked.png is not None:
        from privynet_opt.report.images import write_images

        for image in write_images(result, asked.png):
            print(f"Image: {image}")
    return OK

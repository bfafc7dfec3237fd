"""``privynet-opt export``: write the local network of a chosen topology as a file."""

from __future__ import annotations

import argparse
from pathlib import Path

from privynet_opt.commands.options import (
    OK,
    Commands,
    add_result,
    add_skip_bad,
    finish,
    positive,
)


def add_to(commands: Commands) -> None:
    """Add the command to the parser.

    Args:
        commands: The subcommands of `privynet-opt`.
    """
    parser = commands.add_parser(
        "export",
        help="write the local network of a chosen topology as a file that runs on the device",
        description="Write a bundle: the local network (8-bit images in, features out, nothing of "
        "the unkept filters in it), manifest.json, which may go to the cloud, and private.json, "
        "which says which filters are kept and stays with you, as the network does. The file is "
        "checked against PyTorch and timed.",
    )
    add = parser.add_argument
    add_result(add)
    add("--point", type=positive, metavar="K", help="row of front.csv, from 1 (the recommended)")
    add("--output", type=Path, metavar="DIR", help="folder to write (RESULT_DIR/bundle)")
    add(
        "--format",
        choices=("pt2", "onnx"),
        default="pt2",
        help="torch.export's archive, or ONNX, which needs privynet_opt[onnx] (pt2)",
    )
    add(
        "--feature-bits",
        type=int,
        choices=(32, 16, 8, 4),
        help="bits per feature that is sent: floats of 32 or 16, codes of 8 or 4 (what the "
        "topology was measured with, usually 32)",
    )
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="the study's images; needed where filters are chosen by statistics of them (lda, "
        "privacy, privynet, greedy), for codes of 8 or 4 bits and for noise",
    )
    add("--weights", metavar="FILE", help="weights of the network (the study's)")
    add(
        "--secret-seed",
        action="store_true",
        help="draw the filters of random or privynet anew, with a seed that nobody can look up; "
        "predictions and limits are of the study's own draw",
    )
    add(
        "--allow-other",
        action="store_true",
        help="allow weights and images that are not those that were measured",
    )
    add_skip_bad(add)
    finish(parser, export, "No bundle was written.")


def export(asked: argparse.Namespace) -> int:
    """Write a bundle and print what is in it.

    Args:
        asked: Parsed arguments of ``export``.
    """
    from privynet_opt.deploy.choice import choose

    choice = choose(asked.result, asked.point)

    from privynet_opt.deploy import export as exporting
    from privynet_opt.deploy.words import bundle_lines

    options = exporting.ExportOptions(
        file_format=asked.format,
        bits=asked.feature_bits,
        data=asked.data,
        weights=asked.weights,
        secret_seed=asked.secret_seed,
        allow_other=asked.allow_other,
        skip_bad=asked.skip_bad,
    )
    bundle = exporting.export(choice, asked.output or asked.result / "bundle", options)
    print("\n".join(bundle_lines(bundle, choice)))
    return OK

"""``privynet-opt extract``: compute the features of labelled images on the device."""

from __future__ import annotations

import argparse
from pathlib import Path

from privynet_opt.commands.options import OK, Commands, add_skip_bad, finish, positive


def add_to(commands: Commands) -> None:
    """Add the command to the parser.

    Args:
        commands: The subcommands of `privynet-opt`.
    """
    parser = commands.add_parser(
        "extract",
        help="compute the features of labelled images, to send to the cloud",
        description="Run an exported local network over labelled images and write features and "
        "labels as checksummed shards of safetensors. Images are streamed, and resized as "
        "`characterize` does; a run in the same folder goes on where it was stopped.",
    )
    add = parser.add_argument
    add("bundle", type=Path, metavar="BUNDLE", help="folder that `export` wrote")
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="one folder of images per class, or train/ and test/ of those; an .npz file or "
        "torchvision's folder (left out: scikit-learn's digits, where the study is of those)",
    )
    add("--output", type=Path, metavar="DIR", help="folder to write (./features)")
    add(
        "--mirrored",
        action="store_true",
        help="also send the features of the training images mirrored: more accuracy and twice the "
        "bytes of these, but an attacker sees each of them twice, which psnr_db does not count",
    )
    add("--shard-images", type=positive, metavar="N", help="images of a shard (about 64 MiB)")
    add_skip_bad(add)
    finish(parser, extract, "Finished shards are kept; run it again to go on.")


def extract(asked: argparse.Namespace) -> int:
    """Write features and labels.

    Args:
        asked: Parsed arguments of ``extract``.
    """
    from privynet_opt.deploy import extract as extracting
    from privynet_opt.deploy.bundle import load_bundle
    from privynet_opt.deploy.words import extraction_lines

    done = extracting.extract(
        load_bundle(asked.bundle),
        asked.data,
        asked.output or Path("features"),
        asked.mirrored,
        asked.shard_images,
        asked.skip_bad,
    )
    print("\n".join(extraction_lines(done)))
    return OK

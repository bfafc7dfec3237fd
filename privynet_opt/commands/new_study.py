"""``privynet-opt new-study``: write a study file."""

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
        "new-study",
        help="write a study file for a network and your images",
        description="Write FOLDER/study.toml: every cut of the network, counts and strategies, "
        "and how the images are divided, each with a comment. Nothing is downloaded.",
    )
    add = parser.add_argument
    add("name", type=Path, metavar="FOLDER", help="new folder; its name is the study's")
    add(
        "--network",
        required=True,
        metavar="NAME",
        help="torchvision's name, such as resnet18, or small_cnn",
    )
    add("--data", type=Path, metavar="DIR", help="as for characterize (scikit-learn's digits)")
    add(
        "--weights",
        metavar="FILE|NAME",
        help="a state-dict file, torchvision's name, or 'none' (IMAGENET1K_V1, which is downloaded "
        "when measuring begins; none for small_cnn)",
    )
    add(
        "--image-size",
        type=positive,
        default=32,
        metavar="N",
        help="pixels, square; images of another size are resized (32)",
    )
    add_skip_bad(add)
    finish(parser, new_study, "Nothing was changed.")


def new_study(asked: argparse.Namespace) -> int:
    """Write a study file.

    Args:
        asked: Parsed arguments of ``new-study``.
    """
    from privynet_opt.new_study import study_options, write_study

    written = write_study(
        asked.name, asked.network, asked.data, asked.weights, asked.image_size, asked.skip_bad
    )
    print(f"Written: {written.file}")
    print(f"Images: {written.data}, {written.n_images:,} of {written.n_classes:,} classes")
    how = study_options(asked.name, asked.data)
    print(f"Measure for a while, and answer: privynet-opt tune {how} --budget 30m")
    print(f"Or measure by its plan: privynet-opt characterize {how} --output measured")
    return OK

"""``privynet-opt train-cloud``: train the cloud network on features that arrived."""

from __future__ import annotations

import argparse
from pathlib import Path

from privynet_opt.commands.options import OK, Commands, finish, positive


def add_to(commands: Commands) -> None:
    """Add the command to the parser.

    Args:
        commands: The subcommands of `privynet-opt`.
    """
    parser = commands.add_parser(
        "train-cloud",
        help="train the cloud network on extracted features",
        description="Train the cloud network on features and labels alone, stop when a held-out "
        "tenth gets no better, and count its accuracy on images it never saw. A run in the same "
        "folder goes on after the last finished epoch.",
    )
    add = parser.add_argument
    add("features", type=Path, metavar="FEATURES", help="folder that `extract` wrote")
    add("--output", type=Path, metavar="DIR", help="folder to write (./cloud)")
    add("--epochs", type=positive, metavar="N", help="length of the training cycle (as `full`)")
    add("--seed", type=seed, default=0, metavar="N", help="seed of weights and division (0)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (cpu)")
    finish(parser, train_cloud, "Finished epochs are kept; run it again to go on.")


def seed(text: str) -> int:
    """Read a seed that torch takes.

    Args:
        text: What the user wrote.

    Raises:
        argparse.ArgumentTypeError: If it is negative or too large.
    """
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError(f"must be from 0 to 2**63 - 1, but got {text}")
    return number


def train_cloud(asked: argparse.Namespace) -> int:
    """Train a cloud network and print its accuracy.

    Args:
        asked: Parsed arguments of ``train-cloud``.
    """
    from privynet_opt.deploy import cloud_training
    from privynet_opt.deploy.feature_folder import open_features
    from privynet_opt.deploy.training_words import print_epoch, training_lines

    folder = open_features(asked.features)
    output = asked.output or Path("cloud")
    metrics = cloud_training.train_cloud(
        folder, output, asked.epochs, asked.seed, asked.device, print_epoch
    )
    print("\n".join(training_lines(metrics, folder, output)))
    return OK

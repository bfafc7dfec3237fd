"""``privynet-opt predict``: classify images with device and cloud network, end to end."""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path

from privynet_opt.commands.options import OK, Commands, add_skip_bad, finish


def add_to(commands: Commands) -> None:
    """Add the command to the parser.

    Args:
        commands: The subcommands of `privynet-opt`.
    """
    parser = commands.add_parser(
        "predict",
        help="classify images with the device and the cloud network, end to end",
        description="Classify image files: the exported network computes features, the cloud "
        "network classes and their probabilities. Writes CSV: file, class, probability.",
    )
    add = parser.add_argument
    add("bundle", type=Path, metavar="BUNDLE", help="folder that `export` wrote")
    add("cloud", type=Path, metavar="CLOUD", help="folder that `train-cloud` wrote")
    add("images", type=Path, nargs="+", metavar="IMAGES", help="image files, or folders of them")
    add("--output", type=Path, metavar="FILE", help="CSV file to write (stdout)")
    add_skip_bad(add)
    finish(parser, predict, "Nothing was written.")


def predict(asked: argparse.Namespace) -> int:
    """Write class and probability of every image.

    Args:
        asked: Parsed arguments of ``predict``.
    """
    from privynet_opt.deploy import predict as predicting
    from privynet_opt.deploy.bundle import load_bundle
    from privynet_opt.deploy.cloud_model import load_cloud_model
    from privynet_opt.files import is_stream, write_atomically

    files = predicting.find_images(asked.images)
    bundle, model = load_bundle(asked.bundle), load_cloud_model(asked.cloud)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("file", "class", "probability"))
    for found in predicting.predict(bundle, model, files, asked.skip_bad):
        writer.writerow((found.file, found.class_name, f"{found.probability:.4f}"))
    if asked.output is None:
        print(stream.getvalue(), end="")
        return OK
    # File names keep their bytes, UTF-8 or not.
    write_atomically(asked.output, stream.getvalue().encode("utf-8", "surrogateescape"))
    if not is_stream(asked.output):
        print(f"Written: {asked.output}")
    return OK

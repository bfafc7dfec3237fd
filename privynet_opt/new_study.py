"""Write a study file for a network and images: a start that needs no editing to be measured."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from privynet_opt.errors import DataError, StudyError
from privynet_opt.files import write_atomically
from privynet_opt.study_sections import FEWEST_TRAINING, LARGEST_IMAGE_SIZE
from privynet_opt.study_spec import STUDY_NAME, list_studies, load_study
from privynet_opt.toml_reader import quoted
from privynet_opt.topology import CLOSED_FORM_STRATEGIES

if TYPE_CHECKING:
    from privynet_opt.networks.cuts import Cut

LARGEST_SHARES = {"cloud": 20_000, "attacker": 20_000, "score": 2_000}
"""Images of each set, at most."""

SCORED_SHARE = 0.2
"""Share of the images that is scored where no test images are apart: among few images, accuracy
needs it. Of 900, 180 tell it to 4 points (a standard error), a twentieth to 8."""

USUAL_WEIGHTS = "IMAGENET1K_V1"
"""What torchvision calls the weights that every one of its classifiers has."""

NOT_MIRRORABLE = ("digits", "svhn")
"""Data whose images show digits, by the names of `datasets.load.kind_of`."""

_NO_UTF8 = r"[\ud800-\udfff]"
"""Stands for a byte of a file's name that is no UTF-8."""

TEMPLATE = """\
# Measure for a while and answer:
#   privynet-opt tune {how} --budget 30m
# Or measure by the plan below, then search:
#   privynet-opt characterize {how} --output measured
#   privynet-opt run --study measured
name = {name}
title = {title}

[network]
name = {network}
weights = {weights}  # torchvision's name, a state-dict file, or "none"

[data]
name = {data}
image_size = {image_size}  # pixels, square; images of another size are resized
classes = []  # such as {two_classes}; empty for all
mirrorable = {mirrorable}  # whether a mirrored image is one of its kind; false for digits or text

[search_space]
# Every place where {network} can be cut: layer, channels × rows × columns.
cut_layers = [
{cuts}
]
kept_filters = {kept_filters}  # and always all of a cut's
selection_strategies = {strategies}
feature_bits = [32]  # per feature that is sent; such as [32, 8, 4], to search that as well
noise_std = []  # such as [0.0, 1.0], to search noise added on the device, in standard deviations
noise_step = 0.0  # such as 0.25: the space is listed then, for `tune`; 0.0 for noise of any value

[search]
objectives = ["accuracy", "psnr_db", "local_flops"]
constraints = []  # such as ["psnr_db <= 17.5", "local_flops <= 60e6", "memory_bytes <= 1e6"]
n_trials = 1000
seed = 0
sampler = "nsga2"
confidence = 0.9  # a limit on privacy holds for this share of the proxies' intervals

[characterization]
images = {{ cloud = {cloud}, attacker = {attacker}, score = {score} }}  # three sets, disjoint
trained_topologies = 60  # an attacker and a cloud network of their own each
repeated_seeds = 3         # draws of random and of privynet that are screened and searched
"""


@dataclass(frozen=True)
class WrittenStudy:
    """A study file, and the images that it was written for.

    Attributes:
        file: The file.
        data: What the study calls the images.
        n_classes: Their classes.
        n_images: Images of all parts together.
    """

    file: Path
    data: str
    n_classes: int
    n_images: int


def write_study(
    directory: Path,
    network: str,
    data: Path | None,
    weights: str | None = None,
    image_size: int = 32,
    skip_bad: bool = False,
) -> WrittenStudy:
    """Write ``study.toml`` into a new folder.

    Args:
        directory: The folder; its name is the study's.
        network: torchvision's name of a network, or ``"small_cnn"``.
        data: Where the images are, or None for scikit-learn's digits.
        weights: Weights file, torchvision's name or ``"none"``; None takes `USUAL_WEIGHTS`, or
            none for ``"small_cnn"``. Only a file is looked at, nothing is downloaded.
        image_size: Pixels the images are brought to.
        skip_bad: Leave out files and sub-folders that cannot be read, and warn of them.

    Returns:
        The file, and of which images it is.

    Raises:
        StudyError: If the folder holds a study already, its name cannot be a study's, that of
            data or weights cannot be written, or the images would be too large.
        PrivyNetOptError: If network, weights or images cannot be used.
    """
    from privynet_opt.datasets.load import kind_of, load_images
    from privynet_opt.networks.backbone import check_weights, load_backbone
    from privynet_opt.networks.cuts import find_cuts

    name = directory.resolve().name
    if not re.fullmatch(STUDY_NAME, name):
        raise StudyError(
            "`new-study` must be named by letters, digits, dots, dashes and underscores, 60 at "
            f"most, but got {name!r}. Choose another folder name."
        )
    if image_size > LARGEST_IMAGE_SIZE:
        raise StudyError(
            f"`image_size` must be at most {LARGEST_IMAGE_SIZE:,} pixels, but got {image_size}. "
            "Images are resized to what you give."
        )
    shipped = [study.name for study in list_studies()]
    if name in shipped:
        raise StudyError(
            f"`new-study` must not be named as a shipped study ({', '.join(shipped)}), which "
            f"--study would take instead, but got {name!r}. Choose another folder name."
        )
    file = directory / "study.toml"
    if file.exists():
        raise StudyError(f"`new-study` must not replace a study, but {file} exists. Remove it.")
    weights = weights or ("none" if network == "small_cnn" else USUAL_WEIGHTS)
    is_file = Path(weights).suffix != "" or Path(weights).is_file()
    weights = str(Path(weights).resolve()) if is_file else weights
    check_weights(network, weights)
    cuts = find_cuts(load_backbone(network, weights if is_file else "none").graph, image_size)
    kind = kind_of(data)
    for option, told in (("data", kind), ("weights", weights)):
        if re.search(_NO_UTF8, told):
            raise StudyError(
                f"`{option}` must be named in UTF-8, as a study is written, but got {told!r}. "
                "Rename it."
            )
    train, test = load_images(kind, data, image_size, skip_bad=skip_bad)
    shares = _shares(len(train), None if test is None else len(test))
    is_divisible = shares["score"] > 0 and shares["attacker"] >= FEWEST_TRAINING
    if len(train.class_names) < 2 or not is_divisible:
        raise DataError(
            "`data` must have images of two classes or more, and enough to divide among cloud, "
            f"attacker and scoring, but {data} has {len(train):,} of {len(train.class_names)}. "
            "Give more images, one sub-folder per class."
        )
    text = TEMPLATE.format(
        how=_in_comment(study_options(directory, data)),
        name=quoted(name),
        title=quoted(f"{network} on {kind}"),
        network=quoted(network),
        weights=quoted(weights),
        data=quoted(kind),
        image_size=image_size,
        mirrorable=json.dumps(kind not in NOT_MIRRORABLE),
        two_classes=_in_comment(json.dumps(train.class_names[:2], ensure_ascii=False)),
        cuts="\n".join(_cut_line(cut) for cut in cuts),
        kept_filters=_counts(max(cut.channels for cut in cuts)),
        strategies=json.dumps(list(CLOSED_FORM_STRATEGIES)),
        **shares,
    )
    write_atomically(file, text)
    try:
        load_study(file)
    except StudyError:
        file.unlink()
        raise
    n_images = len(train) + (0 if test is None else len(test))
    return WrittenStudy(file, kind, len(train.class_names), n_images)


def study_options(directory: Path, data: Path | None) -> str:
    """Return how a study is named on the command line, for a shell.

    Args:
        directory: Its folder.
        data: Where its images are; None for those the package can make.
    """
    options = ["--study", str(directory), *([] if data is None else ["--data", str(data)])]
    return shlex.join(options)


def _in_comment(text: str) -> str:
    """Return text as TOML allows it in a comment: without control characters, in UTF-8."""
    return re.sub(rf"[\x00-\x1f\x7f]|{_NO_UTF8}", lambda found: f"\\u{ord(found[0]):04x}", text)


def _cut_line(cut: Cut) -> str:
    return f'    "{cut.name}",  # {cut.channels} × {cut.height} × {cut.width}'


def _counts(channels: int) -> Sequence[int]:
    """Return counts that grow by about a half, up to all channels."""
    steps = {round(2 ** (exponent / 2)) for exponent in range(2 * channels.bit_length())}
    return sorted(count for count in steps if count <= channels)


def _shares(n_train: int, n_test: int | None) -> dict[str, int]:
    """Divide the images: some are scored, half of the others is the attacker's."""
    if n_test is None:
        score = min(LARGEST_SHARES["score"], int(SCORED_SHARE * n_train))
        n_train -= score
    else:
        score = min(LARGEST_SHARES["score"], n_test)
    halves = {name: min(LARGEST_SHARES[name], n_train // 2) for name in ("cloud", "attacker")}
    return {**halves, "score": score}

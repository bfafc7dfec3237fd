"""Device network and cloud network one after the other: what an image is, end to end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from privynet_opt.datasets.folder import SUFFIXES, is_image
from privynet_opt.deploy.bundle import Bundle
from privynet_opt.deploy.cloud_model import CloudModel
from privynet_opt.deploy.extract import batch_size, prefetched
from privynet_opt.deploy.image_source import ImageFiles
from privynet_opt.deploy.network_file import Run, load_network
from privynet_opt.errors import BundleError, DataError


@dataclass(frozen=True)
class Prediction:
    """What the two networks say about an image.

    Attributes:
        file: The image.
        class_name: The likeliest class.
        probability: Of it, as the cloud network sees it.
    """

    file: Path
    class_name: str
    probability: float


def find_images(paths: Sequence[Path]) -> list[Path]:
    """List image files, those of folders with everything below them in alphabetical order.

    Args:
        paths: Files and folders.

    Raises:
        DataError: If one does not exist or holds no image.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"an image must exist, but {path} does not. Check the path.")
        inside = _visible(path) if path.is_dir() else [path]
        images = [p for p in inside if p.is_file() and is_image(p)]
        if not images:
            raise DataError(
                f"images must end in {', '.join(sorted(SUFFIXES))}, but {path} "
                f"{'holds none' if path.is_dir() else 'does not'}. Give image files or folders."
            )
        found += images
    return found


def _visible(folder: Path) -> list[Path]:
    """Return what lies below a folder; as in a folder of classes, nothing hidden is an image."""
    below = sorted(folder.rglob("*"))
    return [p for p in below if not any(n.startswith(".") for n in p.relative_to(folder).parts)]


def predict(
    bundle: Bundle, model: CloudModel, files: Sequence[Path], skip_bad: bool = False
) -> Iterator[Prediction]:
    """Classify image files; only coded features pass from one network to the other.

    Args:
        bundle: The exported device network.
        model: The cloud network, trained on its features.
        files: Images; of another size they are resized and cropped as images of a folder are, also
            where training images came from an .npz file, which are resized without a crop.
        skip_bad: Leave out files that cannot be decoded, and warn of them.

    Returns:
        One prediction per file, in order.

    Raises:
        BundleError: If the two networks do not belong together.
        DataError: If a file cannot be decoded, unless such are skipped.
    """
    if bundle.manifest.sha256 != model.manifest.sha256:
        raise BundleError(
            f"the cloud network must be trained on features of this bundle, but {bundle.directory} "
            f"has the manifest {bundle.manifest.sha256[:12]}… and the cloud network "
            f"{model.manifest.sha256[:12]}…. Give the bundle that its features were extracted with."
        )
    run = load_network(bundle.network_path, bundle.manifest.image_size, bundle.noise)
    return _predictions(bundle, model, run, files, skip_bad)


def _predictions(
    bundle: Bundle, model: CloudModel, run: Run, files: Sequence[Path], skip_bad: bool
) -> Iterator[Prediction]:
    # In place of labels, each image carries its position.
    numbered = tuple((path, position) for position, path in enumerate(files))
    source = ImageFiles(Path(), numbered, model.class_names, bundle.manifest.image_size, skip_bad)
    for images, positions in prefetched(source, 0, len(source), batch_size(bundle)):
        if not len(images):
            continue
        likeliest = torch.max(model.probabilities(run(images)), dim=1)
        columns = (t.tolist() for t in (positions, *likeliest))
        for position, probability, label in zip(*columns, strict=True):
            yield Prediction(files[position], model.class_names[label], probability)

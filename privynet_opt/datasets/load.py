"""Load images by name: a torchvision data set, a folder, an .npz file, scikit-learn's digits."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from privynet_opt.datasets.folder import load_folder
from privynet_opt.datasets.image_set import ImageSet
from privynet_opt.datasets.resize import to_size
from privynet_opt.datasets.torchvision_sets import SOURCES, is_download, load_download
from privynet_opt.errors import DataError


def load_images(
    name: str,
    directory: Path | None,
    image_size: int,
    classes: Sequence[str] = (),
    skip_bad: bool = False,
) -> tuple[ImageSet, ImageSet | None]:
    """Load a data set.

    Args:
        name: A key of `torchvision_sets.SOURCES`, ``"digits"``, or anything else for a user's own
            images.
        directory: Where the images are: torchvision's download folder, a folder with one
            sub-folder per class (or ``train`` and ``test`` folders of those), or an ``.npz`` file
            with ``images`` ``(n, h, w, 3)`` or ``(n, h, w)`` and ``labels``. None only for
            ``"digits"``.
        image_size: Rows and columns the network is given; images of another size are resized.
        classes: Names of the classes to keep; none keeps all.
        skip_bad: Leave out files of a folder that cannot be decoded, and warn of them.

    Returns:
        Training images, and test images if the source keeps them apart.

    Raises:
        DataError: If nothing is there, a file cannot be read, shapes and labels are wrong, or
            there is no such class.
    """
    train, test = _load_all(name, directory, image_size, skip_bad)
    if classes:
        train = train.of_classes(classes)
        test = None if test is None else test.of_classes(classes)
    return train, test


def kind_of(directory: Path | None) -> str:
    """Return the name by which a study would call the images in a place.

    Args:
        directory: As for `load_images`.

    Returns:
        ``"digits"`` for None, a key of `torchvision_sets.SOURCES`, or the place's own name.
    """
    if directory is None:
        return "digits"
    downloads = (name for name in SOURCES if is_download(name, directory))
    return next(downloads, directory.resolve().stem)


def _load_all(
    name: str, directory: Path | None, image_size: int, skip_bad: bool
) -> tuple[ImageSet, ImageSet | None]:
    if name == "digits" and directory is None:
        return _load_digits(image_size), None
    if directory is None:
        raise DataError(
            f"`--data` must say where the images of {name!r} are, but it was not given. "
            "Give a folder with one sub-folder per class, an .npz file or torchvision's folder."
        )
    if not directory.exists():
        raise DataError(f"`--data` must exist, but {directory} does not. Check the path.")
    if directory.suffix == ".npz":
        return _load_npz(directory, image_size), None
    if is_download(name, directory):
        return load_download(name, directory, image_size)
    if (directory / "train").is_dir() and (directory / "test").is_dir():
        train = load_folder(directory / "train", image_size, skip_bad)
        test = load_folder(directory / "test", image_size, skip_bad)
        if train.class_names != test.class_names:
            raise DataError(
                f"`--data` must have the same classes in train and test, but in {directory} they "
                "differ. Add the missing class folders."
            )
        return train, test
    return load_folder(directory, image_size, skip_bad), None


def _load_digits(image_size: int) -> ImageSet:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = torch.from_numpy(digits.images / 16 * 255).round().to(torch.uint8)
    images = to_size(pixels[:, None].expand(-1, 3, -1, -1), image_size)
    labels = torch.from_numpy(digits.target).long()
    return ImageSet(images, labels, tuple(str(n) for n in digits.target_names))


def _load_npz(path: Path, image_size: int) -> ImageSet:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            fields = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"`--data` must be a readable .npz, but {path}: {error}. Write or copy it again."
        ) from error
    images, labels = fields.get("images"), fields.get("labels")
    if images is None or labels is None or images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(
            f"`--data` must hold uint8 `images` (n, h, w[, 3]) and `labels` (n,), but {path} holds "
            f"{ {name: (str(a.dtype), a.shape) for name, a in fields.items()} }."
        )
    if (
        labels.ndim != 1
        or len(images) != len(labels)
        or (images.ndim == 4 and images.shape[3] != 3)
    ):
        raise DataError(
            f"`--data` must have one label per image and 3 colours, but {path} has images "
            f"{images.shape} and labels {labels.shape}."
        )
    pixels = torch.from_numpy(images)
    pixels = pixels[:, None].expand(-1, 3, -1, -1) if images.ndim == 3 else pixels.movedim(3, 1)
    names, indices = np.unique(labels, return_inverse=True)
    return ImageSet(
        to_size(pixels, image_size),
        torch.from_numpy(indices).long(),
        tuple(str(name) for name in names),
    )

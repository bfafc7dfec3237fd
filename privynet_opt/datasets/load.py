"""Load images by name: a torchvision data set, a folder, an .npz file, scikit-learn's digits."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from privynet_opt.datasets.folder import PARTS, is_parted, load_folder
from privynet_opt.datasets.image_set import ImageSet
from privynet_opt.datasets.resize import to_size
from privynet_opt.datasets.torchvision_sets import SOURCES, is_download, load_download
from privynet_opt.errors import DataError

KNOWN_NAMES = ("digits", *SOURCES)
"""What a study calls data that are not a user's own."""

DATA_OPTION = "--data"
"""What messages call the place of the images, unless they were given by another option."""

MOST_NAMED = 5
"""Arrays of a file that an error names."""


def load_images(
    name: str,
    directory: Path | None,
    image_size: int,
    classes: Sequence[str] = (),
    skip_bad: bool = False,
    option: str = DATA_OPTION,
) -> tuple[ImageSet, ImageSet | None]:
    """Load a data set.

    Args:
        name: One of `KNOWN_NAMES`, or anything else for a user's own images.
        directory: Where the images are: torchvision's download folder, a folder with one
            sub-folder per class (or ``train`` and ``test`` folders of those), or an ``.npz`` file
            with ``images`` ``(n, h, w, 3)`` or ``(n, h, w)`` and ``labels``. None only for
            ``"digits"``.
        image_size: Rows and columns the network is given; images of another size are resized.
        classes: Names of the classes to keep; none keeps all.
        skip_bad: Leave out files and sub-folders that cannot be read, and warn of them.
        option: What `directory` was given by, for messages.

    Returns:
        Training images, and test images if the source keeps them apart.

    Raises:
        DataError: If nothing is there, it is no folder and no ``.npz``, a file cannot be read,
            shapes and labels are wrong, or there is no such class.
    """
    try:
        train, test = _load_all(name, directory, image_size, skip_bad)
    except DataError as error:
        if option == DATA_OPTION:
            raise
        raise DataError(str(error).replace(f"`{DATA_OPTION}`", f"`{option}`")) from error
    if classes:
        train = train.of_classes(classes)
        test = None if test is None else test.of_classes(classes)
    return train, test


def kind_of(directory: Path | None, option: str = DATA_OPTION) -> str:
    """Return the name by which a study would call the images in a place.

    Args:
        directory: As for `load_images`.
        option: What `directory` was given by, for messages.

    Returns:
        ``"digits"`` for None, a key of `torchvision_sets.SOURCES` for its download folder, or the
        place's own name, lengthened where it is one of `KNOWN_NAMES`: a study of a user's own
        ``digits`` must not take scikit-learn's where ``--data`` is forgotten.

    Raises:
        DataError: If it is the download folder of several data sets.
    """
    if directory is None:
        return "digits"
    own = directory.resolve().stem
    if own in KNOWN_NAMES:
        own += "-folder" if directory.is_dir() else "-file"
    found = [name for name in SOURCES if is_download(name, directory)]
    if len(found) > 1:
        raise DataError(
            f"`{option}` must hold one data set, but {directory} holds torchvision's "
            f"{', '.join(found)}. Move or link the one that is meant into a folder of its own and "
            "give that."
        )
    return found[0] if found else own


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
    if not os.path.exists(directory):  # no error where a folder above it is closed
        raise DataError(f"`--data` must exist, but {directory} does not. Check the path.")
    if not directory.is_dir():
        return _load_npz(directory, image_size), None
    if is_download(name, directory):
        return load_download(name, directory, image_size)
    if is_parted(directory):
        train, test = (
            load_folder(directory / part, image_size, skip_bad, may_be_empty=True) for part in PARTS
        )
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
    images, labels = _stored_arrays(path)
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(
            f"`--data` must hold uint8 `images` (n, h, w[, 3]), but {path} has {images.dtype} "
            f"images {images.shape}. Store pixels of 0 to 255 in that shape."
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


def _stored_arrays(path: Path) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Return `images` and `labels` of an .npz file as they are stored; nothing else is read."""
    if path.suffix != ".npz":
        raise DataError(
            f"`--data` must be a folder or an .npz file, but {path} is neither. Unpack an archive "
            "and give its folder; pack arrays with numpy.savez."
        )
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):  # a .npy by another name
            names, fields = ["one array without a name"], {}
        else:
            with stored:
                names = list(stored.files)
                fields = {name: stored[name] for name in ("images", "labels") if name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"`--data` must be a readable .npz, but {path}: {error}. Write or copy it again."
        ) from error
    images, labels = fields.get("images"), fields.get("labels")
    if not (isinstance(images, np.ndarray) and isinstance(labels, np.ndarray)):
        told = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
        raise DataError(
            f"`--data` must hold the arrays `images` and `labels`, but {path} holds "
            f"{told or 'nothing'}. Write both with numpy.savez."
        )
    return images, labels

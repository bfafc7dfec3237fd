"""Read an image folder: one sub-folder per class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from privynet_opt.datasets.image_set import ImageSet
from privynet_opt.datasets.small_jpeg import decode_small
from privynet_opt.errors import DataError, DataWarning

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm"})
"""Files that are read as images; others are ignored."""

PARTS = ("train", "test")
"""Sub-folders of a folder that holds a training and a test part."""

MOST_NAMED = 5
"""Skipped files and empty folders that a warning names."""


def is_parted(directory: Path) -> bool:
    """Return whether a folder holds a training and a test part; not where it cannot be entered.

    Args:
        directory: The folder.
    """
    return all(os.path.isdir(directory / part) for part in PARTS)


def load_folder(
    directory: Path, image_size: int, skip_bad: bool = False, may_be_empty: bool = False
) -> ImageSet:
    """Load every image below a folder of class folders.

    Args:
        directory: The folder; each sub-folder is a class, classes in alphabetical order.
        image_size: Rows and columns; larger or smaller images are resized (their shorter side)
            and cropped to the centre.
        skip_bad: Leave out files that cannot be decoded, sub-folders that cannot be listed, and
            warn of them.
        may_be_empty: As for `class_files`.

    Returns:
        All images, classes in order, files in alphabetical order within a class.

    Raises:
        DataError: If there is no class folder, no image, or, unless such are skipped, a file that
            cannot be decoded or a sub-folder that cannot be listed.
    """
    class_names, files = class_files(directory, may_be_empty, skip_bad)
    if not files:
        raise DataError(
            f"`--data` must have one folder of images per class (or train/ and test/ of those), "
            f"but {directory} has none. "
            f"Read are files ending in {', '.join(sorted(SUFFIXES))}."
        )
    pixels = np.empty((len(files), image_size, image_size, 3), dtype=np.uint8)
    is_good = np.ones(len(files), dtype=bool)
    for index, (path, _) in enumerate(files):
        try:
            pixels[index] = decode(path, image_size)
        except DataError:
            if not skip_bad:
                raise
            is_good[index] = False
    warn_of_skipped([path for (path, _), good in zip(files, is_good, strict=True) if not good])
    return ImageSet(
        torch.from_numpy(pixels[is_good]).permute(0, 3, 1, 2).contiguous(),
        torch.tensor([label for (_, label), good in zip(files, is_good, strict=True) if good]),
        class_names,
    )


def class_files(
    directory: Path, may_be_empty: bool = False, skip_bad: bool = False
) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    """List the image files below a folder of class folders.

    Args:
        directory: The folder; each sub-folder is a class.
        may_be_empty: Whether a sub-folder without images is a class, as where a test part has none
            of it; otherwise it is not, such as a folder of results, and warned of.
        skip_bad: Leave out sub-folders that cannot be listed, and warn of them.

    Returns:
        The classes in alphabetical order, and each file with the position of its class; files in
        alphabetical order within a class. What is hidden, as ``.ipynb_checkpoints``, is no class
        and no image.

    Raises:
        DataError: If the folder cannot be listed, or, unless such are skipped, a sub-folder.
    """
    images: dict[str, list[Path]] = {}
    unlisted = []
    for folder in _listed(directory, _is_class):
        try:
            images[folder.name] = _listed(folder, is_image)
        except DataError:
            if not skip_bad:
                raise
            unlisted.append(folder.name)
    _warn_of_no_class(directory, unlisted, "since not listable")
    empty = [name for name, paths in images.items() if not paths]
    if len(empty) < len(images) and not may_be_empty:
        _warn_of_no_class(directory, empty, "for want of images")
        images = {name: paths for name, paths in images.items() if paths}
    return tuple(images), [(path, i) for i, name in enumerate(images) for path in images[name]]


def warn_of_skipped(paths: list[Path]) -> None:
    """Warn of image files that were left out.

    Args:
        paths: The files; none warns of nothing.
    """
    if paths:
        files = "1 file that is" if len(paths) == 1 else f"{len(paths):,} files that are"
        named = ", ".join(str(path) for path in paths[:MOST_NAMED])
        more = ", ..." if len(paths) > MOST_NAMED else ""
        warnings.warn(f"left out {files} not readable: {named}{more}", DataWarning, stacklevel=2)


def _warn_of_no_class(directory: Path, names: list[str], why: str) -> None:
    if names:
        more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
        which = ", ".join(names[:MOST_NAMED])
        told = f"no class, {why}: {which}{more} in {directory}"
        warnings.warn(told, DataWarning, stacklevel=2)


def _listed(folder: Path, is_wanted: Callable[[Path], bool]) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if is_wanted(path))
    except OSError as error:
        raise DataError(
            f"a folder of images must be one that can be listed, but {folder} is not "
            f"({error.strerror}). Change its permissions or move it elsewhere; --skip-bad leaves "
            "out such a class folder."
        ) from error


def _is_class(path: Path) -> bool:
    return path.is_dir() and path.name[0] != "."


def is_image(path: Path) -> bool:
    """Return whether a file is read as an image, by its name.

    Args:
        path: The file.
    """
    return path.suffix.lower() in SUFFIXES and path.name[0] != "."


def decode(path: Path, size: int) -> np.ndarray:
    """Return an image file's pixels.

    Args:
        path: The file.
        size: Rows and columns; an image of another size is resized (its shorter side) and cropped
            to the centre.

    Returns:
        uint8, shape ``(size, size, 3)``.

    Raises:
        DataError: If it cannot be decoded.
    """
    from PIL import Image, ImageOps

    pixels = decode_small(path, size)
    if pixels is not None:
        return pixels
    try:
        with Image.open(path) as image:
            colours = _plain(image).convert("RGB")
            if colours.size != (size, size):
                colours = ImageOps.fit(colours, (size, size), Image.Resampling.BILINEAR)
            return np.asarray(colours)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> DataError:
    """Return the error for an image file that cannot be read.

    Args:
        path: The file.
        error: Why.
    """
    return DataError(
        f"every image must be readable, but {path} is not ({error}). Leave such files out with "
        "--skip-bad, which goes on with what is finished; or repair or remove it and begin anew."
    )


def _plain(image: Image.Image) -> Image.Image:
    """Return what Pillow turns to RGB as it is meant.

    Greys of 16 bits would be clipped to white; of a palette's transparency it would warn.
    """
    from PIL import Image

    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))

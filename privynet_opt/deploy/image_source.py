"""Images in a fixed order, read as they are needed, so that memory does not grow with their number.

Image folders are streamed. Everything else that `datasets` loads is one file on disk and is held in
memory as 8-bit pixels.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privynet_opt.datasets.folder import (
    PARTS,
    class_files,
    decode,
    is_image,
    is_parted,
    unreadable,
    warn_of_skipped,
)
from privynet_opt.datasets.image_set import ImageSet
from privynet_opt.datasets.load import load_images
from privynet_opt.datasets.torchvision_sets import is_download
from privynet_opt.errors import DataError

DECODERS = 4
"""Threads that decode image files, at most; decoding lets go of Python's lock. Each takes its share
of a batch at once: handed over one by one, small images take twice the time."""


class ImageSource(Protocol):
    """Labelled images by position."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name per class."""

    def __len__(self) -> int:
        """Return how many images there are."""

    def batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return uint8 images ``(n, 3, size, size)`` and int64 labels ``(n,)``."""

    def fingerprint(self) -> str:
        """Return a hash by which a run knows that it goes on with the same images."""


@dataclass(frozen=True)
class ImageFiles:
    """Image files, decoded when asked for.

    Attributes:
        root: The folder they lie in.
        files: Their paths and labels.
        class_names: One name per class.
        image_size: Rows and columns that they are brought to.
        skip_bad: Leave out files that cannot be decoded, and warn of them.
    """

    root: Path
    files: tuple[tuple[Path, int], ...]
    class_names: tuple[str, ...]
    image_size: int
    skip_bad: bool = False

    def __len__(self) -> int:
        """Return how many files there are."""
        return len(self.files)

    def batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Decode some of the images.

        Args:
            start: Position of the first.
            stop: Position after the last.

        Returns:
            Images and labels of those that can be decoded.

        Raises:
            DataError: If one of them cannot be decoded, unless such are skipped.
        """
        wanted = self.files[start:stop]
        n_threads = min(DECODERS, joblib.cpu_count())
        share = max(1, math.ceil(len(wanted) / n_threads))
        shares = [wanted[first : first + share] for first in range(0, len(wanted), share)]
        with ThreadPoolExecutor(n_threads) as pool:
            decoded = list(chain.from_iterable(pool.map(self._decode_all, shares)))
        pairs = [(p, label) for p, (_, label) in zip(decoded, wanted, strict=True) if p is not None]
        warn_of_skipped([f for (f, _), p in zip(wanted, decoded, strict=True) if p is None])
        pixels = np.empty((len(pairs), self.image_size, self.image_size, 3), dtype=np.uint8)
        for place, (image, _) in zip(pixels, pairs, strict=True):
            place[:] = image
        labels = torch.tensor([label for _, label in pairs], dtype=torch.int64)
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels

    def fingerprint(self) -> str:
        """Return a hash over names, sizes, dates of change and labels; contents are not read.

        A file that was changed or copied since has another date, if its writer did not set it back.
        Whether bad files are skipped is no part of it: what was finished without that had none.

        Raises:
            DataError: If a file is not there, such as a link to nothing, unless such are skipped.
        """
        digest = hashlib.sha256(repr(self.class_names).encode())
        for path, label in self.files:
            digest.update(os.fsencode(path.relative_to(self.root).as_posix()))
            digest.update(f"\0{self._state(path)}\0{label}\n".encode())
        return digest.hexdigest()

    def _state(self, path: Path) -> str:
        try:
            file = path.stat()
        except OSError as error:
            if self.skip_bad:
                return "not there"
            raise unreadable(path, error) from error
        return f"{file.st_size}\0{file.st_mtime_ns}"

    def _decode_all(self, files: Sequence[tuple[Path, int]]) -> list[NDArray[np.uint8] | None]:
        return [self._decode(path) for path, _ in files]

    def _decode(self, path: Path) -> NDArray[np.uint8] | None:
        try:
            return decode(path, self.image_size)
        except DataError:
            if self.skip_bad:
                return None
            raise


@dataclass(frozen=True)
class LoadedImages:
    """Images that are in memory.

    Attributes:
        loaded: The images.
    """

    loaded: ImageSet

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name per class."""
        return self.loaded.class_names

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self.loaded)

    def batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return some of the images and their labels.

        Args:
            start: Position of the first.
            stop: Position after the last.
        """
        return self.loaded.images[start:stop], self.loaded.labels[start:stop]

    def fingerprint(self) -> str:
        """Return a hash over pixels and labels."""
        return self.loaded.sha256()


def open_images(
    name: str,
    directory: Path | None,
    image_size: int,
    classes: Sequence[str] = (),
    skip_bad: bool = False,
) -> dict[str, ImageSource]:
    """Open labelled images.

    Args:
        name: What the study calls its data.
        directory: As for `datasets.load_images`.
        image_size: Rows and columns of an image.
        classes: Names of the classes to keep; none keeps all.
        skip_bad: Leave out files and sub-folders that cannot be read, and warn of them.

    Returns:
        Sources by part, ``"train"`` and perhaps ``"test"``, with the same classes.

    Raises:
        DataError: If there are no images, no labels, or not the classes.
    """
    if directory is None or not os.path.isdir(directory) or is_download(name, directory):
        sets = load_images(name, directory, image_size, classes)
        if not len(sets[0]):
            raise DataError(
                f"`--data` must have training images, but {directory} has none. Add some."
            )
        return {
            part: LoadedImages(images)
            for part, images in zip(PARTS, sets, strict=True)
            if images is not None
        }
    has_parts = is_parted(directory)
    roots = {part: directory / part for part in PARTS} if has_parts else {"train": directory}
    sources = {
        part: _files_in(root, image_size, classes, skip_bad, may_be_empty=has_parts)
        for part, root in roots.items()
    }
    if len({source.class_names for source in sources.values()}) > 1:
        raise DataError(
            f"`--data` must have the same classes in train and test, but in {directory} they "
            "differ. Add the missing class folders."
        )
    return dict(sources)  # as sources of any kind


def _files_in(
    root: Path, image_size: int, classes: Sequence[str], skip_bad: bool, may_be_empty: bool
) -> ImageFiles:
    names, files = class_files(root, may_be_empty, skip_bad)
    if not files:
        flat = sum(map(is_image, root.iterdir()))
        raise DataError(
            f"`--data` must have one folder of images per class, but {root} has "
            + (f"{flat} images and no labels" if flat else "none")
            + ". Sort the images into folders named by class (or train/ and test/ of those)."
        )
    for name in names:
        if os.fsencode(name).decode("utf-8", "ignore") != name:
            raise DataError(
                f"a class must have a name in UTF-8, but {root} has the folder {name!r}. Rename it."
            )
    if classes:
        places = ImageSet(
            torch.arange(len(files)), torch.tensor([label for _, label in files]), names
        ).of_classes(classes)  # positions stand for pixels
        positions = zip(places.images.tolist(), places.labels.tolist(), strict=True)
        files, names = [(files[p][0], label) for p, label in positions], places.class_names
    return ImageFiles(root, tuple(files), names, image_size, skip_bad)

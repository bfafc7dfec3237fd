"""Decode JPEG files that have the wanted size already by simplejpeg, where that is installed.

Pillow takes most of its time for a small file to open it. Both decode by libjpeg-turbo, with the
same settings: with the versions that `constraints.txt` pins the pixels are equal.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

COLOUR_SPACES = frozenset({"Gray", "YCbCr", "RGB"})
"""Those that turn to RGB as in Pillow; of four channels it makes something else."""

EXTRA_BYTES = 2**16
"""What a small file may have besides its pixels, such as a profile of its colours."""


def decode_small(path: Path, size: int) -> NDArray[np.uint8] | None:
    """Return the pixels of a JPEG file of the wanted size.

    Args:
        path: The file.
        size: Rows and columns.

    Returns:
        uint8, shape ``(size, size, 3)``; None for whatever is better left to Pillow, which also
        says what is wrong: another format, size or colour space, a damaged file, or any where
        simplejpeg is not installed.
    """
    simplejpeg = _simplejpeg()
    if simplejpeg is None or path.suffix.lower() not in {".jpg", ".jpeg"}:
        return None
    largest = 3 * size * size + EXTRA_BYTES
    try:
        with path.open("rb", buffering=0) as file:
            content = file.read(largest + 1)
        if len(content) > largest:
            return None
        rows, columns, colours, _ = simplejpeg.decode_jpeg_header(content)
        if (rows, columns) != (size, size) or colours not in COLOUR_SPACES:
            return None
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(content)
    except (OSError, ValueError, KeyError, RuntimeError):  # KeyError of a subsampling it lacks
        return None
    return pixels


@functools.cache
def _simplejpeg() -> ModuleType | None:
    """Return the library; None where it is missing, or was built for another numpy."""
    try:
        return importlib.import_module("simplejpeg")
    except (ImportError, ValueError):
        return None

"""Pictures beside a study: one PNG strip for each topology that was attacked, and what it shows.

A strip holds the same few images side by side; a text chunk of the PNG says what they are and how
close they come to the originals, so that each file is whole by itself and opens in any viewer.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile, PngInfo

from privynet_opt.errors import TableError
from privynet_opt.files import copy_file, write_atomically

ORIGINAL, THUMBNAIL, RECOVERED = "original", "thumbnail", "recovered"
"""What a strip can show."""

_CHUNK = "privynet_opt"


@dataclass(frozen=True)
class Strip:
    """The same few images in one condition.

    Attributes:
        kind: `ORIGINAL`, `THUMBNAIL` or `RECOVERED`.
        pixels: uint8, shape ``(n, side, side, 3)``.
        psnr_db: PSNR of each against the original; empty for the originals.
        ssim: SSIM likewise.
        facts: What was done: a measurement's key and attacker, a thumbnail's ``side``, or of the
            originals their ``source``.
    """

    kind: str
    pixels: NDArray[np.uint8]
    psnr_db: tuple[float, ...]
    ssim: tuple[float, ...]
    facts: Mapping[str, Any]


def write_strip(path: Path, strip: Strip) -> None:
    """Write a strip so that its file is either whole or not there.

    Args:
        path: The PNG file.
        strip: What it shows.

    Raises:
        OutputError: If it cannot be written.
    """
    described = {name: getattr(strip, name) for name in ("kind", "psnr_db", "ssim")}
    text = PngInfo()
    text.add_text(_CHUNK, json.dumps({**described, "facts": dict(strip.facts)}))
    stream = io.BytesIO()
    image = Image.fromarray(np.concatenate(list(strip.pixels), axis=1))
    image.save(stream, "PNG", optimize=True, pnginfo=text)
    write_atomically(path, stream.getvalue())


def read_strip(path: Path) -> Strip:
    """Read a strip.

    Args:
        path: The PNG file.

    Raises:
        TableError: If it is no strip, or damaged.
    """
    try:
        with Image.open(path) as image:
            assert isinstance(image, PngImageFile)
            image.load()
            said = json.loads(image.text[_CHUNK])
            pixels = np.asarray(image.convert("RGB"))
        side = pixels.shape[0]
        return Strip(
            kind=said["kind"],
            pixels=pixels.reshape(side, -1, side, 3).swapaxes(0, 1),
            psnr_db=tuple(said["psnr_db"]),
            ssim=tuple(said["ssim"]),
            facts=said["facts"],
        )
    except (OSError, UnidentifiedImageError, AssertionError, KeyError, ValueError) as error:
        raise TableError(
            f"a gallery must hold strips that `characterize` or `validate` wrote, but {path} is "
            f"not one ({type(error).__name__}). Remove the file."
        ) from error


def read_gallery(folder: Path) -> tuple[Strip, ...]:
    """Read every strip of a gallery.

    Args:
        folder: The gallery; one that does not exist is empty.

    Returns:
        The strips, in the order of their files' names.

    Raises:
        TableError: If one of them is damaged.
    """
    return tuple(read_strip(path) for path in sorted(folder.glob("[!.]*.png")))


def copy_gallery(source: Path, target: Path) -> None:
    """Copy a gallery; strips of the same names are replaced.

    Args:
        source: The gallery; nothing happens where there is none.
        target: Where it goes.

    Raises:
        OutputError: If it cannot be written there.
    """
    if source.is_dir() and source.resolve() != target.resolve():
        for strip in source.iterdir():
            copy_file(strip, target / strip.name)

"""Make the pictures that show a privacy loss to the eye: originals, thumbnails, what is recovered.

Eight scored images, the same for every topology of a study. They stay in the measurement's own
folder, like everything that is measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from privynet_opt.attacks.metrics import psnr_db, ssim
from privynet_opt.characterization.gallery_store import (
    ORIGINAL,
    RECOVERED,
    THUMBNAIL,
    Strip,
    write_strip,
)
from privynet_opt.characterization.schema import measurement_name
from privynet_opt.topology import LocalTopology

N_IMAGES = 8

LARGEST_SIDE = 96
"""Pixels; larger pictures are reduced to it, which keeps a report of photographs small."""

THUMBNAIL_SIDES = (4, 8, 16)
"""The readable scale of privacy loss."""


class Gallery:
    """A folder of strips, one for each measured topology.

    Args:
        folder: The folder; made where missing.
        images: The scored images in [0, 1], shape ``(n, 3, size, size)``.
        labels: Their labels.
        source: Where the images come from, where they are not the study's own.
    """

    def __init__(self, folder: Path, images: Tensor, labels: Tensor, source: str = "") -> None:
        self.folder = folder
        self.positions = one_of_each_class(labels.tolist(), N_IMAGES)
        self.originals = images[self.positions].float()
        write_strip(
            folder / "originals.png",
            Strip(ORIGINAL, _bytes(self.originals), (), (), {"source": source}),
        )
        for side in THUMBNAIL_SIDES:
            if side < images.shape[-1]:
                seen = thumbnails(self.originals, side)
                self._write(f"thumbnail-{side}", THUMBNAIL, seen, {"side": side})

    def add(self, key: Mapping[str, Any], attacker: str, recovered: Tensor) -> None:
        """Add what an attacker recovered.

        Args:
            key: At least the columns of `schema.KEY`.
            attacker: Who recovered it.
            recovered: What it recovered of all scored images, ``(n, 3, size, size)``.
        """
        told = {name: key[name] for name in ("fidelity", "training_seed")}
        facts = LocalTopology.of(key).as_dict() | told | {"attacker": attacker}
        shown = recovered[self.positions].float().clamp(0, 1)
        self._write(measurement_name(key), RECOVERED, shown, facts)

    def _write(self, name: str, kind: str, seen: Tensor, facts: Mapping[str, Any]) -> None:
        psnr = tuple(round(v, 3) for v in psnr_db(self.originals, seen).tolist())
        alike = tuple(round(v, 4) for v in ssim(self.originals, seen).tolist())
        write_strip(self.folder / f"{name}.png", Strip(kind, _bytes(seen), psnr, alike, facts))


def thumbnails(images: Tensor, side: int) -> Tensor:
    """Return what is left of images in a thumbnail, brought back to their size.

    Args:
        images: Shape ``(n, 3, size, size)``.
        side: Pixels of the thumbnail's side; each is the mean over the area it stands for.
    """
    small = functional.interpolate(images, size=(side, side), mode="area")
    return functional.interpolate(small, size=images.shape[-2:], mode="nearest")


def one_of_each_class(labels: list[int], n_wanted: int) -> list[int]:
    """Return positions of images, one of each class in turn until there are enough.

    Args:
        labels: Of all images.
        n_wanted: How many.

    Returns:
        At most `n_wanted` positions; a class's first image comes before any class's second.
    """
    seen: Counter[int] = Counter()
    turns = []
    for position, label in enumerate(labels):
        turns.append((seen[label], label, position))
        seen[label] += 1
    return [position for _, _, position in sorted(turns)[:n_wanted]]


def _bytes(images: Tensor) -> Any:
    if images.shape[-1] > LARGEST_SIDE:
        images = functional.interpolate(
            images, size=(LARGEST_SIDE, LARGEST_SIDE), mode="bilinear", antialias=True
        )
    pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8)
    return pixels.movedim(1, -1).cpu().numpy()

"""The features of a cut's channels: computed once where they can be kept, else streamed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from privynet_opt.characterization.stems import (
    BATCH,
    ROOM_BYTES,
    Stems,
    count_images,
    feature_numbers,
    forward,
)
from privynet_opt.datasets.image_set import Splits
from privynet_opt.networks.backbone import Backbone
from privynet_opt.networks.cuts import Cut
from privynet_opt.networks.local import build_head

TRAINING_BYTES = 1_000_000_000
"""Features of the images that networks are trained on are kept together, the cloud's and the
attacker's, if both take at most so much memory; else those last asked for."""


class FeatureSource:
    """Compute the features of a cut, each image once if there is room to keep them.

    Args:
        backbone: The pre-trained network.
        cut: The cut.
        splits: The three image sets.
        device: Where to compute.
        keep: Whether to keep what was computed, as float16, of one split at a time where two take
            more than `TRAINING_BYTES`; otherwise it is computed each time and memory does not grow
            with the number of images. None, where nothing is trained, keeps all of it if that takes
            at most `ROOM_BYTES`.
        stems: Shared by the sources of several cuts, so that what is kept is computed from a stem.
    """

    def __init__(
        self,
        backbone: Backbone,
        cut: Cut,
        splits: Splits,
        device: torch.device,
        keep: bool | None = None,
        stems: Stems | None = None,
    ) -> None:
        self.backbone = backbone
        self.cut = cut
        self.head = build_head(backbone, cut, device=device)
        self.splits = splits
        self.device = device
        room = ROOM_BYTES / torch.float16.itemsize
        self.keep = feature_numbers(cut) * count_images(splits) <= room if keep is None else keep
        trained_on = len(splits.cloud) + len(splits.attacker)
        bytes_kept = feature_numbers(cut) * trained_on * torch.float16.itemsize
        self.keeps_both = keep is None or bytes_kept <= TRAINING_BYTES
        self.stems = stems
        self._kept: dict[str, Tensor] = {}

    def batches(self, split: str, n_images: int | None = None) -> Iterator[Tensor]:
        """Yield the features of a split in batches of `BATCH` images.

        Args:
            split: Name of the split.
            n_images: Only so many of its first images; a multiple of `BATCH`, or None for all.

        Yields:
            float32, shape ``(at most BATCH, C, h, w)``.
        """
        if not self.keep:
            yield from self.computed(split, n_images)
            return
        if split not in self._kept:
            if not self.keeps_both:
                self._kept.clear()
            self._kept[split] = self._compute_first(split, len(self._pixels(split)))
        yield from (f.float() for f in torch.split(self._kept[split][:n_images], BATCH))

    def take(self, split: str, n_images: int) -> Tensor:
        """Return the features of a split's first images, which are the caller's from now on.

        Args:
            split: Name of the split.
            n_images: How many of them.

        Returns:
            float16, shape ``(n_images, C, h, w)``; computed unless they were kept.
        """
        kept = self._kept.pop(split, None)
        return self._compute_first(split, n_images) if kept is None else kept[:n_images]

    def forget(self, split: str) -> None:
        """Keep the features of a split no more.

        Args:
            split: Name of the split.
        """
        self._kept.pop(split, None)

    def computed(self, split: str, n_images: int | None = None) -> Iterator[Tensor]:
        """Yield what `batches` does, computed here and now and not kept.

        Args:
            split: Name of the split.
            n_images: As for `batches`.
        """
        yield from map(self._compute, torch.split(self._pixels(split)[:n_images], BATCH))

    def batches_of_mirrored(self, split: str) -> Iterator[Tensor]:
        """Yield the features of a split's images mirrored left to right; they are not kept.

        Args:
            split: Name of the split.

        Yields:
            float32, shape ``(at most BATCH, C, h, w)``.
        """
        for images in torch.split(self._pixels(split), BATCH):
            yield self._compute(images.flip(-1))

    def _compute_first(self, split: str, n_images: int) -> Tensor:
        cut = self.cut
        computed = self.computed(split)
        if self.stems is not None:
            computed = self.stems.compute(self.backbone, cut, self.splits, split, self.device)
        shape = (n_images, cut.channels, cut.height, cut.width)
        features = torch.empty(shape, dtype=torch.float16, device=self.device)
        limit = torch.finfo(torch.float16).max
        is_all = n_images == len(self._pixels(split))
        for part, batch in zip(torch.split(features, BATCH), computed, strict=is_all):
            part.copy_(batch[: len(part)].clamp(-limit, limit))
        return features

    def _pixels(self, split: str) -> Tensor:
        images: Tensor = getattr(self.splits, split).images
        return images

    def _compute(self, images: Tensor) -> Tensor:
        return forward(self.head, self.backbone.normalise(images.to(self.device)))

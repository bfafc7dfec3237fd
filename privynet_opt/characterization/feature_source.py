"""The features of a cut's channels: computed once where they can be kept, else streamed.

Cut after cut, the first layers of the network would see the same images again. So the features of
a *stem*, a cut with fewer features than each before it, are kept, and those of deeper cuts are
computed from them. A stem that a cut's features are pooled to is known as soon as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, fx

from privynet_opt.batches import joined
from privynet_opt.datasets.image_set import ImageSet, Splits
from privynet_opt.networks.backbone import Backbone
from privynet_opt.networks.cuts import Cut, find_cuts
from privynet_opt.networks.local import build_head

BATCH = 64
"""Images whose features are looked at together."""

FORWARD = 32
"""Images that are in the network at a time, from its beginning: its widest layers stay in the
cache."""

ROOM_BYTES = 1_500_000_000
"""Features that no training needs are kept if they take at most so much memory; the stem that they
are pooled to is kept beside them if both do."""

TRAINING_BYTES = 2_000_000_000
"""Features of the images that networks are trained on are kept together, the cloud's and the
attacker's, if both take at most so much memory; else those last asked for."""

STEM_BYTES = 800_000_000
"""The features of all images at a stem take at most so much memory."""


class Stems:
    """Keep the features of the last stem, as float32, for the cuts that come after it."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[tuple[str, ...], Tensor]] = {}

    def clear(self) -> None:
        """Keep nothing any more."""
        self._held.clear()

    def compute(
        self, backbone: Backbone, cut: Cut, splits: Splits, split: str, device: torch.device
    ) -> Iterator[Tensor]:
        """Compute the features of a cut, from a stem where there is one; those of a stem are kept.

        Args:
            backbone: The pre-trained network.
            cut: The cut.
            splits: The three image sets.
            split: Name of one.
            device: Where to compute.

        Yields:
            float32, shape ``(at most BATCH, C, h, w)``.
        """
        if cut in find_stems(backbone, cut, splits):
            yield from torch.split(self._features(backbone, cut, splits, split, device), BATCH)
        elif stem := _pooled_stem(backbone, cut, splits):
            yield from self._computed_with(backbone, cut, stem, splits, split, device)
        else:
            yield from self._computed(backbone, cut, splits, split, device)

    def _computed(
        self, backbone: Backbone, cut: Cut, splits: Splits, split: str, device: torch.device
    ) -> Iterator[Tensor]:
        stem = next((s for s in reversed(find_stems(backbone, cut, splits)) if s != cut), None)
        head = build_head(backbone, cut, stem, device)
        if stem is None:
            images: Tensor = getattr(splits, split).images
            for batch in torch.split(images, BATCH):
                yield forward(head, backbone.normalise(batch.to(device)))
            return
        for batch in torch.split(self._features(backbone, stem, splits, split, device), BATCH):
            yield head(batch)

    def _computed_with(
        self,
        backbone: Backbone,
        cut: Cut,
        stem: Cut,
        splits: Splits,
        split: str,
        device: torch.device,
    ) -> Iterator[Tensor]:
        """Yield the features of a cut, and keep those of the stem that they are pooled to."""
        pool = build_head(backbone, stem, cut, device)
        shape = (len(getattr(splits, split)), stem.channels, stem.height, stem.width)
        features = torch.empty(shape, device=device)
        batches = self._computed(backbone, cut, splits, split, device)
        for part, batch in zip(torch.split(features, BATCH), batches, strict=True):
            part.copy_(pool(batch))
            yield batch
        self._held[split] = _key(backbone, stem, splits, split, device), features

    def _features(
        self, backbone: Backbone, stem: Cut, splits: Splits, split: str, device: torch.device
    ) -> Tensor:
        key = _key(backbone, stem, splits, split, device)
        known, features = self._held.get(split, ((), torch.empty(0)))
        if known != key:
            computed = self._computed(backbone, stem, splits, split, device)
            features = joined(computed, len(getattr(splits, split)))
            self._held[split] = key, features
        return features


def find_stems(backbone: Backbone, cut: Cut, splits: Splits) -> list[Cut]:
    """Return the stems up to a cut, itself included if it is one, in network order.

    Args:
        backbone: The pre-trained network.
        cut: The cut.
        splits: The images.

    Returns:
        Cuts with fewer features than each before them, which take at most `STEM_BYTES` of all
        images.
    """
    places = find_cuts(backbone.graph, splits.score.images.shape[-1])
    return _stems(places[: places.index(cut) + 1], splits)


@torch.no_grad()
def forward(head: fx.GraphModule, images: Tensor) -> Tensor:
    """Run the network up to a cut, on `FORWARD` images at a time.

    Args:
        head: As `build_head` returns it.
        images: Normalised, shape ``(n, 3, size, size)``.
    """
    return torch.cat([head(part) for part in torch.split(images, FORWARD)])


class FeatureSource:
    """Compute the features of a cut, each image once if there is room to keep them.

    Args:
        backbone: The pre-trained network.
        cut: The cut.
        splits: The three image sets.
        device: Where to compute.
        keep: Whether to keep what was computed, as float16, of one split at a time where two take
            more than `TRAINING_BYTES`; otherwise it is computed each time and memory does not grow
            with the number of images. None keeps at most `ROOM_BYTES`.
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
        self.keep = _numbers(cut) * _images(splits) <= room if keep is None else keep
        trained_on = len(splits.cloud) + len(splits.attacker)
        bytes_kept = _numbers(cut) * trained_on * torch.float16.itemsize
        self.keeps_both = bytes_kept <= TRAINING_BYTES
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
            self._kept[split] = self._compute_all(split)
        yield from (f.float() for f in torch.split(self._kept[split][:n_images], BATCH))

    def take(self, split: str) -> Tensor:
        """Return the features of a split, which are the caller's from now on.

        Args:
            split: Name of the split.

        Returns:
            float16, shape ``(n, C, h, w)``; computed unless they were kept.
        """
        return self._kept.pop(split) if split in self._kept else self._compute_all(split)

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

    def _compute_all(self, split: str) -> Tensor:
        cut, n_images = self.cut, len(self._pixels(split))
        computed = self.computed(split)
        if self.stems is not None:
            computed = self.stems.compute(self.backbone, cut, self.splits, split, self.device)
        shape = (n_images, cut.channels, cut.height, cut.width)
        features = torch.empty(shape, dtype=torch.float16, device=self.device)
        limit = torch.finfo(torch.float16).max
        for part, batch in zip(torch.split(features, BATCH), computed, strict=True):
            part.copy_(batch.clamp(-limit, limit))
        return features

    def _pixels(self, split: str) -> Tensor:
        images: Tensor = getattr(self.splits, split).images
        return images

    def _compute(self, images: Tensor) -> Tensor:
        return forward(self.head, self.backbone.normalise(images.to(self.device)))


def _stems(places: list[Cut], splits: Splits) -> list[Cut]:
    stems: list[Cut] = []
    most = STEM_BYTES / torch.float32.itemsize / _images(splits)
    for place in places:
        if _numbers(place) <= most and (not stems or _numbers(place) < _numbers(stems[-1])):
            stems.append(place)
    return stems


def _pooled_stem(backbone: Backbone, cut: Cut, splits: Splits) -> Cut | None:
    """Return the stem that a cut's features are pooled to, if there is room for both."""
    places = find_cuts(backbone.graph, splits.score.images.shape[-1])
    places = places[: places.index(cut) + 2]
    after = places[-1]
    if after.kind != "pool" or after not in _stems(places, splits):
        return None
    both = _numbers(cut) * torch.float16.itemsize + _numbers(after) * torch.float32.itemsize
    return after if both * _images(splits) <= ROOM_BYTES else None


def _key(
    backbone: Backbone, stem: Cut, splits: Splits, split: str, device: torch.device
) -> tuple[str, ...]:
    """Return what a stem's features depend on."""
    images: ImageSet = getattr(splits, split)
    return backbone.weights_sha256, stem.node, images.sha256(), str(device)


def _numbers(cut: Cut) -> int:
    return cut.channels * cut.height * cut.width


def _images(splits: Splits) -> int:
    return len(splits.cloud) + len(splits.attacker) + len(splits.score)

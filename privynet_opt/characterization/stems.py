"""The first layers of the network see an image once, however many cuts are measured.

Cut after cut, they would see the same images again. So the features of a *stem*, a cut with fewer
features than each before it, are kept, and those of deeper cuts are computed from them. A stem that
a cut's features are pooled to is known as soon as they are.
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

STEM_BYTES = 800_000_000
"""The features of all images at a stem take at most so much memory."""

STEM_BYTES_BESIDE_TRAINING = 400_000_000
"""The same while networks are trained: computing a larger stem anew takes less time than they."""


class Stems:
    """Keep the features of the last stem, as float32, for the cuts that come after it."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[tuple[str, ...], Tensor]] = {}

    def clear(self) -> None:
        """Keep nothing any more."""
        self._held.clear()

    def make_room(self) -> None:
        """Keep no more than what may be kept beside networks that are trained."""
        if sum(f.nbytes for _, f in self._held.values()) > STEM_BYTES_BESIDE_TRAINING:
            self.clear()

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


def _stems(places: list[Cut], splits: Splits) -> list[Cut]:
    stems: list[Cut] = []
    most = STEM_BYTES / torch.float32.itemsize / count_images(splits)
    for place in places:
        if feature_numbers(place) <= most and (
            not stems or feature_numbers(place) < feature_numbers(stems[-1])
        ):
            stems.append(place)
    return stems


def _pooled_stem(backbone: Backbone, cut: Cut, splits: Splits) -> Cut | None:
    """Return the stem that a cut's features are pooled to, if there is room for both."""
    places = find_cuts(backbone.graph, splits.score.images.shape[-1])
    places = places[: places.index(cut) + 2]
    after = places[-1]
    if after.kind != "pool" or after not in _stems(places, splits):
        return None
    both = (
        feature_numbers(cut) * torch.float16.itemsize
        + feature_numbers(after) * torch.float32.itemsize
    )
    return after if both * count_images(splits) <= ROOM_BYTES else None


def _key(
    backbone: Backbone, stem: Cut, splits: Splits, split: str, device: torch.device
) -> tuple[str, ...]:
    """Return what a stem's features depend on."""
    images: ImageSet = getattr(splits, split)
    return backbone.weights_sha256, stem.node, images.sha256(), str(device)


def feature_numbers(cut: Cut) -> int:
    """Return how many features an image has at a cut.

    Args:
        cut: The cut.
    """
    return cut.channels * cut.height * cut.width


def count_images(splits: Splits) -> int:
    """Return how many images there are.

    Args:
        splits: The three image sets.
    """
    return len(splits.cloud) + len(splits.attacker) + len(splits.score)

"""What the closed-form attacks and classifications of a cut's whole images share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from privynet_opt.attacks.whole_image import (
    MOST_IMAGES,
    Regions,
    WholeImageRegression,
    summarise,
    thumbnails,
    with_thumbnails,
)
from privynet_opt.batches import joined
from privynet_opt.characterization.stems import BATCH
from privynet_opt.datasets.image_set import Splits
from privynet_opt.networks.cuts import Cut


@dataclass(frozen=True)
class WholeImageView:
    """One cut's whole images, ready to attack and to classify in closed form.

    Attributes:
        thumbnail: Predicts the attacker's images, small.
        label: Predicts which class the cloud's images are of.
        score_summaries: `summarise` of the scored images, as for the thumbnail, ``(n, C, m)``; the
            label looks at the coarse ones, which come first.
    """

    thumbnail: WholeImageRegression
    label: WholeImageRegression
    score_summaries: Tensor

    @classmethod
    def of(
        cls,
        splits: Splits,
        centre: Tensor,
        seen: Callable[[str, int], Iterator[Tensor]],
        score_features: Tensor,
        cut: Cut,
    ) -> WholeImageView:
        """Compute it on `MOST_IMAGES` images of the attacker and of the cloud, at most.

        Args:
            splits: The three image sets.
            centre: What standardising subtracted, in standard deviations, ``(1, C, h, w)``.
            seen: Yields the standardised features of so many first images of a split, in batches.
            score_features: Standardised features of the scored images.
            cut: Theirs; how finely maps are seen follows from all of its channels.
        """
        regions = Regions.at(cut.channels, cut.height)

        def summaries(features: Iterator[Tensor], regions: Regions) -> Iterator[Tensor]:
            return (summarise(batch, centre, regions).half() for batch in features)

        def fit(split: str, targets: Tensor, regions: Regions) -> WholeImageRegression:
            batches = summaries(seen(split, MOST_IMAGES), regions)
            return WholeImageRegression.fit(batches, targets, regions)

        images = splits.attacker.images[:MOST_IMAGES].to(centre.device).float() / 255
        labels = splits.cloud.labels[:MOST_IMAGES].to(centre.device)
        classes = functional.one_hot(labels, len(splits.cloud.class_names))
        scored = iter(torch.split(score_features, BATCH))
        return cls(
            fit("attacker", thumbnails(images), regions),
            fit("cloud", classes, Regions(regions.coarse)),
            joined(summaries(scored, regions), len(score_features)),
        )

    def recover(self, kept: Sequence[int], recovered: Tensor) -> Tensor:
        """Put the thumbnails that some channels tell into what the ridge recovered.

        Args:
            kept: Channel indices of the cut.
            recovered: The scored images as the ridge recovers them, ``(n, 3, size, size)``.
        """
        return with_thumbnails(recovered, self.thumbnail.predict(self.score_summaries, kept))

    def scores(self, kept: Sequence[int]) -> Tensor:
        """Return class scores of the scored images from some channels only.

        Args:
            kept: Channel indices of the cut.

        Returns:
            Shape ``(n, n_classes)``.
        """
        return self.label.predict(self.score_summaries, kept)

"""What the closed-form attacks and classifications of a cut's whole images share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from privynet_opt.attacks.whole_image import (
    MOST_IMAGES,
    WholeImageRegression,
    regions,
    summarise,
    thumbnails,
    with_thumbnails,
)
from privynet_opt.batches import joined
from privynet_opt.characterization.feature_source import BATCH
from privynet_opt.datasets.image_set import Splits


@dataclass(frozen=True)
class WholeImageView:
    """One cut's whole images, ready to attack and to classify in closed form.

    Attributes:
        thumbnail: Predicts the attacker's images, small.
        label: Predicts which class the cloud's images are of.
        score_summaries: `summarise` of the scored images, shape ``(n, C, m)``.
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
    ) -> WholeImageView:
        """Compute it on `MOST_IMAGES` images of the attacker and of the cloud, at most.

        Args:
            splits: The three image sets.
            centre: What standardising subtracted, in standard deviations, ``(1, C, h, w)``.
            seen: Yields the standardised features of so many first images of a split, in batches.
            score_features: Standardised features of the scored images.
        """
        channels, grid = score_features.shape[1:3]
        side = regions(channels, grid)

        def summaries(features: Iterator[Tensor]) -> Iterator[Tensor]:
            return (summarise(batch, centre, side).half() for batch in features)

        def fit(split: str, targets: Tensor) -> WholeImageRegression:
            return WholeImageRegression.fit(summaries(seen(split, MOST_IMAGES)), targets)

        images = splits.attacker.images[:MOST_IMAGES].to(centre.device).float() / 255
        labels = splits.cloud.labels[:MOST_IMAGES].to(centre.device)
        return cls(
            fit("attacker", thumbnails(images)),
            fit("cloud", functional.one_hot(labels, len(splits.cloud.class_names))),
            joined(summaries(iter(torch.split(score_features, BATCH))), len(score_features)),
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

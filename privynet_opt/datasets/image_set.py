"""Labelled images, and their division into the three sets a measurement needs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from privynet_opt.errors import DataError, did_you_mean


@dataclass(frozen=True)
class ImageSet:
    """Labelled images of one size.

    Attributes:
        images: uint8, shape ``(n, 3, size, size)``.
        labels: int64, shape ``(n,)``, indices into `class_names`.
        class_names: One name per class.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def take(self, indices: Tensor) -> ImageSet:
        """Return the images at some positions.

        Args:
            indices: int64, shape ``(m,)``.

        Returns:
            The subset, in that order.
        """
        return ImageSet(self.images[indices], self.labels[indices], self.class_names)

    def of_classes(self, names: Sequence[str]) -> ImageSet:
        """Return the images of some classes.

        Args:
            names: Names of classes, in the order of the new labels.

        Returns:
            The subset, in the order of this set.

        Raises:
            DataError: If there is no such class.
        """
        for name in names:
            if name not in self.class_names:
                raise DataError(
                    f"`data.classes` must be classes of the images, but got {name!r}. "
                    + did_you_mean(name, self.class_names)
                )
        new_label = torch.full((len(self.class_names),), -1)
        for label, name in enumerate(names):
            new_label[self.class_names.index(name)] = label
        labels = new_label[self.labels]
        wanted = labels >= 0
        return ImageSet(self.images[wanted], labels[wanted], tuple(names))

    def check_attackable(self, option: str) -> None:
        """Check that an attacker who trains on these images has something to learn.

        Args:
            option: What they were given by, for the message: ``"--data"``.

        Raises:
            DataError: If all are the same image.
        """
        if all(torch.equal(image, self.images[0]) for image in self.images[1:]):
            raise DataError(
                f"`{option}` must hold images that differ, but the {len(self):,} that train the "
                "attacker are all the same. Check the files."
            )

    def n_copies_of(self, other: ImageSet) -> int:
        """Return how many of these images another set has too, pixel for pixel.

        Args:
            other: Images of the same size.
        """
        known = {hash(image.numpy().tobytes()) for image in other.images}
        return sum(hash(image.numpy().tobytes()) in known for image in self.images)

    def sha256(self) -> str:
        """Return a hash over pixels and labels."""
        digest = hashlib.sha256(self.images.contiguous().numpy().tobytes())
        digest.update(self.labels.contiguous().numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Splits:
    """Three disjoint image sets.

    Attributes:
        cloud: Trains the cloud network and the selection statistics.
        attacker: Trains the attackers.
        score: Scores both.
        mirrorable: Whether a mirrored image is one of its kind.
    """

    cloud: ImageSet
    attacker: ImageSet
    score: ImageSet
    mirrorable: bool = True


def split(
    train: ImageSet, test: ImageSet | None, n_cloud: int, n_attacker: int, n_score: int, seed: int
) -> Splits:
    """Draw the three sets, classes mixed at random.

    Args:
        train: Images to draw the cloud's and the attacker's sets from.
        test: Images to draw the scored set from; None draws it from `train` as well.
        n_cloud: Images that train the cloud network.
        n_attacker: Images that train the attackers.
        n_score: Images that score both.
        seed: Seed of the draw.

    Returns:
        The three sets; no position is in two of them.

    Raises:
        DataError: If there are fewer images than asked for.
    """
    generator = torch.Generator().manual_seed(seed)
    n_train = n_cloud + n_attacker + (n_score if test is None else 0)
    available = [("train", len(train), n_train)]
    if test is not None:
        available.append(("test", len(test), n_score))
    for name, has, wants in available:
        if has < wants:
            raise DataError(
                f"`characterization.images` must not exceed the data, but the {name} images are "
                f"{has} and {wants} are asked for. Ask for fewer images in study.toml."
            )
    order = torch.randperm(len(train), generator=generator)
    cloud, attacker = order[:n_cloud], order[n_cloud : n_cloud + n_attacker]
    if test is None:
        score = train.take(order[n_cloud + n_attacker : n_train])
    else:
        score = test.take(torch.randperm(len(test), generator=generator)[:n_score])
    return Splits(train.take(cloud), train.take(attacker), score)

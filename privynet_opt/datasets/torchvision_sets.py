"""torchvision's data sets as they lie in its download folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from privynet_opt.datasets.image_set import ImageSet
from privynet_opt.datasets.resize import to_size
from privynet_opt.errors import DataError
from privynet_opt.networks.vision import torchvision


@dataclass(frozen=True)
class Source:
    """How torchvision offers one data set.

    Attributes:
        kind: Name of the class in `torchvision.datasets`.
        found_by: Glob pattern of what its download folder holds.
        parts: Arguments that choose the training and the test images.
        channels_last: Whether its colour images are ``(n, h, w, 3)``.
    """

    kind: str
    found_by: str
    parts: tuple[dict[str, Any], dict[str, Any]] = ({"train": True}, {"train": False})
    channels_last: bool = False


_SPLITS = ({"split": "train"}, {"split": "test"})

SOURCES = {
    "cifar10": Source("CIFAR10", "cifar-10-*", channels_last=True),
    "cifar100": Source("CIFAR100", "cifar-100-*", channels_last=True),
    "svhn": Source("SVHN", "train_32x32.mat", _SPLITS),
    "stl10": Source("STL10", "stl10_binary", _SPLITS),
    "fashion_mnist": Source("FashionMNIST", "FashionMNIST"),
}
"""By the name a study gives them."""


def is_download(name: str, directory: Path) -> bool:
    """Return whether a folder is torchvision's download folder of a data set.

    Args:
        name: Name of the data set; unknown ones are never found.
        directory: The folder.
    """
    return name in SOURCES and any(directory.glob(SOURCES[name].found_by))


def load_download(name: str, directory: Path, image_size: int) -> tuple[ImageSet, ImageSet]:
    """Load a data set from torchvision's download folder; nothing is downloaded.

    Args:
        name: A key of `SOURCES`.
        directory: The folder.
        image_size: Rows and columns wanted; images of another size are resized.

    Returns:
        Training and test images; grey ones with three equal colours.

    Raises:
        DataError: If torchvision finds the files incomplete or damaged.
    """
    known = SOURCES[name]
    kind: Any = getattr(torchvision().datasets, known.kind)
    sets = []
    for part in known.parts:
        try:
            source = kind(root=str(directory), download=False, **part)
        except RuntimeError as error:
            raise DataError(
                f"`--data` must hold torchvision's {name}, but {directory} fails its check: "
                f"{error}. Download it again."
            ) from error
        labels = torch.as_tensor(source.targets if hasattr(source, "targets") else source.labels)
        names = getattr(source, "classes", None) or range(int(labels.max()) + 1)
        images = to_size(_colours_first(torch.as_tensor(source.data), known), image_size)
        sets.append(ImageSet(images, labels.long(), tuple(map(str, names))))
    return sets[0], sets[1]


def _colours_first(pixels: Tensor, source: Source) -> Tensor:
    if pixels.ndim == 3:
        return pixels[:, None].expand(-1, 3, -1, -1)
    return pixels.movedim(3, 1) if source.channels_last else pixels

"""Pre-train the network of this study on the five digits that it does not ask about.

    python -m privynet_opt.studies.digits.pretrain small_cnn.pth

writes the weights, without the classifier that no local network needs, and prints how many
held-out images of those digits it recognised.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from privynet_opt.datasets.load import load_images
from privynet_opt.networks.backbone import IMAGENET_MEAN, IMAGENET_STD
from privynet_opt.networks.small_cnn import SmallCNN
from privynet_opt.networks.training import HELD_OUT_SHARE, TrainingRecipe, train

SOURCE_CLASSES = ("0", "1", "2", "3", "4")
IMAGE_SIZE = 8
SEED = 0
RECIPE = TrainingRecipe(max_epochs=40, patience=10, batch_size=32, peak_learning_rate=1e-2)


def pretrain() -> tuple[SmallCNN, float]:
    """Train the network.

    Returns:
        The network, and its accuracy on the tenth of the images that only chose the epoch.
    """
    digits, _ = load_images("digits", None, IMAGE_SIZE, SOURCE_CLASSES)
    mean, std = (torch.tensor(c).view(1, -1, 1, 1) for c in (IMAGENET_MEAN, IMAGENET_STD))
    pixels = (digits.images.float() / 255 - mean) / std
    torch.manual_seed(SEED)
    network = SmallCNN(len(SOURCE_CLASSES))

    def loss(network: nn.Module, positions: Tensor) -> Tensor:
        return functional.cross_entropy(network(pixels[positions]), digits.labels[positions])

    train(network, loss, len(digits), RECIPE, SEED)
    held_out = slice(len(digits) - int(HELD_OUT_SHARE * len(digits)), None)
    with torch.no_grad():
        hits = network(pixels[held_out]).argmax(1) == digits.labels[held_out]
    return network, float(hits.float().mean())


def main() -> None:
    """Write the weights to the file that is named on the command line."""
    torch.set_num_threads(1)
    network, accuracy = pretrain()
    body = {k: v for k, v in network.state_dict().items() if not k.startswith("classifier")}
    torch.save(body, Path(sys.argv[1]))
    print(f"{sys.argv[1]}: {accuracy:.3f} of the held-out images recognised")


if __name__ == "__main__":
    main()

"""A network small enough to characterize in seconds."""

from __future__ import annotations

from torch import Tensor, nn


class SmallCNN(nn.Module):
    """Four 3×3 convolutions with two poolings and a linear classifier; about 24,000 weights.

    Args:
        n_classes: Outputs of the classifier.
    """

    def __init__(self, n_classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for index, width in enumerate((16, 16, 32, 32)):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            if index % 2:
                layers.append(nn.MaxPool2d(2))
            channels = width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores.

        Args:
            images: Shape ``(n, 3, height, width)``, sides of at least 4 pixels.

        Returns:
            Shape ``(n, n_classes)``.
        """
        scores: Tensor = self.classifier(self.pool(self.features(images)).flatten(1))
        return scores

"""Cut crops out of the two photographs that scikit-learn ships: images of another kind.

    python -m privynet_opt.studies.cifar10.photographs photographs.npz

They are what an attacker has who owns no image like CIFAR-10's (`characterize --attacker-data`).
Photographs: danielbuechele (china.jpg) and vultilion (flower.jpg), both of flickr.com, CC BY 2.0.
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

N_CROPS = 10_000
IMAGE_SIZE = 32
LARGEST_CROP = 256
SEED = 0


def crops() -> tuple[np.ndarray, np.ndarray]:
    """Draw square crops of log-uniform size, half of them mirrored, and bring them to one size.

    Returns:
        uint8 images ``(N_CROPS, IMAGE_SIZE, IMAGE_SIZE, 3)``, and which photograph each is of.
    """
    generator = np.random.default_rng(SEED)
    photographs = load_sample_images().images
    images = np.empty((N_CROPS, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    labels = generator.integers(len(photographs), size=N_CROPS)
    for index, label in enumerate(labels):
        rows, columns, _ = photographs[label].shape
        side = round(float(np.exp(generator.uniform(np.log(IMAGE_SIZE), np.log(LARGEST_CROP)))))
        top, left = generator.integers(rows - side + 1), generator.integers(columns - side + 1)
        crop = Image.fromarray(photographs[label][top : top + side, left : left + side])
        small = np.asarray(crop.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR))
        images[index] = small[:, ::-1] if generator.integers(2) else small
    return images, labels


def main() -> None:
    """Write the crops to the file that is named on the command line."""
    images, labels = crops()
    np.savez_compressed(sys.argv[1], images=images, labels=labels)
    print(f"{sys.argv[1]}: {len(images):,} crops of {IMAGE_SIZE}x{IMAGE_SIZE} pixels")


if __name__ == "__main__":
    main()

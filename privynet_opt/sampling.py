"""What an accuracy that was counted on some images says of others like them."""

from __future__ import annotations


def wilson_interval(accuracy: float, n_images: int, level: float) -> tuple[float, float]:
    """Return Wilson's interval (E. B. Wilson, JASA 1927) of an accuracy, by the images' number.

    Args:
        accuracy: Share of the images that were classified correctly.
        n_images: How many were counted.
        level: Share of such intervals that hold the accuracy on all images.

    Returns:
        Lower and upper end.
    """
    from scipy.stats import binomtest

    counted = binomtest(round(accuracy * n_images), n_images)
    ends = counted.proportion_ci(level, method="wilson")
    return float(ends.low), float(ends.high)

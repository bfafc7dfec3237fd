from __future__ import annotations

import pytest
from fake_result import fake_result

from privynet_opt.report.health import health_checks
from privynet_opt.report.sampling_check import sampling_check
from privynet_opt.sampling import wilson_interval


def scored_on(n_images):
    result = fake_result()
    result.table.sidecar["data"]["n_images"] = {"score": n_images}
    result.best = result.best.copy()
    result.best["accuracy"] = 0.5
    return result


def test_the_interval_is_wilsons():
    # Of half of 100 images: centre 0.5, half-width z / (2 sqrt(n + z^2)) with z = 1.6449 at 90 %.
    low, high = wilson_interval(0.5, 100, 0.9)
    assert (low, high) == pytest.approx((0.4189, 0.5811), abs=1e-4)


@pytest.mark.parametrize(("n_images", "level", "reach"), [(216, "watch", 5.6), (4000, "good", 1.3)])
def test_accuracy_of_few_images_is_told_to_be_of_few(n_images, level, reach):
    check = sampling_check(scored_on(n_images))
    assert check in health_checks(scored_on(n_images))
    assert check.level == level and f"{reach:.1f} points" in check.title
    assert f"the same {n_images:,} scored images" in check.text
    assert f"{50 - reach:.1f} to {50 + reach:.1f}%" in check.text


def test_nothing_is_told_where_the_number_of_images_is_not_known():
    assert sampling_check(fake_result()) is None
    result = scored_on(216)
    result.best = None
    assert sampling_check(result) is None

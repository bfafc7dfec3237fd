from __future__ import annotations

import pytest
from fake_result import fake_result

from privynet_opt.report.health import health_checks


def told(result):
    return [check for check in health_checks(result) if "it has their labels" in check.title]


@pytest.mark.parametrize(("limit", "is_told"), [("13.2", False), ("13.0", True)])
def test_a_limit_that_the_label_alone_breaks_is_told(limit, is_told):
    result = fake_result(constraints=("local_flops <= 150e6", f"psnr_db <= {limit}"))
    found = told(result)
    assert len(found) == is_told
    if is_told:
        assert found[0].level == "watch" and "has 13.10 dB" in found[0].text
        assert found[0].title.startswith("psnr_db <= 13 cannot hold")


def test_nothing_is_told_where_no_scale_was_measured_or_nothing_is_limited():
    assert not told(fake_result(constraints=("local_flops <= 150e6",)))
    result = fake_result(constraints=("psnr_db <= 13",))
    del result.table.sidecar["data"]["psnr_scale_db"]
    assert not told(result)

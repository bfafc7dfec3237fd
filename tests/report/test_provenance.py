"""What a report says it rests on."""

import pytest
from fake_result import fake_result

from privynet_opt.report.page import page
from privynet_opt.report.provenance import provenance


def measurements(result):
    return dict(next(group for group in provenance(result) if group.title == "Measurements").facts)


@pytest.mark.parametrize(
    ("added", "shown"),
    [([], "2026-08-14"), (["2026-08-15 to 2026-08-16"], "2026-08-14 to 2026-08-16")],
)
def test_the_date_of_measurements_is_that_of_the_header(added, shown):
    result = fake_result()
    result.table.sidecar["extensions"] = [{"date": day} for day in added]
    assert measurements(result)["date"] == shown
    assert f"trained measurements, {shown}<" in page(result)


def test_no_date_is_told_where_none_was_recorded():
    result = fake_result()
    del result.table.sidecar["measured"]["date"]
    assert "date" not in measurements(result)

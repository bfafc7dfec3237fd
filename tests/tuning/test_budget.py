"""A budget is read as people write it and counted by a clock that can be set."""

from __future__ import annotations

import pytest

from privynet_opt.errors import StudyError
from privynet_opt.tuning.budget import Budget, format_seconds, parse_budget


@pytest.mark.parametrize(
    "text, seconds", [("90s", 90), ("30m", 1800), ("2h", 7200), (" 1.5 h ", 5400), ("0.5m", 30)]
)
def test_a_budget_is_a_number_and_a_unit(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "m", "-5m", "0s", "30 min", "1h30m", "nan m", "1e3s", 5]
)
def test_anything_else_is_one_line_that_shows_how(text):
    with pytest.raises(StudyError, match="Write for example 90s, 30m or 2h") as error:
        parse_budget(text)
    assert repr(text) in str(error.value)


def test_times_are_told_as_people_write_them():
    told = [format_seconds(s) for s in (0, 59.4, 60, 250, 3599, 3600, 7500)]
    assert told == ["0s", "59s", "1m", "4m10s", "59m59s", "1h", "2h05m"]


def test_a_budget_counts_what_was_spent_before():
    now = [100.0]
    budget = Budget(60, spent=20, clock=lambda: now[0])
    assert budget.spent == 20
    now[0] += 30
    assert budget.has(10) and not budget.has(10.1)
    now[0] += 10
    assert not budget.has(0)

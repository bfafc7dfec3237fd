"""A diary remembers every question that was asked in its folder, however it is put."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from problems import write_toy_study

from privynet_opt.constraints import parse_constraints
from privynet_opt.errors import OutputError
from privynet_opt.study_spec import load_study
from privynet_opt.tuning.diary import Diary, Verdict

LIMITS = ("psnr_db <= 17", "memory_bytes <= 20e3")


@pytest.fixture
def asked(tmp_path: Path):
    """Return the diary of a question, as the folder has it now."""
    study = load_study(write_toy_study(tmp_path / "toy", with_table=False))

    def open_diary(*limits: str, confidence: float = 0.9) -> Diary:
        search = replace(study.search, constraints=parse_constraints(limits), confidence=confidence)
        return Diary.open(tmp_path / "tuning.json", search, study.search_space)

    return open_diary


def test_a_question_asked_again_after_another_finds_what_it_had_spent_and_concluded(asked):
    first = asked(*LIMITS)
    first.spent_seconds, first.durations = 300.0, {"standard": [30.0]}
    first.verdicts = [Verdict(6, "conv1, 1 filter by lda", broken=LIMITS[:1])]
    first.save()
    for confidence in (0.8, 0.95):
        other = asked(*LIMITS, confidence=confidence)
        assert (other.spent_seconds, other.verdicts) == (0.0, [])
        other.spent_seconds = 10.0
        other.durations["standard"].append(60.0)
        other.save()
    again = asked(*LIMITS)
    assert (again.spent_seconds, again.verdicts) == (300.0, first.verdicts)
    assert again.expected_seconds("standard") == 60.0  # what all questions took
    again.spent_seconds = 400.0
    again.save()
    assert asked(*LIMITS, confidence=0.8).spent_seconds == 10.0
    assert asked(*LIMITS).spent_seconds == 400.0


def test_limits_in_another_order_are_the_same_question(asked):
    diary = asked(*LIMITS)
    diary.spent_seconds = 50.0
    diary.save()
    assert asked(*LIMITS[::-1]).spent_seconds == 50.0
    assert asked(*LIMITS[:1]).spent_seconds == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"durations": null, "questions": []}',
        '{"durations": {"standard": null}, "questions": []}',
        '{"durations": {"standard": ["soon"]}, "questions": []}',
        '{"durations": {"standard": [NaN]}, "questions": []}',
        '{"durations": {}, "questions": null}',
        '{"durations": {}, "questions": [{}]}',
    ],
)
def test_a_damaged_diary_is_one_line_that_says_what_deleting_it_costs(asked, text):
    path = asked().path
    path.write_text(text)
    with pytest.raises(OutputError, match=r"tuning\.json cannot be used .* Delete it: what is"):
        asked()

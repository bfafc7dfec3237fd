"""Intervals asked to promise more than the held-out measurements can support."""

from dataclasses import replace
from pathlib import Path

import pytest
from fake_result import fake_result

from privynet_opt.characterization.table import load_table
from privynet_opt.proxies.conformal import interval_groups, supports
from privynet_opt.proxies.fit import trained_rows
from privynet_opt.report.health import health_checks
from privynet_opt.report.level_check import level_check
from privynet_opt.summary import caution_lines


def asked(confidence, at_conv1=0):
    """A result of so much confidence, the first so many held-out rows at conv1."""
    result = fake_result()
    result.spec.search.confidence = confidence
    for target, held_out in result.proxies.validations.items():
        rows = held_out.predictions.assign(cut_layer=["conv2"] * held_out.n_rows)
        rows.iloc[:at_conv1, rows.columns.get_loc("cut_layer")] = "conv1"
        result.proxies.validations[target] = replace(held_out, predictions=rows)
    return result


def test_a_level_that_the_rows_support_is_not_worth_a_line():
    n = fake_result().proxies.validations["psnr_db"].n_rows
    assert level_check(asked(0.9)) is None
    assert level_check(asked(n / (n + 1) - 1e-6)) is None
    assert level_check(asked(n / (n + 1) + 1e-6)) is not None


def test_a_level_beyond_all_rows_names_itself_and_the_highest_that_they_support():
    result = asked(0.99999)
    n = result.proxies.validations["psnr_db"].n_rows
    (check,) = [c for c in health_checks(result) if "was asked" in c.title]
    assert check.level == "watch"
    assert n == 76  # 76 of 77 is 98.701 %
    assert check.title.startswith("99.999% was asked of the intervals, more than the ")
    assert "the 98.7% that 76 held-out measurements can support" in check.title
    assert "intervals reach to the largest error" in check.text
    assert "--confidence 0.987 or less" in check.text


def test_the_cut_of_the_fewest_rows_decides():
    (check,) = [c for c in health_checks(asked(0.97, at_conv1=22)) if "was asked" in c.title]
    assert check.title.startswith("97% was asked of the intervals, more than the 95.65%")
    assert "that 22 held-out measurements at conv1 can support" in check.title
    assert "intervals at conv1 are set by the errors of all" in check.text


def test_without_held_out_errors_nothing_is_said():
    result = asked(0.99999)
    result.proxies.validations.clear()
    assert level_check(result) is None


@pytest.mark.parametrize(("confidence", "told"), [(0.9, False), (0.99999, True)])
def test_the_line_is_printed_with_what_to_know_first(toy_result, confidence, told):
    search = replace(toy_result.spec.search, confidence=confidence)
    result = replace(toy_result, spec=replace(toy_result.spec, search=search))
    printed = " ".join(" ".join(caution_lines(result)).split())
    assert ("99.999% was asked of the intervals, more than the " in printed) is told


@pytest.mark.parametrize("study", ["digits", "digits_noise", "cifar10"])
def test_the_shipped_studies_support_their_own_level(study):
    studies = Path(__file__).parents[2] / "studies"
    rows = trained_rows(load_table(studies / study / "characterization.csv"))
    groups = interval_groups(rows["cut_layer"].tolist()).tolist()
    assert all(supports(groups.count(group), 0.9) for group in set(groups))

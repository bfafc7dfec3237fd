"""The report says where intervals hold fewer held-out measurements than they promise."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from fake_result import FakeResult, fake_result

from privynet_opt.report.cards import cards
from privynet_opt.report.health import health_checks


@pytest.fixture(scope="module")
def result():
    return fake_result()


def test_coverage_by_cut_stands_beside_each_proxy(result):
    (card,) = [card for card in cards(result) if card.id == "proxies"]
    for slot in card.slots:
        held_out = result.proxies.validations[slot.id.removeprefix("proxy-")]
        expected = f"other cuts {held_out.coverage:.0%} of {held_out.n_rows}"
        assert dict(slot.facts)["by cut"] == expected


def with_misses(result, missed: list[bool], **columns):
    """Let intervals of psnr_db miss some of so many held-out rows."""
    held_out = result.proxies.validations["psnr_db"]
    rows = held_out.predictions.iloc[: len(missed)].assign(**columns)
    middle = (rows["lower"] + rows["upper"]) / 2
    rows["measured"] = middle.mask(np.array(missed), 99.0)
    changed = replace(held_out, predictions=rows, n_rows=len(rows), coverage=1 - np.mean(missed))
    validations = {**result.proxies.validations, "psnr_db": changed}
    proxies = SimpleNamespace(validations=validations, fidelity="full")
    return FakeResult(**{**vars(result), "proxies": proxies})


@pytest.mark.parametrize(
    ("n_missed", "verb", "chance"), [(4, "may be", "13%"), (8, "are", "less than 1%")]
)
def test_intervals_too_narrow_at_one_cut_are_named(result, n_missed, verb, chance):
    missed = [True] * n_missed + [False] * (60 - n_missed)
    found = with_misses(
        result, missed, cut_layer=["conv1"] * 20 + ["conv2"] * 40, fidelity="standard"
    )
    (check,) = [c for c in health_checks(found) if "(PSNR): intervals" in c.title]
    assert check.title == f"Privacy loss (PSNR): intervals {verb} too narrow at conv1"
    assert f"{1 - n_missed / 20:.0%} of 20 held-out" in check.text
    assert f"hold so few in {chance} of cases" in check.text  # of a binomial: scipy's own, by hand


def test_intervals_too_narrow_at_the_predicted_fidelity_are_named(result):
    missed = [index % 20 == 0 for index in range(60)]
    fidelity = ["full" if index % 10 == 0 else "standard" for index in range(60)]
    found = with_misses(result, missed, cut_layer=["conv1", "conv2"] * 30, fidelity=fidelity)
    (check,) = [c for c in health_checks(found) if "(PSNR): intervals" in c.title]
    assert check.title == "Privacy loss (PSNR): intervals are too narrow at fidelity full"
    assert "50% of 6 held-out" in check.text
    (card,) = [card for card in cards(found) if card.id == "proxies"]
    (slot,) = [slot for slot in card.slots if slot.id == "proxy-psnr_db"]
    assert dict(slot.facts)["at fidelity full"] == "50% of 6"

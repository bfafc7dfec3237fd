import math
from dataclasses import replace

import pytest
from fake_result import fake_result

from privynet_opt.metrics import METRICS
from privynet_opt.report.cards import cards
from privynet_opt.report.comparison import question_lines
from privynet_opt.report.health import health_checks
from privynet_opt.report.provenance import provenance
from privynet_opt.report.verdict import verdict
from privynet_opt.report.words import (
    DISPLAYS,
    axis_title,
    format_difference,
    format_interval,
    format_level,
    format_value,
    plain_numbers,
    readable_scale,
    topologies_in_words,
    topology_words,
)
from privynet_opt.summary import verdict_lines
from privynet_opt.topology import LocalTopology


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("accuracy", 0.6134, "61.3%"),
        ("psnr_db", 17.123, "17.12 dB"),
        ("ssim", 0.4449, "0.445"),
        ("local_flops", 66_358_272, "66.4 MFLOPs"),
        ("local_flops", 0, "0 FLOPs"),
        ("feature_bytes", 999, "999 B"),
        ("feature_bytes", 1024, "1.02 kB"),
        ("memory_bytes", 4e6, "4.00 MB"),
        ("psnr_db", math.nan, "not known"),
        ("something_else", 12.34567, "12.35"),
    ],
)
def test_numbers_are_shown_with_their_unit(metric, value, text):
    assert format_value(metric, value) == text


def test_an_interval_names_a_shared_unit_once():
    assert format_interval("accuracy", 0.589, 0.635) == "58.9 to 63.5%"
    assert format_interval("psnr_db", 16.4, 17.2) == "16.40 to 17.20 dB"
    assert format_interval("feature_bytes", 900, 1100) == "900 B to 1.10 kB"


def test_a_difference_of_fractions_is_in_percentage_points():
    assert format_difference("accuracy", 0.012) == "1.2 points"
    assert format_difference("psnr_db", 0.27) == "0.27 dB"


@pytest.mark.parametrize(
    ("level", "text"),
    [(0.9, "90%"), (0.57, "57%"), (0.975, "97.5%"), (0.9999, "99.99%"), (0.999999, "99.9999%")],
)
def test_a_level_of_confidence_is_not_rounded(level, text):
    assert format_level(level) == text


def test_every_part_of_the_report_gives_the_level_as_asked():
    result = fake_result()
    result.spec.search.confidence = 0.975
    held_out = result.proxies.validations["psnr_db"]
    result.proxies.validations["psnr_db"] = replace(held_out, coverage=0.5)
    tiles = [tile.note for tile in verdict(result).tiles if "interval" in tile.note]
    assert tiles and all("97.5% interval" in note for note in tiles)
    (proxies,) = [card for card in cards(result) if card.id == "proxies"]
    assert "bars are 97.5% intervals" in proxies.caption
    facts = dict(fact for group in provenance(result) for fact in group.facts)
    assert facts["confidence of the intervals"] == "97.5%"
    lines = {line.title: line.first for line in question_lines(result, result)}
    assert lines["Confidence of the intervals"] == "97.5%"
    narrow = [check.text for check in health_checks(result) if "too narrow" in check.title]
    assert narrow and all("not the promised 97.5%" in text for text in narrow)


def test_the_summary_gives_the_level_as_asked(toy_result):
    search = replace(toy_result.spec.search, confidence=0.99999)
    asked = replace(toy_result, spec=replace(toy_result.spec, search=search))
    assert any("99.999% interval" in line for line in verdict_lines(asked))


def test_every_metric_can_be_shown():
    assert set(DISPLAYS) == set(METRICS)


def test_axis_titles_say_unit_and_direction():
    assert axis_title("psnr_db") == "Privacy loss (PSNR), dB (lower is more private)"
    assert axis_title("accuracy") == "Accuracy (higher is better)"
    assert axis_title("local_flops") == "Local compute, FLOPs (lower is better)"


@pytest.mark.parametrize("fields", [("conv6", 12, "privynet", 3), ("conv1", 1, "lda", 0)])
def test_words_of_a_topology_are_those_the_package_prints(fields):
    assert topology_words(*fields) == str(LocalTopology(*fields))


def test_words_of_many_topologies_keep_their_order():
    rows = fake_result().candidates.iloc[[3, 0]]
    assert topologies_in_words(rows) == ["conv1, 1 filter by privynet", "conv1, 1 filter by random"]


def test_numbers_for_json_are_finite_or_null():
    assert plain_numbers([1.23456789, math.nan, math.inf]) == [1.234568, None, None]
    assert plain_numbers([True, False]) == [1, 0]


def test_the_readable_scale_is_the_one_that_the_table_measured():
    table = fake_result().table
    table.sidecar["data"]["psnr_scale_db"] = {"8×8 thumbnail": 19.0, "4×4 thumbnail": 16.0}
    assert readable_scale(table) == (("4×4 thumbnail", 16.0), ("8×8 thumbnail", 19.0))
    table.sidecar["data"] = {"name": "cifar10"}
    assert readable_scale(table) == ()

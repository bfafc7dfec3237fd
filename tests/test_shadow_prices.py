from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from privynet_opt.candidates import best_of, judge, recommendable
from privynet_opt.constraints import Constraint, parse_constraints
from privynet_opt.report.prices import price_rows
from privynet_opt.result import OptimizationResult
from privynet_opt.shadow_prices import ShadowPrice, shadow_prices
from privynet_opt.summary import price_lines

OBJECTIVES = ("accuracy", "psnr_db")


def frame() -> pd.DataFrame:
    """Topologies whose privacy loss is known to 0.5 dB; each more accurate than the one before."""
    return pd.DataFrame(
        {
            "cut_layer": ["conv1", "conv2", "conv3", "conv4"],
            "kept_filters": 4,
            "selection_strategy": "lda",
            "selection_seed": 0,
            "accuracy": [0.3, 0.5, 0.6, 0.8],
            "psnr_db": [13.5, 15.5, 16.3, 19.5],
            "psnr_db_upper": [14.0, 16.0, 16.8, 20.0],
            "local_flops": [1e6, 2e6, 4e6, 3e6],
            "memory_bytes": [1e5, 1e5, 1e5, 1e5],
        }
    )


def priced(*texts: str) -> dict[str, ShadowPrice]:
    constraints = parse_constraints(texts)
    judged = judge(frame(), OBJECTIVES, constraints)
    prices = shadow_prices(judged, best_of(judged), constraints)
    return {price.metric: price for price in prices}


def test_one_more_decibel_buys_what_judging_again_finds() -> None:
    price = priced("psnr_db <= 16", "local_flops <= 9e6")["psnr_db"]
    assert str(price.moved) == "psnr_db <= 17"
    assert price.change == pytest.approx(0.1)
    assert price.topology is not None
    assert price.topology.cut_layer == "conv3"
    assert price.needed == Constraint("psnr_db <= 16.8")


def test_a_limit_that_does_not_bind_buys_nothing_at_any_price() -> None:
    price = priced("psnr_db <= 16", "local_flops <= 9e6")["local_flops"]
    assert (price.change, price.topology, price.needed) == (0, None, None)
    assert not price.binds


def test_a_limit_may_bind_though_ten_percent_buy_nothing() -> None:
    price = priced("local_flops <= 2e6", "psnr_db <= 17")["local_flops"]
    assert str(price.moved) == "local_flops <= 2.2e6"
    assert price.change == 0
    assert price.needed == Constraint("local_flops <= 4e6")
    assert price.binds


def test_what_is_not_limited_is_priced_by_taking_it_away() -> None:
    prices = priced("psnr_db <= 16")
    assert prices["local_flops"].constraint is None
    assert str(prices["local_flops"].moved) == "local_flops <= 1.8e6"
    assert prices["local_flops"].change == pytest.approx(-0.2)
    assert math.isnan(prices["memory_bytes"].change)


def test_a_limit_on_accuracy_has_no_price() -> None:
    assert "accuracy" not in priced("accuracy >= 0.4", "psnr_db <= 16")


def test_without_a_recommendation_there_are_no_prices() -> None:
    assert priced("psnr_db <= 5") == {}


def test_prices_of_a_result_equal_judging_every_candidate_again(
    toy_result: OptimizationResult,
) -> None:
    best = toy_result.best
    assert best is not None
    eligible = recommendable(toy_result.candidates, extrapolate=False)
    assert [p.metric for p in toy_result.shadow_prices] == [
        "psnr_db",
        "local_flops",
        "memory_bytes",
    ]
    for price in toy_result.shadow_prices:
        kept = [c for c in toy_result.constraints if c.metric != price.metric]
        again = best_of(judge(eligible, OBJECTIVES, [*kept, price.moved]))
        assert again is not None
        assert price.change == pytest.approx(again["accuracy"] - best["accuracy"])


def test_prices_are_printed_saved_and_reported(
    toy_result: OptimizationResult, tmp_path: Path
) -> None:
    rows = price_rows(toy_result)
    text = "\n".join(price_lines(toy_result))
    page = toy_result.report(tmp_path / "report.html").read_text(encoding="utf-8")
    toy_result.save(tmp_path)
    saved = json.loads((tmp_path / "front.json").read_text(encoding="utf-8"))["shadow_prices"]
    for row, price, stored in zip(rows, toy_result.shadow_prices, saved, strict=True):
        assert row.moved in text
        assert row.change in text
        assert row.moved.replace("<", "&lt;") in page
        assert stored["moved"] == str(price.moved)
        assert stored["accuracy_change"] == pytest.approx(price.change, rel=1e-5)


def test_the_words_say_when_nothing_is_bought(toy_result: OptimizationResult) -> None:
    limit, moved = Constraint("psnr_db <= 16"), Constraint("psnr_db <= 17")
    cases = {
        "does not bind": ShadowPrice("psnr_db", limit, moved, 0.0, None),
        "none before 18": ShadowPrice(
            "psnr_db", limit, moved, 0.0, None, Constraint("psnr_db <= 18")
        ),
        "leaves nothing": ShadowPrice("psnr_db", None, moved, math.nan, None),
        "costs nothing": ShadowPrice("psnr_db", None, moved, 0.0, None),
        "−2.0 points": ShadowPrice("psnr_db", None, moved, -0.02, None),
        "+2.0 points": ShadowPrice("psnr_db", limit, moved, 0.02, None, limit),
    }
    for words, price in cases.items():
        (row,) = price_rows(replace(toy_result, shadow_prices=(price,)))
        assert row.change == words

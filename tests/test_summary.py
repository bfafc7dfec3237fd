from __future__ import annotations

from dataclasses import replace
from typing import Any

from privynet_opt.result import OptimizationResult
from privynet_opt.summary import (
    caution_lines,
    front_lines,
    proxy_lines,
    search_lines,
    summary_lines,
    verdict_lines,
)

SCALE = {"4×4 thumbnail": 17.5, "mean image": 12.649, "label only": 13.1}


def test_the_verdict_gives_every_limit_its_margin(toy_result: OptimizationResult) -> None:
    best = toy_result.best
    assert best is not None
    lines = verdict_lines(toy_result)
    privacy = next(line for line in lines if line.strip().startswith("psnr_db <= 17.5"))
    assert f"+{17.5 - best['psnr_db_upper']:.2f} dB" in privacy
    assert "upper end of the interval" in privacy
    compute = next(line for line in lines if line.strip().startswith("local_flops <= 1e6"))
    assert "the value" in compute


def test_the_verdict_gives_prediction_interval_and_measurement(
    toy_result: OptimizationResult,
) -> None:
    best: Any = toy_result.best
    line = next(line for line in verdict_lines(toy_result) if line.startswith("  psnr_db "))
    numbers = (best["psnr_db"], best["psnr_db_lower"], best["psnr_db_upper"])
    for number in numbers:
        assert f"{number:.2f}" in line
    if best["measured"]:
        assert f"{best['measured_psnr_db']:.2f} dB" in line


def test_what_is_measured_says_at_which_fidelity_and_by_which_attack(
    toy_result: OptimizationResult,
) -> None:
    assert toy_result.best is not None
    told = "measured: accuracy at full, privacy losses by the strongest attack"
    for measured in (True, False):
        best = toy_result.best.copy()
        best["measured"], best["measured_fidelity"] = measured, "full" if measured else ""
        assert (told in verdict_lines(replace(toy_result, best=best))) == measured


def test_a_known_scale_is_printed_with_the_recommendation(toy_result: OptimizationResult) -> None:
    sidecar = {**toy_result.table.sidecar, "data": {"name": "toy", "psnr_scale_db": SCALE}}
    known = replace(toy_result, table=replace(toy_result.table, sidecar=sidecar))
    text = " ".join(" ".join(verdict_lines(known)).split())
    assert toy_result.best is not None
    assert f"{toy_result.best['psnr_db']:.2f} dB of privacy loss is about a 4×4 thumbnail" in text
    assert "in dB: mean image 12.6, label only 13.1, 4×4 thumbnail 17.5" in text
    assert max(map(len, summary_lines(known))) <= 100


def test_what_to_know_first_is_listed_unless_all_is_good(
    toy_result: OptimizationResult, hopeless_result: OptimizationResult
) -> None:
    lines = caution_lines(toy_result)
    assert lines[0].startswith("Before you rely on it")
    assert any("short recipe" in line for line in lines)
    assert caution_lines(hopeless_result) == []


def test_an_answer_without_limits_says_so(toy_result: OptimizationResult) -> None:
    lines = summary_lines(replace(toy_result, constraints=()))
    assert any("no limits" in line for line in lines)
    assert not any(line.strip().startswith("limit ") for line in lines)


def test_a_choice_that_may_miss_the_front_is_explained(toy_result: OptimizationResult) -> None:
    asked = replace(toy_result, objectives=("psnr_db", "ssim"))
    told, plain = (" ".join(" ".join(verdict_lines(r)).split()) for r in (asked, toy_result))
    said = "need not be on the front of these objectives: psnr_db, ssim."
    assert said in told
    assert "need not be on the front" not in plain


def test_a_short_front_is_printed_whole(toy_result: OptimizationResult) -> None:
    few = replace(toy_result, front=toy_result.front.head(3))
    lines = front_lines(few)
    assert len(lines) == 2 + 3
    assert "of them" not in lines[0]


def test_the_printed_part_of_a_front_keeps_both_ends(toy_result: OptimizationResult) -> None:
    front = toy_result.front
    lines = front_lines(toy_result)
    assert len(lines) == 2 + 12 < 2 + len(front)
    for row, line in ((front.iloc[0], lines[2]), (front.iloc[-1], lines[-1])):
        assert f"{row['cut_layer']}, {row['kept_filters']} filter" in line


def test_what_is_extrapolated_is_marked_in_the_front(toy_result: OptimizationResult) -> None:
    front = toy_result.front.assign(measured_fidelity="", extrapolation=False)
    front.loc[0, "extrapolation"] = True
    lines = front_lines(replace(toy_result, front=front))
    assert lines[2].endswith("extrapolated")
    assert not any("extrapolated" in line for line in lines[3:])


def test_objectives_of_the_question_are_columns_of_the_front(
    toy_result: OptimizationResult,
) -> None:
    asked = replace(toy_result, objectives=("ssim", "feature_bytes"))
    heading = front_lines(asked)[1].split()
    assert heading[:6] == [
        "topology",
        "accuracy",
        "psnr_db",
        "local_flops",
        "ssim",
        "feature_bytes",
    ]


def test_errors_of_every_proxy_are_printed(toy_result: OptimizationResult) -> None:
    lines = proxy_lines(toy_result)
    for target, held_out in toy_result.proxies.validations.items():
        line = next(line for line in lines if line.startswith(f"  {target} "))
        assert f"{held_out.spearman:.3f}" in line
        assert f"{held_out.coverage:.0%}" in line


def test_the_gap_is_printed_unless_nothing_is_feasible(
    toy_result: OptimizationResult, hopeless_result: OptimizationResult
) -> None:
    assert f"(gap {toy_result.search.gap:.2%})" in " ".join(
        line.strip() for line in search_lines(toy_result)
    )
    assert "found nothing feasible" in " ".join(search_lines(hopeless_result))
    assert "nan" not in "\n".join(summary_lines(hopeless_result))


def test_no_line_is_wider_than_a_hundred_columns(
    toy_result: OptimizationResult, hopeless_result: OptimizationResult
) -> None:
    for result in (toy_result, hopeless_result):
        assert max(map(len, summary_lines(result))) <= 100

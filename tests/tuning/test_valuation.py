"""What a question leaves open, and what was measured best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from toy_laboratory import LIMITS, ask

from privynet_opt.constraints import parse_constraints
from privynet_opt.topology import SENDING_DEFAULTS
from privynet_opt.tuning.lines import best_measured_line
from privynet_opt.tuning.valuation import (
    best_measured,
    possible_in_closed_form,
    why_impossible,
    worth,
)

LIMIT = parse_constraints(["psnr_db <= 17"])


def candidates(**columns) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    frame = pd.DataFrame({"cut_layer": "conv1", "kept_filters": range(1, n + 1)})
    frame = frame.assign(selection_strategy="lda", selection_seed=0, **SENDING_DEFAULTS)
    return frame.assign(**columns)


def test_the_worth_of_a_candidate_comes_from_its_intervals(laboratory):
    asked = replace(ask(laboratory).asked, constraints=LIMIT, confidence=0.9)
    half = norm.ppf(0.95)
    found = candidates(accuracy=[0.6, 0.6], psnr_db=[17.0, 16.0])
    found = found.assign(accuracy_lower=0.6 - 0.02 * half, accuracy_upper=0.6 + 0.02 * half)
    found = found.assign(
        psnr_db_lower=found["psnr_db"] - 0.5 * half, psnr_db_upper=found["psnr_db"] + 0.5 * half
    )
    values = worth(found, np.array([True, True]), None, asked)
    assert values == pytest.approx([0.6 * norm.cdf(-half), 0.6 * norm.cdf(2 - half)])
    best = found.iloc[1]
    values = worth(found, np.array([True, False]), best, asked)
    assert values == pytest.approx([0.02 / np.sqrt(2 * np.pi) * norm.cdf(-half), 0])


def test_the_closed_form_rules_out_what_it_recovers_itself_and_nothing_it_did_not_see():
    screen = candidates(psnr_db=[16.9, 17.0, 17.1], ssim=[0.3, 0.2, 0.1])
    topologies = candidates(other=[0, 0, 0, 0])
    assert possible_in_closed_form(topologies, screen, LIMIT).tolist() == [True, True, False, True]
    ssim = parse_constraints(["ssim <= 0.2"])
    assert possible_in_closed_form(topologies, screen, ssim).tolist() == [False, True, True, True]
    both = (*LIMIT, *ssim)
    assert possible_in_closed_form(topologies, screen, both).tolist() == [False, True, False, True]


def test_what_rules_everything_out_is_told_of_what_the_costs_leave(laboratory):
    tuning = ask(laboratory)
    topologies = tuning.topologies
    screen = topologies.assign(
        psnr_db=np.where(topologies["kept_filters"] > 1, 10.0, 15.0), ssim=0.3
    )
    limits = parse_constraints(["psnr_db <= 12", "ssim <= 0.5", "local_macs <= 10000"])
    told = why_impossible(topologies, laboratory.cuts, screen, limits)
    within = int(told[1].split(" excludes ")[1].split()[0])
    assert len(told) == 3 and 0 < within < 64
    assert told[1].endswith(
        f"of the {within} that are left; the closed-form attack alone reaches "
        "15.00 dB or more on each"
    )
    assert f"ssim <= 0.5 excludes 0 of the {within} that are left" in told[2]
    limits = parse_constraints(["psnr_db <= 12", "local_macs <= 1"])
    told = why_impossible(topologies, laboratory.cuts, screen, limits)
    assert told == ["local_macs <= 1 excludes 64 of 64 topologies; the smallest has 6,912"]


def test_the_best_measured_keeps_its_limits_as_measured():
    found = candidates(
        measured=[True, True, True, False],
        measured_accuracy=[0.5, 0.6, 0.7, np.nan],
        measured_psnr_db=[16.0, 16.9, 17.2, np.nan],
        local_flops=[1, 1, 1, 1],
    )
    assert best_measured(found, LIMIT)["kept_filters"] == 2
    assert best_measured(found, [])["kept_filters"] == 3
    assert best_measured(found, parse_constraints(["psnr_db <= 15"])) is None
    assert best_measured(found, parse_constraints(["local_flops <= 0.5"])) is None


def test_a_better_measured_topology_is_told_beside_the_recommended_one(toy_result):
    told = best_measured_line(replace(toy_result, best=None))
    found = best_measured(toy_result.candidates, toy_result.constraints)
    assert f"{found['cut_layer']}, {found['kept_filters']} filters" in told
    assert f"{found['measured_accuracy']:.1%}" in told and "90% confidence" in told
    assert best_measured_line(replace(toy_result, best=found)) is None
    search = replace(toy_result.spec.search, confidence=0.975)
    surer = replace(toy_result, best=None, spec=replace(toy_result.spec, search=search))
    assert "97.5% confidence" in best_measured_line(surer)
    assert found["measured_psnr_db"] <= float(LIMITS[0].split()[-1])

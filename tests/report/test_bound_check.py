"""The bound is shown beside the attack where there is noise and it is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from privynet_opt.recovery_bound import recovery_bound_db
from privynet_opt.report.bound_check import bound_check
from privynet_opt.report.health import health_checks
from privynet_opt.result import OptimizationResult
from privynet_opt.summary import summary_lines
from privynet_opt.topology import LOCAL_COLUMNS


@pytest.fixture
def noisy(toy_result: OptimizationResult) -> OptimizationResult:
    assert toy_result.best is not None
    best = toy_result.best.copy()
    best["noise_std"] = 0.5
    return replace(toy_result, best=best)


def informed(result: OptimizationResult, plain_psnr_db: float) -> OptimizationResult:
    own = {name: result.best[name] for name in LOCAL_COLUMNS}  # type: ignore[index]
    entry: dict[str, Any] = {**own, "information": 40.0, "plain_psnr_db": plain_psnr_db}
    sidecar = result.table.sidecar | {"information": [{**entry, "kept_filters": 0}, entry]}
    return replace(result, table=replace(result.table, sidecar=sidecar))


def test_a_bound_below_the_attack_without_noise_is_told(noisy: OptimizationResult) -> None:
    result = informed(noisy, 30.0)
    check = bound_check(result)
    assert check is not None and check.level == "good"
    assert f"{recovery_bound_db(40.0, 0.5):.2f} dB" in check.title
    assert "carries grain of 0.1" in check.text and "30.00 dB" in check.text
    assert check in health_checks(result)
    assert check.title in " ".join(" ".join(summary_lines(result)).split())


def test_a_bound_above_it_is_called_vacuous(noisy: OptimizationResult) -> None:
    result = informed(noisy, 24.0)
    check = bound_check(result)
    assert check is not None and check.level == "watch"
    assert "is vacuous: it allows 24.15 dB" in check.title
    assert check.title in " ".join(" ".join(summary_lines(result)).split())


def test_nothing_is_said_without_noise_or_where_nothing_was_measured(
    toy_result: OptimizationResult, noisy: OptimizationResult
) -> None:
    assert bound_check(informed(toy_result, 30.0)) is None
    assert bound_check(noisy) is None
    assert bound_check(replace(noisy, best=None)) is None

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest

from privynet_opt.constraints import Constraint, format_limit, parse_constraints
from privynet_opt.errors import ConstraintError
from privynet_opt.metrics import METRICS, checked_column, parse_objectives, to_losses


def test_a_constraint_is_read_into_its_parts() -> None:
    constraint = Constraint("psnr_db <= 17.5")
    assert (constraint.metric, constraint.operator, constraint.limit) == ("psnr_db", "<=", 17.5)
    assert str(constraint) == "psnr_db <= 17.5"


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("local_flops<=60e6", 60e6),
        ("  local_flops  <=  1_000_000 ", 1e6),
        ("local_flops ≤ 6E7", 6e7),
        ("accuracy >= .55", 0.55),
        ("accuracy ≥ 0.55", 0.55),
        ("ssim <= -0.1", -0.1),
    ],
)
def test_numbers_and_operators_are_read_as_people_write_them(text: str, limit: float) -> None:
    assert Constraint(text).limit == limit


@pytest.mark.parametrize("limit", [17.5, 60e6, 1_048_576, 0.1, 123_456_789, 1e-3, 2.5e9, 4, 1e300])
def test_a_printed_limit_reads_back_as_itself(limit: float) -> None:
    assert float(format_limit(limit)) == limit
    constraint = Constraint(f"local_flops <= {limit!r}")
    assert Constraint(str(constraint)) == constraint


def test_large_limits_are_printed_short() -> None:
    assert [format_limit(v) for v in (60e6, 1e6, 1_048_576, 17.0)] == [
        "60e6",
        "1e6",
        "1048576",
        "17",
    ]


def test_violation_is_a_share_of_the_limit_and_zero_on_the_bound() -> None:
    assert Constraint("psnr_db <= 20").violation([10, 20, 25]).tolist() == [-0.5, 0, 0.25]
    assert Constraint("accuracy >= 0.5").violation([0.25, 0.5, 0.75]).tolist() == [0.5, 0, -0.5]
    assert Constraint("ssim <= 0").violation([0.25, 0.0]).tolist() == [0.25, 0]
    assert Constraint("ssim <= -0.5").violation([0.0, -1.0]).tolist() == [1, -1]


def test_violation_of_an_unknown_value_is_infinite() -> None:
    assert Constraint("psnr_db <= 20").violation(math.nan) == math.inf


def test_a_tiny_limit_is_broken_without_a_warning() -> None:
    with warnings.catch_warnings(action="error"):
        assert Constraint("psnr_db <= 5e-324").violation([17.5]).tolist() == [math.inf]


def test_constraints_can_be_compared_hashed_and_not_changed() -> None:
    first, second = Constraint("psnr_db <= 17.5"), Constraint(" psnr_db <= 17.50 ")
    assert first == second
    assert len({first, second}) == 1
    with pytest.raises(AttributeError):
        first.limit = 3.0  # type: ignore[misc]


def test_with_limit_keeps_metric_and_operator() -> None:
    assert str(Constraint("accuracy >= 0.5").with_limit(0.25)) == "accuracy >= 0.25"
    assert str(Constraint("accuracy >= 0.5").with_limit(np.float64(0.25))) == "accuracy >= 0.25"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("psnr <= 17", ["got 'psnr'", "Did you mean 'psnr_db'?"]),
        ("macs <= 17", ["Did you mean 'local_macs'?"]),
        ("psnr_bd <= 17", ["Did you mean 'psnr_db'?"]),
        ("psnr_db <= 17.5dB", ["number alone", 'Write "psnr_db <= 17.5"', "unit: dB"]),
        ("psnr_db <= 17,5", ['Write "psnr_db <= 17.5"']),
        ("local_flops <= 1,000,000", ['Write "local_flops <= 1e6"']),
        ("local_flops <= 150 MFLOPs", ['Write "local_flops <= 150e6"']),
        ("memory_bytes <= 4MB", ['Write "memory_bytes <= 4e6"', "unit: bytes"]),
        ("memory_bytes <= 1 MiB", ['Write "memory_bytes <= 1048576"']),
        ("memory_bytes <= 64 kiB", ['Write "memory_bytes <= 65536"']),
        ("memory_bytes <= 64 KiB", ['Write "memory_bytes <= 65536"']),
        ("memory_bytes <= 8 megabytes", ['Write for example "memory_bytes <= 60e6"']),
        ("local_flops <= 60 million", ['Write "local_flops <= 60e6"']),
        ("local_flops <= 60 million FLOPs", ['Write "local_flops <= 60e6"']),
        ("local_flops <= 1 000 000", ['Write "local_flops <= 1e6"']),
        ("local_flops <= 1.000.000", ['Write "local_flops <= 1e6"']),
        ("local_flops <= 1'000'000.5", ['Write "local_flops <= 1000000.5"']),
        ("local_flops <= 2 gflops", ['Write "local_flops <= 2000e6"']),
        ("local_macs <= 2.5 GMACs", ['Write "local_macs <= 2500e6"']),
        ("local_flops <= 60m", ["got '60m'", "Write for example"]),
        ("local_flops <= 60 MHz", ["got '60 MHz'", "Write for example"]),
        ("local_flops <= 0x10", ["got '0x10'", "Write for example"]),
        ("local_flops <= 1e6e6", ["got '1e6e6'", "Write for example"]),
        ("local_flops <= 1 2", ["got '1 2'", "Write for example"]),
        ("psnr_db <= -5 dB", ["Write for example"]),
        ("psnr_db <= 17.5 decibels", ['Write "psnr_db <= 17.5"']),
        ("accuracy >= 90 percent", ['Write "accuracy >= 0.9"']),
        ("accuracy >= 900%", ["Write for example"]),
        ("accuracy <= 55%", ['Write "accuracy >= 0.55"']),
        ("accuracy < 55", ['Write "accuracy >= 0.55"']),
        ("accuracy >= 55", ["at most 1", 'Write "accuracy >= 0.55"']),
        ("accuracy >= 55%", ['Write "accuracy >= 0.55"']),
        ("accuracy <= 0.5", ["higher is better", 'Write "accuracy >= 0.5"']),
        ("psnr_db >= 17", ["higher is less private", 'Write "psnr_db <= 17"']),
        ("local_flops >= 6e7", ["lower is better", 'Write "local_flops <= 6e7"']),
        ("psnr_db < 17", ["<= or >=", 'Write "psnr_db <= 17"']),
        ("psnr_db = 17", ["<= or >="]),
        ("psnr_db <= seventeen", ["got 'seventeen'", 'Write for example "psnr_db <= 17.5"']),
        ("psnr_db <= 17 and ssim <= 0.3", ["one comparison"]),
        ("psnr_db <= -1", ["positive, finite"]),
        ("psnr_db <= nan", ["positive, finite"]),
        ("ssim <= 40", ['Write "ssim <= 0.4"']),
        ("psnr_db", ["a metric, <= or >=, and a number", "Write for example"]),
        ("", ["a metric, <= or >=, and a number"]),
    ],
)
def test_a_fault_names_the_rule_the_text_and_the_remedy(text: str, words: list[str]) -> None:
    with pytest.raises(ConstraintError) as caught:
        Constraint(text)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_constraints_are_taken_in_every_form() -> None:
    expected = (Constraint("psnr_db <= 17.5"), Constraint("accuracy >= 0.5"))
    assert parse_constraints(["psnr_db <= 17.5", "accuracy >= 0.5"]) == expected
    assert parse_constraints(expected) == expected
    assert parse_constraints({"psnr_db": 17.5, "accuracy": 0.5}) == expected
    assert parse_constraints({"psnr_db": "<= 17.5", "accuracy": np.float64(0.5)}) == expected
    assert parse_constraints("psnr_db <= 17.5") == expected[:1]
    assert parse_constraints(expected[0]) == expected[:1]
    assert parse_constraints(None) == parse_constraints([]) == ()


@pytest.mark.parametrize("wrong", [3, [3], [None], {"psnr_db": True}, {"psnr_db": None}])
def test_what_is_no_constraint_is_refused(wrong: object) -> None:
    with pytest.raises(ConstraintError):
        parse_constraints(wrong)  # type: ignore[arg-type]


def test_a_metric_limited_twice_is_refused() -> None:
    with pytest.raises(ConstraintError, match=r"once, but got psnr_db <= 17, psnr_db <= 18"):
        parse_constraints(["psnr_db <= 17", "psnr_db <= 18"])


def test_all_faults_are_named_in_one_message() -> None:
    with pytest.raises(ConstraintError) as caught:
        parse_constraints(["psnr <= 17", "accuracy >= 55", "ssim <= 0.4"])
    assert "'psnr'" in str(caught.value)
    assert "accuracy >= 0.55" in str(caught.value)


def test_objectives_are_checked_by_name() -> None:
    assert parse_objectives(["accuracy", " psnr_db "]) == ("accuracy", "psnr_db")
    assert parse_objectives("ssim") == ("ssim",)
    with pytest.raises(ConstraintError, match="Did you mean 'accuracy'"):
        parse_objectives(["acuracy"])
    with pytest.raises(ConstraintError, match="once, but got ssim twice"):
        parse_objectives(["ssim", "ssim"])
    with pytest.raises(ConstraintError, match="at least one"):
        parse_objectives([])


def test_losses_turn_the_sign_of_accuracy_alone() -> None:
    frame = pd.DataFrame({name: [1.0, 2.0] for name in METRICS})
    losses = to_losses(frame, tuple(METRICS))
    assert (losses[:, 0] == [-1, -2]).all()
    assert (losses[:, 1:] == [[1] * 8, [2] * 8]).all()


def test_privacy_is_checked_on_the_upper_end_and_the_rest_on_the_value() -> None:
    columns = {name: checked_column(name) for name in METRICS}
    assert {k for k, v in columns.items() if v != k} == {"psnr_db", "ssim"}
    assert columns["psnr_db"] == "psnr_db_upper"

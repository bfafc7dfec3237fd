from __future__ import annotations

import pandas as pd
import pytest

from privynet_opt.candidates import judge
from privynet_opt.constraints import Constraint, parse_constraints
from privynet_opt.infeasibility import Infeasibility, explain_infeasibility

OBJECTIVES = ("accuracy", "psnr_db")


def frame(accuracy: list[float], psnr_db: list[float], flops: list[float]) -> pd.DataFrame:
    """Topologies whose privacy loss is known to 0.5 dB."""
    n = len(accuracy)
    return pd.DataFrame(
        {
            "cut_layer": [f"conv{i + 1}" for i in range(n)],
            "kept_filters": 4,
            "selection_strategy": "lda",
            "selection_seed": 0,
            "accuracy": accuracy,
            "psnr_db": psnr_db,
            "psnr_db_upper": [value + 0.5 for value in psnr_db],
            "local_flops": flops,
        }
    )


TOPOLOGIES = frame(
    accuracy=[0.3, 0.5, 0.6, 0.8], psnr_db=[13.5, 15.5, 19.5, 23.5], flops=[1e6, 2e6, 4e6, 8e6]
)


def explained(*texts: str, rows: pd.DataFrame = TOPOLOGIES) -> Infeasibility:
    constraints = parse_constraints(texts)
    found = explain_infeasibility(judge(rows, OBJECTIVES, constraints), constraints)
    assert found is not None
    return found


def test_a_feasible_space_needs_no_explanation() -> None:
    constraints = parse_constraints(["psnr_db <= 14"])
    judged = judge(TOPOLOGIES, OBJECTIVES, constraints)
    assert explain_infeasibility(judged, constraints) is None
    assert explain_infeasibility(judge(TOPOLOGIES, OBJECTIVES, ()), ()) is None


def test_each_limit_counts_what_it_excludes_the_most_first() -> None:
    why = explained("accuracy >= 0.55", "psnr_db <= 15")
    assert {str(c): n for c, n in why.excluded.items()} == {
        "psnr_db <= 15": 3,
        "accuracy >= 0.55": 2,
    }
    assert why.lines()[0] == "psnr_db <= 15 excludes 3 of 4 topologies, more than any other limit"


def test_limits_that_can_each_be_met_but_never_together_are_a_conflict() -> None:
    why = explained("accuracy >= 0.55", "psnr_db <= 15", "local_flops <= 9e6")
    assert [(str(a), str(b)) for a, b in why.conflicts] == [("accuracy >= 0.55", "psnr_db <= 15")]
    assert why.reachable == {}


def test_a_limit_out_of_reach_names_the_best_there_is_and_is_no_conflict() -> None:
    why = explained("accuracy >= 0.95", "psnr_db <= 15")
    assert why.reachable == {Constraint("accuracy >= 0.95"): 0.8}
    assert why.conflicts == ()
    assert "topologies has 0.8" in str(why)


def test_three_limits_may_conflict_though_no_two_do() -> None:
    rows = frame([0.6, 0.3, 0.6], [13.5, 13.5, 19.5], [8e6, 1e6, 1e6])
    why = explained("accuracy >= 0.5", "psnr_db <= 15", "local_flops <= 2e6", rows=rows)
    assert why.conflicts == ()
    assert "every two of the limits can be met together; all of them cannot" in why.lines()


def test_nearest_has_the_smallest_largest_violation() -> None:
    # conv1 misses accuracy by 1 - 0.3/0.6 = 50 %, conv2 by 17 % and psnr_db by 1/15 = 7 %.
    why = explained("accuracy >= 0.6", "psnr_db <= 15")
    assert why.nearest["cut_layer"] == "conv2"
    assert list(why.violations.values()) == pytest.approx([1 / 6, 1 / 15])
    assert "nearest: conv2, 4 filters by lda" in str(why)


def test_each_relaxation_is_the_least_that_admits_a_topology() -> None:
    why = explained("accuracy >= 0.55", "psnr_db <= 15")
    relaxed = {str(r.constraint): (str(r.relaxed), r.topology.cut_layer) for r in why.relaxations}  # type: ignore[union-attr]
    assert relaxed == {
        "accuracy >= 0.55": ("accuracy >= 0.3", "conv1"),
        "psnr_db <= 15": ("psnr_db <= 20", "conv3"),
    }


def test_a_proposed_limit_admits_and_the_next_tighter_one_does_not() -> None:
    rows = frame([0.312345, 0.623456], [13.123456, 19.654321], [1e6, 12345678.0])
    texts = ["accuracy >= 0.555", "psnr_db <= 15.5"]
    for index, relaxation in enumerate(explained(*texts, rows=rows).relaxations):
        assert relaxation.relaxed is not None
        others = [Constraint(t) for i, t in enumerate(texts) if i != index]
        assert judge(rows, OBJECTIVES, [*others, relaxation.relaxed])["feasible"].any()
        shrink = 0.999 if relaxation.constraint.operator == "<=" else 1.001
        tighter = relaxation.relaxed.with_limit(relaxation.relaxed.limit * shrink)
        assert not judge(rows, OBJECTIVES, [*others, tighter])["feasible"].any()


def test_where_no_single_limit_helps_it_says_so() -> None:
    why = explained("accuracy >= 0.95", "psnr_db <= 10")
    assert [r.relaxed for r in why.relaxations] == [None, None]
    assert "relaxing psnr_db <= 10 alone admits nothing" in why.lines()


def test_a_relaxation_nobody_could_write_is_none() -> None:
    rows = TOPOLOGIES.assign(ssim_upper=1.02)
    assert explained("ssim <= 0.5", rows=rows).relaxations[0].relaxed is None


def test_a_single_limit_is_explained_without_comparison() -> None:
    lines = explained("psnr_db <= 10").lines()
    assert lines[0] == "psnr_db <= 10 excludes 4 of 4 topologies"
    assert (
        lines[-1] == "relaxing psnr_db <= 10 to psnr_db <= 14 would admit conv1, 4 filters by lda"
    )

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from problems import front_by_pairs, toy_cuts, toy_rows, toy_table_of_truth

from privynet_opt.candidates import (
    best_of,
    build_candidates,
    front_of,
    judge,
    passed_over,
    recommendable,
)
from privynet_opt.constraints import parse_constraints
from privynet_opt.cost import COST_NAMES
from privynet_opt.topology import SENDING_DEFAULTS, TOPOLOGY_COLUMNS

TRUTH = pd.DataFrame(toy_table_of_truth())
SPREAD = {"accuracy": 0.02, "psnr_db": 0.3, "ssim": 0.02}


class TrueProxies:
    """Predict the truth, with intervals of known width."""

    def predict(self, topologies: pd.DataFrame) -> pd.DataFrame:
        found = topologies.merge(TRUTH, on=list(TOPOLOGY_COLUMNS), how="left")
        columns: dict[str, Any] = {}
        for target, spread in SPREAD.items():
            columns |= {target: found[target], f"{target}_lower": found[target] - spread}
            columns |= {f"{target}_upper": found[target] + spread}
        return pd.DataFrame(columns).assign(extrapolation=False)


def table(rows: list[dict[str, Any]] | None = None, **sidecar: Any) -> Any:
    frame = pd.DataFrame(toy_rows() if rows is None else rows).assign(**SENDING_DEFAULTS)
    trained = frame[frame["fidelity"].isin(["standard", "full"])]
    cuts = {cut.name: cut for cut in toy_cuts()}
    return SimpleNamespace(cuts=cuts, rows=frame, trained=trained, sidecar=sidecar)


def candidates(topologies: pd.DataFrame = TRUTH, rows: Any = None, **sidecar: Any) -> pd.DataFrame:
    asked = topologies[list(TOPOLOGY_COLUMNS)]
    return build_candidates(asked, table(rows, **sidecar), TrueProxies())  # type: ignore[arg-type]


def test_costs_are_the_exact_ones_of_every_topology() -> None:
    found = candidates()
    for name in COST_NAMES:
        assert (found[name] == TRUTH[name]).all()
        assert found[name].dtype == np.int64


def test_rows_follow_the_topologies_whatever_their_index() -> None:
    shuffled = TRUTH.sample(frac=1, random_state=0)
    found = candidates(shuffled)
    assert found.index.equals(shuffled.index)
    for name in (*COST_NAMES, "accuracy"):
        assert (found[name] == shuffled[name]).all()


def test_of_several_seeds_the_strongest_attack_and_the_mean_accuracy_count() -> None:
    rows = toy_rows()
    first = next(row for row in rows if row["fidelity"] == "standard")
    again = {**first, "training_seed": 7, "accuracy": first["accuracy"] + 0.1}
    again |= {"psnr_db": first["psnr_db"] - 2, "ssim": first["ssim"] - 0.2}
    found = candidates(rows=[*rows, again])
    keys = list(TOPOLOGY_COLUMNS)
    same = (found[keys] == [{**SENDING_DEFAULTS, **first}[key] for key in keys]).all(axis=1)
    (measured,) = found[same].to_dict("records")
    assert measured["measured_psnr_db"] == first["psnr_db"]
    assert measured["measured_ssim"] == first["ssim"]
    assert measured["measured_accuracy"] == pytest.approx(first["accuracy"] + 0.05)


def test_measured_topologies_carry_their_measurement_and_others_nothing() -> None:
    found = candidates()
    keys = list(TOPOLOGY_COLUMNS)
    trained = table().trained.set_index(keys)["accuracy"]
    for _, row in found.iterrows():
        key = tuple(row[keys])
        assert row["measured"] == (key in trained.index)
        if row["measured"]:
            assert row["measured_accuracy"] == trained[key]
            assert row["measured_fidelity"] == "standard"
        else:
            assert np.isnan(row["measured_psnr_db"])
            assert row["measured_fidelity"] == ""
    assert 0 < found["measured"].sum() < len(found)


def test_the_dearest_fidelity_is_the_measurement_averaged_over_training_seeds() -> None:
    first = next(row for row in toy_rows() if row["fidelity"] == "standard")
    rows = [first]
    for seed, accuracy in ((1, 0.5), (2, 0.7)):
        rows.append({**first, "fidelity": "full", "training_seed": seed, "accuracy": accuracy})
    found = candidates(rows=rows)
    measured = found[found["measured"]]
    assert len(measured) == 1
    assert measured["measured_fidelity"].item() == "full"
    assert measured["measured_accuracy"].item() == pytest.approx(0.6)


def test_no_topology_is_said_to_leak_less_than_any_attack_on_it_recovered() -> None:
    rows = toy_rows()
    keys, (first, *_) = list(TOPOLOGY_COLUMNS), rows
    topology = [{**SENDING_DEFAULTS, **first}[key] for key in keys]
    (true,) = TRUTH[(TRUTH[keys] == topology).all(axis=1)].to_dict("records")
    leak = true["psnr_db"] + 2 * SPREAD["psnr_db"]
    weak = {**first, "fidelity": "full", "psnr_db": leak - 1, "ssim": first["ssim"]}
    strong = {**first, "fidelity": "screen", "psnr_db": leak}
    others = [row for row in rows if row is not first and row["fidelity"] != "full"]
    limits = parse_constraints([f"psnr_db <= {leak - 0.01}"])
    known = candidates(rows=[*others, weak, strong])
    judged = judge(known, ("accuracy", "psnr_db"), limits)
    is_it = (judged[keys] == topology).all(axis=1)
    (found,) = judged[is_it].to_dict("records")
    assert found["psnr_db"] == found["psnr_db_upper"] == found["measured_psnr_db"] == leak
    assert found["psnr_db_lower"] < true["psnr_db"] and not found["feasible"]
    assert found["measured_fidelity"] == "full"
    assert (known["psnr_db_upper"] >= known["psnr_db"]).all()


@pytest.mark.parametrize(("more_db", "counts"), [(2.0, True), (-2.0, False)])
def test_what_a_larger_decoder_recovered_counts_like_any_other_attack(
    more_db: float, counts: bool
) -> None:
    measured = candidates()
    known = measured.loc[measured["measured"].idxmax()]
    leak = known["measured_psnr_db"] + more_db
    names = ("cut_layer", "kept_filters", "selection_strategy", "selection_seed")
    attack = {name: known[name] for name in names} | {"capacity": 2, "psnr_db": leak, "ssim": 0.1}
    found = candidates(side_attacks=[attack])
    changed = found.index[(found != measured).any(axis=1) & found["measured"]]
    assert list(changed) == ([known.name] if counts else [])
    if counts:
        row = found.loc[known.name]
        assert row["psnr_db"] == row["psnr_db_upper"] == row["measured_psnr_db"] == leak


def test_a_table_without_trained_rows_measures_nothing() -> None:
    rows = [row for row in toy_rows() if row["fidelity"] == "screen"]
    assert not candidates(rows=rows)["measured"].any()


def test_privacy_is_judged_at_the_upper_end_and_the_rest_at_the_value() -> None:
    limits = ("psnr_db <= 17.5", "ssim <= 0.4", "accuracy >= 0.4", "local_flops <= 1e6")
    judged = judge(candidates(), ("accuracy",), parse_constraints(limits))
    expected = (
        (TRUTH["psnr_db"] + SPREAD["psnr_db"] <= 17.5)
        & (TRUTH["ssim"] + SPREAD["ssim"] <= 0.4)
        & (TRUTH["accuracy"] >= 0.4)
        & (TRUTH["local_flops"] <= 1e6)
    )
    assert (judged["feasible"] == expected).all()
    assert 0 < expected.sum() < len(TRUTH)
    for metric in ("psnr_db", "ssim", "accuracy", "local_flops"):
        assert f"violation_{metric}" in judged


def test_the_front_is_every_feasible_candidate_that_no_feasible_one_beats() -> None:
    judged = judge(
        candidates(),
        ("accuracy", "psnr_db", "local_flops"),
        parse_constraints(["psnr_db <= 17.5"]),
    )
    feasible = judged[judged["feasible"]].to_dict("records")
    expected = front_by_pairs(
        feasible, {"accuracy": "up", "psnr_db": "down", "local_flops": "down"}
    )
    columns = list(TOPOLOGY_COLUMNS)
    front = front_of(judged)
    assert {tuple(row) for row in front[columns].itertuples(index=False)} == {
        tuple(row[c] for c in columns) for row in expected
    }
    assert front["accuracy"].is_monotonic_decreasing
    assert list(front.index) == list(range(len(front)))


def test_without_limits_everything_is_feasible() -> None:
    judged = judge(candidates(), ("accuracy",), ())
    assert judged["feasible"].all()
    assert judged["on_front"].sum() == 1


def test_best_is_the_most_accurate_feasible_and_of_equals_the_cheapest() -> None:
    judged = judge(candidates(), ("psnr_db",), parse_constraints(["psnr_db <= 18"]))
    best = best_of(judged)
    assert best is not None
    assert best["accuracy"] == judged.loc[judged["feasible"], "accuracy"].max()
    level = judged.assign(accuracy=0.5)
    best = best_of(level)
    assert best is not None
    assert best["local_flops"] == level.loc[level["feasible"], "local_flops"].min()
    assert best_of(judge(judged, ("psnr_db",), parse_constraints(["psnr_db <= 5"]))) is None


def test_extrapolated_topologies_are_recommended_only_where_that_is_allowed() -> None:
    judged = judge(candidates(), ("accuracy",), parse_constraints(["psnr_db <= 17.5"]))
    top = best_of(judged)
    assert top is not None
    judged.loc[top.name, "extrapolation"] = True
    best = best_of(recommendable(judged, extrapolate=False))
    assert best is not None
    feasible = judged[judged["feasible"]].drop(index=top.name)
    assert best["accuracy"] == feasible["accuracy"].max()
    over = passed_over(judged, best)
    assert over is not None
    assert over.name == top.name
    allowed = best_of(recommendable(judged, extrapolate=True))
    assert allowed is not None
    assert allowed.name == top.name
    assert passed_over(judged, allowed) is None

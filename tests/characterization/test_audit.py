"""The audit finds what a stronger attacker would have contradicted, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from problems import sent_row, toy_cuts, write_toy_study

from privynet_opt.characterization.audit import audit_table
from privynet_opt.characterization.schema import KEY
from privynet_opt.characterization.table import CharacterizationTable, load_table
from privynet_opt.topology import LocalTopology


@pytest.fixture
def table(tmp_path) -> CharacterizationTable:
    return load_table(write_toy_study(tmp_path / "toy", noise=0.0) / "characterization.csv")


def changed(table: CharacterizationTable, by_db: float, **where: object) -> CharacterizationTable:
    rows = table.rows.copy()
    chosen = pd.Series(True, index=rows.index)
    for name, value in where.items():
        chosen &= rows[name] == value
    assert chosen.any()
    rows.loc[chosen, ["psnr_db", "decoder_psnr_db"]] += by_db
    return replace(table, rows=rows)


def test_a_table_of_perfect_attacks_breaks_no_rule(table):
    audit = audit_table(table)
    assert not audit.violations
    assert {rule for rule, _ in audit.compared} == {"training", "fidelity", "superset", "depth"}


def test_a_trained_attack_below_a_closed_form_on_the_same_topology_is_named(table):
    standard = table.rows[table.rows["fidelity"] == "standard"].iloc[0]
    where = {name: standard[name] for name in ("cut_layer", "kept_filters", "selection_strategy")}
    found = audit_table(changed(table, 20.0, fidelity="screen", **where)).violations
    (violation,) = [v for v in found if v.rule == "fidelity"]
    assert violation.fidelity == "standard"
    assert str(violation.weak) == str(LocalTopology.of(standard))
    assert violation.strong == "its attack at screen"
    assert violation.measured_again == "screen"  # nothing is left to measure


def test_a_superset_that_seems_to_leak_less_is_named_with_what_shows_it(table):
    where = dict(cut_layer="conv2", kept_filters=8, selection_strategy="lda", fidelity="screen")
    weak = changed(table, -6.0, **where)
    (violation,) = audit_table(weak).violations
    assert (violation.rule, violation.fidelity) == ("superset", "screen")
    assert str(violation.weak) == "conv2, 8 filters by lda"
    assert violation.strong == "conv2, 4 filters by lda"
    rows = weak.rows[(weak.rows["fidelity"] == "screen") & (weak.rows["cut_layer"] == "conv2")]
    lda = rows[rows["selection_strategy"] == "lda"].set_index("kept_filters")["psnr_db"]
    assert violation.excess_db == pytest.approx(lda[4] - lda[8])


def test_a_deeper_cut_of_all_channels_that_leaks_more_shows_the_shallower_one_as_weak(table):
    deepest = toy_cuts()[-1]
    where = dict(cut_layer=deepest.name, kept_filters=deepest.channels, fidelity="standard")
    found = audit_table(changed(table, 9.0, **where)).violations
    assert {v.rule for v in found} == {"depth"}
    assert all(v.strong.startswith("conv3, 32 filters") for v in found)
    assert "conv2p" in {v.weak.cut_layer for v in found}


def test_parts_of_a_deeper_cut_that_leak_more_show_the_shallower_whole_as_weak(table):
    where = dict(cut_layer="conv1", kept_filters=toy_cuts()[0].channels, fidelity="standard")
    weak = changed(table, -40.0, **where)
    rows = weak.rows[(weak.rows["fidelity"] == "standard") & (weak.rows["cut_layer"] != "conv1")]
    (found,) = [v for v in audit_table(weak).violations if v.rule == "depth"]
    strongest = LocalTopology.of(rows.loc[rows["psnr_db"].idxmax()])
    assert str(found.weak).startswith("conv1, 8 filters")
    assert found.strong == str(strongest)


def test_several_measurements_of_one_whole_cut_are_not_of_different_depths(table):
    rows = table.rows
    whole = (rows["cut_layer"] == "conv3") & (rows["kept_filters"] == 32)
    again = rows[whole & (rows["fidelity"] == "standard")].assign(training_seed=9)
    again["psnr_db"] -= 1.0
    twice = replace(table, rows=pd.concat([rows, again], ignore_index=True))
    assert not [v for v in audit_table(twice).violations if v.rule == "depth"]


def test_a_decoder_below_the_closed_form_is_undertrained(table):
    where = dict(cut_layer="conv1", kept_filters=1, selection_strategy="lda", fidelity="standard")
    found = audit_table(changed(table, -2.0, **where)).violations
    assert "training" in {v.rule for v in found}


def test_the_spread_is_that_over_the_seeds_of_one_size(table):
    spreads = audit_table(table).spreads
    row = spreads[spreads["fidelity"] == "screen"].iloc[0]
    same = table.screen[
        (table.screen["cut_layer"] == row["cut_layer"])
        & (table.screen["kept_filters"] == row["kept_filters"])
        & (table.screen["selection_strategy"] == "random")
    ]
    assert row["n_seeds"] == len(same) == 3
    assert row["psnr_db"] == pytest.approx(same["psnr_db"].std())


def test_the_spread_is_of_subsets_that_are_sent_plainly(table):
    rows = table.rows.to_dict("records")
    drawn = [r for r in rows if r["selection_strategy"] == "random" and not r["selection_seed"]]
    sent = [sent_row(row, 4, 2.0) for row in drawn]
    otherwise = replace(table, rows=pd.DataFrame([*rows, *sent]))
    assert len(sent) > 10
    pd.testing.assert_frame_equal(audit_table(otherwise).spreads, audit_table(table).spreads)


def test_a_subset_that_is_trained_twice_counts_once_by_its_mean(table):
    once = replace(table, rows=table.trained)
    low, high = (
        once.rows.assign(psnr_db=once.rows["psnr_db"] + by_db, training_seed=seed)
        for seed, by_db in enumerate((-3.0, 3.0))
    )
    twice = replace(table, rows=pd.concat([low, high], ignore_index=True))
    assert len(audit_table(once).spreads)
    pd.testing.assert_frame_equal(audit_table(twice).spreads, audit_table(once).spreads)


@pytest.mark.parametrize("is_trained", [True, False])
def test_a_violation_says_whether_its_topology_is_measured_at_a_dearer_fidelity(table, is_trained):
    nested = (table.rows["selection_strategy"] == "lda") & (table.rows["kept_filters"] > 4)
    key = ["cut_layer", "kept_filters", "selection_strategy"]
    trained = pd.MultiIndex.from_frame(table.trained[key])
    screened = table.rows[nested & (table.rows["fidelity"] == "screen")]
    chosen = screened[pd.MultiIndex.from_frame(screened[key]).isin(trained) == is_trained].iloc[0]
    where = {name: chosen[name] for name in key}
    found = audit_table(changed(table, -9.0, **where, fidelity="screen")).violations
    weak = {v.weak: v.measured_again for v in found}
    topology = LocalTopology(*where.values())
    assert weak[topology] == ("standard" if is_trained else "")


def test_a_larger_decoder_that_recovers_more_shows_the_usual_one_as_too_small(table):
    row = table.trained[table.trained["fidelity"] == "standard"].iloc[0]
    entry = {n: row[n] for n in KEY[:4]} | {"capacity": 2, "images_sha256": ""}
    for gain_db, broken in ((0.1, 0), (0.8, 1)):
        attacks = [{**entry, "psnr_db": row["psnr_db"] + gain_db}]
        audit = audit_table(replace(table, sidecar={**table.sidecar, "side_attacks": attacks}))
        assert audit.compared["capacity", "standard"] == 1
        found = [v for v in audit.violations if v.rule == "capacity"]
        assert len(found) == broken
        assert all(v.strong == "a decoder twice as wide and deep" for v in found)
        assert all(v.excess_db == pytest.approx(gain_db) for v in found)

"""A weak attack never makes a topology look more private than what it contains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from problems import toy_cuts, write_noisy_toy_study, write_toy_study

from privynet_opt.characterization.audit import audit_table
from privynet_opt.characterization.envelope import with_envelope
from privynet_opt.characterization.schema import NOISE_DB
from privynet_opt.characterization.table import CharacterizationTable, load_table
from privynet_opt.proxies import fit, fit_proxies
from privynet_opt.topology import TOPOLOGY_COLUMNS, LocalTopology


@pytest.fixture
def table(tmp_path) -> CharacterizationTable:
    return load_table(write_toy_study(tmp_path / "toy", noise=0.0) / "characterization.csv")


def weakened(
    table: CharacterizationTable, **where: object
) -> tuple[CharacterizationTable, pd.Index]:
    rows = table.rows.copy()
    index = rows.index[np.logical_and.reduce([rows[n] == v for n, v in where.items()])]
    rows.loc[index, ["psnr_db", "ridge_psnr_db"]] -= 6.0
    return replace(table, rows=rows), index


def leak(table: CharacterizationTable, **where: object) -> float:
    rows = table.rows
    (value,) = rows.loc[
        np.logical_and.reduce([rows[n] == v for n, v in where.items()]), "psnr_db"
    ].unique()
    return float(value)


def test_nothing_is_lowered_and_nothing_raised_beyond_what_an_audit_objects_to(table):
    assert not audit_table(table).violations
    by_db = with_envelope(table).rows["psnr_db"] - table.rows["psnr_db"]
    assert (by_db >= 0).all()
    assert by_db.max() <= NOISE_DB


def test_a_trained_attack_is_raised_to_a_cheaper_one_on_the_same_topology(table):
    rows = table.rows.copy()
    standard = rows[rows["fidelity"] == "standard"].iloc[0]
    same = (rows[list(TOPOLOGY_COLUMNS)] == standard[list(TOPOLOGY_COLUMNS)]).all(axis=1)
    rows.loc[same & (rows["fidelity"] == "screen"), "psnr_db"] = 60.0
    raised = with_envelope(replace(table, rows=rows)).rows
    assert (raised.loc[same & (raised["fidelity"] == "standard"), "psnr_db"] == 60.0).all()
    rows.loc[same & (rows["fidelity"] == "screen"), "psnr_db"] = 0.0
    kept = with_envelope(replace(table, rows=rows)).rows
    assert kept.loc[same & (kept["fidelity"] == "screen"), "psnr_db"].max() < 60  # not the reverse
    assert kept.loc[standard.name, "psnr_db"] == standard["psnr_db"]


def test_a_superset_is_raised_to_the_choice_it_contains(table):
    where = dict(cut_layer="conv2", selection_strategy="lda", fidelity="screen")
    weak, index = weakened(table, kept_filters=8, **where)
    raised = with_envelope(weak)
    assert raised.rows.loc[index, "psnr_db"].tolist() == [leak(table, kept_filters=4, **where)]
    assert not audit_table(raised).violations


def test_a_whole_cut_is_raised_to_its_parts_and_to_deeper_whole_cuts(table):
    cut = toy_cuts()[-2]
    where = dict(cut_layer=cut.name, kept_filters=cut.channels, fidelity="screen")
    weak, index = weakened(table, **where)
    deeper = toy_cuts()[-1]
    inside = weak.rows[(weak.rows["fidelity"] == "screen") & ~weak.rows.index.isin(index)]
    parts = inside[inside["cut_layer"] == cut.name]["psnr_db"].max()
    below = inside[(inside["cut_layer"] == deeper.name)]["psnr_db"].max()
    assert (with_envelope(weak).rows.loc[index, "psnr_db"] == max(parts, below)).all()


def test_a_whole_cut_is_raised_to_parts_of_a_deeper_cut(table):
    first, deepest = toy_cuts()[0], toy_cuts()[-1]
    part = table.rows["cut_layer"].eq(deepest.name) & table.rows["kept_filters"].eq(1)
    part &= table.rows["fidelity"].eq("screen")
    rows = table.rows.assign(psnr_db=table.rows["psnr_db"].where(~part, 90.0))
    raised = leak(
        with_envelope(replace(table, rows=rows)),
        cut_layer=first.name, kept_filters=first.channels, fidelity="screen",
    )  # fmt: skip
    assert raised == 90.0


def test_what_a_superset_leaks_at_a_cheaper_fidelity_its_trained_attack_leaks_too(table):
    trained = table.rows[table.rows["fidelity"] == "standard"]
    nested = trained[trained["selection_strategy"] == "lda"].sort_values("kept_filters").iloc[-1]
    is_screened = table.rows["fidelity"] == "screen"
    same = ["cut_layer", "selection_strategy", "selection_seed"]
    part = is_screened & (table.rows[same] == nested[same]).all(axis=1)
    part &= table.rows["kept_filters"] < nested["kept_filters"]
    assert part.any()
    rows = table.rows.copy()
    rows.loc[part, "psnr_db"] = 60.0
    raised = with_envelope(replace(table, rows=rows))
    assert raised.rows.loc[nested.name, "psnr_db"] == 60.0
    pd.testing.assert_frame_equal(with_envelope(raised).rows, raised.rows)


def test_proxies_learn_from_the_envelope(table, monkeypatch):
    where = dict(cut_layer="conv2", kept_filters=8, selection_strategy="lda", selection_seed=0)
    weak, _ = weakened(table, fidelity="screen", **where)

    def predicted(measured: CharacterizationTable) -> float:
        return float(fit_proxies(measured).predict(pd.DataFrame([where]))["psnr_db"].iloc[0])

    assert predicted(weak) == predicted(with_envelope(weak))
    learned = predicted(weak)
    monkeypatch.setattr(fit, "with_envelope", lambda measured: measured)
    assert predicted(weak) != learned


def test_what_is_sent_plainly_is_raised_to_the_same_filters_coded_or_noisy(tmp_path):
    folder = write_noisy_toy_study(tmp_path / "noisy")
    table = load_table(folder / "characterization.csv")
    assert not audit_table(table).violations
    assert audit_table(table).compared["sending", "standard"] > 10
    where = dict(cut_layer="conv2", selection_strategy="lda", fidelity="standard")
    rows = table.rows[np.logical_and.reduce([table.rows[n] == v for n, v in where.items()])]
    noisy = rows[rows["noise_std"] > 0].iloc[0]
    kept = rows[rows["kept_filters"] == noisy["kept_filters"]]
    (plain,) = kept.index[kept["noise_std"] == 0]
    leaky = table.rows.copy()
    leaky.loc[noisy.name, "psnr_db"] = leaky.loc[plain, "psnr_db"] + 2
    violations = audit_table(replace(table, rows=leaky)).violations
    (found,) = [violation for violation in violations if violation.rule == "sending"]
    assert found.strong == str(LocalTopology.of(noisy))
    assert found.excess_db == pytest.approx(2)
    raised = with_envelope(replace(table, rows=leaky)).rows["psnr_db"]
    assert raised[plain] == leaky.loc[noisy.name, "psnr_db"]
    others = table.rows["noise_std"] > 0
    assert (raised[others] == leaky.loc[others, "psnr_db"]).all()

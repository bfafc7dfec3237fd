"""A repair asks for exactly the measurements that answer a violation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
from problems import toy_cuts, write_toy_study

from privynet_opt.characterization import repair
from privynet_opt.characterization.table import CharacterizationTable, load_table
from privynet_opt.topology import LocalTopology


@dataclass(frozen=True)
class Cut:
    cut: SimpleNamespace
    wanted: tuple[tuple[LocalTopology, str], ...] = ()

    def missing(self) -> tuple[tuple[LocalTopology, str], ...]:
        return self.wanted


JOBS = [Cut(SimpleNamespace(name=cut.name)) for cut in toy_cuts()]


@pytest.fixture
def table(tmp_path) -> CharacterizationTable:
    return load_table(write_toy_study(tmp_path / "toy", noise=0.0) / "characterization.csv")


def asked(monkeypatch, table: CharacterizationTable, index: int, **sidecar) -> list:
    rows = table.rows.copy()
    rows.loc[index, ["psnr_db", "decoder_psnr_db"]] -= 9.0
    weak = replace(table, rows=rows, sidecar={**table.sidecar, **sidecar})
    monkeypatch.setattr(repair, "load_table", lambda path: weak)
    return [pair for job in repair.repairs(table.path, JOBS) for pair in job.wanted]


def nested(table: CharacterizationTable, fidelity: str, is_trained: bool):
    """Return the first screened choice by lda that holds another, trained as well or not."""
    key = ["cut_layer", "kept_filters", "selection_strategy"]
    trained = set(table.trained[key].itertuples(index=False, name=None))
    rows = table.rows[
        (table.rows["selection_strategy"] == "lda") & (table.rows["kept_filters"] > 4)
    ]
    rows = rows[rows["fidelity"] == fidelity]
    return next(r for r in rows.itertuples() if (r[1:4] in trained) == is_trained)


def test_a_weak_closed_form_gets_networks_of_its_own(table, monkeypatch):
    row = nested(table, "screen", is_trained=False)
    weak = LocalTopology(row.cut_layer, row.kept_filters, "lda")
    assert asked(monkeypatch, table, row.Index) == [(weak, "standard")]


def test_what_is_measured_better_already_is_left_alone(table, monkeypatch):
    row = nested(table, "screen", is_trained=True)
    assert asked(monkeypatch, table, row.Index) == []


def test_weak_networks_are_trained_to_convergence(table, monkeypatch):
    row = nested(table, "standard", is_trained=True)
    weak = LocalTopology(row.cut_layer, row.kept_filters, "lda")
    assert (weak, "full") in asked(monkeypatch, table, row.Index)


def test_networks_that_recover_less_than_a_cheaper_attack_are_trained_to_convergence(
    table, monkeypatch
):
    rows = table.rows.copy()
    drawn = rows[(rows["selection_strategy"] == "random") & (rows["fidelity"] == "standard")]
    weak = LocalTopology.of(drawn.iloc[0])  # no other choice contains a random one, or is part
    names = list(weak.as_dict())
    same = (rows[names] == drawn.iloc[0][names]).all(axis=1)
    rows.loc[same & (rows["fidelity"] == "screen"), "psnr_db"] += 20.0
    monkeypatch.setattr(repair, "load_table", lambda path: replace(table, rows=rows))
    wanted = [pair for job in repair.repairs(table.path, JOBS) for pair in job.wanted]
    assert (weak, "full") in wanted


def test_a_decoder_that_is_too_small_is_not_trained_longer(table, monkeypatch):
    row = table.trained.iloc[0]
    names = ("cut_layer", "kept_filters", "selection_strategy", "selection_seed")
    attack = {n: row[n] for n in names} | {"capacity": 2, "images_sha256": "", "psnr_db": 99.0}
    rows = table.rows
    monkeypatch.setattr(
        repair,
        "load_table",
        lambda path: replace(table, rows=rows, sidecar={**table.sidecar, "side_attacks": [attack]}),
    )
    assert repair.repairs(table.path, JOBS) == []

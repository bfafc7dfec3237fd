"""The loop on a toy whose every measurement is known, under a clock that is set."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from operator import itemgetter

import numpy as np
import pandas as pd
import pytest
from problems import STRATEGIES, toy_row, toy_topologies, write_noisy_toy_study
from toy_laboratory import LIMITS, NOISE, ToyLaboratory, ask, toy_measurement

from privynet_opt.candidates import best_of
from privynet_opt.cost import cut_costs
from privynet_opt.topology import SENDING_DEFAULTS, LocalTopology
from privynet_opt.tuning import rounds
from privynet_opt.tuning.rounds import N_INITIAL, STABLE_ROUNDS


def flops_of(laboratory, topology):
    return cut_costs(laboratory.cuts[topology.cut_layer], topology.kept_filters)["local_flops"]


def recommended(tuning, laboratory):
    words = tuning.diary.verdicts[-1].recommended
    (topology,) = {t for t, _ in laboratory.trained if str(t) == words}
    return topology


def best_accuracy(laboratory):
    """Return the largest accuracy of all topologies that keep `LIMITS` as measured."""
    found = []
    for topology in toy_topologies():
        row = toy_row(topology, "standard", NOISE)
        flops = cut_costs(laboratory.cuts[topology[0]], topology[1])["local_flops"]
        if row["psnr_db"] <= 17.5 and flops <= 1e6:
            found.append(row["accuracy"])
    return max(found)


def test_it_ends_on_a_measured_feasible_topology_that_hardly_any_other_beats(ended):
    tuning, laboratory, ending = ended
    assert ending in ("stable", "settled")
    verdict = tuning.diary.verdicts[-1]
    assert verdict.confirmed and verdict.measured == "standard" and not verdict.broken
    row = laboratory.rows[recommended(tuning, laboratory), "standard"]
    assert row["psnr_db"] <= 17.5
    assert row["accuracy"] >= best_accuracy(laboratory) - 0.02
    assert len(laboratory.trained) < len(toy_topologies()) / 2


def test_a_verdict_recommends_nothing_outside_the_range_of_what_is_trained(
    one_model, laboratory, monkeypatch
):
    judged = []
    monkeypatch.setattr(rounds, "best_of", lambda rows: judged.append(rows) or best_of(rows))
    tuning = ask(laboratory)
    tuning._begin()
    tuning._round()
    (rows,) = judged
    assert 0 < len(rows) < len(toy_topologies())
    assert not rows["extrapolation"].any()


def test_every_round_and_every_trained_measurement_is_told_in_a_line(ended):
    tuning, laboratory, _ = ended
    told = [line for line in tuning.said if line.startswith("round")]
    assert len(told) == len(tuning.diary.verdicts) > 1
    assert f", {N_INITIAL} trained, " in told[0]
    assert f", {len(laboratory.trained)} trained, " in told[-1]
    assert str(recommended(tuning, laboratory)) in told[-1]
    assert "measured at standard, keeps every limit" in told[-1]
    trained = [line for line in tuning.said if line.startswith("  trained at standard: ")]
    assert len(trained) == len(laboratory.trained)


def test_nothing_that_exact_numbers_rule_out_is_measured(ended):
    _, laboratory, _ = ended
    assert all(flops_of(laboratory, topology) <= 1e6 for topology, _ in laboratory.order)
    for topology, _ in laboratory.trained:
        assert laboratory.rows[topology, "screen"]["psnr_db"] <= 17.5
    out = [t for t, f in laboratory.order if laboratory.rows[t, "screen"]["psnr_db"] > 17.5]
    assert out  # there were some


def test_a_verdict_is_stable_when_three_rounds_gave_it(laboratory, monkeypatch):
    monkeypatch.setattr(rounds, "SMALLEST_GAIN", 0.0)
    monkeypatch.setattr(rounds, "BATCH", 1)
    tuning = ask(laboratory, *LIMITS)
    assert tuning.run() == "stable"
    verdicts = tuning.diary.verdicts
    assert len({v.recommended for v in verdicts[-STABLE_ROUNDS:]}) == 1
    assert verdicts[-1].confirmed
    before = verdicts[-STABLE_ROUNDS - 1 : -1]
    assert len({v.recommended for v in before}) > 1 or len(verdicts) == STABLE_ROUNDS


def test_a_dearer_measurement_of_what_is_recommended_confirms_it(ended, tmp_path):
    before, measured, _ = ended
    shutil.copytree(measured.folder, tmp_path / "toy")
    laboratory = replace(measured, folder=tmp_path / "toy", rows=dict(measured.rows), order=[])
    top = recommended(before, measured)
    laboratory.rows[top, "full"] = toy_measurement(top, "full")  # as `validate` adds it
    tuning = ask(laboratory, *LIMITS)

    def say(line):
        tuning.said.append(line)
        assert len(tuning.said) < 20, "it goes round and round"

    tuning.say = say
    assert tuning.run() in ("stable", "settled")
    verdict = tuning.diary.verdicts[-1]
    assert verdict.recommended == str(top) and verdict.measured == "full" and verdict.confirmed
    assert "measured at full, keeps every limit" in tuning.said[-1]


@pytest.mark.parametrize(
    ("measured", "predicted", "psnr_db", "is_confirmed"),
    [
        ("standard", "standard", 15.0, True),
        ("full", "standard", 15.0, True),
        ("full", "standard", 18.0, False),
        ("standard", "full", 15.0, False),
        ("", "standard", np.nan, False),
    ],
)
def test_what_was_measured_as_well_as_is_predicted_and_keeps_every_limit_is_confirmed(
    ended, measured, predicted, psnr_db, is_confirmed
):
    topology = LocalTopology("conv1", 4, "lda").as_dict() | SENDING_DEFAULTS
    values = {"accuracy": 0.5, "measured_accuracy": 0.5, "psnr_db": 15.0, "psnr_db_upper": 16.0}
    found = {"measured_fidelity": measured, "measured_psnr_db": psnr_db}
    verdict = ended[0]._verdict(pd.Series(topology | values | found), predicted, 9)
    assert verdict.confirmed == is_confirmed


@pytest.mark.parametrize(("measured", "is_broken"), [("standard", False), ("full", True)])
def test_a_cheaper_measurement_than_predicted_does_not_break_a_limit_on_accuracy(
    laboratory, measured, is_broken
):
    topology = LocalTopology("conv1", 4, "lda").as_dict() | SENDING_DEFAULTS
    values = {"accuracy": 0.6, "psnr_db": 15.0, "psnr_db_upper": 16.0, "measured_psnr_db": 15.0}
    found = {"measured_fidelity": measured, "measured_accuracy": 0.5}
    tuning = ask(laboratory, "psnr_db <= 17.5", "accuracy >= 0.55")
    verdict = tuning._verdict(pd.Series(topology | values | found), "full", 9)
    assert verdict.broken == (("accuracy >= 0.55",) if is_broken else ())
    assert not verdict.confirmed  # so that it is measured as it was predicted


def test_a_round_in_which_nothing_was_missing_or_no_time_was_left_is_the_last(laboratory):
    tuning = ask(laboratory, *LIMITS, seconds=1000.0)
    assert tuning._begin() is None
    laboratory.measure = lambda pairs, may_begin, finished: True
    assert tuning._round() == "settled"
    laboratory.now = 1000.0
    laboratory.measure = pytest.fail
    assert tuning._round() == "budget"


def test_no_measurement_begins_that_the_budget_has_no_time_for(laboratory):
    tuning = ask(laboratory, *LIMITS, seconds=200.0)
    assert tuning.run() == "budget"
    assert len(laboratory.trained) == N_INITIAL and laboratory.now <= 200
    assert len(tuning.diary.verdicts) == 1
    order = list(laboratory.order)
    again = ask(laboratory, *LIMITS, seconds=200.0)  # the same again measures nothing
    assert again.run() == "budget"
    assert laboratory.order == order and len(again.diary.verdicts) == 1


def test_a_measurement_that_has_begun_is_finished(laboratory):
    assert ask(laboratory, seconds=20.0).run() == "budget"
    assert len(laboratory.trained) == 1 and laboratory.now > 20


def test_an_interrupted_tuning_goes_on_where_it_was(ended, laboratory):
    laboratory.stop_after = 4
    tuning = ask(laboratory, *LIMITS)
    with pytest.raises(KeyboardInterrupt):
        tuning.run()
    before, spent = list(laboratory.order), laboratory.now
    kept = json.loads((laboratory.folder / "tuning.json").read_text())
    (question,) = kept["questions"]
    assert question["spent_seconds"] == pytest.approx(spent)
    laboratory.stop_after = None
    again = ask(laboratory, *LIMITS)
    assert again.budget.spent == pytest.approx(spent)
    assert again.run() == ended[2]
    assert laboratory.order == ended[1].order  # nothing twice, nothing else
    assert laboratory.order[: len(before)] == before
    assert again.diary.verdicts == ended[0].diary.verdicts


def test_another_question_in_the_same_folder_begins_its_own_time(laboratory):
    ask(laboratory, *LIMITS, seconds=100.0).run()
    other = ask(laboratory, "psnr_db <= 16")
    assert other.budget.spent == 0 and not other.diary.verdicts
    wider = ask(laboratory, *LIMITS, extrapolate=True)
    assert wider.budget.spent == 0
    assert ask(laboratory, *LIMITS).budget.spent > 0
    assert other.diary.expected_seconds("standard") == pytest.approx(30)


def test_costs_that_rule_everything_out_are_found_without_measuring(laboratory):
    assert ask(laboratory, "local_flops <= 10").run() == "impossible"
    assert not laboratory.order


def test_a_leak_that_the_closed_form_shows_is_found_without_training(laboratory):
    assert ask(laboratory, "psnr_db <= 9").run() == "impossible"
    assert laboratory.order and not laboratory.trained


def test_limits_that_training_shows_out_of_reach_end_without_a_recommendation(laboratory):
    tuning = ask(laboratory, "psnr_db <= 14.5", "accuracy >= 0.9")
    assert tuning.run() == "settled"
    assert tuning.diary.verdicts[-1].recommended is None
    assert "no topology keeps every limit" in tuning.said[-1]
    assert len(laboratory.trained) < 12


def test_limits_that_leave_too_few_for_a_fit_are_answered_with_help_from_beyond(laboratory):
    tuning = ask(laboratory, "local_macs <= 10000")
    assert tuning.run() in ("stable", "settled")
    assert tuning.diary.verdicts[-1].recommended == "conv1, 1 filter by lda"
    left = [t for t, _ in laboratory.trained if flops_of(laboratory, t) <= 20000]
    assert {str(t) for t in left} <= {f"conv1, 1 filter by {s}" for s in STRATEGIES}
    assert len({(t.cut_layer, t.kept_filters) for t, _ in laboratory.trained}) >= 3
    assert len(laboratory.trained) <= N_INITIAL + 3


@pytest.fixture(scope="module")
def noisy(one_model, tmp_path_factory):
    """A tuning whose topologies also differ in bits and noise, and its laboratory."""
    folder = tmp_path_factory.mktemp("noisy") / "noisy-toy"
    laboratory = ToyLaboratory(write_noisy_toy_study(folder, noise_step=0.5, with_table=False))
    tuning = ask(laboratory, *LIMITS)
    assert tuning.run() in ("stable", "settled")
    return tuning, laboratory


def test_bits_and_noise_are_screened_plainly_and_trained_far_apart(noisy):
    _, laboratory = noisy
    first = laboratory.order.index(laboratory.trained[0])
    assert all(topology.is_sent_plainly for topology, _ in laboratory.order[:first])
    begun = [topology for topology, _ in laboratory.trained[:N_INITIAL]]
    assert {topology.feature_bits for topology in begun} == {32, 4}
    assert {0.0, 2.0} <= {topology.noise_std for topology in begun}


def test_what_is_trained_on_coded_features_is_attacked_in_closed_form_as_well(noisy):
    _, laboratory = noisy
    coded = {topology for topology, _ in laboratory.trained if not topology.is_sent_plainly}
    screened = {topology for topology, fidelity in laboratory.order if fidelity == "screen"}
    assert coded and {t for t in screened if not t.is_sent_plainly} == coded


def test_with_noise_it_ends_on_a_measured_topology_that_hardly_any_other_beats(noisy):
    tuning, laboratory = noisy
    verdict = tuning.diary.verdicts[-1]
    assert verdict.confirmed and not verdict.broken
    found = laboratory.rows[recommended(tuning, laboratory), "standard"]
    everything = [LocalTopology.of(row) for _, row in tuning.topologies.iterrows()]
    rows = {
        topology: toy_measurement(topology, "standard")
        for topology in everything
        if flops_of(laboratory, topology) <= 1e6
    }
    best = max((row for row in rows.values() if row["psnr_db"] <= 17.5), key=itemgetter("accuracy"))
    assert best["noise_std"] or best["feature_bits"] < 32  # plain ones alone would not reach it
    assert found["psnr_db"] <= 17.5
    assert found["accuracy"] >= best["accuracy"] - 0.02
    assert len(laboratory.trained) < len(everything) / 10

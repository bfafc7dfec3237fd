import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from fake_result import FakeResult, fake_result

from privynet_opt.candidates import best_of, recommendable
from privynet_opt.characterization.fresh import FreshMeasurements
from privynet_opt.characterization.schema import KEY
from privynet_opt.constraints import Constraint
from privynet_opt.infeasibility import explain_infeasibility
from privynet_opt.report.cards import cards
from privynet_opt.report.health import health_checks
from privynet_opt.report.verdict import margin, verdict
from privynet_opt.validation import Validation, compare, neighbourhood


@pytest.fixture(scope="module")
def result():
    return fake_result()


def edited(result, **best):
    """The same result with some values of the recommended topology changed."""
    fields = {name: getattr(result, name) for name in vars(result)}
    row = result.best.copy()
    for name, value in best.items():
        row[name] = value
    return FakeResult(**{**fields, "best": row})


def titles(result, level=None):
    return [c.title for c in health_checks(result) if level in (None, c.level)]


def test_the_verdict_names_the_topology_and_gives_it_as_json(result):
    found = verdict(result)
    best = result.best
    assert found.topology == "conv4, 6 filters by privacy"
    assert json.loads(found.topology_json) == {
        "cut_layer": best["cut_layer"],
        "kept_filters": best["kept_filters"],
        "selection_strategy": best["selection_strategy"],
        "selection_seed": 0,
    }
    assert "Cut vgg16 after conv4 and keep 6 of its 128 filters" in found.sentence
    assert found.infeasibility == ()


def test_a_choice_by_accuracy_is_explained_where_accuracy_is_no_objective(result):
    said = "Accuracy decides what is recommended"
    assert said not in verdict(result).sentence
    asked = FakeResult(**{**vars(result), "objectives": ("psnr_db", "ssim")})
    assert f"{said}, so the recommended topology need not be on" in verdict(asked).sentence
    (card,) = [card for card in cards(asked) if card.id == "verdict"]
    assert said in card.body["verdict"].sentence


def test_each_limit_shows_value_interval_limit_and_margin(result):
    row = verdict(result).constraints[0]
    assert row.metric == "Privacy loss (PSNR)"
    assert (row.value, row.interval) == ("16.81 dB", "16.39 to 17.23 dB")
    assert (row.limit, row.margin, row.holds) == ("≤ 17.50 dB", "+0.27 dB", True)
    assert row.checked == "upper end of the interval"


def test_the_privacy_loss_is_said_in_decibels_and_to_the_eye(result):
    tile = next(tile for tile in verdict(result).tiles if tile.title == "Privacy loss (PSNR)")
    assert tile.value == "16.81 dB"
    assert tile.note == "about a 4×4 thumbnail; 90% interval 16.39 to 17.23 dB"


def test_costs_are_exact_and_checked_on_themselves(result):
    row = verdict(result).constraints[1]
    assert (row.interval, row.checked, row.margin) == ("exact", "the value", "+29.7 MFLOPs")


def test_costs_stand_beside_those_of_the_whole_network(result, monkeypatch):
    def note(title):
        return next(tile.note for tile in verdict(result).tiles if tile.title == title)

    assert note("Local compute").endswith(" of vgg16 up to conv10; exact")
    flops = float(result.best["local_flops"])
    whole = {"local_flops": 4 * flops}
    monkeypatch.setitem(result.table.sidecar["network"], "whole", whole)
    assert note("Local compute") == "25% of the whole vgg16; exact"


def test_a_margin_is_negative_where_the_limit_is_broken():
    row = {"accuracy": 0.5, "psnr_db": 17.0, "psnr_db_upper": 17.6}
    assert margin(row, Constraint("psnr_db <= 17.5")) == pytest.approx(-0.1)
    assert margin(row, Constraint("accuracy >= 0.6")) == pytest.approx(-0.1)
    assert margin(row, Constraint("accuracy >= 0.4")) == pytest.approx(0.1)


def test_the_ruler_puts_the_interval_between_its_marks(result):
    ruler = verdict(result).ruler
    places = {mark.name: mark.percent for mark in ruler.marks}
    start, length = ruler.interval
    assert places["label only"] < start < ruler.value.percent < start + length
    assert start + length < ruler.limit.percent == places["4×4 thumbnail"]
    assert [mark.lane for mark in ruler.marks] == [0, 1, 0, 0, 0]
    assert "no closer than a 4×4 thumbnail" in ruler.words


def test_there_is_no_ruler_without_a_measured_scale():
    result = fake_result()
    del result.table.sidecar["data"]["psnr_scale_db"]
    assert verdict(result).ruler is None


def test_nothing_feasible_says_why():
    found = verdict(fake_result(constraints=("psnr_db <= 13.5", "accuracy >= 0.6")))
    assert (found.topology, found.topology_json, found.tiles) == ("", "", ())
    assert found.infeasibility[0].startswith("psnr_db <= 13.5 excludes 988 of 990")
    assert found.infeasibility[-1].startswith("nearest: ")
    assert [row.constraint for row in found.relaxations] == ["psnr_db <= 13.5", "accuracy >= 0.6"]
    assert all(row.topology for row in found.relaxations)


def test_a_limit_that_no_relaxation_helps_says_so():
    found = verdict(fake_result(constraints=("psnr_db <= 1", "accuracy >= 0.95")))
    assert found.relaxations[0].relaxed == "no value helps while the others stay"
    assert found.relaxations[0].topology == ""


def test_no_limits_leave_the_verdict_without_rows():
    assert verdict(fake_result(constraints=())).constraints == ()


def test_a_prediction_asks_for_a_measurement(result):
    assert "The recommended topology is predicted, not measured" in titles(result, "watch")


def test_a_measurement_that_breaks_a_limit_is_the_first_check(result):
    measured = {"measured": True, "measured_fidelity": "full", "measured_psnr_db": 18.0}
    worse = edited(result, measured_accuracy=0.4, measured_ssim=0.3, **measured)
    assert titles(worse)[0] == "The recommended topology's own measurement breaks a limit"
    better = edited(worse, measured_psnr_db=17.0)
    assert "The recommended topology was measured" in titles(better, "good")
    for judged in (worse, better):
        (said,) = (c.text for c in health_checks(judged) if "recommended topology" in c.title)
        assert "accuracy at full, privacy losses by the strongest attack" in said


def test_a_cheaper_measurement_than_predicted_does_not_break_a_limit_on_accuracy(result):
    title = "The recommended topology's own measurement breaks a limit"
    limits = (*result.constraints, Constraint("accuracy >= 0.5"))
    measured = {"measured": True, "measured_psnr_db": 15.0, "measured_ssim": 0.3}
    worse = edited(result, measured_accuracy=0.4, measured_fidelity="standard", **measured)
    worse.constraints = limits
    for predicted, is_broken in (("standard", True), ("full", False)):
        worse.proxies.fidelity = predicted
        assert (title in titles(worse, "act")) == is_broken
        left_open = "The recommended topology's measurement leaves a limit open"
        assert (left_open in titles(worse, "watch")) != is_broken


def test_extrapolation_is_worth_a_warning(result):
    title = "The recommended topology lies beyond what was measured"
    assert title not in titles(result)
    outside = edited(result, extrapolation=True)
    assert title in titles(outside, "watch")
    (said,) = (check.text for check in health_checks(outside) if check.title == title)
    reasons = f"Trained measurements of {result.best['cut_layer']} keep at most 256 filters; it is"
    assert said.startswith(f"{reasons} made up: there the interval promises nothing.")


def beyond(result, rows):
    """The same question with some candidates outside the range of the trained measurements."""
    candidates = result.candidates.assign(extrapolation=rows)
    eligible = recommendable(candidates, extrapolate=False)
    why = explain_infeasibility(eligible, result.constraints)
    changed = {"candidates": candidates, "best": best_of(eligible), "infeasibility": why}
    return FakeResult(**{**vars(result), **changed})


def test_a_better_topology_beyond_what_was_measured_is_named_and_not_recommended(result):
    found = beyond(result, result.candidates.index == result.best.name)
    assert found.best["accuracy"] < result.best["accuracy"]
    (title,) = [t for t in titles(found, "watch") if "Not recommended" in t]
    assert verdict(result).topology in title
    (said,) = (check.text for check in health_checks(found) if check.title == title)
    assert f"of {result.best['cut_layer']} keep" in said
    n = len(result.candidates) - 1
    sentence = verdict(found).sentence
    assert f"Of the {n:,} topologies within the range of the trained measurements" in sentence


def test_where_only_extrapolation_meets_the_limits_nothing_is_recommended(result):
    feasible = result.candidates["feasible"]
    found = beyond(result, feasible)
    assert found.best is None
    assert f"Outside it {feasible.sum()} are predicted to" in verdict(found).sentence
    assert any("--extrapolate" in check.text for check in health_checks(found))
    assert not any("Nothing is feasible" in title for title in titles(found, "act"))


@pytest.mark.parametrize("best", [{"cut_layer": "conv10p"}, {"kept_filters": 128}])
def test_an_edge_of_the_search_space_is_worth_a_warning(result, best):
    title = "The choice lies at an edge of the search space"
    assert title not in titles(result)
    assert title in titles(edited(result, **best), "watch")


def test_a_limit_that_only_just_holds_is_worth_a_warning(result):
    tight = edited(result, psnr_db_upper=17.49)
    assert "Privacy loss (PSNR) only just holds" in titles(tight, "watch")
    (check,) = [c for c in health_checks(tight) if "only just holds" in c.title]
    assert check.text.endswith("one slightly lower would change the choice.")
    best = result.best["accuracy"]
    floor = FakeResult(**{**vars(result), "constraints": (Constraint(f"accuracy >= {best}"),)})
    (check,) = [c for c in health_checks(floor) if "only just holds" in c.title]
    assert check.text.endswith("one slightly higher would change the choice.")


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"mean_absolute_error": 0.6}, "Privacy loss (PSNR) is predicted less well than asked for"),
        ({"spearman": 0.9}, "Privacy loss (PSNR) is predicted less well than asked for"),
        ({"coverage": 0.8}, "Privacy loss (PSNR): intervals are too narrow"),
    ],
)
def test_a_weak_proxy_is_worth_a_warning(change, title):
    result = fake_result()
    assert title not in titles(result)
    validations = result.proxies.validations
    validations["psnr_db"] = replace(validations["psnr_db"], **change)
    assert title in titles(result, "watch")


def test_short_recipes_alone_are_worth_a_warning():
    result = fake_result()
    assert "Predictions are for attackers trained to convergence" in titles(result, "good")
    result.proxies.fidelity = "standard"
    for said in ("too few are of a dearer one", "none is of a dearer one"):
        (text,) = (c.text for c in health_checks(result) if "short recipe" in c.title)
        assert said in text
        trained = result.table.trained
        result.table.trained = trained[trained["fidelity"] == "standard"]
    assert "Attackers were trained by a short recipe" in titles(result, "watch")


def test_few_converged_attackers_are_worth_a_warning():
    result = fake_result()
    full = result.table.trained["fidelity"] == "full"
    result.table.trained = pd.concat([result.table.trained[full][:11], result.table.trained[~full]])
    assert "Few attackers were trained to convergence" in titles(result, "watch")
    result.table.trained = pd.concat([result.table.trained, fake_result().table.trained[full][11:]])
    assert "Predictions are for attackers trained to convergence" in titles(result, "good")


def test_an_attack_that_another_contradicts_is_worth_a_warning():
    result = fake_result()
    rows = result.table.rows
    weak = rows["decoder_psnr_db"].copy()
    weak.iloc[5] -= 3
    result.table.rows = rows.assign(decoder_psnr_db=weak)
    (check,) = [c for c in health_checks(result) if c.title == "Some attacks were too weak"]
    assert check.level == "watch"
    assert "the closed form on the same channels shows 2.00 dB more" in check.text
    result.table.rows = rows[rows["kept_filters"] == 4]
    assert "No trained attack contradicts another" in titles(result, "good")


def test_secrecy_that_does_not_survive_a_guess_is_worth_a_warning():
    result = fake_result()
    worthless = "Do not count on keeping the kept filters secret"
    assert worthless not in titles(result)  # nothing was measured
    entry = {"known_psnr_db": 17.0, "wrong_psnr_db": 12.0, "guessed_share": 1.0}
    result.table.sidecar["anonymity"] = [{**entry, "guessed_psnr_db": 16.9}]
    assert worthless in titles(result, "watch")
    result.table.sidecar["anonymity"] = [{**entry, "guessed_psnr_db": 14.0}]
    assert "Keeping the kept filters secret costs an attacker" in titles(result, "good")


def test_what_an_attacker_loses_without_images_like_the_users_is_told():
    result = fake_result()
    result.table.rows = result.table.rows.assign(fidelity="standard")
    standard = result.table.rows.iloc[0]
    key = {n: standard[n] for n in KEY[:4]}
    entry = {**key, "images": "photos", "images_sha256": "ab", "n_images": 5000, "capacity": 1}
    for lost_db, level, title in (
        (2.0, "good", "An attacker without images like yours recovers less"),
        (0.1, "watch", "Images of another kind serve an attacker nearly as well"),
    ):
        other = {**entry, "psnr_db": standard["psnr_db"] - lost_db}
        result.table.sidecar["side_attacks"] = [other]
        assert title in titles(result, level)
        (check,) = [c for c in health_checks(result) if c.title == title]
        assert "5,000 images of photos" in check.text
        assert f"{lost_db:.2f} dB less on average over 1 topology," in check.text


@pytest.mark.parametrize(
    ("psnr_db", "level", "title"),
    [
        (17.4, "good", "A fresh attack confirms the limits"),
        (17.9, "act", "A fresh attack breaks a limit"),
    ],
)
def test_what_a_fresh_attack_found_is_told(psnr_db, level, title):
    result = fake_result(constraints=("psnr_db <= 17.5",))
    chosen = neighbourhood(result.front, result.best, 1)
    rows = pd.DataFrame({"accuracy": [0.5] * 2, "psnr_db": [psnr_db, 16.0], "ssim": [0.5] * 2})
    nothing = rows[["psnr_db", "ssim"]] * float("nan")
    points = compare(chosen, rows, nothing, result.constraints, result.constraints)
    result.validation = Validation(
        points, "full", "full", 2, FreshMeasurements((), (), (), {}, {}, Path("gallery")), True
    )
    (check,) = [c for c in health_checks(result) if "fresh attack" in c.title]
    assert (check.level, check.title) == (level, title)
    assert f"{psnr_db:.2f} dB, predicted" in check.text
    if level == "good":
        result.best = result.front.iloc[-1]
        assert "What is recommended now was not attacked afresh" in titles(result, "watch")
        result.best = chosen.iloc[0]
        result.validation = replace(result.validation, fidelity="standard")
        title = "A fresh attack confirms the limits, at standard only"
        (check,) = [c for c in health_checks(result) if c.title == title]
        assert check.level == "watch"
        assert "They were predictions for full" in check.text
        result.validation = replace(result.validation, fidelity="full")
    kept = 2 if level == "good" else 1
    assert f"Of 2 topologies measured so, {kept} keep every limit" in check.text


def test_a_search_that_misses_much_says_so():
    result = fake_result()
    assert "The search found nearly all there is" in titles(result, "good")
    result.search = replace(result.search, gap=0.2)
    assert "The search alone missed a part" in titles(result, "watch")


def test_nothing_feasible_is_the_first_check():
    result = fake_result(constraints=("psnr_db <= 1",))
    assert titles(result)[0].startswith("Nothing is feasible")

"""A fresh attack is put beside the predictions and judged by the limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from privynet_opt.candidates import decided_by
from privynet_opt.cli_output import print_validation
from privynet_opt.constraints import Constraint
from privynet_opt.errors import StudyError
from privynet_opt.label_knowledge import with_label_aware
from privynet_opt.report.validation_check import validation_check
from privynet_opt.topology import SENDING_DEFAULTS
from privynet_opt.validation import (
    Validation,
    compare,
    neighbourhood,
    told_of_earlier,
)


def points(*psnr_db: float) -> pd.DataFrame:
    n = len(psnr_db)
    frame = pd.DataFrame({"cut_layer": "conv1", "kept_filters": range(1, n + 1)})
    frame = frame.assign(selection_strategy="lda", selection_seed=0, **SENDING_DEFAULTS)
    frame = frame.assign(psnr_db=psnr_db)
    frame = frame.assign(accuracy=np.linspace(0.5, 0.6, n), ssim=0.5)
    for target, half in (("accuracy", 0.02), ("psnr_db", 0.3), ("ssim", 0.05)):
        frame[f"{target}_lower"], frame[f"{target}_upper"] = (
            frame[target] - half,
            frame[target] + half,
        )
    return frame


def known(*psnr_db: float) -> pd.DataFrame:
    return pd.DataFrame({"psnr_db": psnr_db, "ssim": np.nan})


def test_neighbours_are_those_of_the_most_similar_predictions():
    front = points(15.0, 15.5, 16.0, 16.5, 19.0)
    chosen = neighbourhood(front, front.iloc[3], 2)
    assert chosen["kept_filters"].tolist() == [4, 3, 2]
    assert chosen.dtypes.equals(front.dtypes)
    assert len(neighbourhood(front, front.iloc[3], 9)) == 5
    assert len(neighbourhood(front, front.iloc[3], 0)) == 1


def test_limits_are_checked_on_measurements_and_intervals_told_apart():
    rows = pd.DataFrame({"accuracy": [0.5, 0.7], "psnr_db": [15.2, 16.1], "ssim": [0.5, 0.5]})
    limits = [
        Constraint("psnr_db <= 16"),
        Constraint("accuracy >= 0.6"),
        Constraint("local_flops <= 1"),
    ]
    found = compare(points(15.0, 15.5), rows, known(np.nan, np.nan), limits, limits)
    assert found["undecided"].tolist() == ["", ""]
    assert found["broken"].tolist() == ["accuracy >= 0.6", "psnr_db <= 16"]
    assert found["inside_psnr_db"].tolist() == [True, False]
    assert found["inside_accuracy"].tolist() == [True, False]
    assert found["measured_psnr_db"].tolist() == [15.2, 16.1]
    assert told_of_earlier(found) == ""
    again = known(*(float(f"{value:.6g}") for value in (15.20000449, 16.1)))
    rows = rows.assign(psnr_db=[15.20000449 - 1e-5, 16.1])  # six digits of it are in the table
    found = compare(points(15.0, 15.5), rows, again, limits, limits)
    assert told_of_earlier(found) == ""


def test_an_attack_that_recovered_more_before_counts_against_the_limits(capsys):
    rows = pd.DataFrame({"accuracy": [0.5, 0.5], "psnr_db": [15.2, 15.4], "ssim": [0.5, 0.5]})
    limits = [Constraint("psnr_db <= 15.3")]
    found = compare(points(15.0, 15.0), rows, known(15.35, 15.3), limits, limits)
    assert found["measured_psnr_db"].tolist() == [15.35, 15.4]
    assert found["earlier"].tolist() == [True, False]
    assert found["broken"].tolist() == ["psnr_db <= 15.3"] * 2
    assert not found["inside_psnr_db"].iloc[0]
    assert not found["inside_psnr_db"].iloc[1]
    validation = Validation(found, "standard", "standard", 1, None, same_source=True)
    print_validation(validation)
    said = "An earlier attack recovered more of 1 of these topologies than the fresh ones"
    assert said in " ".join(capsys.readouterr().out.split())


def test_nothing_recommended_is_nothing_to_validate(hopeless_result):
    with pytest.raises(StudyError, match="nothing is recommended"):
        hopeless_result.validate()


def test_a_cheaper_attack_than_predicted_does_not_pass_for_the_predicted_one(capsys) -> None:
    rows = pd.DataFrame({"accuracy": [0.5], "psnr_db": [15.2], "ssim": [0.4]})
    limits = [Constraint("psnr_db <= 16")]
    found = compare(points(15.0), rows, known(np.nan), limits, limits)
    for predicted, said in (
        ("full", "keeps every limit at standard, which attacks and learns less than the full"),
        ("standard", "keeps every limit; of 1 measured, 1 keep every limit."),
    ):
        validation = Validation(found, predicted, "standard", 1, None, same_source=True)
        print_validation(validation)
        assert said in " ".join(capsys.readouterr().out.split())


def test_an_accuracy_that_a_cheaper_network_does_not_reach_is_undecided(capsys) -> None:
    rows = pd.DataFrame({"accuracy": [0.5], "psnr_db": [16.5], "ssim": [0.4]})
    limits = [Constraint("psnr_db <= 16"), Constraint("accuracy >= 0.6")]
    assert decided_by(limits, "full", "standard") == tuple(limits)
    decided = decided_by([*limits, Constraint("local_flops <= 1")], "standard", "full")
    found = compare(points(15.0), rows, known(np.nan), limits, decided)
    assert found["broken"].tolist() == ["psnr_db <= 16"]  # a dearer attack recovers more
    assert found["undecided"].tolist() == ["accuracy >= 0.6"]
    found = compare(points(15.0), rows.assign(psnr_db=15.0), None, limits, decided)
    validation = Validation(found, "full", "standard", 1, None, same_source=True)
    assert validation.holds
    print_validation(validation)
    printed = " ".join(capsys.readouterr().out.split())
    assert "undecided: accuracy >= 0.6" in printed
    assert "breaks no limit, but leaves accuracy >= 0.6 undecided" in printed
    assert "of 1 measured, 0 keep every limit" in printed
    for judged in (validation, replace(validation, same_source=False)):
        check = validation_check(judged, found.iloc[0])
        assert check.title == "A fresh attack breaks no limit, and leaves one undecided"
        assert check.level == "watch" and "does not decide accuracy >= 0.6" in check.text


def test_a_limit_that_holds_only_without_the_label_is_told(capsys) -> None:
    rows = pd.DataFrame({"accuracy": [0.5], "psnr_db": [15.2], "ssim": [0.4]})
    limits = [Constraint("psnr_db <= 16")]
    blind = compare(points(15.0), rows, None, limits, limits)
    for leak, level, title in (
        (15.9, "good", "A fresh attack confirms the limits"),
        (16.1, "watch", "A fresh attack breaks a limit where it knows the label"),
    ):
        found = with_label_aware(blind, rows.assign(psnr_db=leak), limits)
        validation = Validation(found, "full", "full", 1, None, same_source=True)
        check = validation_check(validation, found.iloc[0])
        assert (check.level, check.title) == (level, title) and validation.holds
        assert f"recovers {leak:.2f} dB (SSIM 0.400) of the recommended one" in check.text
        print_validation(validation)
        printed = " ".join(capsys.readouterr().out.split())
        assert ("violated: psnr_db <= 16" in printed) == (leak > 16)
        assert "of 1 measured, 1 keep every limit. An attacker who knows the label too" in printed

"""What a validation tells of an attacker who knows the label."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from privynet_opt.constraints import Constraint
from privynet_opt.label_knowledge import UNKNOWN, told_of_labels, with_label_aware

LIMITS = [Constraint("psnr_db <= 16"), Constraint("accuracy >= 0.9"), Constraint("ssim <= 0.6")]


def points(*psnr_db: float) -> pd.DataFrame:
    return pd.DataFrame({"measured_psnr_db": psnr_db, "measured_ssim": 0.5, **UNKNOWN})


def informed(*psnr_db: float) -> pd.DataFrame:
    return pd.DataFrame({"psnr_db": psnr_db, "ssim": 0.4})


def test_he_recovers_no_less_than_who_does_not_know_it():
    found = with_label_aware(points(15.5, 15.5), informed(15.9, 14.0), LIMITS)
    assert found["label_aware_psnr_db"].tolist() == [15.9, 15.5]
    assert found["label_aware_ssim"].tolist() == [0.5, 0.5]


def test_limits_on_privacy_loss_are_checked_on_what_he_recovers():
    found = with_label_aware(points(15.5, 15.5), informed(16.2, 15.8), LIMITS)
    assert found["label_aware_broken"].tolist() == ["psnr_db <= 16", ""]
    told = told_of_labels(found)
    assert "16.20 dB (SSIM 0.500) of the recommended one, which breaks psnr_db <= 16;" in told
    assert "1 of 2 break a further limit so" in told


def test_limits_that_are_broken_without_the_label_are_not_his():
    found = with_label_aware(points(16.1, 15.5), informed(16.2, 15.8), LIMITS)
    assert found["label_aware_broken"].tolist() == ["", ""]


def test_no_limit_broken_is_told_as_well():
    told = told_of_labels(with_label_aware(points(15.5), informed(15.8), LIMITS))
    assert (
        "recovers 15.80 dB (SSIM 0.500) of the recommended one; no further limit breaks so" in told
    )


@pytest.mark.parametrize("kept", [UNKNOWN, json.loads(json.dumps(dict.fromkeys(UNKNOWN)))])
def test_nothing_is_told_where_nobody_attacked_with_labels(kept):
    assert told_of_labels(pd.DataFrame({"measured_psnr_db": [15.0]}).assign(**kept)) == ""
    assert np.isnan(UNKNOWN["label_aware_psnr_db"])

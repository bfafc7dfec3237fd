import pandas as pd
import pytest
from fake_result import fake_result
from test_report_page import Reader

from privynet_opt.report.attackers_info import N_WEAK, attackers_info
from privynet_opt.report.page import page


@pytest.fixture
def result():
    """Forty measurements each at screen and standard; the closed form wins three of the latter."""
    result = fake_result()
    rows = result.table.rows.head(40).reset_index(drop=True)
    standard = rows.assign(fidelity="standard")
    lost = standard.index < 3
    standard.loc[lost, "attacker"] = "ridge"
    standard.loc[lost, "decoder_psnr_db"] = standard.loc[lost, "ridge_psnr_db"] - 0.1
    screen = rows.assign(fidelity="screen", attacker="ridge", decoder_psnr_db=float("nan"))
    result.table.rows = pd.concat([screen, standard], ignore_index=True)
    return result


def test_each_fidelity_tells_who_won_and_by_how_much(result):
    screen, standard = attackers_info(result).attackers
    assert (screen.fidelity, screen.n_rows, screen.closed_form_won) == ("screen", "40", "40")
    assert (screen.trained_won, screen.gain) == ("", "")
    assert (standard.trained_won, standard.closed_form_won) == ("37", "3")
    assert standard.gain == f"{(37 - 0.3) / 40:.2f} dB, at most 1.00 dB"


def test_all_closed_forms_count_as_such(result):
    rows = result.table.rows
    of_whole_images = (rows["fidelity"] == "screen") & (rows.index % 2 == 0)
    result.table.rows = rows.assign(attacker=rows["attacker"].mask(of_whole_images, "thumbnail"))
    screen = attackers_info(result).attackers[0]
    assert (screen.closed_form_won, screen.trained_won) == ("40", "")


def test_each_rule_tells_how_many_comparisons_contradict_it(result):
    rules = {row.rule: row.found for row in attackers_info(result).audits}
    assert rules["a trained decoder recovers no less than the closed form"] == ("", "0 of 40")
    weak = result.table.rows["decoder_psnr_db"].copy()
    weak.iloc[-12:] -= 3
    result.table.rows = result.table.rows.assign(decoder_psnr_db=weak)
    info = attackers_info(result)
    rules = {row.rule: row.found for row in info.audits}
    assert rules["a trained decoder recovers no less than the closed form"] == ("", "12 of 40")
    assert len(info.weak) == N_WEAK
    assert info.n_weak_left == len(result.audit.violations) - N_WEAK
    shown = [row for row in info.weak if row.shown_by == "the closed form on the same channels"]
    assert {(row.excess, row.fidelity, row.measured_again) for row in shown} >= {
        ("2.00 dB", "standard", "no")
    }


def test_the_page_shows_it_in_words(result):
    text = Reader(page(result)).text
    assert "standard a decoder of its own, a short recipe 40 37 3 0.92 dB, at most 1.00 dB" in text
    assert "a trained decoder recovers no less than the closed form – 0 of 40" in text

"""Where images are few a decoder starts from a ridge that does not fit them too well."""

from __future__ import annotations

import pytest
import torch

from privynet_opt.attacks import ridge
from privynet_opt.characterization.bank import build_bank
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.measure import measure_attack
from privynet_opt.characterization.study_inputs import StudyInputs
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.topology import LocalTopology


def test_a_decoder_learns_what_an_overfitted_start_would_hide(study, monkeypatch):
    inputs = StudyInputs.load(study)
    (cut,) = choose_cuts(find_cuts(inputs.backbone.graph, 8), ["conv4p"])
    source = FeatureSource(inputs.backbone, cut, inputs.splits, torch.device("cpu"), keep=True)
    bank, whole = build_bank(source), LocalTopology("conv4p", 32, "random", 0)
    assert bank.ridge.samples < ridge.FEW_TO_START_FROM * (9 * 32 + 1)
    careful = measure_attack(bank, whole, "full", 1)
    monkeypatch.setattr(ridge, "FEW_TO_START_FROM", 0.0)
    usual = measure_attack(bank, whole, "full", 1)
    assert careful["decoder_psnr_db"] > usual["decoder_psnr_db"] + 0.3
    assert careful["ridge_psnr_db"] == pytest.approx(usual["ridge_psnr_db"], abs=1e-6)

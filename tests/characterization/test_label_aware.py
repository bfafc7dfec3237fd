"""The attacker who knows labels: what they tell him is used, and what they do not tell is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from privynet_opt.characterization.label_aware import measure_label_aware
from privynet_opt.characterization.measure import measure_trained
from privynet_opt.characterization.psnr_scale import psnr_scale
from privynet_opt.topology import LocalTopology

DROWNED = LocalTopology("conv1", 1, "magnitude", 0, 32, 2.0)
"""One channel under much noise: its label says more of a digit than what arrives."""


def with_labels_of(bank, labels):
    """Return a bank whose attacker's images have other labels."""
    attacker = bank.source.splits.attacker
    names = tuple(map(str, range(int(labels.max()) + 1)))
    source = replace_source(bank.source, replace(attacker, labels=labels, class_names=names))
    return replace(bank, source=source)


def replace_source(source, attacker):
    other = object.__new__(type(source))
    splits = replace(source.splits, attacker=attacker)
    other.__dict__.update(vars(source), splits=splits)
    return other


@pytest.fixture(scope="module")
def informed(conv1_bank):
    return measure_label_aware(conv1_bank, DROWNED, "standard", 1)


def test_a_label_adds_to_what_features_tell(conv1_bank, informed):
    blind = measure_trained(conv1_bank, DROWNED, "standard", 1)
    label_only = psnr_scale(conv1_bank.source.splits)["label only"]
    assert informed["psnr_db"] > max(blind["psnr_db"], label_only) + 0.3
    assert informed["ridge_psnr_db"] > label_only - 0.1
    assert informed["ssim"] > blind["ssim"]
    assert {k: informed[k] for k in ("cut_layer", "noise_std")} == {
        "cut_layer": "conv1",
        "noise_std": 2.0,
    }


def test_labels_of_other_images_tell_nothing(conv1_bank, informed):
    labels = conv1_bank.source.splits.attacker.labels
    shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    misled = measure_label_aware(with_labels_of(conv1_bank, shuffled), DROWNED, "standard", 1)
    blind = measure_trained(conv1_bank, DROWNED, "standard", 1)
    assert misled["psnr_db"] < informed["psnr_db"] - 0.5
    assert misled["psnr_db"] == pytest.approx(blind["psnr_db"], abs=0.4)


def test_features_that_tell_all_leave_nothing_to_the_label(conv1_bank):
    whole = LocalTopology("conv1", 16, "magnitude", 0)
    informed = measure_label_aware(conv1_bank, whole, "standard", 1)
    blind = measure_trained(conv1_bank, whole, "standard", 1)
    assert informed["attacker"] == "decoder"
    assert informed["psnr_db"] == pytest.approx(blind["psnr_db"], abs=1.0)
    assert informed["psnr_db"] > 25


@pytest.mark.parametrize("bits", [4, 8])
def test_coded_features_are_attacked_as_they_arrive(conv1_bank, informed, bits):
    coded = measure_label_aware(conv1_bank, replace(DROWNED, feature_bits=bits), "standard", 1)
    assert coded["psnr_db"] == pytest.approx(informed["psnr_db"], abs=0.3)


def test_labels_of_few_images_each_do_no_harm(conv1_bank):
    labels = torch.arange(len(conv1_bank.source.splits.attacker.labels)) // 2
    seen = LocalTopology("conv1", 4, "magnitude", 0)
    pairs = measure_label_aware(with_labels_of(conv1_bank, labels), seen, "standard", 1)
    blind = measure_trained(conv1_bank, seen, "standard", 1)
    assert pairs["psnr_db"] > blind["psnr_db"] - 1.0


def test_at_full_mirrored_images_are_attacked_too(conv1_bank, monkeypatch):
    asked = []
    honest = type(conv1_bank).mirrored
    monkeypatch.setattr(type(conv1_bank), "mirrored", lambda *a: asked.append(a[1:]) or honest(*a))
    informed = measure_label_aware(conv1_bank, DROWNED, "full", 1)
    assert [split for split, _ in asked] == ["attacker"]
    assert informed["psnr_db"] > psnr_scale(conv1_bank.source.splits)["label only"]

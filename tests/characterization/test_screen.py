"""The screen attacks with two closed forms and tells which one recovered more."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from privynet_opt.attacks.metrics import psnr_db
from privynet_opt.characterization.bank import build_bank
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.measure import measure_screen
from privynet_opt.characterization.recipes import describe, describe_networks
from privynet_opt.selection import kept_channels
from privynet_opt.topology import LocalTopology

FOUR = LocalTopology("conv1", 4, "random", 0)


@pytest.mark.parametrize("error, winner", [(0.0, "thumbnail"), (1.0, "ridge")])
def test_a_row_is_as_leaky_as_its_worst_attack(conv1_bank, error, winner):
    class Told:
        """Knows the scored images up to an error."""

        def recover(self, kept, recovered):
            return conv1_bank.score_images + error

        def scores(self, kept):
            return torch.nn.functional.one_hot(conv1_bank.score_labels)

    row = measure_screen(replace(conv1_bank, whole_image=Told), FOUR)
    kept = list(kept_channels(FOUR, conv1_bank.statistics))
    seen = conv1_bank.score_features[:, kept]
    plain = conv1_bank.ridge.decoder(kept).reconstruct_all(seen)
    ridge = float(psnr_db(conv1_bank.score_images, plain).mean())
    assert row["attacker"] == winner
    assert row["ridge_psnr_db"] == pytest.approx(ridge)
    assert row["psnr_db"] == pytest.approx(100 if winner == "thumbnail" else ridge)
    assert row["accuracy"] == 1
    assert row["decoder_psnr_db"] is None


def test_whole_images_tell_more_than_windows_of_cells(conv1_bank):
    row = measure_screen(conv1_bank, replace(FOUR, kept_filters=1))
    assert row["attacker"] == "thumbnail"
    assert row["psnr_db"] > row["ridge_psnr_db"] + 0.3
    assert row["accuracy"] > 0.3


def test_features_that_are_not_kept_give_the_same_row(conv1_bank):
    source = conv1_bank.source
    kept = measure_screen(conv1_bank, FOUR)
    streamed = FeatureSource(source.backbone, source.cut, source.splits, source.device, keep=False)
    again = measure_screen(build_bank(streamed), FOUR)
    for name in ("accuracy", "psnr_db", "ridge_psnr_db"):
        assert again[name] == pytest.approx(kept[name], abs=0.01)


def test_only_the_screen_depends_on_the_regression_on_whole_images():
    screen = describe("screen")
    for name in ("amortised", "standard", "full"):
        assert not set(describe(name)) & {"thumbnail", "whole_image_penalty"}
    assert set(screen) > {"thumbnail", "whole_image_penalty", "whole_image_images"}
    assert "thumbnail" not in describe_networks()

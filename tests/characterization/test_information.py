"""The Fisher information that a bound rests on, against explicit Jacobians."""

from __future__ import annotations

import pytest
import torch

from privynet_opt.characterization import information
from privynet_opt.characterization.information import channel_information, measure_information
from privynet_opt.topology import LocalTopology


def jacobian_power(bank, images, is_grey):
    """Return ``E ‖J_c‖² / d`` of each channel, every derivative written out."""
    source, std = bank.source, bank.std

    def features(pixels):
        shown = pixels.expand(-1, 3, -1, -1) if is_grey else pixels
        return (source.head(source.backbone.normalise(255 * shown)) / std)[0]

    total = 0
    for image in images.split(1):
        start = image[:, :1] if is_grey else image
        jacobian = torch.autograd.functional.jacobian(features, start / 255)
        total = total + jacobian.square().flatten(1).sum(1) / start[0].numel()
    return total / len(images)


def test_information_is_the_mean_square_of_the_jacobian(conv1_bank, monkeypatch):
    images = conv1_bank.source.splits.attacker.images[:8].float()
    expected = jacobian_power(conv1_bank, images, is_grey=True)
    squares = []
    monkeypatch.setattr(information, "N_IMAGES", 8)
    for seed in range(100):  # signs of eight images alone are too few
        monkeypatch.setattr(information, "SEED", seed)
        squares.append(channel_information(conv1_bank, range(16)))
    torch.testing.assert_close(torch.stack(squares).mean(0), expected, rtol=0.06, atol=1e-3)


def test_an_entry_sums_over_the_kept_filters(conv1_bank):
    per_channel = channel_information(conv1_bank, range(16))
    whole, part = LocalTopology("conv1", 16, "random"), LocalTopology("conv1", 2, "lda")
    first, second = measure_information(conv1_bank, [whole, part])
    assert first["information"] == pytest.approx(float(per_channel.sum()))
    assert 0 < second["information"] < first["information"]
    assert second["plain_psnr_db"] < first["plain_psnr_db"]
    assert LocalTopology.of(second) == part


def test_a_channel_tells_the_same_whichever_others_are_asked(conv1_bank):
    everything, some = (channel_information(conv1_bank, asked) for asked in (range(16), (3, 7)))
    assert everything[[3, 7]].tolist() == some[[3, 7]].tolist()
    assert some.isnan().sum() == 14

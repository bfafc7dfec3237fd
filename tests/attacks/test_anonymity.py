"""Channels are told apart by their mean maps and spreads."""

from __future__ import annotations

import torch

from privynet_opt.attacks.anonymity import guess_channels


def known(channels: int = 12):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(channels, 4, 4, generator=generator), 0.5 + torch.rand(
        channels, generator=generator
    )


def test_channels_are_found_in_any_order_and_in_spite_of_sampling_noise():
    mean, std = known()
    kept = [7, 0, 11, 3]
    noise = 0.02 * torch.randn(4, 4, 4, generator=torch.Generator().manual_seed(1))
    assert guess_channels(mean[kept] + noise, std[kept] * 1.02, mean, std) == kept


def test_no_channel_is_guessed_twice():
    mean, std = known()
    same = mean[[5, 5, 5]]
    guessed = guess_channels(same, std[[5, 5, 5]], mean, std)
    assert len(set(guessed)) == 3 and 5 in guessed


def test_spreads_tell_channels_of_the_same_mean_map_apart():
    mean = torch.zeros(3, 2, 2)
    std = torch.tensor([0.5, 1.0, 2.0])
    assert guess_channels(mean[[2, 0]], std[[2, 0]], mean, std) == [2, 0]

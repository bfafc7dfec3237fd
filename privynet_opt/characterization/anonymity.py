"""What secrecy of the kept channels costs an attacker who knows the cut, and what is left of it.

The attacker sees unlabelled feature maps of some topology of a known cut. The cut's amortised
decoder attacks them with the coordinates of the true channels, of a wrong subset of the same
size, and of the subset guessed from the maps' statistics.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from privynet_opt.attacks.amortised import AmortisedNetworks
from privynet_opt.attacks.anonymity import guess_channels
from privynet_opt.attacks.metrics import psnr_db
from privynet_opt.characterization.bank import CutBank
from privynet_opt.selection import kept_channels
from privynet_opt.topology import LocalTopology

COUNTS = (1, 4, 16, 64, 256)
"""Kept filters at which secrecy is measured, as far as the cut has more channels."""

SEEDS = (0, 1)
"""Seeds of the random subsets: the first is kept, the second is the wrong one."""

SMALLEST_STD = 1e-6
"""Keeps the features of a channel that never fires finite."""


def measure_anonymity(bank: CutBank, networks: AmortisedNetworks) -> list[dict[str, Any]]:
    """Attack random subsets of a cut with and without knowing them.

    Args:
        bank: The cut.
        networks: Its trained amortised networks.

    Returns:
        One entry per count of kept filters: ``cut_layer``, ``kept_filters``; ``known_psnr_db``,
        ``wrong_psnr_db`` and ``guessed_psnr_db``, the PSNR in dB of the attacker who knows the
        channels, assumes a wrong subset, or guesses them; ``guessed_share``, how many of them
        are guessed right.
    """
    counts = [count for count in COUNTS if count < bank.cut.channels]
    return [_at_count(bank, networks, count) for count in counts]


@torch.no_grad()
def _at_count(bank: CutBank, networks: AmortisedNetworks, count: int) -> dict[str, Any]:
    kept, wrong = (
        list(kept_channels(LocalTopology(bank.cut.name, count, "random", seed), bank.statistics))
        for seed in SEEDS
    )
    # The attacker receives maps, not their names, so any order is as good as the true one.
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist()
    kept = [kept[position] for position in order]
    mean, std = bank.mean[0], bank.std[0]
    received = bank.score_features[:, kept].float() * std[kept] + mean[kept]
    own_mean = received.mean(0)
    own_std = (received - own_mean).square().mean((0, 2, 3)).sqrt().clamp_min(SMALLEST_STD)
    guessed = guess_channels(own_mean, own_std, mean, std.flatten())

    def attack(assumed: list[int], standardised: Tensor) -> float:
        _, recovered, _ = networks.score(assumed, standardised)
        return float(psnr_db(bank.score_images, recovered).mean())

    return {
        "cut_layer": bank.cut.name,
        "kept_filters": count,
        "known_psnr_db": attack(kept, (received - mean[kept]) / std[kept]),
        # The moments of a wrong subset would show at once; the maps' own do not.
        "wrong_psnr_db": attack(wrong, (received - own_mean) / own_std.view(-1, 1, 1)),
        "guessed_psnr_db": attack(guessed, (received - mean[guessed]) / std[guessed]),
        "guessed_share": sum(a == b for a, b in zip(kept, guessed, strict=True)) / count,
    }

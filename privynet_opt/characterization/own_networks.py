"""Train decoders and cloud networks of topologies' own, and apply them to the scored images."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from privynet_opt.attacks.amortised import AmortisedNetworks
from privynet_opt.attacks.decoder import reconstruct, train_decoders
from privynet_opt.attacks.fine_tuning import fine_tune
from privynet_opt.characterization.bank import CutBank
from privynet_opt.characterization.recipes import MIRRORING, TRAINED
from privynet_opt.characterization.transmission import Transmission
from privynet_opt.networks.cloud import classify, train_cloud_networks
from privynet_opt.networks.training import Receive

Attack = tuple[Tensor, Tensor, int]
"""Linear and trained reconstructions of the scored images, epochs of the decoder."""

Classification = tuple[Tensor, int]
"""Which scored images are classified correctly, epochs of the cloud network."""


def attack(
    bank: CutBank,
    kept: Sequence[Sequence[int]],
    fidelity: str,
    seed: int,
    capacity: int = 1,
    sent: Sequence[Transmission] = (),
) -> list[Attack]:
    """Train decoders for some subsets of a cut's channels, together, and attack with each.

    Args:
        bank: The cut; its source keeps the features.
        kept: Channel indices of each subset.
        fidelity: ``"standard"`` or ``"full"``.
        seed: Seed of the decoders.
        capacity: Width and blocks of the decoders, in multiples of the usual ones.
        sent: How the features of each subset are sent; nothing where all arrive as they are.

    Returns:
        What each recovers.
    """
    recipe = TRAINED["scratch"][fidelity]
    used, places = _shared(kept)
    features, images = attacker_set(bank, used, recipe.max_images)
    mirrored = bank.mirrored("attacker", used) if mirrors(bank, fidelity) else None
    powers = [
        None if way is None else way.error_power(_scored(bank, own))
        for own, way in _ways(kept, sent)
    ]
    starts = [
        bank.ridge.decoder(own, power, bank.ridge.starting_penalty(len(own)))
        for own, power in zip(kept, powers, strict=True)
    ]
    decoders = train_decoders(
        features,
        places,
        images,
        starts,
        recipe.decoder,
        seed,
        mirrored,
        capacity,
        _receivers(kept, sent, seed),
    )
    attacks = []
    for (own, way), power, start, (decoder, epochs) in zip(
        _ways(kept, sent), powers, starts, decoders, strict=True
    ):
        seen = _scored(bank, own, way)
        linear = bank.ridge.decoder(own, power).reconstruct_all(seen)
        attacks.append((linear, reconstruct(decoder, start, seen), epochs))
    return attacks


def learn(
    bank: CutBank,
    kept: Sequence[Sequence[int]],
    fidelity: str,
    seed: int,
    sent: Sequence[Transmission] = (),
) -> list[Classification]:
    """Train cloud networks for some subsets of a cut's channels, together, and classify with each.

    Args:
        bank: The cut; its source keeps the features.
        kept: Channel indices of each subset.
        fidelity: ``"standard"`` or ``"full"``.
        seed: Seed of the networks.
        sent: As for `attack`. A device sends an image once, so that its noise is drawn once, and
            no mirrored image where noise is added, since two draws would tell more than one.

    Returns:
        What each gets right.
    """
    recipe = TRAINED["scratch"][fidelity]
    used, places = _shared(kept)
    features, labels = _cloud_set(bank, used, recipe.max_images)
    ways = [way for _, way in _ways(kept, sent)]
    are_noisy = all(way is not None and way.noise_std for way in ways)
    is_mirrored = mirrors(bank, fidelity) and not are_noisy
    mirrored = bank.mirrored("cloud", used) if is_mirrored else None
    if any(ways):
        features, mirrored = _sent_once(features, mirrored, places, ways, seed)
        places = _side_by_side(kept)
    n_classes = len(bank.source.splits.cloud.class_names)
    networks = train_cloud_networks(
        features,
        places,
        labels,
        n_classes,
        recipe.cloud,
        seed,
        mirrored,
    )
    return [
        (classify(network, _scored(bank, own, way)) == bank.score_labels, epochs)
        for (own, way), (network, epochs) in zip(_ways(kept, sent), networks, strict=True)
    ]


def attack_and_learn_from(
    start: AmortisedNetworks, bank: CutBank, kept: Sequence[int], fidelity: str, seed: int
) -> tuple[Attack, Classification]:
    """Do both for one subset with networks that start from the amortised ones of the cut.

    Args:
        start: The cut's trained networks.
        bank: The cut; its source keeps the features.
        kept: Channel indices of the subset.
        fidelity: ``"standard"`` or ``"full"``.
        seed: Seed of the order of images.
    """
    recipe = TRAINED["amortised"][fidelity]
    attacker = attacker_set(bank, kept, recipe.max_images)
    cloud = _cloud_set(bank, kept, recipe.max_images)
    mirrored = None
    if mirrors(bank, fidelity):
        mirrored = (bank.mirrored("attacker", kept), bank.mirrored("cloud", kept))
    own = fine_tune(start, kept, attacker, cloud, (recipe.decoder, recipe.cloud), seed, mirrored)
    linear, recovered, scores = own.score(kept, bank.score_features[:, list(kept)])
    correct = scores.argmax(1) == bank.score_labels
    return (linear, recovered, own.epochs[0]), (correct, own.epochs[1])


def attacker_set(bank: CutBank, kept: Sequence[int], max_images: int) -> tuple[Tensor, Tensor]:
    """Return what an attacker trains on.

    Args:
        bank: The cut; its source keeps the features.
        kept: Channel indices.
        max_images: At most so many of the attacker's images.

    Returns:
        Standardised features, ``(n, k, h, w)``, and images in [0, 1], ``(n, 3, size, size)``.
    """
    seen = bank.features.first("attacker", max_images)[:, list(kept)]
    images = bank.source.splits.attacker.images[: len(seen)].to(seen.device)
    return seen, images.float() / 255


def _cloud_set(bank: CutBank, kept: Sequence[int], max_images: int) -> tuple[Tensor, Tensor]:
    """Return the cloud's features and labels."""
    heard = bank.features.first("cloud", max_images)[:, list(kept)]
    return heard, bank.source.splits.cloud.labels[: len(heard)].to(heard.device)


Ways = list[tuple[Sequence[int], Transmission | None]]
"""Channel indices of each subset, and how they are sent unless they arrive as they are."""


def _ways(kept: Sequence[Sequence[int]], sent: Sequence[Transmission]) -> Ways:
    ways = [None if way.is_plain else way for way in sent] or [None] * len(kept)
    return list(zip(kept, ways, strict=True))


def _receivers(
    kept: Sequence[Sequence[int]], sent: Sequence[Transmission], seed: int
) -> list[Receive] | None:
    """Return what makes features of training images those that arrive, noise drawn each time."""
    ways = [way for _, way in _ways(kept, sent)]
    if not any(ways):
        return None
    return [_as_they_are if way is None else way.receiver(seed) for way in ways]


def _sent_once(
    features: Tensor,
    mirrored: Tensor | None,
    places: Sequence[Sequence[int]],
    ways: Sequence[Transmission | None],
    seed: int,
) -> tuple[Tensor, Tensor | None]:
    """Return what the cloud gets of each subset's features, side by side, and of the mirrored."""

    def arrived(of: Tensor, own: Sequence[int], way: Transmission | None) -> Tensor:
        view = of[:, list(own)]
        return view if way is None else way.sent_once(view, seed)

    own = list(zip(places, ways, strict=True))
    views = [arrived(features, *one) for one in own]
    if mirrored is None:
        return torch.cat(views, 1), None
    mirrors = [
        view if way and way.noise_std else arrived(mirrored, place, way)
        for view, (place, way) in zip(views, own, strict=True)
    ]
    return torch.cat(views, 1), torch.cat(mirrors, 1)


def _side_by_side(kept: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the places of subsets that stand one after the other."""
    ends = itertools.accumulate(map(len, kept), initial=0)
    return [list(range(*pair)) for pair in itertools.pairwise(ends)]


def _as_they_are(features: Tensor) -> Tensor:
    return features


def _scored(bank: CutBank, kept: Sequence[int], way: Transmission | None = None) -> Tensor:
    """Return what arrives of the scored images' features."""
    seen = bank.score_features[:, list(kept)]
    return seen if way is None else way.scored(seen)


def mirrors(bank: CutBank, fidelity: str) -> bool:
    """Return whether networks of a fidelity see their training images mirrored as well.

    Args:
        bank: The cut.
        fidelity: ``"standard"`` or ``"full"``.
    """
    return fidelity in MIRRORING and bank.source.splits.mirrorable


def _shared(kept: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """Return the channels that any of some subsets keeps, and each subset's places among them."""
    used = list(dict.fromkeys(channel for own in kept for channel in own))
    return used, [[used.index(channel) for channel in own] for own in kept]

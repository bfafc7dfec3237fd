"""Measure one topology: in closed form, or with a decoder and a cloud network of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from privynet_opt.attacks.amortised import AmortisedNetworks
from privynet_opt.attacks.fine_tuning import adapt_decoder
from privynet_opt.attacks.metrics import psnr_db, ssim
from privynet_opt.characterization.bank import CutBank
from privynet_opt.characterization.gallery import Gallery
from privynet_opt.characterization.own_networks import (
    Attack,
    Classification,
    attack,
    attack_and_learn_from,
    attacker_set,
    learn,
)
from privynet_opt.characterization.recipes import ADAPTATION
from privynet_opt.characterization.transmission import Transmission
from privynet_opt.selection import kept_channels
from privynet_opt.topology import LocalTopology

Row = dict[str, Any]
"""One measurement, by the columns of `privynet_opt.characterization.schema`."""


@torch.no_grad()
def measure_screen(bank: CutBank, topology: LocalTopology) -> Row:
    """Attack and classify in closed form; nothing is trained.

    Args:
        bank: The topology's cut.
        topology: What is measured.

    Returns:
        A row of fidelity ``screen``; the privacy loss is that of the stronger closed form.
    """
    started = time.perf_counter()
    kept = list(kept_channels(topology, bank.statistics))
    sent = Transmission.of(topology, bank, kept)
    seen, own = bank.score_features, kept
    if sent.is_plain:
        power, whole = None, bank.whole_image()
    else:
        seen, own = seen[:, kept], list(range(len(kept)))
        power, whole = sent.error_power(seen), sent.whole_image(bank, kept)
        seen = sent.scored(seen)
    recovered = bank.ridge.decoder(kept, power).reconstruct_all(seen, own)
    leak, _ = privacy_loss(bank, recovered, "thumbnail", whole.recover(own, recovered))
    return {
        **_key(topology, "screen", 0),
        "accuracy": float((whole.scores(own).argmax(1) == bank.score_labels).float().mean()),
        **leak,
        "decoder_psnr_db": None,
        "decoder_epochs": 0,
        "cloud_epochs": 0,
        "seconds": time.perf_counter() - started,
    }


def measure_amortised(bank: CutBank, networks: AmortisedNetworks, topology: LocalTopology) -> Row:
    """Attack and classify with the networks that serve every subset of the cut.

    Args:
        bank: The topology's cut.
        networks: The cut's trained networks.
        topology: What is measured; its features must be sent plainly.

    Returns:
        A row of fidelity ``amortised``; the privacy loss is that of the stronger attacker.
    """
    assert topology.is_sent_plainly  # the plan asks for no other
    started = time.perf_counter()
    kept = list(kept_channels(topology, bank.statistics))
    decoder_epochs = networks.epochs[0]
    if ADAPTATION.tunes(bank.cut.height):
        trunk = networks.decoder.trunk_grid
        attacker = attacker_set(bank, kept, ADAPTATION.images_at(trunk))
        networks = adapt_decoder(networks, kept, attacker, ADAPTATION.at(trunk), networks.seed)
        decoder_epochs += networks.epochs[0]
    linear, recovered, scores = networks.score(kept, bank.score_features[:, kept])
    leak, _ = privacy_loss(bank, linear, "amortised", recovered)
    return {
        **_key(topology, "amortised", networks.seed),
        "accuracy": float((scores.argmax(1) == bank.score_labels).float().mean()),
        **leak,
        "decoder_epochs": decoder_epochs,
        "cloud_epochs": networks.epochs[1],
        "seconds": time.perf_counter() - started,
    }


def measure_trained(
    bank: CutBank,
    topology: LocalTopology,
    fidelity: str,
    training_seed: int,
    start: AmortisedNetworks | None = None,
    gallery: Gallery | None = None,
) -> Row:
    """Train a decoder and a cloud network for one topology and score both.

    Args:
        bank: The topology's cut; its source keeps the features.
        topology: What is measured.
        fidelity: ``"standard"`` or ``"full"``.
        training_seed: Seed of both networks.
        start: Trained networks of the cut to start from; None starts from scratch, as it must
            where features are not sent plainly.
        gallery: Keeps some of what the stronger attacker recovered; None keeps nothing.

    Returns:
        A row; the privacy loss is that of the stronger of the two attackers.
    """
    if start is None:
        return measure_stack(bank, [topology], fidelity, training_seed, gallery)[0]
    assert topology.is_sent_plainly
    started = time.perf_counter()
    kept = list(kept_channels(topology, bank.statistics))
    outcome = attack_and_learn_from(start, bank, kept, fidelity, training_seed)
    row = _trained_row(bank, _key(topology, fidelity, training_seed), *outcome, gallery)
    return {**row, "seconds": time.perf_counter() - started}


def measure_stack(
    bank: CutBank,
    topologies: Sequence[LocalTopology],
    fidelity: str,
    training_seed: int,
    gallery: Gallery | None = None,
) -> list[Row]:
    """Train decoders and cloud networks for topologies of one cut together, and score each.

    Args:
        bank: Their cut; its source keeps the features.
        topologies: What is measured.
        fidelity: As for `measure_trained`, like all the rest.
        training_seed: Seed of all networks.
        gallery: Keeps some of what the stronger attackers recovered.

    Returns:
        The rows of `measure_trained`, but for rounding; each took its share of the time.
    """
    started = time.perf_counter()
    kept = [list(kept_channels(topology, bank.statistics)) for topology in topologies]
    sent = [Transmission.of(t, bank, own) for t, own in zip(topologies, kept, strict=True)]
    attacks = attack(bank, kept, fidelity, training_seed, sent=sent)
    learned = learn(bank, kept, fidelity, training_seed, sent)
    rows = [
        _trained_row(bank, _key(topology, fidelity, training_seed), *own, gallery)
        for topology, own in zip(topologies, zip(attacks, learned, strict=True), strict=True)
    ]
    seconds = (time.perf_counter() - started) / len(rows)
    return [{**row, "seconds": seconds} for row in rows]


def measure_attack(
    bank: CutBank,
    topology: LocalTopology,
    fidelity: str,
    training_seed: int,
    capacity: int = 1,
    gallery: Gallery | None = None,
) -> Row:
    """Train a decoder for one topology and score it, as `measure_trained` does; no cloud network.

    Args:
        bank: The topology's cut; its source keeps the features.
        topology: What is attacked.
        fidelity: ``"standard"`` or ``"full"``.
        training_seed: Seed of the decoder.
        capacity: Width and blocks of the decoder, in multiples of the usual ones.
        gallery: As for `measure_trained`.

    Returns:
        The columns of a row that tell the privacy loss, ``decoder_epochs`` and ``seconds``.
    """
    started = time.perf_counter()
    kept = list(kept_channels(topology, bank.statistics))
    sent = [Transmission.of(topology, bank, kept)]
    ((linear, recovered, epochs),) = attack(bank, [kept], fidelity, training_seed, capacity, sent)
    leak, seen = privacy_loss(bank, linear, "decoder", recovered)
    if gallery is not None:
        gallery.add(_key(topology, fidelity, training_seed), leak["attacker"], seen)
    return {
        **leak,
        "decoder_epochs": epochs,
        "seconds": time.perf_counter() - started,
    }


def _trained_row(
    bank: CutBank, key: Row, attacked: Attack, learned: Classification, gallery: Gallery | None
) -> Row:
    """Return a row but for its time."""
    linear, recovered, decoder_epochs = attacked
    correct, cloud_epochs = learned
    leak, seen = privacy_loss(bank, linear, "decoder", recovered)
    if gallery is not None:
        gallery.add(key, leak["attacker"], seen)
    return {
        **key,
        "accuracy": float(correct.float().mean()),
        **leak,
        "decoder_epochs": decoder_epochs,
        "cloud_epochs": cloud_epochs,
    }


def privacy_loss(bank: CutBank, linear: Tensor, name: str, recovered: Tensor) -> tuple[Row, Tensor]:
    """Compare the ridge with another attacker.

    Args:
        bank: The cut.
        linear: What the ridge recovered of the scored images, ``(n, 3, size, size)``.
        name: The other attacker.
        recovered: What that one recovered.

    Returns:
        The columns of a row that tell the privacy loss, and what the stronger recovered.
    """
    images = bank.score_images
    attempts = {"ridge": linear, name: recovered}
    leaks = {who: float(psnr_db(images, attempt).mean()) for who, attempt in attempts.items()}
    strongest = max(leaks, key=leaks.__getitem__)
    row = {
        "psnr_db": leaks[strongest],
        "ssim": float(ssim(images, attempts[strongest]).mean()),
        "attacker": strongest,
        "ridge_psnr_db": leaks["ridge"],
        "decoder_psnr_db": leaks[name],
    }
    return row, attempts[strongest]


def _key(topology: LocalTopology, fidelity: str, training_seed: int) -> Row:
    return {**vars(topology), "fidelity": fidelity, "training_seed": training_seed}

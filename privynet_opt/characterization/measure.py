"""Measure one topology: in closed form, or with a decoder and a cloud network of its own."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from privynet_opt.attacks.amortised import AmortisedNetworks
from privynet_opt.attacks.decoder import reconstruct, train_decoder
from privynet_opt.attacks.metrics import psnr_db, ssim
from privynet_opt.attacks.ridge import LinearDecoder
from privynet_opt.characterization.bank import CutBank
from privynet_opt.characterization.recipes import TRAINED
from privynet_opt.networks.cloud import classify, train_cloud_network
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
        A row of fidelity ``screen``.
    """
    started = time.perf_counter()
    kept = list(kept_channels(topology, bank.statistics))
    recovered = _linear_reconstruction(bank, bank.ridge.decoder(kept), kept)
    scores = bank.classifier.scores(bank.score_pooled, kept)
    leak = float(psnr_db(bank.score_images, recovered).mean())
    return {
        **_key(topology, "screen", 0),
        "accuracy": float((scores.argmax(1) == bank.score_labels).float().mean()),
        "psnr_db": leak,
        "ssim": float(ssim(bank.score_images, recovered).mean()),
        "attacker": "ridge",
        "ridge_psnr_db": leak,
        "decoder_psnr_db": None,
        "decoder_epochs": 0,
        "cloud_epochs": 0,
        "seconds": time.perf_counter() - started,
    }


@torch.no_grad()
def measure_amortised(bank: CutBank, networks: AmortisedNetworks, topology: LocalTopology) -> Row:
    """Attack and classify with the networks that serve every subset of the cut.

    Args:
        bank: The topology's cut.
        networks: The cut's trained networks.
        topology: What is measured.

    Returns:
        A row of fidelity ``amortised``; the privacy loss is that of the stronger attacker.
    """
    started = time.perf_counter()
    kept = list(kept_channels(topology, bank.statistics))
    linear, recovered, scores = networks.score(kept, bank.score_features[:, kept])
    return {
        **_key(topology, "amortised", networks.seed),
        "accuracy": float((scores.argmax(1) == bank.score_labels).float().mean()),
        **_privacy_loss(bank, linear, "amortised", recovered),
        "decoder_epochs": networks.epochs[0],
        "cloud_epochs": networks.epochs[1],
        "seconds": time.perf_counter() - started,
    }


def measure_trained(
    bank: CutBank,
    topology: LocalTopology,
    fidelity: str,
    training_seed: int,
    attacker: Tensor,
    cloud: Tensor,
) -> Row:
    """Train a decoder and a cloud network from scratch and score both.

    Args:
        bank: The topology's cut.
        topology: What is measured.
        fidelity: ``"standard"`` or ``"full"``.
        training_seed: Seed of both networks.
        attacker: Standardised features of the attacker's images, shape ``(n, C, h, w)``.
        cloud: The same of the cloud's images.

    Returns:
        A row; the privacy loss is that of the stronger of the two attackers.
    """
    started = time.perf_counter()
    recipe = TRAINED[fidelity]
    kept = list(kept_channels(topology, bank.statistics))
    device = bank.score_images.device
    linear = bank.ridge.decoder(kept)
    splits = bank.source.splits
    n_attacker = min(recipe.max_images, len(attacker))
    decoder, decoder_epochs = train_decoder(
        attacker[:n_attacker, kept],
        splits.attacker.images[:n_attacker].to(device).float() / 255,
        linear,
        recipe.decoder,
        training_seed,
    )
    n_cloud = min(recipe.max_images, len(cloud))
    network, cloud_epochs = train_cloud_network(
        cloud[:n_cloud, kept],
        splits.cloud.labels[:n_cloud].to(device),
        len(splits.cloud.class_names),
        recipe.cloud,
        training_seed,
    )
    seen = bank.score_features[:, kept]
    with torch.no_grad():
        own = reconstruct(decoder, linear, seen)
        correct = classify(network, seen) == bank.score_labels
        leak = _privacy_loss(bank, _linear_reconstruction(bank, linear, kept), "decoder", own)
    return {
        **_key(topology, fidelity, training_seed),
        "accuracy": float(correct.float().mean()),
        **leak,
        "decoder_epochs": decoder_epochs,
        "cloud_epochs": cloud_epochs,
        "seconds": time.perf_counter() - started,
    }


def _privacy_loss(bank: CutBank, linear: Tensor, name: str, recovered: Tensor) -> Row:
    """Compare the closed-form attacker with a trained one; the stronger counts."""
    images = bank.score_images
    attempts = {"ridge": linear, name: recovered}
    leaks = {who: float(psnr_db(images, attempt).mean()) for who, attempt in attempts.items()}
    strongest = max(leaks, key=leaks.__getitem__)
    return {
        "psnr_db": leaks[strongest],
        "ssim": float(ssim(images, attempts[strongest]).mean()),
        "attacker": strongest,
        "ridge_psnr_db": leaks["ridge"],
        "decoder_psnr_db": leaks[name],
    }


def _linear_reconstruction(bank: CutBank, linear: LinearDecoder, kept: list[int]) -> Tensor:
    batches = torch.split(bank.score_features, 256)
    return torch.cat([linear.reconstruct(batch[:, kept].float()) for batch in batches])


def _key(topology: LocalTopology, fidelity: str, training_seed: int) -> Row:
    return {
        "cut_layer": topology.cut_layer,
        "kept_filters": topology.kept_filters,
        "selection_strategy": topology.selection_strategy,
        "selection_seed": topology.selection_seed,
        "fidelity": fidelity,
        "training_seed": training_seed,
    }

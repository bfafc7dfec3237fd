"""Make the gallery of a shipped study: attack some topologies and keep what is recovered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import torch

from privynet_opt.characterization.bank import build_bank
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.gallery import Gallery
from privynet_opt.characterization.job import TRAINING_SEED
from privynet_opt.characterization.measure import measure_attack
from privynet_opt.characterization.table import load_table
from privynet_opt.datasets.image_set import Splits
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.study_spec import StudySpec
from privynet_opt.topology import LocalTopology

Short = tuple[str, int, str]
"""Cut layer, kept filters, selection strategy; the seed is 0."""


def make_gallery(
    spec: StudySpec,
    topologies: Sequence[Short],
    splits: Splits,
    weights: str,
    fidelity: str,
    folder: Path,
    source: str = "",
) -> None:
    """Train a decoder for each topology and write what it recovers of the scored images.

    Args:
        spec: The study.
        topologies: What is attacked, those of one cut in succession.
        splits: The study's images; the scored ones are shown.
        weights: Weights of the network.
        fidelity: How long decoders are trained.
        folder: The gallery; strips that it has already are kept.
        source: Where the scored images come from, where they are not the study's own.
    """
    backbone = load_backbone(spec.network.name, weights)
    searched = load_table(spec.table_path).searched
    offered = find_cuts(backbone.graph, spec.data.image_size)
    for name, of_cut in groupby(topologies, key=lambda short: short[0]):
        (cut,) = choose_cuts(offered, [name])
        missing = [LocalTopology(*short) for short in _missing(of_cut, fidelity, folder)]
        if not missing:
            continue
        source_of_cut = FeatureSource(backbone, cut, splits, torch.device("cpu"), keep=True)
        bank = build_bank(source_of_cut).with_searched(searched)
        gallery = Gallery(folder, bank.score_images, bank.score_labels, source)
        for topology in missing:
            row = measure_attack(bank, topology, fidelity, TRAINING_SEED, gallery=gallery)
            print(f"{topology}: {row['psnr_db']:.2f} dB in {row['seconds']:.0f} s", flush=True)


def _missing(topologies: Iterable[Short], fidelity: str, folder: Path) -> list[Short]:
    def has(short: Short) -> bool:
        name = "--".join(map(str, (*short, 0, fidelity, TRAINING_SEED)))
        return (folder / f"{name}.png").exists()

    return [short for short in topologies if not has(short)]

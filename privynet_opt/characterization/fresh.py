"""Measure topologies once more: a fresh attacker and a fresh cloud network, from scratch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from privynet_opt.characterization.bank import FeatureSource, build_bank
from privynet_opt.characterization.characterize import load_splits
from privynet_opt.characterization.measure import measure_trained
from privynet_opt.characterization.provenance import identity
from privynet_opt.characterization.results import MeasurementFolder
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.topology import LocalTopology

if TYPE_CHECKING:
    from privynet_opt.study_spec import StudySpec

Row = dict[str, Any]


@dataclass(frozen=True)
class FreshMeasurements:
    """What was measured once more.

    Attributes:
        rows: One per topology, by the columns of `schema.COLUMNS`.
        weights_sha256: Of the network they were measured with.
        images_sha256: Of the three image sets.
    """

    rows: tuple[Row, ...]
    weights_sha256: str
    images_sha256: dict[str, str]


def measure_again(
    spec: StudySpec,
    topologies: Iterable[LocalTopology],
    fidelity: str,
    training_seed: int,
    output: Path,
    data: Path | None = None,
    weights: str | None = None,
    device: str = "cpu",
    searched: Mapping[tuple[str, int], tuple[int, ...]] | None = None,
) -> FreshMeasurements:
    """Train and score networks of their own for some topologies; finished ones are kept.

    Args:
        spec: The study.
        topologies: What is measured.
        fidelity: ``"standard"`` or ``"full"``.
        training_seed: Seed of attackers and cloud networks.
        output: Folder that keeps finished measurements, so that a killed run goes on.
        data: Where the images are; None only for data the package can make itself.
        weights: Weights file or name; None takes the study's.
        device: ``"cpu"`` or ``"cuda"``.
        searched: Channels that searching found, by cut layer and count of kept filters.

    Returns:
        The rows, in the order of the topologies.

    Raises:
        PrivyNetOptError: If network, weights, images or folder are not usable.
    """
    backbone = load_backbone(spec.network.name, weights or spec.network.weights)
    image_size = spec.data.image_size
    splits = load_splits(spec, data)
    folder = MeasurementFolder(output)
    folder.claim(identity(backbone, splits, image_size))
    offered = find_cuts(backbone.graph, image_size)
    keys = {
        topology: {**vars(topology), "fidelity": fidelity, "training_seed": training_seed}
        for topology in topologies
    }
    missing = [topology for topology, key in keys.items() if not folder.has(key)]
    for name in dict.fromkeys(topology.cut_layer for topology in missing):
        (cut,) = choose_cuts(offered, [name])
        source = FeatureSource(backbone, cut, splits, torch.device(device), keep=True)
        bank = build_bank(source)
        found = {count: kept for (at, count), kept in (searched or {}).items() if at == name}
        bank = replace(bank, statistics=replace(bank.statistics, searched=found))
        for topology in missing:
            if topology.cut_layer == name:
                folder.add(measure_trained(bank, topology, fidelity, training_seed))
    return FreshMeasurements(
        rows=tuple(folder.get(key) for key in keys.values()),
        weights_sha256=backbone.weights_sha256,
        images_sha256={n: getattr(splits, n).sha256() for n in ("cloud", "attacker", "score")},
    )

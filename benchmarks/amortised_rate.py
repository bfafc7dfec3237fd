"""Time the amortised attacker against trained measurements, side by side in one run.

Run ``python benchmarks/amortised_rate.py --data FOLDER --weights FILE --cut conv6``.
Prints how many topologies an hour are scored, by the cut's amortised networks and by a decoder
and a cloud network of their own, on all of the study's scored images. The networks are trained
for one epoch only: the time of a score does not depend on the values of their weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from privynet_opt.attacks.amortised import (
    N_SUBSETS,
    AmortisedNetworks,
    train_amortised,
    training_subsets,
)
from privynet_opt.attacks.coordinates import CutCoordinates
from privynet_opt.characterization.bank import FeatureSource, build_bank
from privynet_opt.characterization.characterize import load_splits
from privynet_opt.characterization.design import kept_grid, screen_topologies
from privynet_opt.characterization.measure import measure_amortised, measure_trained
from privynet_opt.characterization.recipes import AMORTISED
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.study_spec import load_study

T = TypeVar("T")

BAR_PER_HOUR = 1500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="cifar10", help="name or directory")
    parser.add_argument("--data", type=Path, help="folder of its images")
    parser.add_argument("--weights", help="state-dict file (default: the study's)")
    parser.add_argument("--cut", default="conv6")
    parser.add_argument("--scored", type=int, default=30, help="topologies scored amortised")
    parser.add_argument("--trained", type=int, default=2, help="topologies trained")
    asked = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)

    spec = load_study(asked.study)
    backbone = load_backbone(spec.network.name, asked.weights or spec.network.weights)
    (cut,) = choose_cuts(find_cuts(backbone.graph, spec.data.image_size), [asked.cut])
    splits = load_splits(spec, asked.data)
    source = FeatureSource(backbone, cut, splits, torch.device("cpu"), keep=True)
    bank = timed("features and Gram matrices", lambda: build_bank(source))
    space = spec.search_space
    grid = kept_grid(space.kept_filters, cut.channels)
    topologies = screen_topologies(cut.name, grid, space.selection_strategies, 1)
    networks = AmortisedNetworks.untrained(
        CutCoordinates.of(bank.ridge), cut.height, len(splits.cloud.class_names), seed=1
    )
    attacker, cloud = bank.features["attacker"], bank.features["cloud"]
    n = AMORTISED.max_images
    epochs = (AMORTISED.decoder, AMORTISED.cloud)
    networks = timed(
        f"one epoch of both amortised networks (of {epochs[0].max_epochs}, {epochs[1].max_epochs})",
        lambda: train_amortised(
            networks,
            training_subsets(cut.name, bank.statistics, N_SUBSETS, seed=1),
            (attacker[:n], splits.attacker.images[:n].float() / 255),
            (cloud[:n], splits.cloud.labels[:n]),
            tuple(dataclasses.replace(recipe, max_epochs=1) for recipe in epochs),
        ),
    )
    step = max(1, len(topologies) // asked.scored)
    scored = [measure_amortised(bank, networks, t)["seconds"] for t in topologies[::step]]
    some = topologies[:: max(1, len(topologies) // asked.trained)][: asked.trained]
    trained = [measure_trained(bank, t, "standard", 1)["seconds"] for t in some]
    rates = {
        "amortised": 3600 * len(scored) / sum(scored),
        "standard": 3600 * len(trained) / sum(trained),
    }
    for name, rate in rates.items():
        print(f"{name:10} {rate:7.0f} topologies an hour")
    held = "held" if rates["amortised"] >= BAR_PER_HOUR else "missed"
    print(f"ratio      {rates['amortised'] / rates['standard']:7.0f}")
    print(f"bar of {BAR_PER_HOUR} an hour: {held}")
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak_gb:.1f} GB")


def timed(name: str, work: Callable[[], T]) -> T:
    started = time.perf_counter()
    result = work()
    print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    return result


if __name__ == "__main__":
    main()

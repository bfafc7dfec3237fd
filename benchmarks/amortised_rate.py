"""Time the amortised attacker against trained measurements, side by side in one run.

Run ``python benchmarks/amortised_rate.py --data FOLDER --weights FILE --cut conv6``.
Prints how many topologies an hour are scored, by the cut's amortised networks and by a decoder
and a cloud network of their own, on all of the study's scored images, after the training of the
cut's networks, which is timed as well (one thread). Each core measures with one thread in a process
of its own, which keeps freed memory, as `privynet-opt characterize` does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Sequence
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
from privynet_opt.characterization.allocator import keep_freed_memory
from privynet_opt.characterization.bank import build_bank
from privynet_opt.characterization.design import kept_grid, screen_topologies
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.measure import measure_amortised, measure_trained
from privynet_opt.characterization.recipes import AMORTISED, amortised_decoder
from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LocalTopology

T = TypeVar("T")
Measure = Callable[[LocalTopology], object]

BAR_PER_HOUR = 1500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="cifar10", help="name or directory")
    parser.add_argument("--data", type=Path, help="folder of its images")
    parser.add_argument("--weights", help="state-dict file (default: the study's)")
    parser.add_argument("--cut", default="conv6")
    parser.add_argument("--scored", type=int, default=30, help="topologies scored amortised")
    parser.add_argument("--trained", type=int, default=2, help="topologies trained")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)  # more would not survive the fork below

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
    n = AMORTISED.max_images
    networks = timed(
        "training of both amortised networks",
        lambda: train_amortised(
            networks,
            training_subsets(cut.name, bank.statistics, N_SUBSETS, seed=1),
            lambda: (
                bank.features.first("attacker", n),
                splits.attacker.images[:n].float() / 255,
            ),
            lambda: (bank.features.first("cloud", n), splits.cloud.labels[:n]),
            (amortised_decoder(cut.height), AMORTISED.cloud),
        ),
    )
    step = max(1, len(topologies) // asked.scored)
    some = topologies[:: max(1, len(topologies) // asked.trained)][: asked.trained]
    measure = {
        "amortised": lambda topology: measure_amortised(bank, networks, topology),
        "standard": lambda topology: measure_trained(bank, topology, "standard", 1),
    }
    rates = {
        "amortised": hourly(measure["amortised"], topologies[::step], asked.processes),
        "standard": hourly(measure["standard"], some, asked.processes),
    }
    for name, rate in rates.items():
        print(f"{name:10} {rate:7.0f} topologies an hour")
    held = "held" if rates["amortised"] >= BAR_PER_HOUR else "missed"
    print(f"ratio      {rates['amortised'] / rates['standard']:7.0f}")
    print(f"bar of {BAR_PER_HOUR} an hour: {held}")
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak_gb:.1f} GB")


def hourly(measure: Measure, topologies: Sequence[LocalTopology], processes: int) -> float:
    """Return how many topologies an hour so many processes measure, each one at a time."""
    context = multiprocessing.get_context("fork")
    shares = [topologies[start::processes] for start in range(processes)]
    workers = [context.Process(target=all_of, args=(measure, share)) for share in shares]
    started = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    return 3600 * len(topologies) / (time.perf_counter() - started)


def all_of(measure: Measure, topologies: Sequence[LocalTopology]) -> None:
    for topology in topologies:
        measure(topology)


def timed(name: str, work: Callable[[], T]) -> T:
    started = time.perf_counter()
    result = work()
    print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    return result


if __name__ == "__main__":
    main()

"""Screen a study's whole space in closed form: how long it takes and in how much memory.

Run ``python benchmarks/screen_rate.py --data FOLDER --weights FILE``. Every cut's features, Gram
matrices and topologies, one cut after the other as ``characterize --fidelity screen`` measures
them, with all cores; memory is the highest so far. ``--images 50000`` repeats the study's images
until there are so many: values mean nothing then, time and memory do.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from dataclasses import replace
from pathlib import Path

import torch

from privynet_opt.characterization.allocator import keep_freed_memory
from privynet_opt.characterization.bank import build_bank
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.measure import measure_screen
from privynet_opt.characterization.plan import plan
from privynet_opt.characterization.stems import Stems
from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.study_spec import load_study

BAR_MINUTES = 15
BAR_GB = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="cifar10", help="name or directory")
    parser.add_argument("--data", type=Path, help="folder of its images")
    parser.add_argument("--weights", help="state-dict file (default: the study's)")
    parser.add_argument("--images", type=int, help="images that train cloud and attacker, each")
    parser.add_argument("--cut", action="append", help="only this cut; repeat for more")
    asked = parser.parse_args()
    keep_freed_memory()  # as a job of characterize does
    spec = load_study(asked.study)
    splits = load_splits(spec, asked.data)
    if asked.images:
        sets = (splits.cloud, splits.attacker)
        cloud, attacker = (images.take(torch.arange(asked.images) % len(images)) for images in sets)
        splits = replace(splits, cloud=cloud, attacker=attacker)
    backbone = load_backbone(spec.network.name, asked.weights or spec.network.weights)
    offered = find_cuts(backbone.graph, spec.data.image_size)
    cuts = choose_cuts(offered, asked.cut or spec.search_space.cut_layers)
    wanted = plan(spec, cuts, ["screen"], None)
    torch.set_num_threads(os.cpu_count() or 1)
    stems = Stems()
    seconds, peak, n = 0.0, 0.0, 0
    for cut in cuts:
        topologies = [t for t, fidelity in wanted[cut.name] if fidelity == "screen"]
        started = time.perf_counter()
        bank = build_bank(FeatureSource(backbone, cut, splits, torch.device("cpu"), stems=stems))
        for topology in topologies:
            measure_screen(bank, topology)
        del bank
        took = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        count = f"{len(topologies):4} topologies"
        print(f"{cut.name:8} {count} {took:6.1f} s {peak:5.2f} GB", flush=True)
        seconds, n = seconds + took, n + len(topologies)
    print(f"{n} topologies in {seconds / 60:.1f} minutes, at most {peak:.2f} GB")
    if not asked.cut:
        print(f"bar of {BAR_MINUTES} minutes: {'held' if seconds < 60 * BAR_MINUTES else 'missed'}")
    print(f"bar of {BAR_GB} GB: {'held' if peak < BAR_GB else 'missed'}")


if __name__ == "__main__":
    main()

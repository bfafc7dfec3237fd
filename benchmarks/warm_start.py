"""Compare own networks trained from scratch with own networks that start amortised, in one run.

Run ``python benchmarks/warm_start.py --data FOLDER --weights FILE --networks OUTPUT --cut conv6``,
where OUTPUT is the folder of a `privynet-opt characterize --fidelity amortised`; without it the
cut's networks are trained first. Prints PSNR in dB, accuracy and seconds of fidelity ``standard``
by topology, the same topologies and images for both.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import pandas as pd
import torch

from privynet_opt.characterization.bank import build_bank
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.job import TRAINING_SEED, amortised_networks
from privynet_opt.characterization.measure import measure_trained
from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.study_spec import load_study
from privynet_opt.topology import CLOSED_FORM_STRATEGIES, LocalTopology


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="cifar10", help="name or directory")
    parser.add_argument("--data", type=Path, help="folder of its images")
    parser.add_argument("--weights", help="state-dict file (default: the study's)")
    parser.add_argument("--networks", type=Path, help="output folder of a characterization")
    parser.add_argument("--cut", default="conv6")
    parser.add_argument("--kept", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)

    spec = load_study(asked.study)
    backbone = load_backbone(spec.network.name, asked.weights or spec.network.weights)
    (cut,) = choose_cuts(find_cuts(backbone.graph, spec.data.image_size), [asked.cut])
    splits = load_splits(spec, asked.data)
    source = FeatureSource(backbone, cut, splits, torch.device("cpu"), keep=True)
    bank = build_bank(source)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.networks or Path(temporary)) / "amortised"
        networks = amortised_networks(bank, folder)
    rows = []
    for index, kept in enumerate(asked.kept):
        strategy = CLOSED_FORM_STRATEGIES[index % len(CLOSED_FORM_STRATEGIES)]
        topology = LocalTopology(cut.name, kept, strategy)
        for start, given in (("scratch", None), ("amortised", networks)):
            row = measure_trained(bank, topology, "standard", TRAINING_SEED, given)
            wanted = ("decoder_psnr_db", "accuracy", "seconds")
            rows.append({"topology": str(topology), "start": start, **{n: row[n] for n in wanted}})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows).pivot(index="topology", columns="start")
    print(table.to_string(float_format="%.3f"))
    difference = table.xs("amortised", axis=1, level=1) - table.xs("scratch", axis=1, level=1)
    ratio = table["seconds"]["scratch"].sum() / table["seconds"]["amortised"].sum()
    print(f"started amortised: {difference['decoder_psnr_db'].mean():+.3f} dB,", end=" ")
    print(f"{difference['accuracy'].mean():+.3f} accuracy, {ratio:.1f} times as fast")


if __name__ == "__main__":
    main()

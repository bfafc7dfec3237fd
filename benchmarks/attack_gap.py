"""Print how far cheaper measurements stay behind networks of a topology's own.

Run ``python benchmarks/attack_gap.py cifar10`` (a shipped study or a study's directory), with
``--fidelity screen`` for the closed forms instead of the amortised networks. Compares rows of the
same topology in the study's table: PSNR in dB of the own decoder less the cheaper attack's, and
accuracy of the own cloud network less the cheaper one's, both on the scored images.
"""

from __future__ import annotations

import argparse
import sys

import pandas as pd

from privynet_opt.characterization.table import load_table
from privynet_opt.proxies.validation import rank_correlation
from privynet_opt.study_spec import load_study
from privynet_opt.topology import TOPOLOGY_COLUMNS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", default="cifar10", help="name or directory")
    parser.add_argument("--fidelity", choices=("amortised", "screen"), default="amortised")
    asked = parser.parse_args()
    table = load_table(load_study(asked.study).table_path)
    cheap = table.rows[table.rows["fidelity"] == asked.fidelity]
    for fidelity, own in table.trained.groupby("fidelity"):
        pairs = own.merge(cheap, on=list(TOPOLOGY_COLUMNS), suffixes=("", "_cheap"))
        if pairs.empty:
            sys.exit(f"{table.path}: no topology has rows of {fidelity} and {asked.fidelity}")
        pairs["gap_db"] = pairs["psnr_db"] - pairs["psnr_db_cheap"]
        pairs["gap_accuracy"] = pairs["accuracy"] - pairs["accuracy_cheap"]
        by_cut = pairs.groupby("cut_layer", sort=False)
        print(f"{table.path}: {len(pairs)} topologies, {fidelity} less {asked.fidelity}")
        print(by_cut.apply(_gaps).to_string(float_format="%.3f"))
        print(pd.DataFrame({"all": _gaps(pairs)}).T.to_string(float_format="%.3f"))
        for name in ("psnr_db", "accuracy", "ssim"):
            rank = rank_correlation(pairs[name].to_numpy(), pairs[f"{name}_cheap"].to_numpy())
            print(f"Spearman of {name}, nothing fitted: {rank:.3f}")
    own = table.trained[table.trained["fidelity"] == "standard"]
    gain = (own["decoder_psnr_db"] - own["ridge_psnr_db"]).agg(["mean", "max"])
    print(f"standard, own decoder over the closed form, dB: {_said(gain)}")
    both = own.merge(table.trained[table.trained["fidelity"] == "full"], on=list(TOPOLOGY_COLUMNS))
    if not both.empty:
        for name in ("psnr_db", "accuracy"):
            added = (both[f"{name}_y"] - both[f"{name}_x"]).agg(["mean", "max"])
            print(f"full over standard, {len(both)} topologies, {name}: {_said(added)}")


def _said(found: pd.Series) -> str:
    return f"{found['mean']:.3f} on average and {found['max']:.3f} at most"


def _gaps(pairs: pd.DataFrame) -> pd.Series:
    return pd.Series(
        {
            "rows": len(pairs),
            "mean_gap_db": pairs["gap_db"].mean(),
            "largest_gap_db": pairs["gap_db"].max(),
            "mean_gap_accuracy": pairs["gap_accuracy"].mean(),
            "largest_gap_accuracy": pairs["gap_accuracy"].max(),
        }
    )


if __name__ == "__main__":
    main()

"""Print what one selection strategy gains over each of the others.

Run ``python benchmarks/selection_gain.py cifar10 --strategy greedy`` (a shipped study or a study's
directory). At every cut and count where that strategy was trained beside others, compares rows
whose decoder and cloud network were trained for that topology alone. Accuracy at equal
privacy moves a strategy's accuracy along the line that least squares put through accuracy against
PSNR of all other rows at that cut and count.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import pandas as pd

from privynet_opt.characterization.table import load_table
from privynet_opt.study_spec import load_study
from privynet_opt.topology import SELECTION_STRATEGIES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", default="cifar10", help="name or directory")
    parser.add_argument("--strategy", choices=SELECTION_STRATEGIES, default="searched")
    asked = parser.parse_args()
    table = load_table(load_study(asked.study).table_path)
    rows = table.trained[table.trained["fidelity"] == "standard"]
    pairs = [
        group
        for _, group in rows.groupby(["cut_layer", "kept_filters"], sort=False)
        if (group["selection_strategy"] == asked.strategy).any() and len(group) > 3
    ]
    if not pairs:
        sys.exit(f"{table.path}: {asked.strategy} was not trained beside other strategies")
    means = pd.concat([strategies(group) for group in pairs])
    print(means.to_string(index=False, float_format="%.3f", na_rep=""), "\n")
    gains = pd.concat([gain(group, asked.strategy) for group in pairs])
    print(gains.to_string(index=False, float_format="%.3f"), "\n")
    over = gains.groupby("over", sort=False)[["accuracy", "psnr_db", "accuracy_at_equal_psnr"]]
    print(f"mean over {len(pairs)} pairs of cut and count")
    print(over.agg(["mean", "std"]).to_string(float_format="%.3f"))


def strategies(group: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy and PSNR of each strategy, with the spread over seeds."""
    found = group.groupby(["cut_layer", "kept_filters", "selection_strategy"], sort=False)
    wide = found[["accuracy", "psnr_db"]].agg(["mean", "std", "size"])
    wide.columns = [f"{name}_{what}" for name, what in wide.columns]
    return wide.drop(columns="accuracy_size").rename(columns={"psnr_db_size": "rows"}).reset_index()


def gain(group: pd.DataFrame, strategy: str) -> pd.DataFrame:
    """Return what the mean of a strategy has over each other strategy's mean."""
    is_own = group["selection_strategy"] == strategy
    own, others = group[is_own][["accuracy", "psnr_db"]].mean(), group[~is_own]
    slope = np.polyfit(others["psnr_db"], others["accuracy"], 1)[0]
    means = others.groupby("selection_strategy", sort=False)[["accuracy", "psnr_db"]].mean()
    difference = own - means
    at_equal = difference["accuracy"] - slope * difference["psnr_db"]
    return pd.DataFrame(
        {
            "cut_layer": group["cut_layer"].iloc[0],
            "kept_filters": group["kept_filters"].iloc[0],
            "over": means.index,
            "accuracy": difference["accuracy"],
            "psnr_db": difference["psnr_db"],
            "accuracy_at_equal_psnr": at_equal,
        }
    )


if __name__ == "__main__":
    main()

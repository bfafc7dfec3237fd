"""Print the held-out errors of a study's proxies beside those of simpler inputs.

Run ``python benchmarks/proxy_error.py cifar10`` (a shipped study or a study's directory). Every
error is cross-validated on trained rows, whole (cut layer, kept filters) groups held out; the
baselines use the same folds, and the Gaussian process over a linear trend. ``value as it is``
fits nothing and is of features that are sent plainly; ``(amortised)`` takes the estimates from the
amortised rows. A second table compares the proxies, which learn from every fidelity together, with
one fidelity alone, on the held-out rows of each trained fidelity: closed-form and amortised values
as they are, and the proxy's own model fitted to topology and trained rows of one fidelity. Between
them errors and scores (CRPS) of the models that were tried; last, errors and coverage by part of
the table.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from privynet_opt.characterization.envelope import sent_plainly, with_envelope
from privynet_opt.characterization.table import CharacterizationTable, load_table
from privynet_opt.proxies import fit_proxies
from privynet_opt.proxies.conformal import interval_groups
from privynet_opt.proxies.estimates import TARGETS, Estimates
from privynet_opt.proxies.fit import trained_rows
from privynet_opt.proxies.folds import group_folds, held_out, row_groups
from privynet_opt.proxies.gaussian_process import GaussianProcess
from privynet_opt.proxies.inputs import INPUT_NAMES, ProxyInputs
from privynet_opt.proxies.models import MODELS
from privynet_opt.proxies.validation import ProxyValidation, rank_correlation
from privynet_opt.study_spec import load_study

ESTIMATES = [name for name in INPUT_NAMES if "estimated" in name or "screen" in name]
BASELINES = {
    "topology only": [name for name in INPUT_NAMES if name not in ESTIMATES],
    "estimates only": [*ESTIMATES, "is_full"],
    "estimates of one fidelity": [name for name in INPUT_NAMES if "over_screen" not in name],
}


def baseline_errors(table: CharacterizationTable) -> pd.DataFrame:
    table = with_envelope(table)
    rows = trained_rows(table)
    cheap = {"screen": table.screen, "amortised": table.amortised}
    cheap = {name: part for name, part in cheap.items() if not part.empty}
    inputs_of = {
        name: ProxyInputs(replace(table, rows=pd.concat([table.screen, part, rows])))
        for name, part in cheap.items()
    }
    folds = group_folds(row_groups(rows))
    lines = []
    for target in TARGETS:
        measured = rows[target].to_numpy()
        predictions = {}
        for name, part in cheap.items():
            known, values = as_it_is(table, part, rows, target)
            what = f"{name} value as it is ({known.sum()} rows)"
            lines.append(line(target, what, measured[known], values))
        for name, own in inputs_of.items():
            matrix = own.matrix(rows, rows["fidelity"])
            for what, inputs in {**BASELINES, "all inputs": own.names}.items():
                columns = matrix[:, [own.names.index(column) for column in inputs]]
                build = partial(GaussianProcess, has_trend=True)
                predictions[f"{what} ({name})"], _ = held_out(build, columns, measured, folds)
        lines += [line(target, name, measured, values) for name, values in predictions.items()]
    return pd.DataFrame(lines)


def as_it_is(
    table: CharacterizationTable, part: pd.DataFrame, rows: pd.DataFrame, target: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows one cheap fidelity says something of, those sent plainly, and what."""
    part = part[sent_plainly(part)]
    known = (rows["cut_layer"].isin(part["cut_layer"]) & sent_plainly(rows)).to_numpy()
    if not known.any():
        return known, np.empty(0)
    estimates = Estimates(part, table.cuts).values(rows[known])
    return known, estimates[:, TARGETS.index(target)]


def fidelity_errors(
    table: CharacterizationTable, validations: dict[str, ProxyValidation]
) -> pd.DataFrame:
    """Return errors of all fidelities in one model and of each alone, by fidelity of the row."""
    table = with_envelope(table)
    rows = trained_rows(table)
    matrix = ProxyInputs(table).matrix(rows, rows["fidelity"])
    topology = [INPUT_NAMES.index(name) for name in BASELINES["topology only"]]
    folds = group_folds(row_groups(rows))
    lines = []
    for target, validation in validations.items():
        predicted = {"all fidelities (the proxy)": validation.predictions["predicted"].to_numpy()}
        for name, part in (("screen", table.screen), ("amortised", table.amortised)):
            values = np.full(len(rows), np.nan)
            known, told = as_it_is(table, part, rows, target)
            values[known] = told
            predicted[f"{name} alone"] = values
        for name in dict.fromkeys(rows["fidelity"]):
            alone = rows["fidelity"].to_numpy() == name
            values = np.full(len(rows), np.nan)
            for fold in folds:
                train = np.setdiff1d(np.flatnonzero(alone), fold)
                model = MODELS[validation.model]().fit(
                    matrix[np.ix_(train, topology)], rows[target].to_numpy()[train]
                )
                values[fold], _ = model.predict(matrix[np.ix_(fold, topology)])
            predicted[f"{name} alone"] = values
        for fidelity, part in rows.reset_index(drop=True).groupby("fidelity"):
            for name, values in predicted.items():
                held = part.index[~np.isnan(values[part.index])]
                if len(held):
                    found = line(target, name, part[target][held].to_numpy(), values[held])
                    lines.append({"held out": fidelity, "rows": len(held), **found})
    return pd.DataFrame(lines)


def parts(table: CharacterizationTable, validation: ProxyValidation) -> pd.DataFrame:
    """Return a proxy's held-out error by fidelity, by cut, and where cuts have amortised rows."""
    rows = validation.predictions
    error = (rows["predicted"] - rows["measured"]).abs()
    inside = rows["measured"].between(rows["lower"], rows["upper"])
    amortised = rows["cut_layer"].isin(set(table.amortised["cut_layer"]))
    groups = pd.Series(interval_groups(rows["cut_layer"].tolist()), index=rows.index)
    kinds = {
        "own interval": groups,
        "fidelity": rows["fidelity"],
        "cut_layer": rows["cut_layer"],
        "amortised rows": amortised.map({True: "with", False: "without"}),
    }
    found = pd.concat(
        [
            pd.concat(
                [
                    error.groupby(key.rename(None), sort=False).agg(["size", "mean"]),
                    inside.groupby(key.rename(None), sort=False).mean(),
                ],
                axis=1,
            )
            for key in kinds.values()
        ],
        keys=kinds,
    )
    return found.set_axis(["rows", "mean_absolute_error", "coverage"], axis=1)


def line(target: str, name: str, measured: np.ndarray, predicted: np.ndarray) -> dict[str, object]:
    return {
        "target": target,
        "predictor": name,
        "mean_absolute_error": float(np.abs(predicted - measured).mean()),
        "spearman": rank_correlation(predicted, measured),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", default="cifar10", help="name or directory")
    table = load_table(load_study(parser.parse_args().study).table_path)
    started = time.perf_counter()
    fitted = fit_proxies(table).validations
    seconds = time.perf_counter() - started
    validations = fitted.values()
    chosen = pd.DataFrame(
        {
            "target": v.target,
            "predictor": f"proxy: {v.model}",
            "mean_absolute_error": v.mean_absolute_error,
            "spearman": v.spearman,
            "r2": v.r2,
            "coverage": v.coverage,
            "half_width": v.half_width,
            "loco_error": v.loco_mean_absolute_error,
            "loco_spearman": v.loco_spearman,
        }
        for v in validations
    )
    models = pd.DataFrame(
        {
            "target": v.target,
            "model": name,
            "mean_absolute_error": error,
            "crps": v.crps[name],
        }
        for v in validations
        for name, error in v.errors.items()
    )
    first = next(iter(validations))
    print(f"{table.path}: {first.n_rows} trained rows in {first.n_groups} groups")
    print(f"fitted without a cache in {seconds:.1f} s\n")
    everything = pd.concat([chosen, baseline_errors(table)]).sort_values("target", kind="stable")
    print(everything.to_string(index=False, float_format="%.4f", na_rep=""), "\n")
    print(models.to_string(index=False, float_format="%.4f"))
    print("\nall fidelities together against each alone, on held-out rows of each fidelity")
    alone = fidelity_errors(table, fitted)
    print(alone.to_string(index=False, float_format="%.4f"))
    for validation in validations:
        print(f"\n{validation.target}, held out, by part of the table")
        print(parts(table, validation).to_string(float_format="%.4f"))


if __name__ == "__main__":
    main()

"""What the figures of kept filters show: every strategy's predictions and measurements by cut.

Where features may be sent in several ways, they are sent as those of the recommended topology.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from privynet_opt.report.words import plain_numbers, readable_scale, topologies_in_words
from privynet_opt.search_space import SearchSpace, told_columns
from privynet_opt.topology import LOCAL_COLUMNS, SENDING_DEFAULTS

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

SHOWN = ("accuracy", "psnr_db")
"""Targets drawn."""

SENDING_LABELS = {"feature_bits": "bits", "noise_std": "noise"}

Numbers = tuple[float | int | None, ...]


class Curve(NamedTuple):
    """One strategy at one cut.

    Attributes:
        kept: Kept filters, ascending.
        bands: By target: predicted values, lower ends, upper ends.
        measured_kept: Kept filters of the trained measurements.
        measured: By target: measured values.
        measured_words: Each measured topology in words, with its fidelity.
    """

    kept: tuple[int, ...]
    bands: dict[str, tuple[Numbers, Numbers, Numbers]]
    measured_kept: tuple[int, ...]
    measured: dict[str, Numbers]
    measured_words: tuple[str, ...]


class FiltersInfo(NamedTuple):
    """Everything these figures need.

    Attributes:
        curves: By cut, in network order, and by strategy.
        ranges: By target, the lowest and highest value of all cuts, so that every cut is drawn on
            the same axis.
        limits: Limits by target.
        scale: The readable dB scale.
        cut: The cut shown first.
        strategy: The strategy whose band is shown first.
        sending: How features are sent, in words; empty where that is plainly.
    """

    curves: dict[str, dict[str, Curve]]
    ranges: dict[str, tuple[float, float]]
    limits: dict[str, tuple[float, ...]]
    scale: tuple[tuple[str, float], ...]
    cut: str
    strategy: str
    sending: str = ""


def filters_info(result: OptimizationResult) -> FiltersInfo:
    """Return what the figures show of a result.

    Args:
        result: What `optimize` returned.
    """
    rows, trained = result.candidates, result.table.trained
    first = rows.iloc[0] if result.best is None else result.best
    sending = ""
    if told_columns(rows) != LOCAL_COLUMNS:
        sent = {name: first[name] for name in SENDING_DEFAULTS}
        rows = _sent_so(result, sent)
        trained = trained[(trained[list(sent)] == pd.Series(sent)).all(axis=1)]
        sending = ", ".join(f"{label} {sent[name]:g}" for name, label in SENDING_LABELS.items())
    rows = rows[rows["selection_seed"] == 0]  # one curve a strategy: that of its first draw
    cuts = [cut for cut in result.table.cuts if cut in set(rows["cut_layer"])]
    strategies = list(dict.fromkeys(rows["selection_strategy"]))
    predicted = dict(iter(rows.groupby(["cut_layer", "selection_strategy"], sort=False)))
    measured = dict(iter(trained.groupby(["cut_layer", "selection_strategy"], sort=False)))
    curves = {
        cut: {
            strategy: _curve(_to_the_end(predicted, cut, strategy), measured.get((cut, strategy)))
            for strategy in strategies
            if (cut, strategy) in predicted
        }
        for cut in cuts
    }
    limits = {
        target: tuple(float(c.limit) for c in result.constraints if c.metric == target)
        for target in SHOWN
    }
    return FiltersInfo(
        curves=curves,
        ranges={target: _range(rows, trained, target) for target in SHOWN},
        limits=limits,
        scale=readable_scale(result.table),
        cut=str(first["cut_layer"]),
        strategy=str(first["selection_strategy"]),
        sending=sending,
    )


def _sent_so(result: OptimizationResult, sent: dict[str, Any]) -> pd.DataFrame:
    """Return every local network of the study with its features sent in one way, predicted."""
    channels = {name: cut.channels for name, cut in result.table.cuts.items()}
    space = replace(
        SearchSpace.of_study(result.spec, channels, result.table.searched),
        feature_bits=(int(sent["feature_bits"]),),
        noise_std=None,
        noise_step=None,
    )
    topologies = space.enumerate().assign(noise_std=float(sent["noise_std"]))
    return topologies.join(result.proxies.predict(topologies))


def _to_the_end(predicted: dict[Any, Any], cut: str, strategy: str) -> Any:
    """Return a strategy's candidates at a cut, with the one that keeps all filters.

    All strategies keep the same there, so the search space offers it under one of them only. A
    searched subset exists at its own counts alone.
    """
    rows = predicted[cut, strategy]
    if strategy == "searched":
        return rows
    widest = max(
        (found for (name, _), found in predicted.items() if name == cut),
        key=lambda found: found["kept_filters"].max(),
    )
    missing = widest[widest["kept_filters"] > rows["kept_filters"].max()]
    return rows if missing.empty else pd.concat([rows, missing])


def _curve(rows: Any, measured: Any) -> Curve:
    rows = rows.sort_values("kept_filters")
    bands = {
        target: (
            tuple(plain_numbers(rows[target], 4)),
            tuple(plain_numbers(rows[f"{target}_lower"], 4)),
            tuple(plain_numbers(rows[f"{target}_upper"], 4)),
        )
        for target in SHOWN
    }
    kept = tuple(rows["kept_filters"].tolist())
    if measured is None:
        return Curve(kept, bands, (), {target: () for target in SHOWN}, ())
    words = topologies_in_words(measured)
    fidelities = measured["fidelity"].tolist()
    return Curve(
        kept,
        bands,
        tuple(measured["kept_filters"].tolist()),
        {target: tuple(plain_numbers(measured[target], 4)) for target in SHOWN},
        tuple(f"{w}, {f}" for w, f in zip(words, fidelities, strict=True)),
    )


def _range(rows: Any, trained: Any, target: str) -> tuple[float, float]:
    ends = [rows[f"{target}_lower"].min(), rows[f"{target}_upper"].max()]
    if len(trained):
        ends += [trained[target].min(), trained[target].max()]
    pad = 0.03 * (max(ends) - min(ends))
    return round(float(min(ends) - pad), 4), round(float(max(ends) + pad), 4)

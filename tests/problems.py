"""Toy studies with closed-form measurements, so that every stage has a known answer.

A toy study is a directory with ``study.toml``, ``characterization.csv`` and
``characterization.json``: four cuts of a small network, accuracy and privacy loss given by
formulas, screened at every topology and trained at about half of them.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from privynet_opt.characterization.schema import COLUMNS, SCHEMA_VERSION
from privynet_opt.cost import CutProfile, cut_costs
from privynet_opt.topology import SENDING_DEFAULTS

KEPT_FILTERS = (1, 2, 4, 8, 12, 16, 24, 32)
STRATEGIES = ("random", "lda", "privacy")
OBJECTIVES = ("accuracy", "psnr_db", "local_flops")
CONSTRAINTS = ("psnr_db <= 17.5", "local_flops <= 1e6")

_SHAPES = (  # name, kind, convolutions, input channels, channels, side of the cut, of the conv
    ("conv1", "conv", 1, 3, 8, 16, 16),
    ("conv2", "conv", 2, 8, 16, 16, 16),
    ("conv2p", "pool", 2, 8, 16, 8, 16),
    ("conv3", "conv", 3, 16, 32, 8, 8),
)


def toy_cuts() -> tuple[CutProfile, ...]:
    """Return the profiles of four cuts of 3×3 convolutions on 16×16 images."""
    profiles, fixed_macs, fixed_bytes = [], 0, 0
    for index, (name, kind, depth, inputs, channels, side, conv_side) in enumerate(_SHAPES):
        macs = 9 * inputs * conv_side**2
        parameters = 4 * (9 * inputs + 1)
        held = 4 * inputs * conv_side**2
        peak = [(held, 4 * conv_side**2)]
        if kind == "pool":
            peak.append((0, 4 * (conv_side**2 + side**2)))
        profiles.append(
            CutProfile(
                name=name,
                kind=kind,
                node=f"features_{index}",
                depth=depth,
                channels=channels,
                height=side,
                width=side,
                macs=(fixed_macs, macs),
                parameters=(fixed_bytes, parameters),
                peak=tuple(peak),
            )
        )
        if index + 1 < len(_SHAPES) and _SHAPES[index + 1][2] > depth:
            fixed_macs += macs * channels
            fixed_bytes += parameters * channels
    return tuple(profiles)


def toy_truth(cut: CutProfile, kept: int, strategy: str) -> dict[str, float]:
    """Return accuracy, psnr_db and ssim of a topology: smooth, rising with the kept filters."""
    share = math.log1p(kept) / math.log1p(cut.channels)
    strategy_db = {"random": 0.0, "lda": 0.8, "privacy": -1.2}[strategy]
    pooled_db = -2.0 if cut.kind == "pool" else 0.0
    psnr_db = 13.5 + (13.0 - 2.0 * cut.depth) * share + (strategy_db + pooled_db) * share
    strategy_accuracy = {"random": 0.0, "lda": 0.03, "privacy": -0.02}[strategy]
    depth_accuracy = 0.02 * cut.depth
    accuracy = 0.25 + 0.4 * (1 - math.exp(-kept / 7)) + strategy_accuracy + depth_accuracy
    return {"accuracy": accuracy, "psnr_db": psnr_db, "ssim": (psnr_db - 12) / 16}


def toy_topologies() -> list[tuple[str, int, str, int]]:
    """Return every local network of the toy search space, in its order of enumeration."""
    return [
        (cut.name, kept, strategy, 0)
        for cut in toy_cuts()
        for kept in KEPT_FILTERS
        if kept <= cut.channels
        for strategy in (STRATEGIES if kept < cut.channels else STRATEGIES[:1])
    ]


def toy_table_of_truth() -> list[dict[str, Any]]:
    """Return every topology with its true targets and exact costs, one dict each."""
    cuts = {cut.name: cut for cut in toy_cuts()}
    rows = []
    for name, kept, strategy, seed in toy_topologies():
        costs = {key: int(value) for key, value in cut_costs(cuts[name], kept).items()}
        topology = {
            "cut_layer": name,
            "kept_filters": kept,
            "selection_strategy": strategy,
            "selection_seed": seed,
            **SENDING_DEFAULTS,
        }
        rows.append({**topology, **toy_truth(cuts[name], kept, strategy), **costs})
    return rows


def toy_rows(noise: float = 0.0) -> list[dict[str, Any]]:
    """Return the measurements: all at ``screen``, about half at ``standard``.

    Args:
        noise: Largest deviation of a trained measurement from the truth, in standard units
            (0.01 of accuracy, 0.1 dB); drawn by a fixed hash of the topology.
    """
    channels = {cut.name: cut.channels for cut in toy_cuts()}
    topologies = toy_topologies() + [(*t[:3], seed) for t in _drawn() for seed in (1, 2)]
    rows = []
    for name, kept, strategy, seed in topologies:
        topology = (name, kept, strategy, seed)
        rows.append(toy_row(topology, "screen", noise))
        is_drawn = _unit(f"{name}-{kept}-{strategy}-{seed}trained") > 0
        if seed or is_drawn or kept in (1, channels[name]):
            rows.append(toy_row(topology, "standard", noise))
    return rows


def toy_row(topology: tuple[str, int, str, int], fidelity: str, noise: float) -> dict[str, Any]:
    """Return what measuring a topology gives; the same as in `toy_rows` where that has it.

    Args:
        topology: As `toy_topologies` lists them.
        fidelity: ``"screen"`` or a trained one.
        noise: As in `toy_rows`.
    """
    name, kept, strategy, seed = topology
    truth = toy_truth({cut.name: cut for cut in toy_cuts()}[name], kept, strategy)
    shift = noise * _unit(f"{name}-{kept}-{strategy}-{seed}")
    return _row(topology, fidelity, truth, 0.0 if fidelity == "screen" else shift)


def write_toy_study(
    directory: Path,
    *,
    name: str = "toy",
    objectives: tuple[str, ...] = OBJECTIVES,
    constraints: tuple[str, ...] = CONSTRAINTS,
    noise: float = 0.5,
    with_table: bool = True,
    n_trials: int = 200,
    n_seeds: int = 1,
) -> Path:
    """Write a study directory.

    Args:
        directory: Created where missing.
        name: The study's name.
        objectives: Metric names.
        constraints: Constraints as text.
        noise: See `toy_rows`.
        with_table: Whether it has been characterized.
        n_trials: Default number of trials.
        n_seeds: Draws of ``random`` in the space; the table has three at some counts.

    Returns:
        The directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    text = STUDY_TOML.format(
        name=name,
        cut_layers=json.dumps([cut.name for cut in toy_cuts()]),
        kept_filters=json.dumps(KEPT_FILTERS),
        strategies=json.dumps(STRATEGIES),
        objectives=json.dumps(objectives),
        constraints=json.dumps(constraints),
        n_trials=n_trials,
        n_seeds=n_seeds,
    )
    (directory / "study.toml").write_text(text, encoding="utf-8")
    if with_table:
        write_toy_table(directory / "characterization.csv", toy_rows(noise))
    return directory


def write_noisy_toy_study(
    directory: Path, *, noise_step: float | None = None, with_table: bool = True
) -> Path:
    """Write a toy study that may code features and add noise to them.

    Args:
        directory: Created where missing.
        noise_step: In which steps; None for any noise in the range.
        with_table: Whether it has been characterized.

    Returns:
        The directory.
    """
    write_toy_study(directory, name="noisy-toy", with_table=False)
    study = directory / "study.toml"
    asked = "[search_space]\nfeature_bits = [32, 4]\nnoise_std = [0.0, 2.0]\n"
    asked += f"noise_step = {noise_step}\n" if noise_step else ""
    study.write_text(study.read_text().replace("[search_space]\n", asked))
    if not with_table:
        return directory
    rows = [row | SENDING_DEFAULTS for row in toy_rows(0.5)]
    trained = [row for row in rows if row["fidelity"] == "standard" and not row["selection_seed"]]
    for index, row in enumerate(trained[::2]):
        noise = 2.0 if row["kept_filters"] == 1 else round(2.0 * (0.618 * index % 1), 3)
        rows.append(sent_row(row, 4 if index % 2 else 32, noise))
    write_toy_table(directory / "characterization.csv", rows)
    return directory


def sent_row(row: dict[str, Any], bits: int, noise_std: float) -> dict[str, Any]:
    """Return what a measurement shows where features are coded and noisy: less of everything."""
    lost = noise_std**2 / (1 + noise_std**2) + (0.1 if bits == 4 else 0.0)
    psnr_db = row["psnr_db"] - lost * (row["psnr_db"] - 11)
    leaks = {"psnr_db": psnr_db, "decoder_psnr_db": psnr_db, "ridge_psnr_db": psnr_db - 0.3}
    told = {"accuracy": row["accuracy"] * (1 - 0.3 * lost), "ssim": (psnr_db - 12) / 16}
    return row | leaks | told | {"feature_bits": bits, "noise_std": noise_std}


def write_toy_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a table and a valid sidecar beside it.

    Args:
        path: The CSV file.
        rows: As `toy_rows` returns them.

    Returns:
        `path`.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        sent = {name for row in rows for name in row} & set(SENDING_DEFAULTS)
        columns = [name for name in COLUMNS if name in sent or name not in SENDING_DEFAULTS]
        writer = csv.DictWriter(file, fieldnames=columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_toy_sidecar(path)
    return path


def write_toy_sidecar(path: Path, **changes: Any) -> Path:
    """Write the sidecar that describes a table as it lies on disk.

    Args:
        path: The CSV file.
        **changes: Top-level entries to replace.

    Returns:
        The sidecar's path.
    """
    sidecar = {
        "schema_version": SCHEMA_VERSION,
        "table_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "columns": {key: column.meaning for key, column in COLUMNS.items()},
        "network": {
            "name": "small_cnn",
            "weights": "none",
            "weights_sha256": "0" * 64,
            "input_size": 16,
            "channels": {cut.name: cut.channels for cut in toy_cuts()},
        },
        "cuts": [asdict(cut) for cut in toy_cuts()],
        "data": {
            "name": "toy",
            "image_size": 16,
            "provenance": "closed form",
            "sha256": "0" * 64,
            "class_names": ["even", "odd"],
        },
        "fidelities": {
            "screen": {"attacker": "ridge", "epochs": 0},
            "standard": {"attacker": "decoder", "epochs": 10},
        },
        "measured": {"date": "2026-01-01", "hardware": "closed form", "versions": {}},
    }
    target = path.with_suffix(".json")
    target.write_text(json.dumps({**sidecar, **changes}, indent=2), encoding="utf-8")
    return target


def front_by_pairs(rows: list[dict[str, Any]], objectives: dict[str, str]) -> list[dict[str, Any]]:
    """Return the non-dominated rows by comparing every pair: slow, and plainly right.

    Args:
        rows: Candidates, all feasible.
        objectives: ``"up"`` or ``"down"`` by metric.
    """

    def losses(row: dict[str, Any]) -> list[float]:
        return [-row[m] if way == "up" else row[m] for m, way in objectives.items()]

    def dominates(a: dict[str, Any], b: dict[str, Any]) -> bool:
        pairs = list(zip(losses(a), losses(b), strict=True))
        return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)

    return [row for row in rows if not any(dominates(other, row) for other in rows)]


def _drawn() -> list[tuple[str, int, str, int]]:
    return [t for t in toy_topologies() if t[2] == "random" and t[1] in (4, 16)]


def _unit(key: str) -> float:
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**31 - 1


def _row(
    topology: tuple[str, int, str, int], fidelity: str, truth: dict[str, float], shift: float
) -> dict[str, Any]:
    trained = fidelity != "screen"
    name, kept, strategy, seed = topology
    drawn = 0.15 * _unit(f"{name}{kept}{seed}") if strategy == "random" else 0.0
    psnr_db = truth["psnr_db"] + drawn + 0.1 * shift
    ridge_db = psnr_db - 0.3 - 0.04 * (psnr_db - 12)
    return {
        "cut_layer": name,
        "kept_filters": kept,
        "selection_strategy": strategy,
        "selection_seed": seed,
        "fidelity": fidelity,
        "training_seed": 0,
        "accuracy": truth["accuracy"] + 0.01 * shift if trained else 0.85 * truth["accuracy"],
        "psnr_db": psnr_db if trained else ridge_db,
        "ssim": ((psnr_db if trained else ridge_db) - 12) / 16,
        "attacker": "decoder" if trained else "ridge",
        "ridge_psnr_db": ridge_db,
        "decoder_psnr_db": psnr_db if trained else "",
        "decoder_epochs": 10 if trained else 0,
        "cloud_epochs": 10 if trained else 0,
        "seconds": 30.0 if trained else 0.5,
    }


STUDY_TOML = """\
name = "{name}"
title = "Closed-form toy"

[network]
name = "small_cnn"
weights = "none"

[data]
name = "toy"
image_size = 16

[search_space]
cut_layers = {cut_layers}
kept_filters = {kept_filters}
selection_strategies = {strategies}

[search]
objectives = {objectives}
constraints = {constraints}
n_trials = {n_trials}
seed = 0
sampler = "nsga2"
confidence = 0.9

[characterization]
images = {{ cloud = 100, attacker = 100, score = 50 }}
trained_topologies = 40
repeated_seeds = {n_seeds}
"""

"""A made-up result of the CIFAR-10 study's size: every number a formula, every draw seeded."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from privynet_opt.candidates import best_of, front_of, judge, recommendable
from privynet_opt.characterization.audit import Audit, audit_table
from privynet_opt.constraints import parse_constraints
from privynet_opt.cost import COST_NAMES, CutProfile, cut_costs
from privynet_opt.infeasibility import explain_infeasibility
from privynet_opt.metrics import PREDICTED
from privynet_opt.optimizer import SearchOutcome
from privynet_opt.proxies.validation import ProxyValidation
from privynet_opt.search_space import TOPOLOGY_COLUMNS
from privynet_opt.shadow_prices import shadow_prices

GRID = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
STRATEGIES = ("random", "lda", "privacy", "privynet", "magnitude")
OBJECTIVES = ("accuracy", "psnr_db", "local_flops")
LIMITS = ("psnr_db <= 17.5", "local_flops <= 150e6", "memory_bytes <= 4e6")
HALF_WIDTHS = {"accuracy": 0.024, "psnr_db": 0.42, "ssim": 0.03}
TOPOLOGY = list(TOPOLOGY_COLUMNS)
# name, convolutions, channels, side of the cut, input channels of its last convolution
CUTS = (
    ("conv1", 1, 64, 32, 3),
    ("conv2", 2, 64, 32, 64),
    ("conv2p", 2, 64, 16, 64),
    ("conv3", 3, 128, 16, 64),
    ("conv4", 4, 128, 16, 128),
    ("conv4p", 4, 128, 8, 128),
    ("conv5", 5, 256, 8, 128),
    ("conv6", 6, 256, 8, 256),
    ("conv7", 7, 256, 8, 256),
    ("conv7p", 7, 256, 4, 256),
    ("conv8", 8, 512, 4, 256),
    ("conv9", 9, 512, 4, 512),
    ("conv10", 10, 512, 4, 512),
    ("conv10p", 10, 512, 2, 512),
)
FULL_MACS = {1: 1_769_472, 2: 39_518_208, 3: 58_392_576, 4: 96_141_312, 5: 115_015_680}
FULL_MACS |= {6: 152_764_416, 7: 190_513_152, 8: 209_387_520, 9: 247_136_256, 10: 284_884_992}


def fake_cuts() -> dict[str, CutProfile]:
    """VGG16's first fourteen cuts at 32 pixels, their costs close to the real ones."""
    cuts = {}
    for name, depth, channels, side, inputs in CUTS:
        conv_side = side * 2 if name.endswith("p") else side
        per_filter = 9 * inputs * conv_side * conv_side
        fixed = FULL_MACS[depth] - per_filter * channels
        weights = 4 * (9 * inputs + 1)
        peak = ((4 * inputs * conv_side**2, 4 * conv_side**2), (524_288, 0))
        cuts[name] = CutProfile(
            name, "pool" if name.endswith("p") else "conv", f"features_{depth}", depth, channels,
            side, side, (fixed, per_filter), (depth * 60_000, weights), peak,
        )  # fmt: skip
    return cuts


class FakeResult(SimpleNamespace):
    """What the report reads of a result; tests change its parts."""

    @property
    def audit(self) -> Audit:
        """The audit of the table as it is now."""
        return audit_table(self.table)


def fake_result(constraints: tuple[str, ...] = LIMITS, title: str | None = None) -> Any:
    """An object with the attributes of `OptimizationResult` that the report reads."""
    cuts = fake_cuts()
    table = fake_table(cuts)
    limits = parse_constraints(constraints)
    candidates = judge(fake_candidates(cuts, table.trained), OBJECTIVES, limits)
    eligible = recommendable(candidates, extrapolate=False)
    best = best_of(eligible)
    return FakeResult(
        spec=fake_spec(title),
        objectives=OBJECTIVES,
        constraints=limits,
        table=table,
        proxies=SimpleNamespace(
            validations=fake_validations(table.trained),
            fidelity="full",
            why_extrapolated=lambda topology: (
                f"trained measurements of {topology['cut_layer']} keep at most 256 filters",
                "it is made up",
            ),
        ),
        candidates=candidates,
        front=front_of(candidates),
        best=best,
        search=fake_search(feasible=best is not None),
        infeasibility=explain_infeasibility(eligible, limits),
        validation=None,
        hierarchical=None,
        shadow_prices=shadow_prices(eligible, best, limits),
        galleries=(),
    )


def fake_spec(title: str | None) -> Any:
    """The parts of the CIFAR-10 study that the report shows."""
    return SimpleNamespace(
        name="cifar10",
        title=title or "CIFAR-10 images, VGG16 cut after its first ten convolutions",
        network=SimpleNamespace(name="vgg16", weights="IMAGENET1K_V1"),
        data=SimpleNamespace(name="cifar10", image_size=32),
        search_space=SimpleNamespace(
            cut_layers=tuple(row[0] for row in CUTS),
            kept_filters=GRID,
            selection_strategies=STRATEGIES,
        ),
        search=SimpleNamespace(confidence=0.9, extrapolate=False),
    )


def fake_truth(rows: pd.DataFrame, cuts: dict[str, CutProfile]) -> dict[str, np.ndarray]:
    """Smooth targets: deeper cuts and fewer filters hide more and classify worse."""
    depth = np.array([cuts[c].depth for c in rows["cut_layer"]])
    pooled = np.array([c.endswith("p") for c in rows["cut_layer"]], dtype=float)
    share = np.log2(rows["kept_filters"].to_numpy() * 2.0) / 10
    offset = rows["selection_strategy"].map(
        {"random": 0, "lda": 0.012, "privacy": -0.02, "privynet": 0.004, "magnitude": 0.008}
    )
    accuracy = 0.22 + 0.42 * share + 0.035 * depth * share - 0.03 * pooled + offset.to_numpy()
    psnr = 12.9 + (16.5 - 1.05 * depth - 1.2 * pooled) * share + 25 * offset.to_numpy()
    ssim = np.clip((psnr - 11.5) / 17, 0.02, 0.98)
    return {"accuracy": np.clip(accuracy, 0.1, 0.9), "psnr_db": psnr, "ssim": ssim}


def fake_table(cuts: dict[str, CutProfile]) -> Any:
    """Eighty trained measurements, 60 of them at topologies the search space holds."""
    draw = np.random.default_rng(0)
    names = list(cuts)
    rows = []
    for i in range(80):
        name = names[i % len(names)]
        kept = [k for k in GRID if k <= cuts[name].channels]
        strategy = STRATEGIES[(i // 3) % 5]
        seed = 1 if strategy in ("random", "privynet") and i % 2 else 0
        rows.append((name, kept[(7 * i + i // 14) % len(kept)], strategy, seed, 32, 0.0))
    trained = pd.DataFrame(rows, columns=TOPOLOGY).drop_duplicates(ignore_index=True)
    for target, values in fake_truth(trained, cuts).items():
        trained[target] = values + draw.normal(0, HALF_WIDTHS[target] / 1.8, len(trained))
    trained["fidelity"] = np.where(np.arange(len(trained)) % 4 == 0, "full", "standard")
    trained["attacker"] = "decoder"
    trained["training_seed"] = 1
    trained["decoder_psnr_db"] = trained["psnr_db"]
    trained["ridge_psnr_db"] = trained["psnr_db"] - 1
    return SimpleNamespace(
        cuts=cuts, trained=trained, rows=trained, path=Path("characterization.csv"),
        sidecar=fake_sidecar(),
    )  # fmt: skip


def fake_sidecar() -> dict[str, Any]:
    """Provenance as a table's sidecar holds it."""
    recipe = {"attacker_images": 20000, "cloud_images": 20000, "max_epochs": 30, "patience": 4}
    return {
        "schema_version": 1,
        "table_sha256": "c0ffee" * 10 + "abcd",
        "network": {"name": "vgg16", "weights": "IMAGENET1K_V1", "weights_sha256": "ab12" * 16,
                    "input_size": 32},
        "data": {"name": "cifar10", "provenance": "CIFAR-10, University of Toronto, 2009",
                 "sha256": "12ef" * 16, "class_names": ["airplane", "automobile", "bird"],
                 "psnr_scale_db": {"mean image": 12.7, "label only": 13.1, "4×4 thumbnail": 17.5,
                                   "8×8 thumbnail": 20.2, "16×16 thumbnail": 24.5}},
        "fidelities": {"screen": {"attacker": "ridge"}, "standard": recipe,
                       "full": {**recipe, "cloud_images": 50000, "max_epochs": 120}},
        "measured": {"date": "2026-08-14", "hardware": "NVIDIA H200, 16 cores",
                     "versions": {"torch": "2.13.0", "torchvision": "0.28.0"}},
    }  # fmt: skip


def fake_candidates(cuts: dict[str, CutProfile], trained: pd.DataFrame) -> pd.DataFrame:
    """The whole search space with predictions, costs and measured values."""
    space = [
        (name, kept, strategy, 0, 32, 0.0)
        for name, cut in cuts.items()
        for kept in GRID
        if kept <= cut.channels
        for strategy in (STRATEGIES if kept < cut.channels else STRATEGIES[:1])
    ]
    rows = pd.DataFrame(space, columns=TOPOLOGY)
    for target, values in fake_truth(rows, cuts).items():
        rows[target] = values
        rows[f"{target}_lower"] = values - HALF_WIDTHS[target]
        rows[f"{target}_upper"] = values + HALF_WIDTHS[target]
    for name in COST_NAMES:
        rows[name] = [int(cut_costs(cuts[c], k)[name]) for c, k, *_ in space]
    rows["extrapolation"] = rows["kept_filters"] >= 384
    measured = trained.drop_duplicates(TOPOLOGY).set_index(TOPOLOGY)
    found = measured.reindex(pd.MultiIndex.from_frame(rows[TOPOLOGY]))
    for target in PREDICTED:
        rows[f"measured_{target}"] = found[target].to_numpy()
    rows["measured_fidelity"] = found["fidelity"].fillna("").to_numpy()
    rows["measured"] = rows["measured_accuracy"].notna()
    return rows


def fake_validations(trained: pd.DataFrame) -> dict[str, Any]:
    """Held-out predictions that miss by a seeded, normal error."""
    draw = np.random.default_rng(1)
    found = {}
    for target in PREDICTED:
        half = HALF_WIDTHS[target]
        held_out = trained[[*TOPOLOGY, "fidelity"]].copy()
        held_out["measured"] = trained[target]
        held_out["predicted"] = trained[target] + draw.normal(0, half / 1.6, len(trained))
        held_out["lower"] = held_out["predicted"] - half
        held_out["upper"] = held_out["predicted"] + half
        errors = (held_out["predicted"] - held_out["measured"]).abs()
        found[target] = ProxyValidation(
            target=target, model="Gaussian process", errors={"Gaussian process": half / 2},
            crps={"Gaussian process": half / 3},
            confidence=0.9, loco_mean_absolute_error=half, loco_spearman=0.9,
            n_rows=len(trained), n_groups=62,
            mean_absolute_error=float(errors.mean()), r2=0.97,
            spearman=float(held_out["measured"].corr(held_out["predicted"], method="spearman")),
            coverage=float((errors <= half).mean()), half_width=half, predictions=held_out,
        )  # fmt: skip
    return found


def fake_search(feasible: bool) -> Any:
    """A search that reaches 97.8 % of the enumerated hypervolume."""
    optimum = 3.1e8 if feasible else 0.0
    history = optimum * 0.978 * (1 - np.exp(-np.arange(1000) // 50 / 3.0))
    return SearchOutcome(
        hypervolume_history=history, search_hypervolume=float(history[-1]),
        enumerated_hypervolume=optimum, gap=0.022 if feasible else float("nan"),
        reference_point=(0.0, 30.0, 6e8), n_trials=1000, sampler="nsga2", seed=0,
    )  # fmt: skip

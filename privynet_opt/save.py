"""A result as files: front, candidates and the Optuna study, each whole or not there."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privynet_opt import __version__
from privynet_opt.files import prepare_output, write_atomically
from privynet_opt.saved import FRONT, INSIDE, JOURNAL, VALIDATION
from privynet_opt.search_space import told_columns
from privynet_opt.study_journal import journal_text, keep_in_storage
from privynet_opt.topology import TOPOLOGY_COLUMNS, LocalTopology

if TYPE_CHECKING:
    import pandas as pd

    from privynet_opt.api import OptimizationResult
    from privynet_opt.hierarchical import HierarchicalChoice
    from privynet_opt.shadow_prices import ShadowPrice
    from privynet_opt.validation import Validation

DIGITS = 6
"""Significant digits of predictions in the files; far below the proxies' errors."""


def save_result(result: OptimizationResult, directory: Path) -> dict[str, Path]:
    """Write a result's files; the same result gives the same front to the byte.

    Args:
        result: What `optimize` returned.
        directory: The folder; made where missing. Files of the same names are replaced, but not a
            journal that is a storage of this study or of several; a validation that was of another
            answer is removed.

    Returns:
        Paths by file name.

    Raises:
        OutputError: If one of them cannot be written, for instance on a full disk.
    """
    prepare_output(directory)
    texts = {
        "front.csv": csv_text(result.front),
        FRONT: json.dumps(
            front_content(result) | {"study_path": _place(result.spec.argument, directory)},
            indent=1,
            ensure_ascii=False,
        )
        + "\n",
        "candidates.csv": csv_text(result.candidates),
    }
    if not keep_in_storage(result.study, directory / JOURNAL):
        texts[JOURNAL] = journal_text(result.study)
    (directory / VALIDATION).unlink(missing_ok=True)
    for name, text in texts.items():
        write_atomically(directory / name, text)
    return {name: directory / name for name in (*texts, JOURNAL)}


def _place(argument: str, directory: Path) -> str:
    """Return where a study is, from the result's folder if it lies inside: both may be moved."""
    place, folder = Path(argument), directory.resolve()
    if place.is_absolute() and place.resolve().is_relative_to(folder):
        return INSIDE + place.resolve().relative_to(folder).as_posix()
    return argument


def save_validation(validation: Validation, directory: Path) -> Path:
    """Write what a fresh attack found as `VALIDATION`.

    Args:
        validation: From `OptimizationResult.validate`.
        directory: The folder.

    Returns:
        The file.
    """
    points = [_plain(row) for row in validation.points.to_dict("records")]
    content = {
        "predicted_fidelity": validation.predicted_fidelity,
        "fidelity": validation.fidelity,
        "training_seed": validation.training_seed,
        "holds": validation.holds,
        "same_source": validation.same_source,
        "points": points,
    }
    path = directory / VALIDATION
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def csv_text(frame: pd.DataFrame) -> str:
    """Return a DataFrame as CSV: predictions to `DIGITS` digits, exact counts in full.

    How features are sent is left out where it is always the default.

    Args:
        frame: Candidates or front.
    """
    told = frame.drop(columns=[n for n in TOPOLOGY_COLUMNS if n not in told_columns(frame)])
    text: str = told.to_csv(index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")
    return text


def front_content(result: OptimizationResult) -> dict[str, Any]:
    """Return the front and where it comes from, as plain data for JSON.

    Args:
        result: What `optimize` returned.

    Returns:
        Study, question, recommendation, shadow prices, front, search and proxies' errors; NaN
        as null.
    """
    search, best = result.search, result.best
    return {
        "study": result.spec.name,
        "study_path": result.spec.argument,
        "title": result.spec.title,
        "objectives": list(result.objectives),
        "constraints": [str(constraint) for constraint in result.constraints],
        "predicted_fidelity": result.proxies.fidelity,
        "confidence": result.spec.search.confidence,
        "extrapolate": result.spec.search.extrapolate,
        "recommended": None if best is None else _point(best.to_dict()),
        "front": [_point(row) for row in result.front.to_dict("records")],
        "shadow_prices": [_price(price) for price in result.shadow_prices],
        "hierarchical": None if result.hierarchical is None else _choice(result.hierarchical),
        "infeasibility": result.infeasibility.lines() if result.infeasibility else None,
        "search": _plain(
            {
                "sampler": search.sampler,
                "seed": search.seed,
                "n_trials": search.n_trials,
                "n_asked": result.spec.search.n_trials,
                "hypervolume": search.search_hypervolume,
                "enumerated_hypervolume": search.enumerated_hypervolume,
                "gap": search.gap,
                "reference_point": list(search.reference_point),
            }
        ),
        "proxies": {
            target: _plain({name: getattr(held_out, name) for name in _ERRORS})
            for target, held_out in result.proxies.validations.items()
        },
        "answer_sha256": result.table.answer_sha256,
        "privynet_opt": __version__,
    }


def _point(row: dict[Any, Any]) -> Any:
    topology = LocalTopology.of(row).as_dict()
    return _plain(topology | {n: v for n, v in row.items() if n not in TOPOLOGY_COLUMNS})


def _price(price: ShadowPrice) -> dict[str, Any]:
    topology = None if price.topology is None else price.topology.as_dict()
    limits = {name: getattr(price, name) for name in ("constraint", "moved", "needed")}
    return {
        "metric": price.metric,
        **{name: None if limit is None else str(limit) for name, limit in limits.items()},
        "accuracy_change": _plain(price.change),
        "topology": topology,
    }


def _choice(choice: HierarchicalChoice) -> dict[str, Any]:
    return {
        "steps": list(choice.steps),
        "topology": None if choice.topology is None else choice.topology.as_dict(),
        "accuracy": _plain(choice.accuracy),
        "broken": [str(constraint) for constraint in choice.broken],
    }


_ERRORS = (
    "model",
    "n_rows",
    "n_groups",
    "mean_absolute_error",
    "spearman",
    "r2",
    "coverage",
    "half_width",
)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value

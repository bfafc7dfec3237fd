"""Read a saved result back: its question, its recommendation, what a validation found."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privynet_opt.errors import OutputError
from privynet_opt.topology import SENDING_DEFAULTS

if TYPE_CHECKING:
    from privynet_opt.validation import Validation

FRONT = "front.json"
"""Holds the question as well as the answer, so that a saved result can be asked again."""

JOURNAL = "study.journal"

VALIDATION = "validation.json"

INSIDE = "./"
"""How the path of a study begins that lies in the folder of its result."""


def read_front(directory: Path) -> dict[str, Any]:
    """Read what `front_content` says of a saved result.

    Args:
        directory: The folder that a result was saved to.

    Returns:
        Plain data; ``study_path`` as `load_study` takes it, also where the folder was moved. Of
        ``search``, ``n_trials`` is how many finished, also in earlier runs on the same storage, and
        ``n_asked`` how many were asked for.

    Raises:
        OutputError: If the folder holds no result that this version can read.
    """
    path = directory / FRONT
    try:
        saved: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = [name for name in _NEEDED if name not in saved]
        missing += [name for name in _NEEDED_OF_SEARCH if name not in saved["search"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _no_result(path, type(error).__name__) from error
    if missing:
        raise _no_result(path, f"{missing[0]!r} is missing")
    # Earlier versions told only how many trials finished.
    saved["search"].setdefault("n_asked", saved["search"]["n_trials"])
    if saved["study_path"].startswith(INSIDE):
        saved["study_path"] = str(directory.resolve() / saved["study_path"])
    return saved


def command_of(saved: dict[str, Any], directory: Path) -> str:
    """Return the command that asks the question of a saved result again.

    Args:
        saved: From `read_front`.
        directory: The folder it was saved to.
    """
    search = saved["search"]
    words = ["privynet-opt", "run", "--study", saved["study_path"], "--output", str(directory)]
    for limit in saved["constraints"] or ["none"]:
        words += ["--constraint", limit]
    for objective in saved["objectives"]:
        words += ["--objective", objective]
    words += ["--confidence", f"{saved['confidence']:g}", "--sampler", search["sampler"]]
    words += ["--n-trials", str(search["n_asked"]), "--seed", str(search["seed"])]
    return shlex.join([*words, *(["--extrapolate"] if saved["extrapolate"] else [])])


def read_validation(directory: Path) -> Validation | None:
    """Read what `save_validation` wrote.

    Args:
        directory: The folder.

    Returns:
        The validation without its measurements; None where there was none.

    Raises:
        OutputError: If the file is damaged.
    """
    import pandas as pd

    from privynet_opt.label_knowledge import UNKNOWN
    from privynet_opt.validation import Validation

    path = directory / VALIDATION
    if not path.exists():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        defaults = {**SENDING_DEFAULTS, "earlier": False, "undecided": "", **UNKNOWN}
        return Validation(
            points=pd.DataFrame([{**defaults, **point} for point in said["points"]]),
            predicted_fidelity=said["predicted_fidelity"],
            fidelity=said["fidelity"],
            training_seed=said["training_seed"],
            measured=None,
            same_source=said["same_source"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"a validation must be what `privynet-opt validate` wrote, but {path} cannot be used "
            f"({type(error).__name__}). Validate again, or remove the file."
        ) from error


def _no_result(path: Path, why: str) -> OutputError:
    return OutputError(
        f"a result must be a folder that `privynet-opt run` or `tune` wrote, but {path} cannot be "
        f"used ({why}). Run the study again."
    )


_NEEDED = (
    "study_path",
    "objectives",
    "constraints",
    "predicted_fidelity",
    "confidence",
    "extrapolate",
    "recommended",
    "front",
    "answer_sha256",
)
_NEEDED_OF_SEARCH = ("n_trials", "seed", "sampler")

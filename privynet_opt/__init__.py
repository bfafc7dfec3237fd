"""Choose what a split network keeps on the device: accuracy, privacy loss and cost, searched.

Importing this package loads none of its heavy dependencies; each name loads what it needs on
first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from privynet_opt.api import OptimizationResult, optimize
    from privynet_opt.constraints import Constraint
    from privynet_opt.errors import PrivyNetOptError
    from privynet_opt.study_spec import StudySpec, list_studies, load_study
    from privynet_opt.topology import LocalTopology
    from privynet_opt.tuning import Tuned, tune

__version__ = "0.1.0"

__all__ = [
    "Constraint",
    "LocalTopology",
    "OptimizationResult",
    "PrivyNetOptError",
    "StudySpec",
    "Tuned",
    "list_studies",
    "load_study",
    "optimize",
    "tune",
]

_HOMES = {
    "Constraint": "constraints",
    "LocalTopology": "topology",
    "OptimizationResult": "api",
    "PrivyNetOptError": "errors",
    "StudySpec": "study_spec",
    "Tuned": "tuning",
    "list_studies": "study_spec",
    "load_study": "study_spec",
    "optimize": "api",
    "tune": "tuning",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})

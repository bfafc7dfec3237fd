"""Provenance: what the numbers rest on; nothing about when or where this run happened."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from privynet_opt import __version__
from privynet_opt.characterization.schema import FIDELITIES
from privynet_opt.metrics import METRICS
from privynet_opt.report.words import format_value

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

PACKAGES = ("optuna", "scikit-learn", "numpy", "pandas", "plotly")
"""What turned the table into this result."""


LISTED = 12
"""How many entries of a list are written out; ImageNet has a thousand classes."""


class Group(NamedTuple):
    """Facts that belong together.

    Attributes:
        title: What they are about.
        facts: Pairs of term and value.
    """

    title: str
    facts: tuple[tuple[str, str], ...]


def provenance(result: OptimizationResult) -> tuple[Group, ...]:
    """Return where everything in the report comes from.

    Args:
        result: What `optimize` returned.
    """
    side, spec = result.table.sidecar, result.spec
    network, data = side.get("network", {}), side.get("data", {})
    measured = side.get("measured", {})
    return (
        Group("Study", tuple(_study(result))),
        Group("Network", tuple(_known(network, first={"name": spec.network.name}))),
        Group("Data", tuple(_known(data, first={"name": spec.data.name}))),
        Group("Measurements", tuple(_measurements(result, measured))),
        Group("Recipes by fidelity", tuple(_known(side.get("fidelities", {})))),
        Group("Software of this result", tuple(_software())),
    )


def _study(result: OptimizationResult) -> Iterator[tuple[str, str]]:
    search, spec = result.search, result.spec
    yield "name", spec.name
    yield "objectives", ", ".join(map(str, result.objectives))
    yield "constraints", "; ".join(map(str, result.constraints)) or "none"
    yield "predictions are for fidelity", result.proxies.fidelity
    yield "confidence of the intervals", f"{spec.search.confidence:.0%}"
    counted = "enumerated" if result.search.is_enumerated else "tried by the search"
    yield f"topologies {counted}", f"{len(result.candidates):,}"
    if search is not None:
        yield "search", f"{search.n_trials:,} trials, sampler {search.sampler}, seed {search.seed}"


def _measurements(
    result: OptimizationResult, measured: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    table = result.table
    yield "table", table.path.name
    yield "table sha256", str(table.sidecar.get("table_sha256", "not recorded"))
    counts = dict(table.rows["fidelity"].value_counts())
    yield "rows", ", ".join(f"{counts[name]:,} {name}" for name in FIDELITIES if name in counts)
    yield from _known(measured)


def _known(
    facts: Mapping[str, Any], first: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, str]]:
    merged = {**(first or {}), **facts}
    for name, value in merged.items():
        yield name.replace("_", " "), _words(value)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        told = {k: format_value(k, v) if k in METRICS else _words(v) for k, v in value.items()}
        return ", ".join(f"{str(k).replace('_', ' ')} {text}" for k, text in told.items())
    if isinstance(value, list | tuple):
        shown = ", ".join(_words(part) for part in value[:LISTED])
        return shown if len(value) <= LISTED else f"{shown} and {len(value) - LISTED} more"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not recorded" if value in (None, "") else str(value)


def _software() -> Iterator[tuple[str, str]]:
    yield "privynet_opt", __version__
    yield "Python", platform.python_version()
    for name in PACKAGES:
        yield name, version(name)

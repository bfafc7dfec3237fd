"""Provenance: what the numbers rest on; nothing about when or where this run happened."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from privynet_opt import __version__
from privynet_opt.characterization.schema import FIDELITIES
from privynet_opt.metrics import METRICS
from privynet_opt.report.words import format_level, format_value

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
    return (
        Group("Study", tuple(_study(result))),
        Group("Network", tuple(_known(network, first={"name": spec.network.name}))),
        Group("Data", tuple(_known(data, first={"name": spec.data.name}))),
        Group("Measurements", tuple(_measurements(result))),
        Group("Recipes by fidelity", tuple(_known(side.get("fidelities", {})))),
        Group("Software of this result", tuple(_software())),
    )


def measured_days(sidecar: Mapping[str, Any]) -> str:
    """Return when a table was measured, its extensions included.

    Args:
        sidecar: The table's sidecar.

    Returns:
        For example ``"2026-01-03"`` or ``"2026-01-03 to 2026-01-05"``; empty where not recorded.
    """
    measured = [sidecar.get("measured", {}), *sidecar.get("extensions", [])]
    days = sorted(day for told in measured for day in told.get("date", "").split(" to ") if day)
    return " to ".join(dict.fromkeys([days[0], days[-1]])) if days else ""


def _study(result: OptimizationResult) -> Iterator[tuple[str, str]]:
    search, spec = result.search, result.spec
    yield "name", spec.name
    yield "objectives", ", ".join(map(str, result.objectives))
    yield "constraints", "; ".join(map(str, result.constraints)) or "none"
    yield "predictions are for fidelity", result.proxies.fidelity
    yield "confidence of the intervals", format_level(spec.search.confidence)
    counted = "enumerated" if result.search.is_enumerated else "tried by the search"
    yield f"topologies {counted}", f"{len(result.candidates):,}"
    if search is not None:
        yield "search", f"{search.n_trials:,} trials, sampler {search.sampler}, seed {search.seed}"


def _measurements(result: OptimizationResult) -> Iterator[tuple[str, str]]:
    table = result.table
    yield "table", table.path.name
    yield "table sha256", str(table.sidecar.get("table_sha256", "not recorded"))
    counts = dict(table.rows["fidelity"].value_counts())
    yield "rows", ", ".join(f"{counts[name]:,} {name}" for name in FIDELITIES if name in counts)
    measured, days = table.sidecar.get("measured", {}), measured_days(table.sidecar)
    yield from _known({**measured, "date": days} if days else measured)


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

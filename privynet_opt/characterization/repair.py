"""Measure again, at a dearer fidelity, what an audit finds attacked too weakly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from privynet_opt.characterization.audit import audit_table
from privynet_opt.characterization.job import Job
from privynet_opt.characterization.schema import TRAINED_FIDELITIES, is_dearer
from privynet_opt.characterization.table import load_table
from privynet_opt.topology import LocalTopology


def repairs(path: Path, jobs: Sequence[Job]) -> list[Job]:
    """Return the measurements that answer an audit's violations and are not made yet.

    Each topology that was attacked too weakly, and is not measured better already, gets networks
    of its own, or where it has them, networks trained to convergence; there is nothing beyond. That
    a cheaper attack recovers more is an answer where the weak one was not trained for the topology.
    A decoder that is too small is not answered by training it longer.

    Args:
        path: The table of what is measured so far.
        jobs: One job per cut, to take everything but the topologies from.

    Returns:
        Jobs with something missing, none if every violation is answered.
    """
    wanted: dict[str, list[tuple[LocalTopology, str]]] = {}
    for violation in audit_table(load_table(path)).violations:
        dearer = next((f for f in TRAINED_FIDELITIES if is_dearer(f, violation.fidelity)), None)
        was_trained = violation.rule == "fidelity" and violation.fidelity in TRAINED_FIDELITIES
        is_answered = violation.measured_again and not was_trained
        if dearer is not None and violation.rule != "capacity" and not is_answered:
            wanted.setdefault(violation.weak.cut_layer, []).append((violation.weak, dearer))
    answers = [
        replace(job, wanted=tuple(dict.fromkeys(wanted.get(job.cut.name, ())))) for job in jobs
    ]
    return [job for job in answers if job.missing()]

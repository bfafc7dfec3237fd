"""Measure again, at a dearer fidelity, what an audit finds attacked too weakly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from privynet_opt.characterization.audit import audit_table
from privynet_opt.characterization.job import Job
from privynet_opt.characterization.schema import FIDELITIES
from privynet_opt.characterization.table import load_table
from privynet_opt.topology import LocalTopology


def repairs(path: Path, jobs: Sequence[Job]) -> list[Job]:
    """Return the measurements that answer an audit's violations and are not made yet.

    Each topology that was attacked too weakly is measured at the next fidelity, whose attackers
    are trained longer; there is none beyond the last.

    Args:
        path: The table of what is measured so far.
        jobs: One job per cut, to take everything but the topologies from.

    Returns:
        Jobs with something missing, none if every violation is answered.
    """
    wanted: dict[str, list[tuple[LocalTopology, str]]] = {}
    for violation in audit_table(load_table(path)).violations:
        if violation.fidelity != FIDELITIES[-1]:
            dearer = FIDELITIES[FIDELITIES.index(violation.fidelity) + 1]
            wanted.setdefault(violation.weak.cut_layer, []).append((violation.weak, dearer))
    answers = [
        replace(job, wanted=tuple(dict.fromkeys(wanted.get(job.cut.name, ())))) for job in jobs
    ]
    return [job for job in answers if job.missing()]

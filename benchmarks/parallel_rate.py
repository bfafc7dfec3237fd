"""Trained measurements an hour: one by one, stacked, and in worker processes, in one run.

Run ``python benchmarks/parallel_rate.py`` (all cuts of the study ``digits``), or with ``--study``,
``--data``, ``--weights`` and ``--cut``. The same topologies are measured at fidelity ``standard``
one by one with all cores, in stacks with all cores, and one by one in worker processes that share
the cores (each with the threads that ``OMP_NUM_THREADS`` allows); a worker takes another cut, or
its share of the only one. The features of a cut count. Prints the rates and their ratios to one by
one, the processor time of a measurement, which other work on the machine disturbs less, and how
far stacking moves the values.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from privynet_opt.characterization.design import kept_grid
from privynet_opt.characterization.job import Job, forget, run_job
from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.characterization.parallel import run_jobs, threads_per_worker
from privynet_opt.characterization.schema import KEY
from privynet_opt.characterization.study_inputs import StudyInputs
from privynet_opt.networks.cuts import Cut
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LocalTopology

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="digits", help="name or directory")
    parser.add_argument("--data", type=Path, help="folder of its images")
    parser.add_argument("--weights", help="state-dict file (default: the study's)")
    parser.add_argument("--cut", action="append", help="cut layer; repeat for more (all)")
    parser.add_argument("--topologies", type=int, default=4, help="topologies of each cut (4)")
    parser.add_argument("--stack", type=int, default=4, help="trained together (4)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    asked = parser.parse_args()
    spec = load_study(asked.study)
    inputs = StudyInputs.load(spec, asked.data, asked.weights)
    jobs = [
        Job(
            spec.network.name,
            inputs.weights,
            cut,
            inputs.splits,
            spread(cut, spec.search_space.kept_filters, asked.topologies),
            Path(),
            asked.device,
            threads=1,
        )
        for cut in inputs.cuts
        if asked.cut is None or cut.name in asked.cut
    ]
    ways = {
        "one by one": (1, 1),
        f"stacks of {asked.stack}": (asked.stack, 1),
        f"{asked.workers} workers": (1, asked.workers),
    }
    values: list[dict[tuple[Any, ...], Row]] = []
    rates: list[float] = []
    for way, (stack, workers) in ways.items():
        rows, seconds, cpu_seconds = measured(jobs, stack, workers)
        values.append({tuple(row[name] for name in KEY): row for row in rows})
        rates.append(3600 * len(rows) / seconds)
        print(
            f"{way:12}{rates[-1]:6.0f} measurements an hour, {rates[-1] / rates[0]:.2f} times one "
            f"by one ({len(rows)} in {seconds:.0f} s, {cpu_seconds / len(rows):.1f} s of processor "
            f"time each, threads: {threads_per_worker(workers, None)})",
            flush=True,
        )
    for name in ("accuracy", "psnr_db"):
        moved = [abs(row[name] - values[1][key][name]) for key, row in values[0].items()]
        print(f"stacking moves {name} by {sum(moved) / len(moved):.3f}, {max(moved):.3f} at most")


def spread(cut: Cut, kept_filters: Sequence[int], n: int) -> tuple[tuple[LocalTopology, str], ...]:
    """Return topologies of a cut whose counts of kept filters are spread over its grid."""
    grid = kept_grid(kept_filters, cut.channels)
    counts = [grid[(2 * index + 1) * len(grid) // (2 * n)] for index in range(n)]
    return tuple(
        (LocalTopology(cut.name, count, "random", seed), "standard")
        for seed, count in enumerate(counts)
    )


def measured(jobs: Sequence[Job], stack: int, workers: int) -> tuple[list[Row], float, float]:
    """Run jobs in a folder of their own; return the rows, and seconds of the clock and of cores."""
    shares = workers if len(jobs) == 1 else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        threads = threads_per_worker(workers, None)
        mine = [
            replace(
                job, wanted=job.wanted[share::shares], output=folder, threads=threads, stack=stack
            )
            for job in jobs
            for share in range(shares)
        ]
        forget()
        started, used = time.perf_counter(), cpu_time()
        run_jobs(mine, run_job, workers)
        seconds = time.perf_counter() - started
        return MeasurementFolder(folder).rows(), seconds, cpu_time() - used


def cpu_time() -> float:
    """Return the processor seconds of this process and of those that it began and that ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


if __name__ == "__main__":
    main()

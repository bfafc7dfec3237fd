"""Time the amortised fidelity over a study's whole space, with everything it trains.

Run ``python benchmarks/whole_space.py --data FOLDER --weights FILE --output DIR``. It starts
``privynet-opt characterize --fidelity amortised``, which also screens, and watches it. Stopped, it
goes on when started again, as `characterize` does: the times of all parts are added up, so that
what a stop loses counts. Memory is that of the run's processes together; pages that they share
count once (proportional set sizes, Linux).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

from privynet_opt.characterization.measurement_folder import MeasurementFolder

SECONDS_BETWEEN = 15
"""Between two looks at the memory."""

BAR_HOURS = 3
BAR_GB = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="cifar10", help="name or directory")
    parser.add_argument("--data", type=Path, help="folder of its images")
    parser.add_argument("--weights", help="state-dict file (default: the study's)")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    command = [sys.executable, "-m", "privynet_opt", "characterize", "--fidelity", "amortised"]
    for name, value in vars(asked).items():
        command += [] if value is None else [f"--{name}", str(value)]
    parts = asked.output / "parts.jsonl"
    asked.output.mkdir(parents=True, exist_ok=True)
    status, seconds, peak = watched(command)
    with parts.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"seconds": seconds, "peak_gb": peak, "status": status}) + "\n")
    told = [json.loads(line) for line in parts.read_text(encoding="utf-8").splitlines()]
    hours = sum(part["seconds"] for part in told) / 3600
    largest = max(part["peak_gb"] for part in told)
    rows = MeasurementFolder(asked.output).rows()
    amortised = sum(row["fidelity"] == "amortised" for row in rows)
    print(f"{amortised:,} amortised and {len(rows) - amortised:,} screened rows, {len(told)} parts")
    print(
        f"time        {hours:.2f} hours, {held(hours <= BAR_HOURS, f'{BAR_HOURS} hours', status)}"
    )
    print(f"peak memory {largest:.2f} GB, {held(largest <= BAR_GB, f'{BAR_GB} GB', status)}")


def watched(command: list[str]) -> tuple[int, float, float]:
    """Run a command; return its exit status, seconds, and peak memory in GB."""
    started, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(command)
    while True:
        peak = max(peak, memory_gb(process.pid))
        try:
            status = process.wait(SECONDS_BETWEEN)
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt:  # which stops the command as well
            status = process.wait()
        return status, time.perf_counter() - started, peak


def memory_gb(pid: int) -> float:
    """Return the memory of a process and all it started."""
    total = 0
    try:
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            total += member.memory_full_info().pss
    except psutil.NoSuchProcess:  # ended meanwhile
        pass
    return total / 1e9


def held(is_held: bool, bar: str, status: int) -> str:
    if not is_held:
        return f"bar of {bar} missed"
    return "not finished yet" if status else f"bar of {bar} held"


if __name__ == "__main__":
    main()

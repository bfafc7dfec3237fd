"""Compare the command line's time and memory with the imports it cannot do without.

Usage: python benchmarks/run_ratio.py [--study cifar10] [--repeats 5]

Runs, alternating and side by side on the same machine: the import line; ``privynet-opt run`` of
the whole study (1,000 trials, report written); ``privynet-opt --help``. Prints medians and ratios
to the import line, and whether the bars hold: run at most 2.5 times and 400 MB, help under 0.25.
The first run fits the proxies where nobody did before; it is printed apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

IMPORTS = "import optuna, sklearn.gaussian_process, pandas, plotly.graph_objects"
RUN_BAR, HELP_BAR, MEMORY_BAR_MB = 2.5, 0.25, 400


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="cifar10")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as output:
        run = ["-m", "privynet_opt", "run", "--study", asked.study, "--n-trials", "1000"]
        commands = {
            "imports": ["-c", IMPORTS],
            "run": [*run, "--output", output],
            "--help": ["-m", "privynet_opt", "--help"],
        }
        first, *_ = measure(commands["run"])
        print(f"first run: {first:.2f} s")
        found = {name: [] for name in commands}
        for _ in range(asked.repeats):
            for name, command in commands.items():
                found[name].append(measure(command))
    return report(found)


def measure(command: list[str]) -> tuple[float, float, float]:
    """Return wall seconds, processor seconds and peak resident megabytes of one process."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"failed: {' '.join(command)}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def report(found: dict[str, list[tuple[float, float, float]]]) -> int:
    """Print medians and ratios; return 1 where a bar is missed."""
    seconds, processor, memory = (
        {name: statistics.median(run[kind] for run in runs) for name, runs in found.items()}
        for kind in range(3)
    )
    print("          wall       ratio   processor   ratio   memory")
    for name in found:
        print(
            f"{name:8} {seconds[name]:6.2f} s {seconds[name] / seconds['imports']:7.2f} x"
            f" {processor[name]:8.2f} s {processor[name] / processor['imports']:7.2f} x"
            f" {memory[name]:5.0f} MB"
        )
    held = (
        seconds["run"] <= RUN_BAR * seconds["imports"]
        and seconds["--help"] < HELP_BAR * seconds["imports"]
        and memory["run"] <= MEMORY_BAR_MB
    )
    bars = f"run <= {RUN_BAR} x and {MEMORY_BAR_MB} MB, --help < {HELP_BAR} x"
    print(f"{bars}: {'held' if held else 'missed'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

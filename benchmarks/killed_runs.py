"""Do `extract` and `train-cloud`, killed again and again, end with the bits of undisturbed runs?

    python benchmarks/killed_runs.py BUNDLE --data images/

Both are started, killed (SIGKILL) a little later each time, and at last left alone; every file of
the two folders is then compared with those of runs that were never killed.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def files(folder: Path) -> dict[str, bytes]:
    """Return the finished files of a folder; a killed run may leave temporary ones."""
    found = sorted(path for path in folder.iterdir() if path.is_file())
    temporary = {".tmp", ".pt"}
    return {
        path.name: path.read_bytes()
        for path in found
        if path.suffix not in temporary and not path.name.startswith(".")
    }


def killed(command: list[str], kills: int, longest: float) -> int:
    """Kill a command so often, each time after a random while; return how many kills hit."""
    draw = random.Random(0)
    hits = 0
    for _ in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(longest * draw.uniform(0.3, 0.9))
        hits += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return hits


def main() -> None:
    """Print, per command, how many kills hit a running process and whether all files are equal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("--data", required=True)
    parser.add_argument("--kills", type=int, default=10)
    asked = parser.parse_args()
    program = [sys.executable, "-m", "privynet_opt"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps = {
            "extract": ["extract", asked.bundle, "--data", asked.data, "--shard-images", "128"],
            "train-cloud": ["train-cloud", str(folder / "extract-whole")],
        }
        for step, arguments in steps.items():
            outputs = [folder / f"{step}-{kind}" for kind in ("whole", "killed")]
            commands = [[*program, *arguments, "--output", str(output)] for output in outputs]
            started = time.perf_counter()
            subprocess.run(commands[0], check=True, stdout=subprocess.DEVNULL)
            took = time.perf_counter() - started
            hits = killed(commands[1], asked.kills, took)
            whole, resumed = map(files, outputs)
            equal = sum(whole[n] == resumed.get(n) for n in whole)
            print(
                f"{step}: {hits} of {asked.kills} kills hit, {equal} of {len(whole)} files equal, "
                f"{len(set(resumed) - set(whole))} others"
            )


if __name__ == "__main__":
    main()

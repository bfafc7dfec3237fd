"""Do `extract` and `train-cloud`, killed again and again, end with the bits of undisturbed runs?

    python benchmarks/killed_runs.py BUNDLE --data images/

Both are started, killed (SIGKILL) a random while after they finished a shard or an epoch, again and
again, and at last left alone; every file is then compared with those of runs never killed.
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


def last_change(folder: Path) -> int:
    """Return when a file of a folder was last written, in ns."""
    return max((path.stat().st_mtime_ns for path in folder.glob("*")), default=0)


def killed(command: list[str], output: Path, kills: int, seconds: float) -> int:
    """Kill a command so often and then leave it alone; return how many kills hit it at work.

    Each time it is killed a random while after it finished something new.
    """
    draw = random.Random(0)
    hits = 0
    for _ in range(kills):
        before = last_change(output)
        started = time.time_ns()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None and last_change(output) <= max(before, started):
            time.sleep(0.001)
        time.sleep(draw.uniform(0, seconds))
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
    parser.add_argument("--seconds", type=float, default=1.0, help="longest while before a kill")
    asked = parser.parse_args()
    program = [sys.executable, "-m", "privynet_opt"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps = {
            "extract": ["extract", asked.bundle, "--data", asked.data, "--shard-images", "32"],
            "train-cloud": ["train-cloud", str(folder / "extract-whole"), "--epochs", "20"],
        }
        for step, arguments in steps.items():
            outputs = [folder / f"{step}-{kind}" for kind in ("whole", "killed")]
            commands = [[*program, *arguments, "--output", str(output)] for output in outputs]
            subprocess.run(commands[0], check=True, stdout=subprocess.DEVNULL)
            hits = killed(commands[1], outputs[1], asked.kills, asked.seconds)
            whole, resumed = map(files, outputs)
            equal = sum(whole[n] == resumed.get(n) for n in whole)
            others = len(set(resumed) - set(whole))
            print(f"{step}: {hits} of {asked.kills} kills hit it at work")
            print(f"{step}: {equal} of {len(whole)} files are equal, {others} others", flush=True)


if __name__ == "__main__":
    main()

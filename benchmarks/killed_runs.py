"""Does what is killed again and again end with what an undisturbed run leaves?

    python benchmarks/killed_runs.py --kills 20 --seconds 10   # `characterize`, on few digits
    python benchmarks/killed_runs.py BUNDLE --data images/     # `extract` and `train-cloud`

Each is started and killed (SIGKILL), every other time a random while after it was started, else
after it finished a measurement, a shard or an epoch, again and again, and at last left alone. Then
every row, but for the time it took, or the bits of every file are compared with those of a run
that was never killed.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from privynet_opt.study_spec import load_study


def files(folder: Path) -> dict[str, object]:
    """Return the finished files of a folder; a killed run may leave temporary ones."""
    found = sorted(path for path in folder.iterdir() if path.is_file())
    temporary = {".tmp", ".pt"}
    return {
        path.name: path.read_bytes()
        for path in found
        if path.suffix not in temporary and not path.name.startswith(".")
    }


def small_study(folder: Path) -> Path:
    """Write the study `digits` with two cuts and two counts of kept filters; return its folder."""
    directory = load_study("digits").directory
    text = (directory / "study.toml").read_text()
    for line in ('cut_layers = ["conv2", "conv4p"]', "kept_filters = [2, 8]"):
        text = re.sub(rf"^{line.split()[0]} = .*$", line, text, flags=re.MULTILINE)
    folder.mkdir()
    (folder / "study.toml").write_text(text)
    shutil.copy(directory / "small_cnn.pth", folder)
    return folder


def rows(folder: Path) -> dict[str, object]:
    """Return the rows of a characterization table, but for the time they took, by their place."""
    with (folder / "characterization.csv").open(newline="") as table:
        return {
            str(place): {name: value for name, value in row.items() if name != "seconds"}
            for place, row in enumerate(csv.DictReader(table))
        }


def last_change(folder: Path) -> int:
    """Return when a file of a folder was last written, in ns."""
    times = []
    for path in folder.rglob("*"):
        try:
            times.append(path.stat().st_mtime_ns)
        except FileNotFoundError:  # a temporary one, renamed meanwhile
            continue
    return max(times, default=0)


def killed(command: list[str], output: Path, kills: int, seconds: float) -> int:
    """Kill a command so often and then leave it alone; return how many kills hit it at work."""
    draw = random.Random(0)
    hits = 0
    for number in range(kills):
        before = last_change(output)
        started = time.time_ns()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        if number % 2 == 0:
            while process.poll() is None and last_change(output) <= max(before, started):
                time.sleep(0.01)
        time.sleep(draw.uniform(0, seconds))
        hits += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return hits


def main() -> None:
    """Print, per command, how many kills hit a running process and whether all is equal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", nargs="?", help="compare `extract` and `train-cloud`")
    parser.add_argument("--data", help="the images that are extracted")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0, help="longest while before a kill")
    parser.add_argument("--topologies", default="3", help="topologies that are trained")
    asked = parser.parse_args()
    program = [sys.executable, "-m", "privynet_opt"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = ["--study", str(small_study(folder / "study")), "--topologies", asked.topologies]
        steps: dict[str, tuple[list[str], Callable[[Path], dict[str, object]]]] = {
            "characterize": (["characterize", *plan], rows)
        }
        if asked.bundle:
            features = str(folder / "extract-whole")
            shards = ["--data", asked.data, "--shard-images", "32"]
            steps = {
                "extract": (["extract", asked.bundle, *shards], files),
                "train-cloud": (["train-cloud", features, "--epochs", "20"], files),
            }
        for step, (arguments, contents) in steps.items():
            outputs = [folder / f"{step}-{kind}" for kind in ("whole", "killed")]
            commands = [[*program, *arguments, "--output", str(output)] for output in outputs]
            subprocess.run(commands[0], check=True, stdout=subprocess.DEVNULL)
            hits = killed(commands[1], outputs[1], asked.kills, asked.seconds)
            whole, resumed = map(contents, outputs)
            equal = sum(whole[n] == resumed.get(n) for n in whole)
            others = len(set(resumed) - set(whole))
            print(f"{step}: {hits} of {asked.kills} kills hit it at work")
            print(
                f"{step}: {equal} of {len(whole)} {contents.__name__} are equal, {others} others",
                flush=True,
            )


if __name__ == "__main__":
    main()

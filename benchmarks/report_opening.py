"""Measure how long a report of 2,000 topologies takes to open in Chromium, and how large it is.

Usage: python benchmarks/report_opening.py [--study cifar10] [--topologies 2000] [--openings 5]

Answers the study, repeats its topologies under other selection seeds until there are as many as
asked for, writes the report and opens it from disk, each time in a fresh browser with an empty
profile, at 1600×900. Prints the median of navigation start to

* readable: the verdict and the table stand in the page, scripts have not run yet;
* drawn: the Pareto view is in the page, its controls and the table's work;
* painted: two frames later, what was drawn is on the screen.

Bars: painted in under 2 s, file under 6 MB. Plots further down are drawn as the reader comes near.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from privynet_opt import optimize
from privynet_opt.report.page import write_report

sys.path.append(str(Path(__file__).parents[1] / "tests" / "report"))
from headless_browser import browser_page

SECONDS_BAR, MEGABYTES_BAR = 2.0, 6.0

PAINTED = """
addEventListener("DOMContentLoaded", () => {
  new MutationObserver((_, observer) => {
    if (!document.documentElement.classList.contains("drawn")) return;
    observer.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("painted")));
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
});
"""
"""Runs in the page before its own script, and outside its policy."""

TIMES = """
new Promise((done) => {
  const look = () => {
    const [painted] = performance.getEntriesByName("painted");
    if (!painted) return setTimeout(look, 20);
    const [{ domInteractive }] = performance.getEntriesByType("navigation");
    const [drawn] = performance.getEntriesByName("drawn");
    done({ readable: domInteractive, drawn: drawn.startTime, painted: painted.startTime });
  };
  look();
})
"""
"""Milliseconds from navigation start."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="cifar10")
    parser.add_argument("--topologies", type=int, default=2000)
    parser.add_argument("--openings", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = enlarged(optimize(study=asked.study), asked.topologies)
        path = write_report(result, Path(folder) / "report.html")
        megabytes = path.stat().st_size / 1e6
        found = [opening(path) for _ in range(asked.openings)]
    seconds = {name: [one[name] / 1000 for one in found] for name in found[0]}
    print(f"{len(result.candidates):,} topologies, {megabytes:.2f} MB, {len(found)} openings")
    for name, values in seconds.items():
        print(f"{name:9} {statistics.median(values):5.2f} s (up to {max(values):.2f} s)")
    held = statistics.median(seconds["painted"]) < SECONDS_BAR and megabytes < MEGABYTES_BAR
    print(
        f"painted < {SECONDS_BAR:g} s, file < {MEGABYTES_BAR:g} MB: {'held' if held else 'missed'}"
    )
    return 0 if held else 1


def enlarged(result: Any, n_topologies: int) -> Any:
    """Return a result with its candidates repeated under other seeds, or cut, to a number."""
    rows = result.candidates
    copies = -(-n_topologies // len(rows))
    many = [
        rows,
        *(rows.assign(selection_seed=rows["selection_seed"] + 100 * k) for k in range(1, copies)),
    ]
    return replace(result, candidates=pd.concat(many, ignore_index=True).head(n_topologies))


def opening(path: Path) -> dict[str, float]:
    """Return milliseconds from navigation start, in a fresh browser."""
    with browser_page() as page:
        page.size(1600, 900)
        page.call("Page.addScriptToEvaluateOnNewDocument", source=PAINTED)
        page.call("Page.navigate", url=path.as_uri())
        return dict(page.evaluate(TIMES))


if __name__ == "__main__":
    sys.exit(main())

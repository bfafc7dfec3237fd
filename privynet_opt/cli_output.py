"""What the commands print on stdout."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from privynet_opt.plain_text import aligned, wrapped
from privynet_opt.summary import summary_lines

if TYPE_CHECKING:
    from privynet_opt.characterization.audit import Audit
    from privynet_opt.result import OptimizationResult
    from privynet_opt.study_spec import StudySpec

FILES = {
    "report.html": "the answer with figures; open it in a browser, it needs no network",
    "front.csv": "the Pareto front: predictions, intervals, costs",
    "front.json": "the same with its provenance, for programs",
    "candidates.csv": "every topology of the space, feasible or not",
    "study.journal": "the Optuna study, for optuna-dashboard or --storage",
}
"""What the files of a run are, in the order they are listed."""


def print_result(result: OptimizationResult, files: Mapping[str, Path], quiet: bool) -> None:
    """Print the answer of a search and where its files lie.

    Args:
        result: What `optimize` returned.
        files: Paths by file name.
        quiet: Whether to print the recommended topology alone.
    """
    if quiet:
        from privynet_opt.report.verdict import verdict

        print(verdict(result).topology or "nothing")
        return
    directory = next(iter(files.values())).parent
    lines = [*summary_lines(result), "", f"Files in {directory}"]
    print("\n".join(lines + aligned([(name, FILES[name]) for name in FILES], "<<")))


def print_studies(studies: Sequence[StudySpec]) -> None:
    """Print the shipped studies.

    Args:
        studies: From `list_studies`.
    """
    rows = [("study", "network", "data", "topologies measured", "title")]
    for spec in studies:
        rows.append((spec.name, spec.network.name, spec.data.name, _measured(spec), spec.title))
    print("\n".join(aligned(rows, "<<<<<", indent="")))


def print_audit(audit: Audit, table: Path) -> None:
    """Print what an audit compared and found.

    Args:
        audit: From `audit_table`.
        table: The CSV file it looked at.
    """
    from privynet_opt.characterization.audit import RULES

    print(f"{table}: differences beyond {audit.noise_db:g} dB")
    rows = [("rule", "fidelity", "compared", "broken")]
    for (rule, fidelity), compared in audit.compared.items():
        broken = sum((v.rule, v.fidelity) == (rule, fidelity) for v in audit.violations)
        rows.append((RULES[rule], fidelity, f"{compared:,}", f"{broken:,}"))
    print("\n".join(aligned(rows, "<<>>")))
    for v in audit.violations:
        again = f" It is measured at {v.measured_again} too." if v.measured_again else ""
        text = f"{v.fidelity}: {v.weak} was attacked too weakly: {v.strong}"
        print("\n".join(wrapped(f"{text} shows {v.excess_db:.2f} dB more.{again}", "! ")))
    if not audit.spreads.empty:
        print("standard deviation over random subsets of one size, median over sizes and cuts")
        spreads = [("fidelity", "sizes", "psnr_db", "accuracy")]
        for name, group in audit.spreads.groupby("fidelity", sort=False):
            psnr_db, accuracy = group["psnr_db"].median(), group["accuracy"].median()
            spreads.append((str(name), f"{len(group):,}", f"{psnr_db:.2f} dB", f"{accuracy:.1%}"))
        print("\n".join(aligned(spreads, "<>>>")))


def _measured(spec: StudySpec) -> str:
    try:
        with spec.table_path.open(newline="", encoding="utf-8") as file:
            counts = Counter(row.get("fidelity", "?") for row in csv.DictReader(file))
    except OSError:
        return "none yet"
    return ", ".join(f"{count:,} {fidelity}" for fidelity, count in counts.items()) or "none yet"

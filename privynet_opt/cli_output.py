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
    from privynet_opt.validation import Validation

FILES = {
    "report.html": "the answer with figures; open it in a browser, it needs no network",
    "front.csv": "the Pareto front: predictions, intervals, costs",
    "front.json": "the same with its provenance, for programs",
    "candidates.csv": "every topology that was judged, feasible or not",
    "study.journal": "the Optuna study, for optuna-dashboard or --storage",
}
"""What the files of a run are, in the order they are listed."""

N_ANSWERED = 8
"""Weak attacks that a stronger one answers are listed up to so many; unanswered ones all."""


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
    answered = [v for v in audit.violations if v.measured_again]
    told = [v for v in audit.violations if not v.measured_again] + answered[:N_ANSWERED]
    for v in told:
        again = f" It is measured at {v.measured_again} too." if v.measured_again else ""
        text = f"{v.fidelity}: {v.weak} was attacked too weakly: {v.strong}"
        print("\n".join(wrapped(f"{text} shows {v.excess_db:.2f} dB more.{again}", "! ")))
    if len(told) < len(audit.violations):
        left = f"{len(audit.violations) - len(told):,} more were attacked too weakly, by less"
        print("\n".join(wrapped(f"{left}; all are measured by a stronger attack too.", "! ")))
    if not audit.spreads.empty:
        print("standard deviation over random subsets of one size, median over sizes and cuts")
        spreads = [("fidelity", "sizes", "psnr_db", "accuracy")]
        for name, group in audit.spreads.groupby("fidelity", sort=False):
            psnr_db, accuracy = group["psnr_db"].median(), group["accuracy"].median()
            spreads.append((str(name), f"{len(group):,}", f"{psnr_db:.2f} dB", f"{accuracy:.1%}"))
        print("\n".join(aligned(spreads, "<>>>")))


def print_validation(validation: Validation) -> None:
    """Print predictions against fresh measurements.

    Args:
        validation: The comparison.
    """
    from privynet_opt.characterization.schema import is_dearer
    from privynet_opt.label_knowledge import told_of_labels
    from privynet_opt.metrics import PREDICTED
    from privynet_opt.report.words import format_interval, format_value, topologies_in_words
    from privynet_opt.validation import keep_every_limit, told_of_earlier

    points = validation.points
    how = f"{validation.fidelity}, seed {validation.training_seed}"
    print(f"Measured by fresh networks at {how}; predicted for {validation.predicted_fidelity}")
    rows = [("topology", "metric", "predicted", "interval", "measured", "limits")]
    for words, (_, point) in zip(topologies_in_words(points), points.iterrows(), strict=True):
        open_still = f"undecided: {point['undecided']}" if point["undecided"] else "hold"
        verdicts = [f"violated: {point['broken']}" if point["broken"] else open_still, "", ""]
        for target, name, said in zip(PREDICTED, (words, "", ""), verdicts, strict=True):
            interval = format_interval(target, point[f"{target}_lower"], point[f"{target}_upper"])
            measured = format_value(target, float(point[f"measured_{target}"]))
            outside = "" if point[f"inside_{target}"] else " (outside)"
            value = format_value(target, float(point[target]))
            rows.append((name, target, value, interval, measured + outside, said))
        known = format_value("psnr_db", float(point["label_aware_psnr_db"]))
        broken = f"violated: {point['label_aware_broken']}" if point["label_aware_broken"] else ""
        rows.append(("", "psnr_db, label known", "", "", known, broken))
    print("\n".join(aligned(rows, "<<>>><")))
    kept, first = keep_every_limit(points), points.iloc[0]
    state = "keeps every limit" if kept[0] else f"breaks {first['broken']}"
    if not kept[0] and not first["broken"]:
        state = f"breaks no limit, but leaves {first['undecided']} undecided"
    if is_dearer(validation.predicted_fidelity, validation.fidelity):
        less = f"attacks and learns less than the {validation.predicted_fidelity} that is predicted"
        state += f" at {validation.fidelity}, which {less}"
    said = f"The recommended topology {state}; of {len(points)} measured, {sum(kept)} keep every"
    told = (f"{said} limit.", told_of_earlier(points), told_of_labels(points))
    print("\n".join(wrapped(" ".join(filter(None, told)))))


def print_answer_after(
    validation: Validation, answer: OptimizationResult, extended: Path | None
) -> None:
    """Print what follows from fresh measurements.

    Args:
        validation: The comparison.
        answer: The result once the measurements are part of the table.
        extended: Folder of the extended study; None where the measurements do not belong to it.
    """
    from privynet_opt.report.verdict import verdict

    if not validation.same_source:
        print(
            "Images, weights or recipe are not those of the study's table: nothing was added to it."
        )
    if extended is None:
        return
    print(f"Added to the table of {extended}.")
    print(f"With these measurements, recommended: {verdict(answer).topology or 'nothing'}")


def _measured(spec: StudySpec) -> str:
    try:
        with spec.table_path.open(newline="", encoding="utf-8") as file:
            counts = Counter(row.get("fidelity", "?") for row in csv.DictReader(file))
    except OSError:
        return "none yet"
    return ", ".join(f"{count:,} {fidelity}" for fidelity, count in counts.items()) or "none yet"

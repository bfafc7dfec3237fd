"""The health check that a validation adds: did the limits hold against a fresh attack?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from privynet_opt.characterization.schema import is_dearer
from privynet_opt.label_knowledge import told_of_labels
from privynet_opt.metrics import PREDICTED
from privynet_opt.report.check import Check
from privynet_opt.report.words import format_interval, format_value, label, topologies_in_words
from privynet_opt.search_space import TOPOLOGY_COLUMNS
from privynet_opt.validation import keep_every_limit, told_of_earlier

if TYPE_CHECKING:
    import pandas as pd

    from privynet_opt.validation import Validation


def validation_check(validation: Validation, best: pd.Series[Any] | None) -> Check:
    """Return what a validation found.

    Args:
        validation: Predictions against fresh measurements.
        best: What is recommended now; the measurements may have changed it.
    """
    points = validation.points
    first = points.iloc[0]
    kept = sum(keep_every_limit(points))
    inside = sum(int(points[f"inside_{target}"].sum()) for target in PREDICTED)
    said = "; ".join(
        f"{label(target)} {format_value(target, float(first[f'measured_{target}']))}, predicted "
        f"{format_interval(target, first[f'{target}_lower'], first[f'{target}_upper'])}"
        for target in PREDICTED
    )
    text = (
        f"{topologies_in_words(points)[0]} was measured by fresh networks at fidelity "
        f"{validation.fidelity}: {said}. Of {len(points)} topologies measured so, {kept} keep "
        f"every limit; {inside} of {len(PREDICTED) * len(points)} values lie inside their interval."
    )
    text = " ".join(filter(None, (text, told_of_earlier(points), told_of_labels(points))))
    if validation.predicted_fidelity != validation.fidelity:
        text += f" They were predictions for {validation.predicted_fidelity}."
    if not validation.same_source:
        text += " Images, weights or recipe were not those of the table."
    if first["undecided"]:
        text += f" It does not decide {first['undecided']}: its cloud network learnt less."
    if not validation.holds:
        return Check("act", "A fresh attack breaks a limit", f"{text} Broken: {first['broken']}.")
    if best is None or any(best[name] != first[name] for name in TOPOLOGY_COLUMNS):
        return Check("watch", "What is recommended now was not attacked afresh", text)
    if first["label_aware_broken"]:
        return Check("watch", "A fresh attack breaks a limit where it knows the label", text)
    if first["undecided"]:
        return Check("watch", "A fresh attack breaks no limit, and leaves one undecided", text)
    if not validation.same_source:
        title = "A fresh attack confirms the limits, on other images or by another recipe"
        return Check("watch", title, text)
    if is_dearer(validation.predicted_fidelity, validation.fidelity):
        title = f"A fresh attack confirms the limits, at {validation.fidelity} only"
        return Check("watch", title, text)
    return Check("good", "A fresh attack confirms the limits", text)

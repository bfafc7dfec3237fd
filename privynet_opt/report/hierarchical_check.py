"""What PrivyNet's own procedure chose, beside what is recommended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from privynet_opt.report.check import Check
from privynet_opt.report.words import format_difference, format_value

if TYPE_CHECKING:
    import pandas as pd

    from privynet_opt.hierarchical import HierarchicalChoice


def hierarchical_check(choice: HierarchicalChoice, best: pd.Series[Any] | None) -> Check:
    """Return how the procedure's choice compares.

    Args:
        choice: What it chose.
        best: What is recommended.
    """
    steps = f"It settles {'; '.join(choice.steps)}."
    if choice.topology is None:
        text = f"{steps} It never goes back."
        return Check("watch", "PrivyNet's own procedure finds nothing within the limits", text)
    said = f"{choice.topology}, predicted accuracy {format_value('accuracy', choice.accuracy)}"
    if choice.broken:
        limits = " and ".join(map(str, choice.broken))
        title = f"PrivyNet's own procedure chooses what breaks {limits}"
        return Check("watch", title, f"{steps} Its choice: {said}.")
    lost = 0.0 if best is None else float(best["accuracy"]) - choice.accuracy
    if lost <= 0:
        return Check("good", "PrivyNet's own procedure loses nothing", f"{steps} It is: {said}.")
    gap = format_difference("accuracy", lost)
    return Check(
        "watch",
        f"PrivyNet's own procedure gives up {gap} of accuracy: {choice.topology}",
        f"{steps} Its choice: {said}; what is recommended lies within the same limits.",
    )

"""What it changes in a validation that an attacker knows the label of an image.

The cloud does of every image that it trains on; of images that are classified later it does not,
and predictions and limits are of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from privynet_opt.metrics import PRIVACY_LOSSES
from privynet_opt.report.words import format_value

if TYPE_CHECKING:
    from privynet_opt.constraints import Constraint

UNKNOWN: dict[str, Any] = {
    **{f"label_aware_{loss}": np.nan for loss in PRIVACY_LOSSES},
    "label_aware_broken": "",
}
"""The columns of `with_label_aware`, where nobody attacked with labels."""


def with_label_aware(
    points: pd.DataFrame, rows: pd.DataFrame, constraints: Sequence[Constraint]
) -> pd.DataFrame:
    """Put what an attacker recovers who knows the label beside what was measured without.

    Args:
        points: From `validation.compare`.
        rows: His privacy losses, in the same order.
        constraints: The limits.

    Returns:
        `points` with, per privacy loss ``t``, ``label_aware_t``, not below ``measured_t``, as he
        may do without the label; and ``label_aware_broken``, the limits that these break and what
        was measured without does not.
    """
    leaks = {loss: np.fmax(rows[loss], points[f"measured_{loss}"]) for loss in PRIVACY_LOSSES}
    limits = [c for c in constraints if c.metric in PRIVACY_LOSSES]
    broken = [
        ", ".join(
            str(c)
            for c in limits
            if c.violation(leaks[c.metric][place]) > 0
            and c.violation(points[f"measured_{c.metric}"][place]) <= 0
        )
        for place in points.index
    ]
    columns = {f"label_aware_{loss}": leak for loss, leak in leaks.items()}
    return points.assign(**columns, label_aware_broken=broken)


def told_of_labels(points: pd.DataFrame) -> str:
    """Return in words what the first topology and the limits are to an attacker with labels.

    Args:
        points: From `with_label_aware`, or with the columns of `UNKNOWN`.

    Returns:
        A sentence; empty where nobody attacked with labels.
    """
    first = points.iloc[0]
    if pd.isna(first["label_aware_psnr_db"]):
        return ""
    value, alike = (
        format_value(loss, float(first[f"label_aware_{loss}"])) for loss in ("psnr_db", "ssim")
    )
    n = int((points["label_aware_broken"] != "").sum())
    breaks = f", which breaks {first['label_aware_broken']}" if first["label_aware_broken"] else ""
    others = f"{n} of {len(points)} break a further limit so" if n else "no further limit breaks so"
    return (
        "An attacker who knows the label too, as the cloud does of the images it trains on, "
        f"recovers {value} (SSIM {alike}) of the recommended one{breaks}; {others}."
    )

"""The bound on every attacker beside what the strongest attack recovered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privynet_opt.recovery_bound import PRIOR_STD, recovery_bound_db
from privynet_opt.report.check import Check
from privynet_opt.report.words import format_value
from privynet_opt.topology import LOCAL_COLUMNS, LocalTopology

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

ASSUMED = (
    f"It assumes images whose every value carries grain of {PRIOR_STD:g} that nothing else of the "
    "image tells, which alone is 20 dB, and noise drawn in secret, of its own for every image; "
    "images with less grain may be recovered better. It is the PSNR of the mean error over images, "
    "below which psnr_db, the mean of each image's PSNR, never lies: leave a few tenths of a dB."
)


def bound_check(result: OptimizationResult) -> Check | None:
    """Return what no attacker can exceed on the recommended topology, or None where not known.

    It is vacuous where the closed-form attack reaches less than it on the same filters without any
    noise: then it does not show that the noise hides anything.

    Args:
        result: What `optimize` returned.
    """
    if result.best is None:
        return None
    topology = LocalTopology.of(result.best)
    own = {name: getattr(topology, name) for name in LOCAL_COLUMNS}
    entries = result.table.sidecar.get("information", [])
    entry = next((e for e in entries if own.items() <= e.items()), None)
    if entry is None or not topology.noise_std:
        return None
    bound_db = recovery_bound_db(entry["information"], topology.noise_std)
    bound, plain = (format_value("psnr_db", v) for v in (bound_db, entry["plain_psnr_db"]))
    if bound_db >= entry["plain_psnr_db"]:
        return Check(
            "watch",
            f"The bound on every attacker is vacuous: it allows {bound}",
            f"The closed-form attack recovers {plain} of the same filters without noise, so the "
            f"bound does not show that the noise hides anything; the attacks do. {ASSUMED}",
        )
    return Check(
        "good",
        f"No attacker recovers more than {bound}, whatever is tried, if images carry grain",
        f"The smallest mean square error that this noise allows has this PSNR; without noise the "
        f"closed-form attack alone recovers {plain}. {ASSUMED}",
    )

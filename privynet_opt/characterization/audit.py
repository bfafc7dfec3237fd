"""Audit a characterization table: measurements no optimal attacker could have produced.

An attacker who receives more can always ignore the surplus (data-processing inequality), so with
a perfect attacker a superset of channels never leaks less, a deeper cut of all channels never
more than a shallower one, and a trained decoder never less than the closed form it starts from.
Whatever breaks one of these rules is a weak attack, not privacy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from privynet_opt.characterization.schema import FIDELITIES, NOISE_DB
from privynet_opt.characterization.table import CharacterizationTable
from privynet_opt.topology import LocalTopology

NESTED_STRATEGIES = ("random", "lda", "privacy", "magnitude")
"""Strategies whose smaller choices are part of their larger ones, seed by seed."""

RULES = {
    "training": "a trained decoder recovers no less than the closed form",
    "superset": "more of the same channels leak no less",
    "depth": "all channels of a deeper cut leak no more than those of a shallower one",
}
"""What must hold, by the name of the rule."""


@dataclass(frozen=True)
class Violation:
    """A pair of measurements that breaks a rule.

    Attributes:
        rule: A key of `RULES`.
        fidelity: Of both measurements.
        weak: The topology whose attacker was too weak, in words.
        strong: The topology, or the attacker, that shows it.
        excess_db: By how much the rule is broken, in dB.
    """

    rule: str
    fidelity: str
    weak: str
    strong: str
    excess_db: float


@dataclass(frozen=True)
class Audit:
    """What an audit looked at and found.

    Attributes:
        compared: How many comparisons were made, by (rule, fidelity).
        violations: Those beyond noise, the worst first.
        spreads: Standard deviation over the seeds of random subsets of one size: columns
            ``cut_layer``, ``kept_filters``, ``fidelity``, ``n_seeds``, ``psnr_db``, ``accuracy``.
        noise_db: What counted as noise.
    """

    compared: dict[tuple[str, str], int]
    violations: tuple[Violation, ...]
    spreads: pd.DataFrame
    noise_db: float


def audit_table(table: CharacterizationTable, noise_db: float = NOISE_DB) -> Audit:
    """Look for measurements that a stronger attacker would have contradicted.

    Args:
        table: Any table.
        noise_db: Differences up to so many dB are noise.

    Returns:
        The audit; every fidelity is compared with itself only.
    """
    channels = {name: cut.channels for name, cut in table.cuts.items()}
    compared: dict[tuple[str, str], int] = {}
    violations: list[Violation] = []
    for fidelity in FIDELITIES:
        rows = table.rows[table.rows["fidelity"] == fidelity]
        rows = rows.assign(whole=rows["kept_filters"] == rows["cut_layer"].map(channels))
        order = {name: position for position, name in enumerate(channels)}
        rows = rows.sort_values("cut_layer", key=lambda cuts: cuts.map(order), kind="stable")
        for rule, pairs in (
            ("training", _training(rows)),
            ("superset", _superset(rows)),
            ("depth", _depth(rows)),
        ):
            found = list(pairs)
            if found:
                compared[rule, fidelity] = len(found)
            violations += [
                Violation(rule, fidelity, weak, strong, excess)
                for weak, strong, excess in found
                if excess > noise_db
            ]
    violations.sort(key=lambda violation: -violation.excess_db)
    return Audit(compared, tuple(violations), _spreads(table.rows), noise_db)


Pair = tuple[str, str, float]
"""The weakly attacked, what shows it, and by how many dB; negative where the rule holds."""


def _training(rows: pd.DataFrame) -> Iterator[Pair]:
    trained = rows[rows["decoder_psnr_db"].notna()]
    excess = (trained["ridge_psnr_db"] - trained["decoder_psnr_db"]).tolist()
    for row, by in zip(trained.itertuples(), excess, strict=True):
        yield _words(row), "the closed form on the same channels", by


def _superset(rows: pd.DataFrame) -> Iterator[Pair]:
    """Compare each row with the leakiest of the rows whose channels it contains."""
    nested = rows[rows["selection_strategy"].isin(NESTED_STRATEGIES) & ~rows["whole"]]
    for _, group in nested.groupby(
        ["cut_layer", "selection_strategy", "selection_seed", "training_seed"], sort=False
    ):
        leakiest = None
        for row in group.sort_values("kept_filters").itertuples():
            if leakiest is not None:
                yield _words(row), _words(leakiest), _leaks(leakiest) - _leaks(row)
            if leakiest is None or _leaks(row) > _leaks(leakiest):
                leakiest = row
    for whole in rows[rows["whole"]].itertuples():
        parts = rows[(rows["cut_layer"] == whole.cut_layer) & ~rows["whole"]]
        if not parts.empty:
            leakiest = next(parts.nlargest(1, "psnr_db").itertuples())
            yield _words(whole), _words(leakiest), _leaks(leakiest) - _leaks(whole)


def _depth(rows: pd.DataFrame) -> Iterator[Pair]:
    """Compare each whole cut with the least leaky whole cut before it."""
    least = None
    for row in rows[rows["whole"]].itertuples():
        if least is not None:
            yield _words(least), _words(row), _leaks(row) - _leaks(least)
        if least is None or _leaks(row) < _leaks(least):
            least = row


def _leaks(row: object) -> float:
    leak: float = row.psnr_db  # type: ignore[attr-defined]
    return leak


def _words(row: object) -> str:
    names = ("cut_layer", "kept_filters", "selection_strategy", "selection_seed")
    return str(LocalTopology(*(getattr(row, name) for name in names)))


def _spreads(rows: pd.DataFrame) -> pd.DataFrame:
    random = rows[rows["selection_strategy"] == "random"]
    groups = random.groupby(["cut_layer", "kept_filters", "fidelity"], sort=False)
    spread = groups[["psnr_db", "accuracy"]].std()
    spread.insert(0, "n_seeds", groups["selection_seed"].nunique())
    return spread[spread["n_seeds"] > 1].reset_index()

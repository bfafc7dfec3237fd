"""Audit a characterization table: measurements no optimal attacker could have produced.

An attacker who receives more can always ignore the surplus (data-processing inequality), so with
a perfect attacker a superset of channels never leaks less, channels of a deeper cut never more than
all of a shallower one, coded or noisy features never more than the same sent plainly, and a
trained decoder never less than the closed form it starts from, nor a dearer attack than a cheaper
one.
Whatever breaks one of these rules is a weak attack, not privacy.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

from privynet_opt.characterization.envelope import NESTED_STRATEGIES, in_depth_order, sent_plainly
from privynet_opt.characterization.schema import FIDELITIES, NOISE_DB
from privynet_opt.characterization.table import CharacterizationTable
from privynet_opt.topology import LOCAL_COLUMNS, TOPOLOGY_COLUMNS, LocalTopology

CLOSED_FORM = "the closed form on the same channels"
"""What shows that a decoder was trained too little."""

DOUBLED = "a decoder twice as wide and deep"
"""What shows that the usual one is too small."""

RULES = {
    "training": "a trained decoder recovers no less than the closed form",
    "fidelity": "a dearer attack recovers no less than a cheaper one",
    "superset": "more of the same channels leak no less",
    "sending": "fewer bits or noise leak no more",
    "capacity": "a larger decoder recovers no more",
    "depth": "channels of a deeper cut leak no more than all of a shallower one",
}
"""What must hold, by the name of the rule."""


Labels: TypeAlias = "pd.Index[Any] | pd.Series[Any]"


@dataclass(frozen=True)
class Violation:
    """A pair of measurements that breaks a rule.

    Attributes:
        rule: A key of `RULES`.
        fidelity: Of both measurements; of the weak one where a cheaper fidelity recovers more.
        weak: The topology whose attacker was too weak.
        strong: The topology, or the attacker, that shows it, in words.
        excess_db: By how much the rule is broken, in dB.
        measured_again: The highest fidelity above this one at which the weak topology is measured
            too, or the cheaper one that recovers more; empty if there is none.
    """

    rule: str
    fidelity: str
    weak: LocalTopology
    strong: str
    excess_db: float
    measured_again: str


@dataclass(frozen=True)
class Audit:
    """What an audit looked at and found.

    Attributes:
        compared: How many comparisons were made, by (rule, fidelity).
        violations: Those beyond noise, the worst first.
        spreads: Standard deviation over the seeds of random subsets of one size, whose features
            are sent plainly: columns ``cut_layer``, ``kept_filters``, ``fidelity``, ``n_seeds``,
            ``psnr_db``, ``accuracy``. A subset measured with several training seeds counts by its
            mean.
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
        The audit; every fidelity is compared with itself, and with the cheaper ones on the same
        topology.
    """
    everything, is_whole = in_depth_order(table.rows, table.cuts)
    compared: dict[tuple[str, str], int] = {}
    violations: list[Violation] = []
    for fidelity in FIDELITIES:
        rows = everything[everything["fidelity"] == fidelity]
        plain = rows[sent_plainly(rows)]
        parts, wholes = plain[~is_whole[plain.index]], plain[is_whole[plain.index]]
        for rule, pairs in (
            ("training", _training(rows)),
            ("fidelity", _cheaper(everything, fidelity)),
            ("superset", pd.concat([_nested(parts), _within(parts, wholes)])),
            ("sending", _sending(rows)),
            ("depth", _depth(plain, wholes)),
        ):
            if len(pairs):
                compared[rule, fidelity] = len(pairs)
            for pair in pairs[pairs["excess_db"] > noise_db].to_dict("records"):
                violations.append(_violation(rule, everything, pair))
    doubled = _doubled(table)
    if len(doubled):
        compared["capacity", "standard"] = len(doubled)
    for pair in doubled[doubled["excess_db"] > noise_db].to_dict("records"):
        violations.append(_violation("capacity", everything, pair))
    violations.sort(key=lambda violation: -violation.excess_db)
    return Audit(compared, tuple(violations), _spreads(table.rows), noise_db)


def side_attacks(table: CharacterizationTable) -> pd.DataFrame:
    """Put what other attackers recovered beside what the usual one did.

    Args:
        table: Its sidecar tells the attacks, its rows of fidelity ``standard`` the usual one.

    Returns:
        The sidecar's entries with the columns ``usual`` (label of the row), ``usual_psnr_db`` and
        ``gain_db``, what the other attacker recovers more.
    """
    entries = pd.DataFrame(table.sidecar.get("side_attacks", []))
    if entries.empty:
        return entries
    keys = list(LOCAL_COLUMNS)
    usual = table.rows[(table.rows["fidelity"] == "standard") & sent_plainly(table.rows)]
    usual = usual.rename_axis("usual").reset_index()
    usual = usual.sort_values("training_seed").drop_duplicates(keys)
    usual = usual[["usual", *keys, "psnr_db"]].rename(columns={"psnr_db": "usual_psnr_db"})
    both = entries.merge(usual, on=keys)
    return both.assign(gain_db=both["psnr_db"] - both["usual_psnr_db"])


def _doubled(table: CharacterizationTable) -> pd.DataFrame:
    """Compare each decoder with one of twice its capacity."""
    attacks = side_attacks(table)
    if attacks.empty:
        return _pairs(table.rows, weak=pd.Index([]), strong=pd.Index([]))
    attacks = attacks[attacks["capacity"] > 1]
    labels = {"weak": attacks["usual"], "strong": attacks["usual"]}
    return pd.DataFrame({**labels, "excess_db": attacks["gain_db"]})


def _violation(rule: str, rows: pd.DataFrame, pair: dict[Hashable, Any]) -> Violation:
    weak, strong = (rows.loc[pair[role]] for role in ("weak", "strong"))
    keys = list(TOPOLOGY_COLUMNS)
    same = (rows[keys] == weak[keys]).all(axis=1)
    again = max(rows.loc[same, "fidelity"], key=FIDELITIES.index)
    if rule == "fidelity":
        again = strong["fidelity"]
    shown_by = {
        "training": CLOSED_FORM,
        "capacity": DOUBLED,
        "fidelity": f"its attack at {strong['fidelity']}",
    }
    return Violation(
        rule=rule,
        fidelity=weak["fidelity"],
        weak=LocalTopology.of(weak),
        strong=shown_by.get(rule, str(LocalTopology.of(strong))),
        excess_db=pair["excess_db"],
        measured_again="" if again == weak["fidelity"] or rule == "capacity" else again,
    )


def _training(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare each trained decoder with the closed form."""
    trained = rows[rows["decoder_psnr_db"].notna()]
    excess_db = trained["ridge_psnr_db"] - trained["decoder_psnr_db"]
    return pd.DataFrame({"weak": trained.index, "strong": trained.index, "excess_db": excess_db})


def _cheaper(everything: pd.DataFrame, fidelity: str) -> pd.DataFrame:
    """Compare each attack with the strongest of the cheaper ones on the same topology."""
    keys, cheaper = list(TOPOLOGY_COLUMNS), FIDELITIES[: FIDELITIES.index(fidelity)]
    labelled = everything[[*keys, "fidelity", "psnr_db"]].rename_axis("label").reset_index()
    others = labelled[labelled["fidelity"].isin(cheaper)]
    strongest = others.loc[others.groupby(keys)["psnr_db"].idxmax()]
    own = labelled[labelled["fidelity"] == fidelity]
    pairs = own.merge(strongest, on=keys, suffixes=("", "_cheaper"))
    return _pairs(everything, weak=pairs["label"], strong=pairs["label_cheaper"])


def _nested(parts: pd.DataFrame) -> pd.DataFrame:
    """Compare each part of a cut with the leakiest of the parts it contains."""
    nested = parts[parts["selection_strategy"].isin(NESTED_STRATEGIES)]
    nested = nested.sort_values("kept_filters", kind="stable")
    same = [
        nested[name]
        for name in ("cut_layer", "selection_strategy", "selection_seed", "training_seed")
    ]
    leakiest = nested["psnr_db"] == nested["psnr_db"].groupby(same).cummax()
    holder = nested.index.to_series().where(leakiest).groupby(same).ffill()
    before = holder.groupby(same).shift().dropna().astype(int)
    return _pairs(parts, weak=before.index, strong=before)


def _within(parts: pd.DataFrame, wholes: pd.DataFrame) -> pd.DataFrame:
    """Compare each whole cut with the leakiest of its parts."""
    leakiest = parts.groupby("cut_layer")["psnr_db"].idxmax()
    found = wholes["cut_layer"].map(leakiest).dropna().astype(int)
    return _pairs(pd.concat([parts, wholes]), weak=found.index, strong=found)


def _sending(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare each local network whose features are sent plainly with those coded or noisy."""
    keys, plain = [*LOCAL_COLUMNS, "training_seed"], sent_plainly(rows)
    labelled = rows.rename_axis("label").reset_index()[[*keys, "label"]]
    is_plain = plain.to_numpy()
    pairs = labelled[is_plain].merge(labelled[~is_plain], on=keys, suffixes=("", "_sent"))
    return _pairs(rows, weak=pairs["label"], strong=pairs["label_sent"])


def _depth(rows: pd.DataFrame, wholes: pd.DataFrame) -> pd.DataFrame:
    """Compare each whole cut with the leakiest of the rows, whole or parts, of the cuts after it.

    Rows are in the order of the cuts; of several measurements of a whole cut the leakiest counts.
    """
    leakiest = rows.groupby("cut_layer", sort=False)["psnr_db"].idxmax()
    of_whole = wholes.groupby("cut_layer", sort=False)["psnr_db"].idxmax()
    after = pd.Series(
        {
            cut: rows.loc[leakiest[position + 1 :], "psnr_db"].idxmax()
            for position, cut in enumerate(leakiest.index[:-1])
        },
        dtype=int,
    )
    found = of_whole.index.intersection(after.index, sort=False)
    return _pairs(rows, weak=of_whole[found], strong=after[found])


def _pairs(rows: pd.DataFrame, weak: Labels, strong: Labels) -> pd.DataFrame:
    """Return pairs of row labels and by how many dB the strong one leaks more."""
    leak = rows["psnr_db"]
    excess_db = leak.loc[strong].to_numpy() - leak.loc[weak].to_numpy()
    return pd.DataFrame({"weak": list(weak), "strong": list(strong), "excess_db": excess_db})


def _spreads(rows: pd.DataFrame) -> pd.DataFrame:
    size = ["cut_layer", "kept_filters", "fidelity"]
    random = rows[(rows["selection_strategy"] == "random") & sent_plainly(rows)]
    subsets = random.groupby([*size, "selection_seed"], sort=False)[["psnr_db", "accuracy"]].mean()
    groups = subsets.groupby(size, sort=False)
    spread = groups.std()
    spread.insert(0, "n_seeds", groups.size())
    return spread[spread["n_seeds"] > 1].reset_index()

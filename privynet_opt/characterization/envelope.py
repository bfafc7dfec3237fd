"""The monotone envelope: what an attacker reaches who also tries the weaker attacks of a table.

Whoever trains a decoder can run the cheaper attacks as well, whoever receives a superset of
channels can ignore the surplus, whoever receives all channels of a cut can compute every deeper
cut, and whoever receives floats can code them and add noise; so the attack measured there is open
to him too. Proxies learn from privacy losses that are raised to it, so that no weak attack makes a
topology look private.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from privynet_opt.characterization.schema import FIDELITIES
from privynet_opt.characterization.table import CharacterizationTable
from privynet_opt.cost import CutProfile
from privynet_opt.topology import SENDING_DEFAULTS, TOPOLOGY_COLUMNS

NESTED_STRATEGIES = ("random", "lda", "privacy", "magnitude", "greedy")
"""Strategies whose smaller choices are part of their larger ones, seed by seed."""

CHAIN = ["fidelity", "cut_layer", "selection_strategy", "selection_seed"]
"""Columns that nested choices share."""

LOSSES = ["psnr_db", "ssim"]
"""The privacy losses, each raised by itself."""


def with_envelope(table: CharacterizationTable) -> CharacterizationTable:
    """Raise privacy losses to those of the attacks a topology contains.

    Args:
        table: Any table.

    Returns:
        The table with `LOSSES` raised where a weaker topology leaked more at the same fidelity, or
        the same topology did at a cheaper one or under another training seed; raised once more,
        nothing changes.
    """
    rows, is_whole = in_depth_order(table.rows.reset_index(drop=True), table.cuts)
    for loss in LOSSES:
        before = None
        while before is None or not before.equals(rows[loss]):
            before, rows = rows[loss], rows.assign(**{loss: _raised(rows, is_whole, loss)})
    raised = {loss: rows[loss].sort_index().to_numpy() for loss in LOSSES}
    return replace(table, rows=table.rows.assign(**raised))


def in_depth_order(
    rows: pd.DataFrame, cuts: Mapping[str, CutProfile]
) -> tuple[pd.DataFrame, pd.Series[bool]]:
    """Sort measurements from the first cut to the last.

    Args:
        rows: Measurements.
        cuts: Profiles by name of the cut layer, in the order of the network.

    Returns:
        The rows, and whether each keeps all channels of its cut.
    """
    order = {name: position for position, name in enumerate(cuts)}
    ordered = rows.sort_values("cut_layer", key=lambda names: names.map(order), kind="stable")
    channels = {name: cut.channels for name, cut in cuts.items()}
    return ordered, ordered["kept_filters"] == ordered["cut_layer"].map(channels)


def sent_plainly(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return which measurements are of features sent as float32 and without noise.

    Args:
        rows: Measurements.
    """
    return (rows[list(SENDING_DEFAULTS)] == pd.Series(SENDING_DEFAULTS)).all(axis=1)


def by_cost(fidelities: pd.Series[str]) -> pd.Series[int]:
    """Return the rank of fidelities, the cheapest first, as a key to sort by.

    Args:
        fidelities: Their names.
    """
    return fidelities.map(FIDELITIES.index)


def _raised(rows: pd.DataFrame, is_whole: pd.Series[bool], loss: str) -> pd.Series[float]:
    # Of the same local network, what is sent plainly leaks no less than what is coded or noisy;
    # two that are not sent plainly are not comparable.
    own = rows[loss].groupby([rows[n] for n in ("fidelity", *TOPOLOGY_COLUMNS)]).transform("max")
    dearest_last = rows.assign(own=own).sort_values("fidelity", key=by_cost, kind="stable")
    own.update(dearest_last.groupby(list(TOPOLOGY_COLUMNS))["own"].cummax())
    leak = own.groupby([rows[name] for name in (*CHAIN, "kept_filters")]).transform("max")

    nested = rows.assign(leak=leak)[~is_whole & rows["selection_strategy"].isin(NESTED_STRATEGIES)]
    nested = nested.sort_values("kept_filters", kind="stable")
    leak.update(nested.groupby(CHAIN)["leak"].cummax())

    of_parts = leak.groupby([rows["fidelity"], rows["cut_layer"]]).transform("max")
    leak = leak.where(~is_whole, of_parts)

    from_the_deepest = rows.assign(leak=leak).iloc[::-1]
    of_deeper = from_the_deepest.groupby("fidelity")["leak"].cummax()
    leak = leak.where(~is_whole, of_deeper)
    return leak.where(sent_plainly(rows), own)

"""The monotone envelope: what an attacker reaches who also tries the weaker attacks of a table.

Whoever receives a superset of channels can ignore the surplus, and whoever receives all channels
of a cut can compute every deeper cut; so the attack measured there is open to him too. Proxies
learn from privacy losses that are raised to it, so that no weak attack makes a topology look
private.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from privynet_opt.characterization.table import CharacterizationTable

if TYPE_CHECKING:
    import pandas as pd

NESTED_STRATEGIES = ("random", "lda", "privacy", "magnitude")
"""Strategies whose smaller choices are part of their larger ones, seed by seed."""

CHAIN = ["fidelity", "cut_layer", "selection_strategy", "selection_seed"]
"""Columns that nested choices share."""

LOSSES = ["psnr_db", "ssim"]
"""The privacy losses, each raised by itself."""


def with_envelope(table: CharacterizationTable) -> CharacterizationTable:
    """Raise privacy losses to those of the attacks a topology contains, at the same fidelity.

    Args:
        table: Any table.

    Returns:
        The table with `LOSSES` raised where a weaker topology leaked more, or the same topology
        did under another training seed.
    """
    raised = {loss: _raised(table, loss) for loss in LOSSES}
    return replace(table, rows=table.rows.assign(**raised))


def _raised(table: CharacterizationTable, loss: str) -> pd.Series[float]:
    order = {name: position for position, name in enumerate(table.cuts)}
    channels = {name: cut.channels for name, cut in table.cuts.items()}
    rows = table.rows.reset_index(drop=True)
    rows = rows.assign(depth=rows["cut_layer"].map(order))
    is_whole = rows["kept_filters"] == rows["cut_layer"].map(channels)
    leak = rows[loss].groupby([rows[name] for name in (*CHAIN, "kept_filters")]).transform("max")

    nested = rows.assign(leak=leak)[~is_whole & rows["selection_strategy"].isin(NESTED_STRATEGIES)]
    nested = nested.sort_values("kept_filters", kind="stable")
    leak.update(nested.groupby(CHAIN)["leak"].cummax())

    of_parts = leak.groupby([rows["fidelity"], rows["cut_layer"]]).transform("max")
    leak = leak.where(~is_whole, of_parts)

    wholes = rows.assign(leak=leak)[is_whole].sort_values("depth", ascending=False, kind="stable")
    leak.update(wholes.groupby("fidelity")["leak"].cummax())
    return leak.set_axis(table.rows.index)

"""The monotone envelope: what an attacker reaches who also tries the weaker attacks of a table.

Whoever receives a superset of channels can ignore the surplus, and whoever receives all channels
of a cut can compute every deeper cut; so the attack measured there is open to him too. Proxies
learn from privacy losses that are raised to it, so that no weak attack makes a topology look
private.
"""

from __future__ import annotations

from dataclasses import replace

from privynet_opt.characterization.table import CharacterizationTable

NESTED_STRATEGIES = ("random", "lda", "privacy", "magnitude")
"""Strategies whose smaller choices are part of their larger ones, seed by seed."""

CHAIN = ["fidelity", "training_seed", "cut_layer", "selection_strategy", "selection_seed"]
"""Columns that nested choices share; of them the first two, what whole cuts share."""


def with_envelope(table: CharacterizationTable) -> CharacterizationTable:
    """Raise each privacy loss to that of the attacks it contains, at the same fidelity and seed.

    Args:
        table: Any table.

    Returns:
        The table with ``psnr_db`` raised where a weaker topology leaked more.
    """
    order = {name: position for position, name in enumerate(table.cuts)}
    channels = {name: cut.channels for name, cut in table.cuts.items()}
    rows = table.rows.assign(depth=table.rows["cut_layer"].map(order))
    is_whole = rows["kept_filters"] == rows["cut_layer"].map(channels)
    leak = rows["psnr_db"].copy()

    parts = rows[~is_whole & rows["selection_strategy"].isin(NESTED_STRATEGIES)]
    parts = parts.sort_values("kept_filters", kind="stable")
    leak.update(parts.groupby(CHAIN)["psnr_db"].cummax())

    same_cut = [*CHAIN[:2], "cut_layer"]
    of_parts = leak.groupby([rows[name] for name in same_cut]).transform("max")
    leak = leak.where(~is_whole, of_parts)

    wholes = rows[is_whole].assign(psnr_db=leak).sort_values("depth", ascending=False)
    leak.update(wholes.groupby(CHAIN[:2])["psnr_db"].cummax())
    return replace(table, rows=table.rows.assign(psnr_db=leak))

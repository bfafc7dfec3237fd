"""Take over what was measured before, by the study's own table or in the folder that is written."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privynet_opt.characterization.extend import WRITTEN_ANEW, without_nan
from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.characterization.provenance import fidelities_alike
from privynet_opt.characterization.schema import measurement_name, subsets_of
from privynet_opt.characterization.table import CharacterizationTable, load_table
from privynet_opt.errors import TableError
from privynet_opt.topology import LOCAL_COLUMNS

if TYPE_CHECKING:
    from privynet_opt.study_spec import StudySpec

Row = dict[str, Any]


def table_of_study(
    spec: StudySpec, cuts: Collection[str], identity: dict[str, Any], written: Path
) -> tuple[CharacterizationTable | None, bool]:
    """Return what the study's own table holds of the same weights, images and recipes.

    Args:
        spec: The study.
        cuts: Names of its cut layers.
        identity: What is measured with, from `StudyInputs.identity`.
        written: The table that will be written.

    Returns:
        The table with the rows that count, None where none do; and whether it is `written` itself
        and all of its rows count.
    """
    path = spec.table_path
    if not path.exists():
        return None, False
    table = load_table(path)
    alike = fidelities_alike(table.sidecar, identity)
    rows = table.rows[table.rows["fidelity"].isin(alike)]
    rows = rows[rows["cut_layer"].isin(list(cuts))]
    is_kept = path.resolve() == written and len(rows) == len(table.rows)
    return (replace(table, rows=rows) if alike else None), is_kept


def table_of_before(written: Path, identity: dict[str, Any]) -> CharacterizationTable | None:
    """Return the table that an earlier run wrote, None where it is to be begun anew.

    Args:
        written: The table that will be written.
        identity: What is measured with, from `StudyInputs.identity`.
    """
    try:
        own = load_table(written)
    except TableError:  # the files of the measurements are whole
        return None
    return own if fidelities_alike(own.sidecar, identity) else None


def take_over(
    known: CharacterizationTable,
    folder: MeasurementFolder,
    cuts: Collection[str],
    identity: dict[str, Any],
) -> None:
    """Store what a table holds and a folder lacks, what was measured beside rows as well.

    Args:
        known: The table, from `table_of_study`.
        folder: The folder.
        cuts: Names of the study's cut layers.
        identity: What is measured with, from `StudyInputs.identity`.
    """

    def beside(name: str) -> list[Row]:
        return [entry for entry in known.sidecar.get(name, []) if entry["cut_layer"] in cuts]

    alike = fidelities_alike(known.sidecar, identity)
    for row in rows_by_name(known).values():
        if not folder.has(row):
            folder.add(row)
    found = subsets_of(folder.searched())
    for entry in beside("searched"):
        if (entry["cut_layer"], entry["kept_filters"]) not in found:
            folder.add_searched(entry)
    attacked = set(map(_attack, folder.side_attacks()))
    for entry in beside("side_attacks"):
        if "standard" in alike and _attack(entry) not in attacked:
            folder.add_side_attack(entry)
    guessed = {entry["cut_layer"] for entry in folder.anonymity()}
    for cut, entries in _by_cut(beside("anonymity")):
        if "amortised" in alike and cut not in guessed:
            folder.add_anonymity(cut, entries)
    for cut, entries in _by_cut(beside("information")):
        folder.add_information(cut, entries)


def rows_by_name(table: CharacterizationTable | None) -> dict[str, Row]:
    """Return a table's rows as they are stored, by the name of the measurement.

    Args:
        table: None has none.
    """
    rows = [] if table is None else map(without_nan, table.rows.to_dict("records"))
    return {measurement_name(row): row for row in rows}


def continued_sidecar(
    own: CharacterizationTable | None, known: CharacterizationTable | None
) -> dict[str, Any]:
    """Return the sidecar that goes on, empty where there is none.

    Args:
        own: The table that was written before.
        known: The one that is taken over.

    Returns:
        That of the first, or else of the second. When rows were measured that only the second has
        is told among the ``extensions`` of the first.
    """
    first = own or known
    if first is None:
        return {}
    kept = {name: value for name, value in first.sidecar.items() if name not in WRITTEN_ANEW}
    n_more = len(rows_by_name(known).keys() - rows_by_name(own).keys())
    if own is not None and known is not None and n_more:
        before, theirs = kept.get("extensions", []), known.sidecar.get("extensions", [])
        new = [entry for entry in theirs if entry not in before]
        n_others = n_more - sum(entry.get("rows", 0) for entry in new)
        if n_others > 0:
            new = [{"rows": n_others, **known.sidecar.get("measured", {})}, *new]
        kept["extensions"] = [*before, *new]
    return kept


def _attack(entry: Row) -> tuple[Any, ...]:
    """Return what tells a side attack from others."""
    return tuple(entry[name] for name in (*LOCAL_COLUMNS, "capacity", "images_sha256"))


def _by_cut(entries: list[Row]) -> list[tuple[str, list[Row]]]:
    cuts = dict.fromkeys(entry["cut_layer"] for entry in entries)
    return [(cut, [e for e in entries if e["cut_layer"] == cut]) for cut in cuts]

"""A study's table, if it is of what the study says now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privynet_opt.characterization.table import CharacterizationTable, load_table
from privynet_opt.errors import StudyError

if TYPE_CHECKING:
    from privynet_opt.study_spec import StudySpec


def load_study_table(spec: StudySpec) -> CharacterizationTable:
    """Return a study's table.

    Args:
        spec: The study.

    Raises:
        StudyError: If ``study.toml`` names another network or other images than were measured.
        TableError: If the table is not usable.
    """
    table = load_table(spec.table_path)
    network, data = table.sidecar["network"], table.sidecar["data"]
    asked = {
        "network.name": (spec.network.name, network["name"]),
        "data.name": (spec.data.name, data["name"]),
        "data.image_size": (spec.data.image_size, data["image_size"]),
        "data.classes": (sorted(spec.data.classes), sorted(data["class_names"])),
    }
    if not spec.data.classes:
        del asked["data.classes"]
    for key, (now, measured) in asked.items():
        if now != measured:
            raise StudyError(
                f"`{key}` must be what was measured, but study.toml says {now!r} and "
                f"{spec.table_path} is of {measured!r}. Set it back, or measure the changed study "
                "in a folder of its own: privynet-opt characterize --output DIR."
            )
    return table

"""The index of a folder of features: what was extracted, and which images each shard holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from privynet_opt.errors import BundleError

INDEX = "features.json"
FORMAT_VERSION = 1

AGAIN = (
    "Copy it again from the device, or run `privynet-opt extract` there again with the same "
    "arguments: it makes what is missing."
)

IN_WORDS = {
    "format_version": "format",
    "manifest_sha256": "bundle",
    "images_sha256": "images (their names, sizes and dates of change)",
    "classes": "classes",
    "mirrored": "choice of --mirrored",
    "shards": "shards (--shard-images)",
}
"""What the index holds, and what its fields are called in a message."""


@dataclass(frozen=True)
class Shard:
    """A file of features.

    Attributes:
        name: The file's name.
        part: ``"train"`` or ``"test"``.
        start: Position of its first image in the part's source.
        stop: Position after the last.
    """

    name: str
    part: str
    start: int
    stop: int


def read_index(path: Path) -> dict[str, Any]:
    """Read an index.

    Args:
        path: The file.

    Raises:
        BundleError: If it is no index of this version.
    """
    try:
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = [name for name in IN_WORDS if name not in index]
    except (OSError, ValueError, TypeError) as error:
        raise BundleError(
            f"{INDEX} must be one that `privynet-opt extract` wrote, but {path} cannot be used "
            f"({type(error).__name__}). Extract into another folder."
        ) from error
    if missing or index["format_version"] != FORMAT_VERSION:
        raise BundleError(
            f"`format_version` of {INDEX} must be {FORMAT_VERSION}, but {path} has "
            f"{index.get('format_version')!r}. Extract again with this version of privynet_opt."
        )
    return index


def shards_of(path: Path, listed: Any) -> tuple[Shard, ...]:
    """Read the shards that an index lists.

    Args:
        path: The index, for messages.
        listed: Its ``shards``.

    Raises:
        BundleError: If one has other fields, or a name outside the folder.
    """
    try:
        shards = tuple(Shard(**told) for told in listed)
        astray = [shard.name for shard in shards if Path(shard.name).name != shard.name]
    except TypeError as error:
        raise BundleError(
            f"`shards` of {INDEX} must have {', '.join(f.name for f in fields(Shard))} each, but "
            f"{path} has others. {AGAIN}"
        ) from error
    if astray:
        raise BundleError(
            f"every shard must lie in its folder, but {path} names {astray[0]!r}. Do not use these "
            "features: whoever sent them wants another file read."
        )
    return shards

"""What a folder of features holds: the index, which images each shard is of, and no other file."""

from __future__ import annotations

import json
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from privynet_opt.deploy.bundle import MANIFEST, PRIVATE, file_sha256, read_manifest
from privynet_opt.errors import BundleError, OutputError

INDEX = "features.json"
SUMS = "SHA256SUMS"
FORMAT_VERSION = 1

AGAIN = (
    "Copy it again from the device, or run `privynet-opt extract` there again with the same "
    "arguments: it makes what is missing."
)

_TYPES = {
    "format_version": int,
    "manifest_sha256": str,
    "images_sha256": str,
    "classes": list,
    "mirrored": bool,
    "shards": list,
}

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


_SHARD = get_type_hints(Shard)


def read_index(path: Path) -> dict[str, Any]:
    """Read an index.

    Args:
        path: The file.

    Raises:
        BundleError: If it is no index of this version, or an entry is of another type.
    """
    try:
        index = dict(json.loads(path.read_text(encoding="utf-8")).items())
    except (OSError, ValueError, AttributeError) as error:  # the last: it is no object
        raise BundleError(
            f"{INDEX} must be one that `privynet-opt extract` wrote, but {path} cannot be used "
            f"({type(error).__name__}). Extract into another folder."
        ) from error
    missing = [name for name in IN_WORDS if name not in index]
    if missing or index["format_version"] != FORMAT_VERSION:
        raise BundleError(
            f"`format_version` of {INDEX} must be {FORMAT_VERSION}, but {path} has "
            f"{index.get('format_version')!r}. Extract again with this version of privynet_opt."
        )
    wrong = [name for name, kind in _TYPES.items() if not isinstance(index[name], kind)]
    if wrong or not all(isinstance(name, str) for name in index["classes"]):
        name = wrong[0] if wrong else "classes"
        raise BundleError(
            f"`{name}` of {INDEX} must be as `privynet-opt extract` wrote it, but {path} has "
            f"{str(index[name])[:40]!r}. {AGAIN}"
        )
    return index


def shards_of(path: Path, listed: Any) -> tuple[Shard, ...]:
    """Read the shards that an index lists.

    Args:
        path: The index, for messages.
        listed: Its ``shards``.

    Raises:
        BundleError: If one has other fields, one is of another type, or a name outside the folder.
    """
    try:
        shards = tuple(Shard(**told) for told in listed)
        if any(type(getattr(s, name)) is not kind for s in shards for name, kind in _SHARD.items()):
            raise TypeError
        astray = [shard.name for shard in shards if Path(shard.name).name != shard.name]
    except TypeError as error:
        raise BundleError(
            f"`shards` of {INDEX} must have {', '.join(_SHARD)} each, as `privynet-opt extract` "
            f"wrote them, but {path} has others. {AGAIN}"
        ) from error
    if astray:
        raise BundleError(
            f"every shard must lie in its folder, but {path} names {astray[0]!r}. Do not use these "
            "features: whoever sent them wants another file read."
        )
    return shards


def read_sums(path: Path, shards: tuple[Shard, ...]) -> dict[str, str]:
    """Read the checksums of finished shards by name; a damaged line is as none.

    Args:
        path: The file, there or not.
        shards: Those that the index lists.
    """
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    found = (re.fullmatch(r"([0-9a-f]{64})  (\S+)", line) for line in text.splitlines())
    names = {shard.name for shard in shards}
    return {match[2]: match[1] for match in found if match and match[2] in names}


def no_features(directory: Path) -> BundleError:
    """Return the error for a folder that holds no features, with the command that makes some.

    Args:
        directory: The folder, there or not; a bundle's where that was named by mistake.
    """
    bundle, what, has_own_images = "BUNDLE", f"has no {INDEX}", False
    if (directory / PRIVATE).exists():
        told = read_manifest(directory / MANIFEST).content["data"]
        bundle, what, has_own_images = str(directory), "is a bundle", told["name"] == "digits"
    data = () if has_own_images else ("--data", "DIR")
    output = "features" if directory.exists() else str(directory)
    command = shlex.join(("privynet-opt", "extract", bundle, *data, "--output", output))
    return BundleError(
        f"features must be a folder that `privynet-opt extract` wrote, but {directory} {what}. "
        f"Extract features first: {command}"
    )


def refuse_other_files(
    directory: Path, manifest_sha256: str, shards: tuple[Shard, ...] = ()
) -> list[Path]:
    """Make sure that nothing but features lies in a folder, which goes to the cloud as it is.

    Args:
        directory: The folder.
        manifest_sha256: Hash of the bundle's manifest.
        shards: Those that the folder's index lists; none where no index is there yet, before which
            nothing but the manifest is written.

    Returns:
        What a killed run had not finished and nobody reads: a file has another name until it is
        whole, the one that `write_atomically` gives it.

    Raises:
        OutputError: If there is anything else, or the manifest of another bundle.
    """
    written = {MANIFEST, INDEX}
    if shards:
        written |= {SUMS, *(shard.name for shard in shards)}
    others, unfinished = [], []
    with os.scandir(directory) as entries:
        for entry in entries:
            torn = re.fullmatch(r"\.(.+)\.[a-z0-9_]{8}", entry.name)
            if not entry.is_file() or (torn[1] if torn else entry.name) not in written:
                others.append(entry.name + "/" * entry.is_dir())
            elif torn:
                unfinished.append(Path(entry.path))
    others.sort()
    manifest = directory / MANIFEST
    if not others and manifest.exists() and file_sha256(manifest) != manifest_sha256:
        others = [f"the {MANIFEST} of another bundle"]
    if others:
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        raise OutputError(
            f"`output` must be a folder of its own, which goes to the cloud as it is, but "
            f"{directory} holds {others[0]}{more}. Choose an empty --output folder, or move away "
            "what is not of these features."
        )
    return unfinished

"""An exported network is somebody's file: what runs when torch opens it is looked for before.

``torch.export.load`` unpickles tensors and examples that say so, evaluates the sizes of dynamic
axes by sympy, and loads compiled libraries. Files that `privynet-opt export` writes hold none.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privynet_opt.errors import NetworkError

if TYPE_CHECKING:
    from torch.export.pt2_archive import PT2ArchiveReader

PLAIN = ("weight_", "tensor_")
"""Tensors of an archive whose names begin so are bytes unless they say to be pickled."""

ARITHMETIC = re.compile(
    r"(Symbol\('\w+'(, \w+=(True|False))*\)"
    r"|\b(Integer|Add|Mul|Pow|FloorDiv|Mod|Max|Min)\b|[\d\s+\-*/(),])*"
)
"""What the size of a dynamic axis may be written with: sympy evaluates it as Python."""


def refuse_code(path: Path, content: bytes) -> None:
    """Make sure that torch unpickles, evaluates and loads no code when it opens an archive.

    torch's own reader looks, since another one may see other records in the same bytes; but torch
    opens archives of its first format, all of which are pickled, with zipfile.

    Args:
        path: The file, for messages.
        content: Its bytes, those that are opened afterwards.

    Raises:
        NetworkError: If there is code in it.
    """
    from torch.export.pt2_archive import PT2ArchiveReader  # takes a while

    archive = PT2ArchiveReader(io.BytesIO(content))
    with zipfile.ZipFile(io.BytesIO(content)) as first_format:
        code = [name for name in first_format.namelist() if name == "version"]
    code += [name for name in archive.get_file_names() if _has_code(archive, name)]
    if code:
        raise NetworkError(
            "an exported network must hold no code, pickled or other, which would run when it is "
            f"opened, but {path} does ({code[0]}) and was not opened. Export it again."
        )


def _has_code(archive: PT2ArchiveReader, name: str) -> bool:
    lower = name.lower()  # torch finds records in either case
    if lower.startswith("data/aotinductor/"):
        return True
    if lower.startswith("data/sample_inputs/"):
        return len(archive.read_bytes(name)) > 0
    if lower.startswith("models/"):
        sizes: list[str] = []
        json.loads(archive.read_string(name), object_hook=lambda entry: _note_size(entry, sizes))
        return not all(ARITHMETIC.fullmatch(size) for size in sizes)
    if not lower.startswith(("data/weights/", "data/constants/")):
        return False
    if not lower.endswith("config.json"):
        return lower.endswith(".pt")
    tensors = json.loads(archive.read_string(name))["config"].values()
    return any(
        t["use_pickle"] is not False or not t["path_name"].startswith(PLAIN) for t in tensors
    )


def _note_size(entry: dict[str, Any], sizes: list[str]) -> dict[str, Any]:
    sizes += [str(entry["expr_str"])] if "expr_str" in entry else []
    return entry

"""Write files so that a killed run or a full disk leaves no half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from privynet_opt.errors import OutputError


def write_atomically(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file so that it is either whole or not there.

    Args:
        path: The file; its folder is made if missing.
        content: Its text, written as UTF-8, or its bytes.
        mode: Who may read it; until it is whole, its owner alone.

    Raises:
        OutputError: If the file cannot be written, for instance because the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content.encode() if isinstance(content, str) else content)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(
            f"`output` must be writable, but {path} is not ({error.strerror}). "
            "Free some space or choose another folder; what is already measured is kept."
        ) from error


def prepare_output(directory: Path) -> Path:
    """Make sure that results can be written to a folder, before hours of search.

    Args:
        directory: The folder; made where missing.

    Returns:
        `directory`.

    Raises:
        OutputError: If it is no folder or cannot be written to.
    """
    probe = directory / ".privynet-opt-probe"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"probe")
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"`output` must be a folder that can be written to, but {directory} is not "
            f"({error.strerror}). Choose another folder or free some space."
        ) from error
    return directory

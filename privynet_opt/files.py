"""Write files so that a killed run or a full disk leaves no half of one."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import BinaryIO

from privynet_opt.errors import OutputError


def write_atomically(path: Path, content: str | bytes, mode: int | None = None) -> None:
    """Write a file so that it is either whole or not there.

    Args:
        path: The file, as for `replace_file`; its folder is made if missing.
        content: Its text, written as UTF-8, or its bytes.
        mode: As for `replace_file`.

    Raises:
        OutputError: If the file cannot be written, for instance because the disk is full.
    """
    try:
        Path(os.path.realpath(path)).parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content, mode)
    except OSError as error:
        raise OutputError(
            f"`output` must be writable, but {path} is not ({error.strerror}). "
            "Free some space or choose another folder; what is already measured is kept."
        ) from error


def copy_file(source: Path, target: Path) -> None:
    """Copy a file so that the copy is either whole or not there.

    Args:
        source: The file.
        target: Its copy; the folder is made if missing.

    Raises:
        OutputError: If the copy cannot be written.
    """
    write_atomically(target, source.read_bytes())


def replace_file(path: Path, content: str | bytes, mode: int | None = None) -> None:
    """Put a file in the place of another in one step; its folder is there.

    Args:
        path: The file. A link stays one: what it leads to is replaced. What cannot be replaced, as
            `is_stream` tells, is written to.
        content: Its text, written as UTF-8, or its bytes.
        mode: Who may read it; until it is whole, its owner alone. None keeps the mode of a file
            that is replaced, and gives a new one what the umask leaves.

    Raises:
        OSError: If it cannot be written; a file that was there before is left as it was.
    """
    content = content.encode() if isinstance(content, str) else content
    if is_stream(path):
        with _open_stream(path) as stream:
            stream.write(content)
        return
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    mode = _mode_of(target) if mode is None else mode
    # The umask applies to a file as it is made; to ask for it is to change it for all threads.
    made = 0o666 if mode is None else 0o600
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, made)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def is_stream(path: Path) -> bool:
    """Return whether a path leads to a pipe, a device, or what this process prints to.

    Args:
        path: Of anything, there or not.

    Raises:
        OSError: If that cannot be found out.
    """
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False
    return not is_file or _printed_to(path) is not None


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


def _mode_of(path: Path) -> int | None:
    """Return who may do what with a file, None where there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _printed_to(path: Path) -> int | None:
    for descriptor in (1, 2):  # stdout and stderr; either may be closed
        with contextlib.suppress(OSError):
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
    return None


def _open_stream(path: Path) -> BinaryIO:
    printed_to = _printed_to(path)
    # Opened by its name, a file that stdout goes to would be written from its start.
    return path.open("wb") if printed_to is None else os.fdopen(os.dup(printed_to), "wb")

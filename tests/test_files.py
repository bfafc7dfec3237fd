"""A file is replaced as a whole; what only leads to it, or is none, stays what it is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from privynet_opt.errors import OutputError
from privynet_opt.files import copy_file, write_atomically

ENV = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.mkdir()
    (far / "real.csv").write_text("old")
    (far / "again.csv").symlink_to("real.csv")
    link = tmp_path / "link.csv"
    link.symlink_to(Path("far", "again.csv"))
    write_atomically(link, "new")
    assert link.readlink() == Path("far", "again.csv")
    assert (far / "again.csv").is_symlink()
    assert (far / "real.csv").read_text() == "new"
    assert {path.name for path in far.iterdir()} == {"real.csv", "again.csv"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_link_to_nothing_yet_gets_its_file(tmp_path: Path) -> None:
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "missing" / "real.csv")
    write_atomically(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "missing" / "real.csv").read_text() == "new"


def test_a_link_to_itself_is_one_line(tmp_path: Path) -> None:
    link = tmp_path / "link.csv"
    link.symlink_to(link)
    with pytest.raises(OutputError, match=r"link\.csv is not \(Too many levels"):
        write_atomically(link, "new")
    assert link.is_symlink()


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    # A reader that waits for ever, where nobody writes, must not keep the tests from ending.
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    write_atomically(pipe, "new")
    reader.join(timeout=10)
    assert read == ["new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_stream_that_takes_nothing_is_one_line_and_stays(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    link = tmp_path / "stream"
    link.symlink_to(f"/proc/self/fd/{writing}")
    with pytest.raises(OutputError, match=r"stream is not \(Broken pipe\)"):
        write_atomically(link, "new")
    os.close(writing)
    assert [path.name for path in tmp_path.iterdir()] == ["stream"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1"])
def test_what_is_printed_to_is_written_to_where_it_stands(name: str, tmp_path: Path) -> None:
    # By a link: one that was replaced by mistake must not be that of the machine.
    (tmp_path / "link").symlink_to(name)
    (tmp_path / "all.txt").write_text("kept\n")
    code = (
        "from pathlib import Path\nfrom privynet_opt.files import write_atomically\n"
        "print('before', flush=True)\nwrite_atomically(Path('link'), 'new\\n')\nprint('after')"
    )

    def run(stdout: Any) -> str | None:
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=ENV, stdout=stdout, text=True, check=True)
        assert {path.name for path in tmp_path.iterdir()} == {"link", "all.txt"}
        assert (tmp_path / "link").is_symlink()
        return done.stdout

    with (tmp_path / "all.txt").open("a") as file:
        run(file)
    assert (tmp_path / "all.txt").read_text() == "kept\nbefore\nnew\nafter\n"
    with (tmp_path / "all.txt").open("w") as file:
        run(file)
    assert (tmp_path / "all.txt").read_text() == "before\nnew\nafter\n"
    assert run(subprocess.PIPE) == "before\nnew\nafter\n"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_a_new_file_gets_what_the_umask_leaves(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "new", "new")
        write_atomically(tmp_path / "private", "new", 0o600)
    finally:
        os.umask(before)
    assert (mode_of(tmp_path / "new"), mode_of(tmp_path / "private")) == (mode, 0o600)


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444])
def test_a_file_that_is_replaced_keeps_its_mode(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    on_the_way: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: on_the_way.append(os.fstat(file).st_mode & 0o777))
    write_atomically(path, "new")
    assert (path.read_text(), mode_of(path), on_the_way) == ("new", mode, [0o600])


def test_a_copy_is_whole_or_refused_in_one_line(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"\x00\xff")
    copy_file(source, tmp_path / "deep" / "copy")
    assert (tmp_path / "deep" / "copy").read_bytes() == b"\x00\xff"
    with pytest.raises(OutputError, match="`output` must be writable"):
        copy_file(source, source / "copy")

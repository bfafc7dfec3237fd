"""A storage is opened, or refused and left as it was."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from privynet_opt.errors import OutputError
from privynet_opt.study_storage import (
    cut_torn_line,
    open_storage,
    open_study,
)


def test_only_a_torn_last_line_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    for content, kept in ((b"", b""), (b"a\nb\n", b"a\nb\n"), (b"a\nb", b"a\n"), (b"ab", b"")):
        path.write_bytes(content)
        assert cut_torn_line(path) == (content != kept)
        assert path.read_bytes() == kept


@pytest.mark.parametrize(
    "content",
    [
        b"12:00 started\n12:01 no newline at the end",
        b"one line without its end",
        b"one whole line\n",
        b'{"time": 1}\n{"time": 2}\n{"ti',
        b"[1]\n",
        b"\xff\xfe\x00\n",
        b"\n",
    ],
)
def test_a_file_that_is_no_journal_is_refused_and_left_as_it_was(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "my.log"
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"`storage` must be usable.*no journal") as caught:
        open_storage(str(path))
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["my.log"]


@pytest.mark.parametrize(
    "storage",
    ["nonsense", "sqlite://study.db", "sqlite:////no/such/folder/x.db", "nosuchdb://x/y", "/x.csv"],
)
def test_an_unusable_storage_is_one_line_with_a_remedy(storage: str) -> None:
    with pytest.raises(OutputError, match=r"Write for example sqlite:///study\.db") as caught:
        open_study(open_storage(storage), "toy", ["minimize"])  # type: ignore[list-item]
    assert "\n" not in str(caught.value)


def test_a_storage_of_ones_own_is_taken_as_it_is() -> None:
    storage = optuna.storages.InMemoryStorage()
    assert open_storage(storage) is storage

"""A table and its sidecar are two files, and a run may be killed between them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from problems import toy_rows, write_toy_table

from privynet_opt.characterization import table_files
from privynet_opt.characterization.extend import WRITTEN_ANEW, without_nan
from privynet_opt.characterization.table import load_table
from privynet_opt.characterization.table_files import write_table
from privynet_opt.errors import TableError
from privynet_opt.files import write_atomically


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_toy_table(tmp_path / "characterization.csv", toy_rows(noise=0.5))


def write_without_first_row(path: Path) -> None:
    table = load_table(path)
    rows = [without_nan(row) for row in table.rows[1:].to_dict("records")]
    sidecar = {k: v for k, v in table.sidecar.items() if k not in WRITTEN_ANEW}
    write_table(path, rows, list(table.cuts), sidecar)


@pytest.mark.parametrize("n_written", [0, 1, 2])
def test_a_run_killed_while_it_writes_leaves_a_pair_that_can_be_read(
    path: Path, monkeypatch: pytest.MonkeyPatch, n_written: int
) -> None:
    table = load_table(path)
    written: list[Path] = []

    def killed(target: Path, content: str | bytes) -> None:
        if len(written) == n_written:
            raise KeyboardInterrupt
        written.append(target)
        write_atomically(target, content)

    monkeypatch.setattr(table_files, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        write_without_first_row(path)
    after = load_table(path)
    assert len(after.rows) == len(table.rows) - (n_written == 2)
    assert after.sidecar["table_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_a_table_replaced_is_not_told_once_it_is_written(path: Path) -> None:
    former = path.read_bytes()
    write_without_first_row(path)
    path.write_bytes(former)
    with pytest.raises(TableError, match="`table_sha256` must be the hash of"):
        load_table(path)

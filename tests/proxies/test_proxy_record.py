from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privynet_opt.characterization.table import CharacterizationTable
from privynet_opt.proxies.estimates import TARGETS
from privynet_opt.proxies.record import TargetRecord, read_record, table_key, write_record

ENTRY = TargetRecord(
    "gaussian process",
    [0.1, -2.0],
    {"gaussian process": 1 / 3},
    {"gaussian process": 2 / 3},
    [1.0],
    [0.5],
)
RECORD = dict.fromkeys(TARGETS, ENTRY)


def test_record_read_back_is_the_record_that_was_written(tmp_path: Path) -> None:
    write_record(tmp_path / "proxies.json", "key", RECORD)
    assert read_record(tmp_path / "proxies.json", "key", n_rows=1) == RECORD


def test_numbers_are_rounded_when_made_and_not_when_stored() -> None:
    assert ENTRY.errors["gaussian process"] == 0.3333333
    assert ENTRY.crps["gaussian process"] == 0.6666667


def test_record_of_another_table_is_not_read(tmp_path: Path) -> None:
    write_record(tmp_path / "proxies.json", "key", RECORD)
    assert read_record(tmp_path / "proxies.json", "other", n_rows=1) is None
    assert read_record(tmp_path / "proxies.json", "key", n_rows=2) is None


@pytest.mark.parametrize(
    "change",
    [
        {"model": "oracle"},
        {"model": None},
        {"means": [float("nan")]},
        {"means": ["high"]},
        {"means": None},
        {"spreads": [0.0]},
        {"spreads": []},
        {"loco_means": [1.0]},
        {"errors": []},
        {"crps": None},
        {"crps": {}},
        {"crps": {"monotone boosting": 0.1}},
        {"surprise": 1},
    ],
)
def test_malformed_record_is_not_read(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "proxies.json"
    write_record(path, "key", RECORD)
    content = json.loads(path.read_text())
    content["targets"]["ssim"].update(change)
    path.write_text(json.dumps(content))
    assert read_record(path, "key", n_rows=1) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"key": "key"}', '{"targets": {}}', "\0"])
def test_text_that_is_no_record_is_not_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "proxies.json"
    path.write_text(text)
    assert read_record(path, "key", n_rows=1) is None


def test_missing_record_is_not_read(tmp_path: Path) -> None:
    assert read_record(tmp_path / "proxies.json", "key", n_rows=1) is None


def test_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    write_record(blocked / "proxies.json", "key", RECORD)
    assert blocked.read_text() == "not a folder"


def test_key_changes_with_the_table_and_its_cuts(toy_table: CharacterizationTable) -> None:
    key = table_key(toy_table)
    assert table_key(replace(toy_table)) == key
    for name in ("table_sha256", "cuts"):
        other = replace(toy_table, sidecar={**toy_table.sidecar, name: "changed"})
        assert table_key(other) != key

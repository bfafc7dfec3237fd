"""A storage is opened, or refused and left as it was."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import StudyDirection

from privynet_opt.errors import OutputError
from privynet_opt.study_journal import journal_text, read_trials
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


@pytest.mark.parametrize("made", ["tables", "first row"])
def test_a_database_that_another_process_makes_at_this_moment_is_opened(
    made: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import MetaData

    url = f"sqlite:///{tmp_path / 'new.db'}"
    looked = []

    def create_all(self: MetaData, engine: Any) -> None:
        # Nothing was there when this process looked; the other one has made it since.
        is_late = made == "tables" and not looked
        looked.append("tables")
        create(self, engine)
        if is_late:
            create(self, engine, checkfirst=False)

    def get_current_heads(self: MigrationContext) -> tuple[str, ...]:
        looked.append("first row")
        is_late = made == "first row" and looked.count("first row") <= 2
        return () if is_late else heads(self)

    open_storage(url)
    create, heads = MetaData.create_all, MigrationContext.get_current_heads
    monkeypatch.setattr(MetaData, "create_all", create_all)
    monkeypatch.setattr(MigrationContext, "get_current_heads", get_current_heads)
    monkeypatch.setattr("privynet_opt.study_storage.OPENING_SECONDS", 0.0)
    study = open_study(open_storage(url), "toy", [StudyDirection.MINIMIZE])
    assert study.study_name == "toy"
    assert looked.count("tables") == 2


def test_a_database_that_others_never_stop_making_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import MetaData

    url = f"sqlite:///{tmp_path / 'new.db'}"
    open_storage(url)
    create = MetaData.create_all
    monkeypatch.setattr(MetaData, "create_all", lambda *them: create(*them, checkfirst=False))
    monkeypatch.setattr("privynet_opt.study_storage.OPENING_SECONDS", 0.0)
    with pytest.raises(OutputError, match=r"`storage` must be usable.*already exists"):
        open_storage(url)


def test_a_storage_of_ones_own_is_taken_as_it_is() -> None:
    storage = optuna.storages.InMemoryStorage()
    assert open_storage(storage) is storage


def test_trials_are_read_in_the_order_in_which_they_finished(tmp_path: Path) -> None:
    study = optuna.create_study()
    for number, minute in enumerate((3, 1, 2)):
        trial = optuna.trial.create_trial(value=number, user_attrs={"topology": str(number)})
        trial.datetime_complete = datetime(2026, 1, 1, 0, minute)
        study.add_trial(trial)
    path = tmp_path / "study.journal"
    path.write_text(journal_text(study))
    name = study.study_name
    for n, values in ((2, [1.0, 2.0]), (3, [0.0, 1.0, 2.0])):
        storage = read_trials(path, name, n)
        read = optuna.load_study(study_name=name, storage=storage).get_trials()
        assert [trial.value for trial in read] == values

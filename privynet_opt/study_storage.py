"""Where the Optuna study lives: in memory, in a database, or in a journal file."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.study import StudyDirection
from optuna.trial import TrialState

from privynet_opt.errors import OutputError

STALE_AFTER = timedelta(seconds=60)
"""A running trial this old belongs to a process that died: trials take seconds at most. Younger
ones may belong to another process that works on the same study."""

OPENINGS, OPENING_SECONDS = 20, 0.1
"""How often, and how long apart, a database is opened that another process makes at this moment:
each opening finds at least one table more."""

JOURNAL_SUFFIXES = (".journal", ".log")

JOURNAL_START = b'{"op_code":'
"""How Optuna begins every line of a journal; a first line torn by a crash is known by it."""


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna's log lines and warnings about its experimental features, then restore."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"optuna\.")
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def open_storage(storage: str | BaseStorage | None) -> BaseStorage:
    """Open the storage a user names.

    Args:
        storage: None for memory, a database URL such as ``"sqlite:///study.db"``, the path of a
            journal file (``.journal``), or an Optuna storage.

    Returns:
        The storage. A journal whose last line was torn by a crash is cut back to its last whole
        line first; the next write would otherwise corrupt it. A file that is no journal is left as
        it is.

    Raises:
        OutputError: If it is none of these, or cannot be opened.
    """
    if storage is None:
        return InMemoryStorage()
    if isinstance(storage, BaseStorage):
        return storage
    if isinstance(storage, str) and "://" in storage:
        return _open_database(storage)
    if isinstance(storage, str) and Path(storage).suffix in JOURNAL_SUFFIXES:
        return _open_journal(Path(storage))
    raise OutputError(
        f"`storage` must be text, a database URL or a journal file, but got {storage!r}. "
        "Write for example sqlite:///study.db or study.journal."
    )


def open_study(storage: BaseStorage, name: str, directions: list[StudyDirection]) -> optuna.Study:
    """Open a study, or make it.

    Args:
        storage: Where it is kept.
        name: Its name in the storage.
        directions: One per objective.

    Returns:
        The study; trials left running by a process that died are marked as failed.

    Raises:
        OutputError: If the storage fails.
    """
    with quiet_optuna(), storage_errors():
        study = optuna.create_study(
            storage=storage, study_name=name, directions=directions, load_if_exists=True
        )
        fail_stale_trials(study)
    return study


def fail_stale_trials(study: optuna.Study) -> int:
    """Mark trials as failed whose process must have died.

    Args:
        study: The study.

    Returns:
        How many there were.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    oldest = datetime.now() - STALE_AFTER
    stale = [t for t in running if t.datetime_start is not None and t.datetime_start < oldest]
    for trial in stale:
        study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    return len(stale)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn a storage's own errors into one line for the user.

    Raises:
        OutputError: If the storage fails.
    """
    try:
        yield
    except _failures() as error:
        raise _unusable("the study's storage", error) from error


def _failures(*more: type[Exception]) -> tuple[type[Exception], ...]:
    # SQLAlchemy is loaded by the first database; without one it cannot fail.
    database = sys.modules.get("sqlalchemy.exc")
    loaded: tuple[type[Exception], ...] = (database.SQLAlchemyError,) if database else ()
    return (optuna.exceptions.StorageInternalError, OSError, *more, *loaded)


def _open_database(url: str, n_openings: int = OPENINGS) -> BaseStorage:
    try:
        return optuna.storages.get_storage(url)
    except _failures(ImportError, ValueError) as error:
        if n_openings == 1 or not _is_being_made(error):
            raise _unusable(url, error) from error
    time.sleep(OPENING_SECONDS)
    return _open_database(url, n_openings - 1)


def _is_being_made(error: Exception) -> bool:
    """Return whether another process made a table, or its first row, that was missing just now."""
    return type(error).__name__ == "IntegrityError" or "already exists" in str(error)


def _open_journal(path: Path) -> BaseStorage:
    # The lock is a symbolic link beside the file: with a relative path it would point nowhere.
    path = path.expanduser().absolute()
    try:
        if not _may_become_journal(path):
            raise ValueError("it is no journal of Optuna; name another file")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = JournalFileSymlinkLock(str(path))
        backend = JournalFileBackend(str(path), lock_obj=lock)
        lock.acquire()
        try:
            cut_torn_line(path)
        finally:
            lock.release()
        return JournalStorage(backend)
    except (OSError, ValueError, KeyError) as error:
        raise _unusable(str(path), error) from error


def _may_become_journal(path: Path) -> bool:
    """Return whether a file is missing, empty, or a journal, be it one with a torn first line."""
    if not path.exists():
        return True
    with path.open("rb") as file:
        first = file.readline()
    if not first.endswith(b"\n"):
        return JOURNAL_START.startswith(first[: len(JOURNAL_START)])
    try:
        entry = json.loads(first)
    except ValueError:
        return False
    return isinstance(entry, dict) and "op_code" in entry


def cut_torn_line(path: Path) -> bool:
    """Cut a file back to its last whole line.

    Args:
        path: A file of lines.

    Returns:
        Whether there was anything to cut.
    """
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole == len(content):
        return False
    with path.open("r+b") as file:
        file.truncate(whole)
    return True


def _unusable(what: str, error: Exception) -> OutputError:
    reason = " ".join(str(getattr(error, "orig", None) or error).split())
    return OutputError(
        f"`storage` must be usable, but {what} is not ({reason}). "
        "Write for example sqlite:///study.db or study.journal, and check path and rights."
    )

"""A study as a journal file: its copy beside a result, and what that tells later."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from privynet_opt.errors import OutputError
from privynet_opt.study_storage import open_storage, quiet_optuna


def journal_text(study: optuna.Study) -> str:
    """Return a study as the text of a journal file.

    Args:
        study: Any study.

    Returns:
        One JSON object per line; ``JournalFileBackend`` reads it.
    """
    log = _JournalText()
    _copy(study, study.get_trials(deepcopy=False), JournalStorage(log))
    return "".join(log.lines)


def read_trials(path: Path, name: str, n_trials: int) -> BaseStorage:
    """Return the first finished trials of a study that a journal holds.

    Args:
        path: The journal; left as it is.
        name: The study's name.
        n_trials: How many, of those that tell their topology; a journal that is a storage as well
            may have got more.

    Returns:
        A storage in memory, of the study with these trials alone.

    Raises:
        OutputError: If the journal cannot be read, or has fewer.
    """
    try:
        with quiet_optuna():
            study = optuna.load_study(study_name=name, storage=_read(path))
    except KeyError as error:
        raise _no_trials(path, n_trials, f"it has no {name}") from error
    except (OSError, ValueError, TypeError) as error:
        raise _no_trials(path, n_trials, type(error).__name__) from error
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    trials = [trial for trial in complete if "topology" in trial.user_attrs]
    trials.sort(key=lambda trial: (trial.datetime_complete, trial.number))
    trials = sorted(trials[:n_trials], key=lambda trial: trial.number)
    if len(trials) < n_trials:
        raise _no_trials(path, n_trials, f"it has {len(trials):,}")
    storage = InMemoryStorage()
    _copy(study, trials, storage)
    return storage


def keep_in_storage(study: optuna.Study, path: Path) -> bool:
    """Keep a study in a journal that is a storage, beside the trials that are there.

    Args:
        study: Any study.
        path: Of a file, there or not. It is a storage if the study is kept there already, or if it
            holds several studies, as no copy does.

    Returns:
        Whether the file is one.
    """
    if _is_kept_in(study, path):
        return True
    names = _studies_in(path)
    if len(names) < 2:
        return False
    if study.study_name not in names:
        _copy(study, study.get_trials(deepcopy=False), open_storage(str(path)))
    return True


def _studies_in(path: Path) -> list[str]:
    """Return the names of the studies that a journal holds; none where there is no journal."""
    try:
        with quiet_optuna():
            return optuna.get_all_study_names(_read(path))
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _read(path: Path) -> JournalStorage:
    """Return what a journal holds; a last line that is being written, or was torn, is left out."""
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return JournalStorage(_JournalText(whole.splitlines()))


def _is_kept_in(study: optuna.Study, path: Path) -> bool:
    backend = getattr(study._storage, "_backend", None)  # no public name leads there
    if not isinstance(backend, JournalFileBackend) or not path.exists():
        return False
    return path.samefile(backend._file_path)


def _copy(study: optuna.Study, trials: Sequence[FrozenTrial], storage: BaseStorage) -> None:
    """Copy a study with some of its trials into a storage."""
    with quiet_optuna():
        copy = optuna.create_study(
            storage=storage, study_name=study.study_name, directions=study.directions
        )
        names = study.metric_names
        if names is not None:
            copy.set_metric_names(names)
        for key, value in study.user_attrs.items():
            copy.set_user_attr(key, value)
        copy.add_trials(trials)


def _no_trials(path: Path, n_trials: int, why: str) -> OutputError:
    return OutputError(
        f"a result with noise in a range must have the {n_trials:,} trials of its search beside "
        f"it, but {path} cannot be used ({why}). Run the study again."
    )


class _JournalText(BaseJournalBackend):
    """A journal kept as a list, written in one go: one flush to disk instead of thousands."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self.lines = list(lines)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the lines from a number on."""
        yield from map(json.loads, self.lines[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add lines."""
        self.lines.extend(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)

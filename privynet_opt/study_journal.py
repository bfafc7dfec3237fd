"""A study as a journal file: the copy beside a result, or the file that the study is kept in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend

from privynet_opt.study_storage import quiet_optuna


def journal_text(study: optuna.Study) -> str:
    """Return a study as the text of a journal file.

    Args:
        study: Any study.

    Returns:
        One JSON object per line; ``JournalFileBackend`` reads it.
    """
    log = _JournalText()
    storage = JournalStorage(log)
    with quiet_optuna():
        copy = optuna.create_study(
            storage=storage, study_name=study.study_name, directions=study.directions
        )
        names = study.metric_names
        if names is not None:
            copy.set_metric_names(names)
        for key, value in study.user_attrs.items():
            copy.set_user_attr(key, value)
        copy.add_trials(study.get_trials(deepcopy=False))
    return "".join(log.lines)


def is_kept_in(study: optuna.Study, path: Path) -> bool:
    """Return whether a file is the very journal that a study is kept in, others maybe beside it.

    Args:
        study: Any study.
        path: Of a file, there or not.
    """
    backend = getattr(study._storage, "_backend", None)  # no public name leads there
    if not isinstance(backend, JournalFileBackend) or not path.exists():
        return False
    return path.samefile(backend._file_path)


class _JournalText(BaseJournalBackend):
    """A journal kept as a list, written in one go: one flush to disk instead of thousands."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the lines from a number on."""
        yield from map(json.loads, self.lines[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add lines."""
        self.lines.extend(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)

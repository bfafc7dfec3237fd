"""What no parser has seen is checked by the Python functions, each fault in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privynet_opt.api import reopen
from privynet_opt.arguments import weights_or_none, whole_number
from privynet_opt.errors import (
    ConstraintError,
    DataError,
    NetworkError,
    OutputError,
    PrivyNetOptError,
    StudyError,
)
from privynet_opt.tuning import tune


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"k": "a"}, StudyError, "`k` must be a whole number from 0, but got 'a'"),
        ({"k": 1.5}, StudyError, "`k` must be a whole number from 0, but got 1.5"),
        ({"k": True}, StudyError, "`k` must be a whole number from 0, but got True"),
        ({"k": None}, StudyError, "`k` must be a whole number from 0, but got None"),
        ({"k": -1}, StudyError, "`k` must be a whole number from 0, but got -1"),
        ({"fidelity": "nope"}, StudyError, "`fidelity` must be known, but got 'nope'. Known: full"),
        ({"fidelity": "screen"}, StudyError, "`fidelity` must be known, but got 'screen'"),
        ({"fidelity": "ful"}, StudyError, "Did you mean 'full'"),
        ({"fidelity": 3}, StudyError, "`fidelity` must be known, but got 3"),
        ({"data": 3}, DataError, "`data` must be a path, but got 3"),
        ({"output": [1]}, OutputError, r"`output` must be a path, but got \[1\]"),
        ({"weights": b"x"}, NetworkError, "`weights` must be a file or a name, but got b'x'"),
        ({"device": "tpu"}, NetworkError, "`device` must be cpu or cuda, but got 'tpu'"),
        ({"device": 3}, NetworkError, "`device` must be cpu or cuda, but got 3"),
    ],
)
def test_what_cannot_be_validated_is_named(
    toy_result, settings: dict[str, Any], error: type[PrivyNetOptError], words: str
) -> None:
    with pytest.raises(error, match=words):
        toy_result.validate(**settings)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"data": 3}, DataError, "`data` must be a path, but got 3"),
        ({"weights": 1.5}, NetworkError, "`weights` must be a file or a name, but got 1.5"),
        ({"output": 3}, OutputError, "`output` must be a path, but got 3"),
        ({"device": "tpu"}, NetworkError, "`device` must be cpu or cuda, but got 'tpu'"),
        ({"objectives": 3}, ConstraintError, "`objectives` must be names of metrics, but got 3"),
        ({"clock": 3}, StudyError, "`clock` must be a function, but got 3"),
    ],
)
def test_what_cannot_be_tuned_is_named(
    toy_study: Path,
    tmp_path: Path,
    settings: dict[str, Any],
    error: type[PrivyNetOptError],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        tune(**{"study": toy_study, "output": tmp_path / "out", "budget": "1s", **settings})


@pytest.mark.parametrize("place", [3, None, b"x", ["a"]])
def test_what_is_no_place_for_files_is_named(toy_result, place: Any) -> None:
    for name, call in (
        ("directory", reopen),
        ("directory", toy_result.save),
        ("path", toy_result.report),
    ):
        with pytest.raises(OutputError, match=f"`{name}` must be a path, but got") as told:
            call(place)
        assert repr(place) in str(told.value)


def test_what_is_meant_is_taken(tmp_path: Path) -> None:
    assert whole_number("k", np.int64(2), least=0) == 2
    assert weights_or_none(tmp_path) == str(tmp_path)
    assert weights_or_none("none") == "none"
    assert weights_or_none(None) is None

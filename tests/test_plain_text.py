from __future__ import annotations

from types import SimpleNamespace

import pytest

from privynet_opt.plain_text import aligned, likeness, wrapped

SCALE = {
    "mean image": 12.7,
    "label only": 13.1,
    "4×4 thumbnail": 17.5,
    "8×8 thumbnail": 20.2,
    "16×16 thumbnail": 24.5,
}
CIFAR = SimpleNamespace(sidecar={"data": {"psnr_scale_db": SCALE}})


@pytest.mark.parametrize(
    ("psnr_db", "words"),
    [
        (17.1, "about a 4×4 thumbnail"),
        (12.6, "about the mean image"),
        (13.2, "about knowing the label only"),
        (15.3, "between knowing the label only and a 4×4 thumbnail"),
        (20.0, "about an 8×8 thumbnail"),
        (22.0, "between an 8×8 thumbnail and a 16×16 thumbnail"),
        (30.0, "more than a 16×16 thumbnail"),
        (10.0, "less than the mean image"),
    ],
)
def test_decibels_are_said_in_words(psnr_db: float, words: str) -> None:
    assert likeness(CIFAR, psnr_db) == words  # type: ignore[arg-type]


def test_data_without_a_scale_get_no_words() -> None:
    assert likeness(SimpleNamespace(sidecar={}), 17.0) == ""


def test_columns_are_aligned_and_no_line_ends_in_blanks() -> None:
    assert aligned([("a", "1", ""), ("bbb", "22", "x")], "<><") == ["  a     1", "  bbb  22  x"]


def test_sentences_are_wrapped_with_their_indents() -> None:
    lines = wrapped("word " * 40, "- ", "  ")
    assert lines[0].startswith("- word")
    assert lines[1].startswith("  word")
    assert max(map(len, lines)) <= 100

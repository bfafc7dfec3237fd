"""What a topology exceeds of the trained rows, and the words for it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from privynet_opt.characterization.table import CharacterizationTable
from privynet_opt.proxies import Proxies, fit_proxies
from privynet_opt.topology import LocalTopology


@pytest.fixture(scope="module")
def proxies(toy_table: CharacterizationTable) -> Proxies:
    """Trained from 2 to 16 filters, but not at conv2; nothing is known of lda at conv3."""
    rows = toy_table.rows
    gone = (rows["cut_layer"] == "conv3") & (rows["selection_strategy"] == "lda")
    is_trained = rows["fidelity"] == "standard"
    gone |= is_trained & (~rows["kept_filters"].between(2, 16) | (rows["cut_layer"] == "conv2"))
    return fit_proxies(replace(toy_table, rows=rows[~gone]))


@pytest.mark.parametrize(
    ("topology", "expected"),
    [
        (LocalTopology("conv1", 8, "lda"), ()),
        (LocalTopology("conv2", 8, "lda"), ("there is no trained measurement of conv2",)),
        (
            LocalTopology("conv1", 1, "lda"),
            ("trained measurements of conv1 keep at least 2 filters",),
        ),
        (
            LocalTopology("conv3", 32, "random"),
            ("trained measurements of conv3 keep at most 16 filters",),
        ),
        (
            LocalTopology("conv3", 8, "lda"),
            ("at conv3, filters chosen by lda were measured less than others",),
        ),
        (
            LocalTopology("conv1", 8, "lda", feature_bits=8, noise_std=0.5),
            (
                "trained measurements of conv1 have at least 32 bits",
                "trained measurements of conv1 have at most noise 0",
            ),
        ),
    ],
)
def test_each_reason_has_its_words(
    proxies: Proxies, topology: LocalTopology, expected: tuple[str, ...]
) -> None:
    assert proxies.why_extrapolated(pd.Series(vars(topology))) == expected
    marked = proxies.predict(pd.DataFrame([vars(topology)]))["extrapolation"]
    assert marked.tolist() == [bool(expected)]


def test_all_that_is_exceeded_is_told(proxies: Proxies) -> None:
    told = pd.Series(vars(LocalTopology("conv3", 1, "lda", noise_std=0.1)))
    assert [why.split()[-2:] for why in proxies.why_extrapolated(told)] == [
        ["2", "filters"],
        ["noise", "0"],
        ["than", "others"],
    ]

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from privynet_opt.errors import TopologyError
from privynet_opt.topology import TOPOLOGY_COLUMNS, LocalTopology

RANDOM: dict[str, Any] = {"selection_strategy": "random", "selection_seed": 1}


def test_how_features_are_sent_is_told_only_where_it_is_not_the_default() -> None:
    plain = LocalTopology("conv2", 8, "lda")
    sent = LocalTopology("conv2", 8, "random", 3, feature_bits=8, noise_std=0.25)
    assert str(plain) == "conv2, 8 filters by lda"
    assert str(sent) == "conv2, 8 filters by random (seed 3), 8 bits, noise 0.25"
    assert plain.is_sent_plainly and not sent.is_sent_plainly
    assert "feature_bits" not in plain.as_dict() and "noise_std" not in plain.as_dict()
    assert LocalTopology(**plain.as_dict()) == plain
    assert LocalTopology(**sent.as_dict()) == sent


def test_a_row_without_the_sending_columns_was_sent_plainly() -> None:
    fields = {"cut_layer": "conv1", "kept_filters": 2, "selection_strategy": "lda"}
    row = pd.Series({**fields, "selection_seed": 0})
    assert LocalTopology.of(row) == LocalTopology("conv1", 2, "lda")
    sent = LocalTopology("conv1", 2, "lda", 0, 4, 1.5)
    assert LocalTopology.of(pd.DataFrame([vars(sent)])[list(TOPOLOGY_COLUMNS)].iloc[0]) == sent


@pytest.mark.parametrize("noise_std", [-0.1, float("inf"), float("nan")])
def test_noise_is_a_finite_number_from_zero(noise_std: float) -> None:
    with pytest.raises(TopologyError, match="`noise_std` must be at least 0 and finite"):
        LocalTopology("conv1", 2, "lda", noise_std=noise_std)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cut_layer": 3}, "`cut_layer` must be a name, but got cut_layer=3"),
        ({"kept_filters": "4"}, "must be a whole number from 1, but got kept_filters='4'"),
        ({"kept_filters": 1.5}, "must be a whole number from 1, but got kept_filters=1.5"),
        ({"selection_strategy": 3}, "must be a known strategy, but got 3. Known: greedy"),
        ({"selection_seed": "x"}, "must be a whole number from 0, but got selection_seed='x'"),
        ({"selection_seed": -1}, "must be a whole number from 0, but got selection_seed=-1"),
        ({"noise_std": "1"}, "must be at least 0 and finite, but got noise_std='1'"),
    ],
)
def test_what_is_of_another_type_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(TopologyError, match=words):
        LocalTopology(**{"cut_layer": "conv1", "kept_filters": 2, **RANDOM, **fields})


def test_numbers_of_numpy_are_numbers() -> None:
    numbers = {"kept_filters": np.int64(2), "noise_std": np.float32(0.5)}
    assert LocalTopology("conv1", **numbers, **RANDOM).kept_filters == 2


def test_bits_are_those_that_can_be_sent() -> None:
    with pytest.raises(TopologyError, match="must be one of 32, 16, 8, 4, but got feature_bits=6"):
        LocalTopology("conv1", 2, "lda", feature_bits=6)

"""Bits and noise are inputs beside what the same filters do plainly, and only where measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from problems import sent_row, toy_rows

from privynet_opt.characterization.table import CharacterizationTable, load_table
from privynet_opt.proxies import Proxies, fit_proxies
from privynet_opt.proxies.inputs import INPUT_NAMES, SENDING_INPUTS, ProxyInputs
from privynet_opt.proxies.models import MODELS
from privynet_opt.proxies.monotone_boosting import MonotoneBoosting
from privynet_opt.proxies.record import table_key
from privynet_opt.search_space import topology_frame
from privynet_opt.topology import LocalTopology


@pytest.fixture(scope="module")
def table(noisy_toy_folder: Path) -> CharacterizationTable:
    return load_table(noisy_toy_folder / "characterization.csv")


@pytest.fixture(scope="module")
def proxies(table: CharacterizationTable) -> Proxies:
    return fit_proxies(table, cache=table.path.with_name("proxies.json"))


def frame(*ways: tuple[int, float], kept: int = 8) -> pd.DataFrame:
    return topology_frame(LocalTopology("conv2", kept, "lda", 0, *way) for way in ways)


def test_estimates_are_those_of_the_same_filters_sent_plainly(
    table: CharacterizationTable,
) -> None:
    inputs = ProxyInputs(table)
    assert inputs.names == (*INPUT_NAMES, *SENDING_INPUTS)
    matrix = inputs.matrix(frame((32, 0.0), (4, 1.5), (8, 0.25)), "standard")
    shared = matrix[:, : len(INPUT_NAMES)]
    assert (shared == shared[0]).all()
    assert matrix[:, len(INPUT_NAMES) :].tolist() == [[2**-32, 0.0], [2**-4, 1.5], [2**-8, 0.25]]
    screened = dict(zip(INPUT_NAMES, shared[0], strict=True))["estimated_accuracy"]
    plain = table.screen.query("cut_layer == 'conv2' and kept_filters == 8")
    assert screened == plain.set_index("selection_strategy").loc["lda", "accuracy"]


def test_screens_of_noisy_features_are_no_estimates_of_plain_ones(
    table: CharacterizationTable,
) -> None:
    noisy = table.screen.assign(noise_std=2.0, psnr_db=table.screen["psnr_db"] - 5)
    both = replace(table, rows=pd.concat([table.rows, noisy], ignore_index=True))
    asked = frame((32, 0.0), (4, 1.0))
    np.testing.assert_array_equal(
        ProxyInputs(both).matrix(asked, "standard"), ProxyInputs(table).matrix(asked, "standard")
    )


def test_a_table_without_them_has_the_inputs_and_the_key_it_always_had(
    toy_table: CharacterizationTable, table: CharacterizationTable
) -> None:
    assert ProxyInputs(toy_table).names == INPUT_NAMES
    assert table_key(toy_table) != table_key(table)
    matrix = ProxyInputs(toy_table).matrix(frame((32, 0.0), (4, 1.0)), "standard")
    assert (matrix[0] == matrix[1]).all()


def test_noise_is_predicted_to_hide_what_it_hides(proxies: Proxies) -> None:
    (plain,) = (r for r in toy_rows() if _is(r, "conv2", 8, "lda", "screen"))
    ways = [(32, 0.0), (32, 0.5), (32, 1.0), (32, 2.0), (4, 1.0)]
    found = proxies.predict(frame(*ways))
    truth = [sent_row(plain | {"psnr_db": _trained(plain)}, *way)["psnr_db"] for way in ways]
    assert np.abs(found["psnr_db"].to_numpy() - truth).max() < 1.0
    assert found["psnr_db"].iloc[:4].is_monotonic_decreasing
    assert proxies.validations["psnr_db"].mean_absolute_error < 0.6


def test_more_noise_or_fewer_bits_than_were_measured_are_extrapolated(proxies: Proxies) -> None:
    found = proxies.predict(frame((32, 0.0), (4, 2.0), (32, 2.001)))
    assert found["extrapolation"].tolist() == [False, False, True]


def test_anything_but_floats_is_extrapolated_from_a_table_of_floats(toy_proxies: Proxies) -> None:
    found = toy_proxies.predict(frame((32, 0.0), (8, 0.0), (32, 0.1)))
    assert found["extrapolation"].tolist() == [False, True, True]


def test_boosting_never_rises_with_noise_or_coarser_codes() -> None:
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(300, len(INPUT_NAMES) + len(SENDING_INPUTS)))
    targets = inputs[:, -1] + inputs[:, -2] + inputs[:, 3]  # against all sense
    model = MODELS["monotone boosting"]()
    assert isinstance(model, MonotoneBoosting)
    model.fit(inputs, targets)
    for column in (-1, -2):
        line = np.zeros((50, inputs.shape[1]))
        line[:, column] = np.linspace(-2, 2, 50)
        assert (np.diff(model.predict(line)[0]) <= 1e-12).all()


def test_a_record_is_read_back(table: CharacterizationTable, proxies: Proxies) -> None:
    cache = Path(table.path.with_name("proxies.json"))
    before = cache.read_bytes()
    again = fit_proxies(table, cache=cache)
    asked = frame((4, 1.0), (32, 0.3))
    pd.testing.assert_frame_equal(again.predict(asked), proxies.predict(asked))
    assert cache.read_bytes() == before


def _is(row: dict[str, object], cut: str, kept: int, strategy: str, fidelity: str) -> bool:
    asked = {"cut_layer": cut, "kept_filters": kept, "selection_strategy": strategy}
    return asked.items() <= row.items() and row["fidelity"] == fidelity


def _trained(screened: dict[str, float]) -> float:
    """Undo what `problems` takes off for the closed form."""
    return (screened["psnr_db"] - 0.18) / 0.96

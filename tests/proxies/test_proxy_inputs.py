from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from privynet_opt.characterization.table import CharacterizationTable
from privynet_opt.errors import TableError, TopologyError
from privynet_opt.proxies.estimates import TARGETS, Estimates
from privynet_opt.proxies.inputs import INPUT_NAMES, PSNR_OFFSET_DB, ProxyInputs
from privynet_opt.topology import LOCAL_COLUMNS


def topologies(*rows: tuple[str, int, str, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(LOCAL_COLUMNS))


def screened(table: CharacterizationTable, **key: object) -> np.ndarray:
    rows = table.screen
    for name, value in key.items():
        rows = rows[rows[name] == value]
    return rows[list(TARGETS)].to_numpy().mean(axis=0)


def estimates(table: CharacterizationTable) -> Estimates:
    return Estimates(table.screen, table.cuts)


def with_amortised(table: CharacterizationTable, cuts: list[str]) -> CharacterizationTable:
    """Give screened topologies of some cuts amortised values: a little more of everything."""
    rows = table.screen[table.screen["cut_layer"].isin(cuts)]
    better = rows.assign(
        fidelity="amortised",
        accuracy=0.9 * rows["accuracy"] + 0.1,
        psnr_db=rows["psnr_db"] + 1,
        ssim=0.9 * rows["ssim"] + 0.1,
    )
    return replace(table, rows=pd.concat([table.rows, better]))


def test_amortised_values_stand_in_for_the_closed_form(toy_table: CharacterizationTable) -> None:
    topology = topologies(("conv2p", 4, "lda", 0))
    before = ProxyInputs(toy_table).matrix(topology, "standard")[0]
    every = with_amortised(toy_table, list(toy_table.cuts))
    after = ProxyInputs(every).matrix(topology, "standard")[0]
    assert after[:3] == pytest.approx(before[:3])
    assert after[3] == pytest.approx(0.9 * before[3] + 0.1)
    assert after[4] == pytest.approx(np.log(np.exp(before[4]) + 1))
    assert after[5] == pytest.approx(0.9 * before[5] + 0.1)
    assert before[6:9].tolist() == [0, 0, 0]
    assert after[6:9] == pytest.approx(after[3:6] - before[3:6])


def test_cut_without_amortised_values_takes_what_the_others_make_of_its_closed_form(
    toy_table: CharacterizationTable,
) -> None:
    topology = topologies(("conv3", 16, "lda", 0))
    others = [name for name in toy_table.cuts if name != "conv3"]
    every = ProxyInputs(with_amortised(toy_table, list(toy_table.cuts)))
    some = ProxyInputs(with_amortised(toy_table, others))
    expected, bridged = (inputs.matrix(topology, "standard")[0] for inputs in (every, some))
    assert bridged[3] == pytest.approx(expected[3])  # the change is linear: exact
    assert bridged[5] == pytest.approx(expected[5])
    assert bridged[4] == pytest.approx(expected[4], abs=0.1)


def without_strategy(
    table: CharacterizationTable, cut: str, strategy: str, *fidelities: str
) -> CharacterizationTable:
    rows = table.rows
    gone = (rows["cut_layer"] == cut) & (rows["selection_strategy"] == strategy)
    return replace(table, rows=rows[~(gone & rows["fidelity"].isin(fidelities))])


def test_a_strategy_that_was_not_amortised_at_its_cut_takes_its_own_closed_form(
    toy_table: CharacterizationTable,
) -> None:
    whole = with_amortised(toy_table, list(toy_table.cuts))
    some = without_strategy(whole, "conv3", "lda", "amortised")
    topology = topologies(("conv3", 16, "lda", 0))
    expected, bridged = (ProxyInputs(t).matrix(topology, "standard")[0] for t in (whole, some))
    assert bridged[3] == pytest.approx(expected[3])  # the change is linear: exact
    assert bridged[4] == pytest.approx(expected[4], abs=0.1)


@pytest.mark.parametrize("fidelity", ["screen", "amortised"])
def test_what_no_cheap_fidelity_measured_is_guessed(
    toy_table: CharacterizationTable, fidelity: str
) -> None:
    table = toy_table
    if fidelity == "amortised":
        table = with_amortised(table, ["conv1", "conv3"])
    inputs = ProxyInputs(without_strategy(table, "conv3", "lda", fidelity, "standard"))
    asked = topologies(
        ("conv3", 16, "lda", 0),
        ("conv3", 16, "random", 0),
        ("conv3", 17, "random", 7),
        ("conv3", 32, "lda", 0),
        ("conv1", 4, "lda", 0),
        ("conv2", 4, "lda", 0),
    )
    assert inputs.are_guessed(asked).tolist() == [True, *5 * [False]]
    assert not ProxyInputs(table).are_guessed(asked).any()
    trained = ProxyInputs(without_strategy(table, "conv3", "lda", fidelity))
    assert not trained.are_guessed(asked).any()


def test_a_few_amortised_rows_of_a_cut_do_not_speak_for_its_other_topologies(
    toy_table: CharacterizationTable,
) -> None:
    rows = toy_table.screen
    few = with_amortised(toy_table, ["conv2"])
    amortised = few.amortised.head(3)
    few = replace(few, rows=pd.concat([toy_table.rows, amortised], ignore_index=True))
    plain = ProxyInputs(toy_table).matrix(rows, "standard")
    assert np.array_equal(ProxyInputs(few).matrix(rows, "standard"), plain)


def test_matrix_holds_the_cut_and_the_screen_values_of_the_row(
    toy_table: CharacterizationTable,
) -> None:
    matrix = ProxyInputs(toy_table).matrix(topologies(("conv2p", 4, "lda", 0)), "standard")
    row = dict(zip(INPUT_NAMES, matrix[0], strict=True))
    accuracy, psnr_db, ssim = screened(
        toy_table, cut_layer="conv2p", kept_filters=4, selection_strategy="lda"
    )
    excess_db = psnr_db - toy_table.screen["psnr_db"].min()
    assert row == pytest.approx(
        {
            "depth": 2,
            "log_kept_filters": np.log(4),
            "log_cells": np.log(64),
            "estimated_accuracy": accuracy,
            "log_estimated_psnr": np.log(excess_db + PSNR_OFFSET_DB),
            "estimated_ssim": ssim,
            "accuracy_over_screen": 0,
            "log_psnr_over_screen": 0,
            "ssim_over_screen": 0,
            "is_full": 0,
        }
    )


def test_fidelity_is_an_input_of_each_row(toy_table: CharacterizationTable) -> None:
    pair = topologies(("conv1", 2, "lda", 0), ("conv1", 2, "lda", 0))
    matrix = ProxyInputs(toy_table).matrix(pair, pd.Series(["standard", "full"]))
    assert matrix[:, INPUT_NAMES.index("is_full")].tolist() == [0, 1]
    assert (matrix[0, :-1] == matrix[1, :-1]).all()


def test_matrix_follows_the_rows_whatever_their_index(toy_table: CharacterizationTable) -> None:
    inputs = ProxyInputs(toy_table)
    rows = toy_table.trained
    shuffled = rows.sample(frac=1, random_state=1)
    positions = rows.index.get_indexer(shuffled.index)
    whole = inputs.matrix(rows, rows["fidelity"])
    assert (inputs.matrix(shuffled, shuffled["fidelity"]) == whole[positions]).all()


def test_seed_that_was_screened_uses_its_own_values(toy_table: CharacterizationTable) -> None:
    key = {"cut_layer": "conv3", "kept_filters": 16, "selection_strategy": "random"}
    values = estimates(toy_table).values(topologies(("conv3", 16, "random", 2)))
    assert values[0] == pytest.approx(screened(toy_table, **key, selection_seed=2))


def test_seed_never_screened_takes_the_mean_over_seeds(toy_table: CharacterizationTable) -> None:
    key = {"cut_layer": "conv3", "kept_filters": 16, "selection_strategy": "random"}
    values = estimates(toy_table).values(topologies(("conv3", 16, "random", 9)))
    assert values[0] == pytest.approx(screened(toy_table, **key))


def test_count_never_screened_is_interpolated_over_log_filters(
    toy_table: CharacterizationTable,
) -> None:
    key = {"cut_layer": "conv3", "selection_strategy": "lda"}
    low, high = (screened(toy_table, **key, kept_filters=kept) for kept in (4, 8))
    share = np.log(6 / 4) / np.log(8 / 4)
    values = estimates(toy_table).values(topologies(("conv3", 6, "lda", 0)))
    assert values[0] == pytest.approx((1 - share) * low + share * high)


def test_all_channels_kept_are_one_network_under_every_strategy(
    toy_table: CharacterizationTable,
) -> None:
    rows = toy_table.rows
    is_other = (rows["kept_filters"] == 32) & (rows["selection_strategy"] != "random")
    inputs = estimates(replace(toy_table, rows=rows[~is_other]))
    own = screened(toy_table, cut_layer="conv3", kept_filters=32, selection_strategy="random")
    for strategy in ("random", "lda", "privacy", "magnitude"):
        values = inputs.values(topologies(("conv3", 32, strategy, 0)))
        assert values[0] == pytest.approx(own)


def test_strategy_never_screened_takes_the_mean_of_its_cut(
    toy_table: CharacterizationTable,
) -> None:
    values = estimates(toy_table).values(topologies(("conv1", 4, "magnitude", 0)))
    assert values[0] == pytest.approx(screened(toy_table, cut_layer="conv1", kept_filters=4))


def test_cut_never_screened_takes_the_strategys_mean_over_the_table(
    toy_table: CharacterizationTable,
) -> None:
    others = replace(toy_table, rows=toy_table.rows[toy_table.rows["cut_layer"] != "conv2"])
    values = estimates(others).values(topologies(("conv2", 2, "lda", 0)))
    expected = screened(others, kept_filters=2, selection_strategy="lda")
    assert values[0] == pytest.approx(expected)


def test_table_without_screen_rows_is_refused(toy_table: CharacterizationTable) -> None:
    with pytest.raises(TableError, match=r"`fidelity` must be 'screen' in some rows.*characterize"):
        ProxyInputs(replace(toy_table, rows=toy_table.trained))


def test_topology_beyond_the_cuts_is_refused(toy_table: CharacterizationTable) -> None:
    inputs = ProxyInputs(toy_table)
    with pytest.raises(TopologyError, match=r"got 'conv33'\. Did you mean 'conv3'\?"):
        inputs.matrix(topologies(("conv33", 2, "lda", 0)), "standard")
    for kept in (0, 9):
        with pytest.raises(TopologyError, match=f"1 to the 8 channels of conv1, .*={kept}"):
            inputs.matrix(topologies(("conv1", kept, "lda", 0)), "standard")


def test_no_topologies_give_no_rows(toy_table: CharacterizationTable) -> None:
    nothing = toy_table.trained.iloc[:0]
    assert ProxyInputs(toy_table).matrix(nothing, "standard").shape == (0, len(INPUT_NAMES))

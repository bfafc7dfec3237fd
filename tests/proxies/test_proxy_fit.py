from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from problems import toy_rows, toy_table_of_truth, write_toy_table

from privynet_opt.characterization.table import CharacterizationTable, load_table
from privynet_opt.errors import TableError, TopologyError
from privynet_opt.proxies import Proxies, conformal, fit_proxies
from privynet_opt.proxies.estimates import TARGETS
from privynet_opt.proxies.models import MODELS
from privynet_opt.topology import TOPOLOGY_COLUMNS

TRUTH = pd.DataFrame(toy_table_of_truth())
TOLERANCE = {"accuracy": 0.01, "psnr_db": 0.12, "ssim": 0.01}


def trained_subset(table: CharacterizationTable, n_rows: int) -> CharacterizationTable:
    """The table with its screen rows and a spread of its trained ones."""
    trained = table.trained
    chosen = trained.iloc[np.linspace(0, len(trained) - 1, n_rows).astype(int)]
    return replace(table, rows=pd.concat([table.screen, chosen]))


@pytest.mark.parametrize("target", TARGETS)
def test_every_topology_is_predicted_close_to_the_truth(toy_proxies: Proxies, target: str) -> None:
    predicted = toy_proxies.predict(TRUTH)
    assert np.abs(predicted[target] - TRUTH[target]).mean() < TOLERANCE[target]


@pytest.mark.parametrize("target", TARGETS)
def test_interval_encloses_its_prediction(toy_proxies: Proxies, target: str) -> None:
    predicted = toy_proxies.predict(TRUTH)
    assert (predicted[f"{target}_lower"] < predicted[target]).all()
    assert (predicted[target] < predicted[f"{target}_upper"]).all()


def test_predictions_keep_columns_order_and_index(toy_proxies: Proxies) -> None:
    shuffled = TRUTH.sample(frac=1, random_state=0)
    predicted = toy_proxies.predict(shuffled)
    names = [f"{target}{end}" for target in TARGETS for end in ("", "_lower", "_upper")]
    assert predicted.columns.tolist() == [*names, "extrapolation"]
    assert predicted.index.equals(shuffled.index)
    straight = toy_proxies.predict(TRUTH).loc[shuffled.index]
    pd.testing.assert_frame_equal(predicted, straight)


def test_no_topologies_have_no_predictions(toy_proxies: Proxies) -> None:
    assert len(toy_proxies.predict(TRUTH.iloc[:0])) == 0


def test_unknown_cut_layer_is_refused(toy_proxies: Proxies) -> None:
    with pytest.raises(TopologyError, match="got 'pool9'"):
        toy_proxies.predict(TRUTH.head(1).assign(cut_layer="pool9"))


@pytest.mark.parametrize("target", TARGETS)
def test_validation_states_what_its_predictions_show(toy_proxies: Proxies, target: str) -> None:
    validation = toy_proxies.validations[target]
    rows = validation.predictions
    inside = rows["measured"].between(rows["lower"], rows["upper"])
    errors = (rows["predicted"] - rows["measured"]).abs()
    assert validation.target == target
    assert validation.n_rows == len(rows) == sum(r["fidelity"] == "standard" for r in toy_rows())
    assert validation.n_groups == len(rows[["cut_layer", "kept_filters"]].drop_duplicates())
    assert validation.mean_absolute_error == pytest.approx(errors.mean())
    assert validation.coverage == pytest.approx(inside.mean())
    assert validation.half_width == pytest.approx(((rows["upper"] - rows["lower"]) / 2).median())
    assert validation.spearman == pytest.approx(
        rows["predicted"].corr(rows["measured"], method="spearman")
    )
    assert list(rows.columns[:7]) == [*TOPOLOGY_COLUMNS, "fidelity"]


@pytest.mark.parametrize("target", TARGETS)
def test_smooth_truth_is_predicted_and_covered_when_held_out(
    toy_proxies: Proxies, target: str
) -> None:
    validation = toy_proxies.validations[target]
    assert validation.mean_absolute_error < TOLERANCE[target]
    assert validation.spearman > 0.98
    assert 0.8 <= validation.coverage <= 1.0
    assert validation.loco_mean_absolute_error > validation.mean_absolute_error


@pytest.mark.parametrize("target", TARGETS)
def test_model_of_the_smallest_score_is_chosen(toy_proxies: Proxies, target: str) -> None:
    validation = toy_proxies.validations[target]
    assert set(validation.errors) == set(validation.crps) == set(MODELS)
    assert validation.model == min(validation.crps, key=validation.crps.__getitem__)
    error = validation.errors[validation.model]
    assert error == pytest.approx(validation.mean_absolute_error, rel=1e-4)
    assert 0.5 * error < validation.crps[validation.model] < error


def test_order_of_the_tables_rows_does_not_matter(toy_table: CharacterizationTable) -> None:
    small = trained_subset(toy_table, 9)
    shuffled = replace(small, rows=small.rows.sample(frac=1, random_state=3))
    first, second = fit_proxies(small).predict(TRUTH), fit_proxies(shuffled).predict(TRUTH)
    pd.testing.assert_frame_equal(first, second, rtol=1e-9)


def test_proxies_from_the_cache_equal_the_fitted_ones(
    toy_table: CharacterizationTable, toy_proxies: Proxies, toy_cache: Path
) -> None:
    stored = toy_cache.read_text()
    again = fit_proxies(toy_table, cache=toy_cache)
    assert toy_cache.read_text() == stored
    pd.testing.assert_frame_equal(again.predict(TRUTH), toy_proxies.predict(TRUTH))
    for target in TARGETS:
        pd.testing.assert_frame_equal(
            again.validations[target].predictions, toy_proxies.validations[target].predictions
        )


def test_cached_proxies_load_neither_torch_nor_the_ensembles(
    toy_table: CharacterizationTable, toy_proxies: Proxies, toy_cache: Path
) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from privynet_opt.characterization.table import load_table\n"
        "from privynet_opt.proxies import fit_proxies\n"
        f"table = load_table(Path({str(toy_table.path)!r}))\n"
        f"fit_proxies(table, cache=Path({str(toy_cache)!r})).predict(table.screen)\n"
        "print(sorted({'torch', 'sklearn.ensemble', 'optuna', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_cuts_of_rows_enough_have_intervals_of_their_own(
    toy_table: CharacterizationTable,
    toy_proxies: Proxies,
    toy_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conformal, "MIN_OWN_ROWS", 9)
    own, shared = (p.predict(TRUTH) for p in (fit_proxies(toy_table, cache=toy_cache), toy_proxies))
    widths = [rows["psnr_db_upper"] - rows["psnr_db_lower"] for rows in (own, shared)]
    ratios = (widths[0] / widths[1]).groupby(TRUTH["cut_layer"])
    assert ratios.max().to_numpy() == pytest.approx(ratios.min().to_numpy())
    assert ratios.mean().round(3).nunique() > 1
    pd.testing.assert_series_equal(own["psnr_db"], shared["psnr_db"])


def test_confidence_widens_intervals_and_leaves_predictions(
    toy_table: CharacterizationTable, toy_proxies: Proxies, toy_cache: Path
) -> None:
    narrow = fit_proxies(toy_table, confidence=0.5, cache=toy_cache)
    assert narrow.validations["psnr_db"].confidence == 0.5
    for target in TARGETS:
        wide, less = toy_proxies.predict(TRUTH), narrow.predict(TRUTH)
        assert (wide[target] == less[target]).all()
        assert (wide[f"{target}_upper"] >= less[f"{target}_upper"]).all()
        assert narrow.validations[target].half_width < toy_proxies.validations[target].half_width


def test_stale_cache_is_fitted_anew_and_replaced(
    toy_table: CharacterizationTable, tmp_path: Path
) -> None:
    cache = tmp_path / "proxies.json"
    cache.write_text("{}")
    small = trained_subset(toy_table, 8)
    fit_proxies(small, cache=cache)
    assert '"targets"' in cache.read_text()


def test_topology_outside_the_trained_rows_is_marked(toy_table: CharacterizationTable) -> None:
    trained = toy_table.trained
    inner = trained["kept_filters"].between(2, 16) & (trained["cut_layer"] != "conv2")
    table = replace(toy_table, rows=pd.concat([toy_table.screen, trained[inner]]))
    proxies = fit_proxies(table)
    marked = proxies.predict(TRUTH)["extrapolation"]
    ranges = trained[inner].groupby("cut_layer")["kept_filters"].agg(["min", "max"])
    for (cut, kept), is_marked in zip(
        TRUTH[["cut_layer", "kept_filters"]].itertuples(index=False), marked, strict=True
    ):
        known = cut in ranges.index and ranges["min"][cut] <= kept <= ranges["max"][cut]
        assert is_marked == (not known), (cut, kept)
    reach = (proxies.predict(TRUTH)["psnr_db_upper"] - proxies.predict(TRUTH)["psnr_db"]).groupby(
        TRUTH["cut_layer"]
    )
    assert reach.mean()["conv2"] > reach.mean().drop("conv2").max()


def test_topology_whose_strategy_was_not_measured_at_its_cut_is_marked(
    toy_table: CharacterizationTable,
) -> None:
    rows = toy_table.rows
    gone = (rows["cut_layer"] == "conv3") & (rows["selection_strategy"] == "lda")
    table = replace(toy_table, rows=rows[~gone])
    is_gone = (TRUTH["cut_layer"] == "conv3") & (TRUTH["selection_strategy"] == "lda")
    assert is_gone.any()
    assert (fit_proxies(table).predict(TRUTH)["extrapolation"] == is_gone).all()
    trained = toy_table.trained
    known = trained[(trained["cut_layer"] == "conv3") & (trained["selection_strategy"] == "lda")]
    table = replace(table, rows=pd.concat([table.rows, known]))  # trained there, not screened
    assert not fit_proxies(table).predict(TRUTH)["extrapolation"].any()


def test_highest_fidelity_in_the_table_is_predicted(tmp_path: Path) -> None:
    rows = toy_rows()
    trained = [row for row in rows if row["fidelity"] == "standard"]
    converged = [
        {**row, "fidelity": "full", "psnr_db": row["psnr_db"] + 1, "decoder_psnr_db": ""}
        for row in trained[::6]
    ]
    screen = [row for row in rows if row["fidelity"] == "screen"]
    rows = screen + trained[::3] + converged
    proxies = fit_proxies(load_table(write_toy_table(tmp_path / "table.csv", rows)))
    assert proxies.fidelity == "full"
    gap = proxies.predict(TRUTH)["psnr_db"] - TRUTH["psnr_db"]
    assert gap.mean() == pytest.approx(1.0, abs=0.1)


def test_one_converged_row_does_not_change_what_is_predicted(
    toy_table: CharacterizationTable,
) -> None:
    one = toy_table.trained.iloc[[0]].assign(fidelity="full")
    table = replace(toy_table, rows=pd.concat([toy_table.rows, one], ignore_index=True))
    assert fit_proxies(table).fidelity == "standard"


def test_few_rows_give_wide_but_finite_intervals(
    toy_table: CharacterizationTable, toy_proxies: Proxies, tmp_path: Path
) -> None:
    table, cache = trained_subset(toy_table, 5), tmp_path / "proxies.json"
    few, many = fit_proxies(table, cache=cache).predict(TRUTH), toy_proxies.predict(TRUTH)
    assert np.isfinite(few.to_numpy(dtype=float)).all()
    reach = few["psnr_db_upper"] - few["psnr_db"]
    assert reach.mean() > 3 * (many["psnr_db_upper"] - many["psnr_db"]).mean()
    sure = fit_proxies(table, confidence=0.9999, cache=cache).predict(TRUTH)
    assert sure[["accuracy_lower", "accuracy_upper"]].stack().between(0, 1).all()
    assert sure[["ssim_lower", "ssim_upper"]].stack().between(-1, 1).all()


def test_boosting_is_tried_only_where_there_are_rows_to_split(
    toy_table: CharacterizationTable,
) -> None:
    errors = fit_proxies(trained_subset(toy_table, 5)).validations["ssim"].errors
    assert "monotone boosting" not in errors
    assert set(errors) == set(MODELS) - {"monotone boosting"}


def test_too_few_trained_rows_are_refused(toy_table: CharacterizationTable) -> None:
    with pytest.raises(TableError, match=r"at least 5 rows .* but got 4 in \d\. Measure more"):
        fit_proxies(trained_subset(toy_table, 4))
    with pytest.raises(TableError, match="but got 0 in 0"):
        fit_proxies(replace(toy_table, rows=toy_table.screen))


def test_trained_rows_of_too_few_groups_are_refused(toy_table: CharacterizationTable) -> None:
    repeats = [toy_table.trained.head(1).assign(training_seed=seed) for seed in range(6)]
    with pytest.raises(TableError, match=r"got 6 in 1\. Measure more"):
        fit_proxies(replace(toy_table, rows=pd.concat([toy_table.screen, *repeats])))


def test_one_cut_alone_has_no_left_out_cut(toy_table: CharacterizationTable) -> None:
    rows = toy_table.rows[toy_table.rows["cut_layer"] == "conv3"]
    proxies = fit_proxies(replace(toy_table, rows=rows))
    assert np.isnan(proxies.validations["psnr_db"].loco_mean_absolute_error)
    assert np.isnan(proxies.validations["psnr_db"].loco_spearman)
    assert proxies.predict(TRUTH[TRUTH["cut_layer"] == "conv1"])["extrapolation"].all()

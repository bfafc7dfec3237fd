from dataclasses import replace
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
import pytest
from fake_result import fake_result

from privynet_opt.report.figure_filters import filters_figure
from privynet_opt.report.figure_pareto import (
    AXES,
    colour_ticks,
    pareto_axes,
    pareto_figure,
    part_names,
)
from privynet_opt.report.figure_trust import (
    HypervolumeInfo,
    ProxyInfo,
    hypervolume_figure,
    hypervolume_info,
    proxy_figure,
    proxy_info,
)
from privynet_opt.report.figures import scale_marks
from privynet_opt.report.filters_info import filters_info
from privynet_opt.report.palette import DARK, LIGHT, themed
from privynet_opt.report.pareto_info import pareto_info


@pytest.fixture(scope="module")
def result():
    return fake_result()


def colours(value):
    """Every text in a figure that asks for a colour of the palette."""
    if isinstance(value, dict):
        return {name for part in value.values() for name in colours(part)}
    if isinstance(value, list):
        return {name for part in value for name in colours(part)}
    return {value} if isinstance(value, str) and value.startswith("@") else set()


def test_candidates_play_one_part_each(result):
    info = pareto_info(result)
    rows = result.candidates
    assert list(info.infeasible) == rows.index[~rows["feasible"]].tolist()
    assert list(info.front) == rows.index[rows["on_front"]].tolist()
    assert list(info.measured) == rows.index[rows["measured"]].tolist()
    parts = (*info.infeasible, *info.dominated, *info.front)
    assert sorted(parts) == list(range(len(rows)))
    assert info.words[info.recommended] == "conv4, 6 filters by privacy"
    assert info.limits == {
        "psnr_db": (17.5,),
        "local_flops": (150e6,),
        "memory_bytes": (4e6,),
    }


def test_the_pareto_view_draws_every_candidate_where_it_lies(result):
    info = pareto_info(result)
    traces = {t["name"]: t for t in pareto_figure(info)["data"] if t["meta"]["source"] != "legend"}
    drawn = [i for name in list(traces)[:3] for i in traces[name]["customdata"]]
    assert len(drawn) == len(result.candidates) == len(set(drawn))
    front = traces["Pareto front"]
    expected = result.candidates.loc[list(info.front)]
    assert front["x"] == pytest.approx(expected["psnr_db"].tolist(), abs=1e-6)
    assert front["y"] == pytest.approx(expected["accuracy"].tolist(), abs=1e-6)


def test_measured_points_lie_at_their_measured_values(result):
    info = pareto_info(result)
    measured = next(t for t in pareto_figure(info)["data"] if t["name"] == "Measured")
    expected = result.candidates.loc[list(info.measured)]
    assert measured["x"] == pytest.approx(expected["measured_psnr_db"].tolist(), abs=1e-6)
    assert measured["y"] == pytest.approx(expected["measured_accuracy"].tolist(), abs=1e-6)


def test_parts_differ_in_shape_not_only_in_colour(result):
    traces = [t for t in pareto_figure(pareto_info(result))["data"] if t.get("showlegend", True)]
    symbols = [t["marker"]["symbol"] for t in traces]
    assert len(symbols) == 5 == len(set(symbols))


def test_the_recommended_topology_shows_its_intervals(result):
    star = next(t for t in pareto_figure(pareto_info(result))["data"] if t["name"] == "Recommended")
    assert star["error_x"]["array"] == pytest.approx([0.42])
    assert star["error_y"]["arrayminus"] == pytest.approx([0.024])


def test_limits_and_readable_scale_follow_the_axis(result):
    axes = pareto_axes(pareto_info(result))
    texts = [note["text"] for note in axes["psnr_db"]["annotations"]["x"]]
    assert texts == ["mean image<br>label only", "4×4", "8×8", "16×16", " limit 17.50 dB"]
    assert [note["text"] for note in axes["accuracy"]["annotations"]["y"]] == []
    flops = axes["local_flops"]
    assert flops["shapes"]["x"][0]["x0"] == 150e6
    assert flops["annotations"]["x"][0]["x"] == pytest.approx(8.176, abs=1e-3)


def test_marks_of_the_scale_far_apart_keep_their_own_labels():
    shapes, labels = scale_marks([("a", 10.0), ("b", 12.0)], "x")
    assert [s["x0"] for s in shapes] == [10.0, 12.0]
    assert [note["text"] for note in labels] == ["a", "b"]


def test_colour_ticks_are_powers_of_ten_inside_the_scale(result):
    ticks = colour_ticks(pareto_info(result))
    assert [name for name, _ in ticks] == ["100 k", "1 M", "10 M", "100 M"]
    gaps = {round(b[1] - a[1], 1) for a, b in pairwise(ticks)}
    assert len(gaps) == 1


def test_nothing_feasible_still_draws_the_infeasible(result):
    info = pareto_info(fake_result(constraints=("psnr_db <= 1",)))
    assert colour_ticks(info) == colour_ticks(pareto_info(result))
    assert dict(part_names(info))["Infeasible"] == len(info.words)
    assert info.recommended is None
    go.Figure(themed(pareto_figure(info), LIGHT))


def test_curves_hold_the_predictions_of_their_cut_and_strategy(result):
    info = filters_info(result)
    curve = info.curves["conv3"]["lda"]
    rows = result.candidates.query("cut_layer == 'conv3' and selection_strategy == 'lda'")
    values, lower, upper = curve.bands["psnr_db"]
    assert curve.kept[:-1] == tuple(rows["kept_filters"])
    assert values[:-1] == pytest.approx(rows["psnr_db"].tolist(), abs=1e-4)
    assert lower[:-1] == pytest.approx(rows["psnr_db_lower"].tolist(), abs=1e-4)
    assert upper[:-1] == pytest.approx(rows["psnr_db_upper"].tolist(), abs=1e-4)
    assert list(info.curves) == list(result.table.cuts)
    assert (info.cut, info.strategy) == ("conv4", "privacy")


def test_curves_show_every_trained_measurement(result):
    info = filters_info(result)
    shown = [k for c in info.curves.values() for curve in c.values() for k in curve.measured_kept]
    assert len(shown) == len(result.table.trained)


def test_every_strategy_ends_where_all_filters_are_kept(result):
    curves = filters_info(result).curves["conv3"]
    ends = {(c.kept[-1], c.bands["accuracy"][0][-1]) for c in curves.values()}
    assert len(ends) == 1 and ends.pop()[0] == 128


def test_one_band_is_visible_at_a_time(result):
    info = filters_info(result)
    data = filters_figure(info, "conv6", "accuracy")["data"]
    bands = [t for t in data if t["meta"]["part"] == "band" and t["visible"]]
    assert [t["meta"]["strategy"] for t in bands] == ["privacy"]


def test_all_cuts_share_one_range_of_accuracy_and_each_holds_its_own_losses(result):
    info = filters_info(result)

    def ends(cut, target):
        return tuple(filters_figure(info, cut, target)["layout"]["yaxis"]["range"])

    assert len({ends(cut, "accuracy") for cut in info.curves}) == 1
    for cut, curves in info.curves.items():
        low, high = ends(cut, "psnr_db")
        for curve in curves.values():
            numbers = [v for part in curve.bands["psnr_db"] for v in part]
            assert low < min(numbers) and max(numbers) < high


def test_held_out_points_are_told_apart_by_coverage(result):
    info = proxy_info(result, "psnr_db")
    held_out = result.proxies.validations["psnr_db"]
    assert len(info.words) == held_out.n_rows
    assert sum(info.covered) == pytest.approx(held_out.coverage * held_out.n_rows)
    inside, outside = proxy_figure(info)["data"]
    assert len(inside["x"]) + len(outside["x"]) == held_out.n_rows
    assert inside["marker"]["symbol"] != outside["marker"]["symbol"]


def test_a_proxy_figure_is_drawn_from_its_info_alone():
    info = ProxyInfo("accuracy", (0.5,), (0.6,), (0.4,), (0.7,), (True,), ("conv1",))
    point = proxy_figure(info)["data"][0]
    assert (point["x"], point["y"]) == ([0.6], [0.5])
    assert point["error_x"]["array"] == pytest.approx([0.1])
    assert point["error_x"]["arrayminus"] == pytest.approx([0.2])


def test_hypervolume_keeps_only_the_trials_where_it_changes(result):
    result = fake_result()
    history = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])
    result.search = replace(result.search, hypervolume_history=history, enumerated_hypervolume=4.0)
    assert hypervolume_info(result) == HypervolumeInfo((1, 3, 5, 6), (0.0, 0.25, 0.5, 0.5))


def test_there_is_no_hypervolume_without_an_enumerated_front():
    assert hypervolume_info(fake_result(constraints=("psnr_db <= 1",))) is None


def test_plotly_accepts_every_figure_and_both_palettes_know_every_colour(result):
    pareto, filters = pareto_info(result), filters_info(result)
    figures = [pareto_figure(pareto, x, y) for x, y in zip(AXES, AXES[::-1], strict=True)]
    figures += [filters_figure(filters, c, t) for c in ("conv1", "conv10p") for t in filters.ranges]
    figures += [proxy_figure(proxy_info(result, t)) for t in result.proxies.validations]
    figures.append(hypervolume_figure(hypervolume_info(result)))
    for figure in figures:
        for palette in (LIGHT, DARK):
            drawn = themed(figure, palette)
            assert colours(drawn) == set()
            go.Figure(drawn)


def test_both_palettes_hold_the_same_names():
    assert list(LIGHT) == list(DARK)

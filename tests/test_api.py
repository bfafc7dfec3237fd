from __future__ import annotations

import doctest
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pytest
from problems import (
    OBJECTIVES,
    front_by_pairs,
    toy_rows,
    toy_table_of_truth,
    write_toy_study,
    write_toy_table,
)

import privynet_opt
from privynet_opt import api, constraints, study_spec
from privynet_opt.api import optimize, proxy_cache
from privynet_opt.characterization.table import load_table
from privynet_opt.constraints import Constraint
from privynet_opt.errors import (
    ConstraintError,
    OutputError,
    StudyError,
    TableError,
    UnknownStudyError,
)
from privynet_opt.proxies.record import read_record, table_key
from privynet_opt.report.filters_info import filters_info
from privynet_opt.result import OptimizationResult
from privynet_opt.search_space import TOPOLOGY_COLUMNS
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LOCAL_COLUMNS

ROOT = Path(__file__).parents[1]


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_result_holds_every_stage(toy_result: OptimizationResult) -> None:
    assert toy_result.objectives == OBJECTIVES
    assert toy_result.constraints == (
        Constraint("psnr_db <= 17.5"),
        Constraint("local_flops <= 1e6"),
    )
    assert len(toy_result.candidates) == 64
    assert isinstance(toy_result.study, optuna.Study)
    assert toy_result.search.n_trials == 200
    assert toy_result.infeasibility is None
    assert set(toy_result.proxies.validations) == {"accuracy", "psnr_db", "ssim"}


def test_candidates_and_front_have_the_documented_columns(toy_result: OptimizationResult) -> None:
    expected = [*TOPOLOGY_COLUMNS]
    for target in ("accuracy", "psnr_db", "ssim"):
        expected += [target, f"{target}_lower", f"{target}_upper", f"measured_{target}"]
    expected += ["local_macs", "local_flops", "parameter_bytes", "peak_activation_bytes"]
    expected += ["memory_bytes", "feature_bytes", "feasible", "on_front", "extrapolation"]
    expected += ["measured", "measured_fidelity"]
    for frame in (toy_result.candidates, toy_result.front):
        assert set(expected) <= set(frame.columns)
        for flag in ("feasible", "on_front", "extrapolation", "measured"):
            assert frame[flag].dtype == bool


def test_the_front_holds_every_point_that_enumeration_finds(
    toy_result: OptimizationResult,
) -> None:
    feasible = toy_result.candidates.query("psnr_db_upper <= 17.5 and local_flops <= 1e6")
    ways = {"accuracy": "up", "psnr_db": "down", "local_flops": "down"}
    expected = front_by_pairs(feasible.to_dict("records"), ways)
    columns = list(TOPOLOGY_COLUMNS)
    assert len(toy_result.front) == len(expected) > 5
    assert {tuple(r) for r in toy_result.front[columns].itertuples(index=False)} == {
        tuple(row[c] for c in columns) for row in expected
    }


def test_best_is_the_most_accurate_feasible_candidate(toy_result: OptimizationResult) -> None:
    feasible = toy_result.candidates[toy_result.candidates["feasible"]]
    assert toy_result.best is not None
    assert toy_result.best["accuracy"] == feasible["accuracy"].max()
    assert toy_result.best["psnr_db_upper"] <= 17.5


def test_predictions_are_close_to_the_truth(toy_result: OptimizationResult) -> None:

    truth = {tuple(row[c] for c in TOPOLOGY_COLUMNS): row for row in toy_table_of_truth()}
    rows = toy_result.candidates.to_dict("records")
    errors = [
        row["accuracy"] - truth[tuple(row[c] for c in TOPOLOGY_COLUMNS)]["accuracy"] for row in rows
    ]
    assert np.abs(errors).mean() < 0.01


def test_constraints_replace_those_of_the_study(fitted_toy: Path) -> None:
    none = optimize([], study=fitted_toy, n_trials=5)
    assert none.constraints == ()
    assert none.candidates["feasible"].all()
    forms = (
        ["psnr_db <= 18"],
        {"psnr_db": 18},
        Constraint("psnr_db <= 18"),
        "psnr_db <= 18",
    )
    for form in forms:
        result = optimize(form, study=fitted_toy, n_trials=5)
        assert result.constraints == (Constraint("psnr_db <= 18"),)
        assert result.spec.search.constraints == result.constraints


def test_settings_replace_those_of_the_study(fitted_toy: Path) -> None:
    result = optimize(
        study=load_study(fitted_toy),
        objectives=["accuracy", "feature_bytes"],
        n_trials=np.int64(7),  # type: ignore[arg-type]
        seed=3,
        sampler="random",
        confidence=0.5,
    )
    assert result.objectives == ("accuracy", "feature_bytes")
    assert (result.search.n_trials, result.search.seed, result.search.sampler) == (7, 3, "random")
    assert result.spec.search.confidence == 0.5
    wide = optimize(study=fitted_toy, n_trials=1, confidence=0.99)
    width = [
        (r.candidates["psnr_db_upper"] - r.candidates["psnr_db_lower"]).mean()
        for r in (result, wide)
    ]
    assert width[0] < width[1]


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"constraints": "psnr <= 17"}, ConstraintError, "Did you mean 'psnr_db'"),
        ({"constraints": 17}, ConstraintError, "must be strings"),
        ({"objectives": ["acuracy"]}, ConstraintError, "Did you mean 'accuracy'"),
        ({"objectives": 3}, ConstraintError, "`objectives` must be names of metrics, but got 3"),
        ({"n_trials": "x"}, StudyError, "`n_trials` must be a whole number, but got 'x'"),
        ({"n_trials": 0}, StudyError, "`n_trials` must be at least 1, but got 0"),
        ({"n_trials": True}, StudyError, "`n_trials` must be a whole number"),
        ({"seed": -1}, StudyError, "`seed` must be at least 0"),
        ({"seed": 2**40}, StudyError, r"`seed` must be at least 0 and below 2\*\*32"),
        ({"sampler": "nsga"}, StudyError, "`sampler` must be known"),
        ({"confidence": 90}, StudyError, "`confidence` must lie between 0 and 1"),
        ({"study": "cifra10"}, UnknownStudyError, "Did you mean 'cifar10'"),
        ({"study": 5}, StudyError, "`study` must be a name or a path, but got 5"),
        ({"storage": "nonsense"}, OutputError, "database URL or a journal file"),
        ({"storage": 7}, OutputError, "database URL or a journal file, but got 7"),
    ],
)
def test_bad_input_names_the_thing_before_any_search(
    fitted_toy: Path, settings: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        optimize(**{"study": fitted_toy, **settings})  # type: ignore[arg-type]


def test_a_study_without_a_table_names_the_command_that_measures_it(tmp_path: Path) -> None:
    study = write_toy_study(tmp_path / "toy", with_table=False)
    with pytest.raises(TableError, match=r"`privynet-opt characterize --study .*toy --data DIR`"):
        optimize(study=study)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("image_size = 16", "image_size = 32", "`data.image_size` must be .* says 32 .* is of 16"),
        ('name = "small_cnn"', 'name = "vgg16"', "`network.name` must be what was measured"),
        ("image_size = 16", 'image_size = 16\nclasses = ["a", "b"]', "`data.classes` must be"),
    ],
)
def test_a_study_that_says_other_than_was_measured_is_refused(
    toy_study: Path, old: str, new: str, said: str
) -> None:
    file = toy_study / "study.toml"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(StudyError, match=said):
        optimize([], study=toy_study, n_trials=1)


def test_nothing_feasible_is_an_answer(hopeless_result: OptimizationResult) -> None:
    assert hopeless_result.best is None
    assert hopeless_result.front.empty
    assert hopeless_result.infeasibility is not None
    assert not hopeless_result.candidates["feasible"].any()
    assert np.isnan(hopeless_result.search.gap)


def test_a_stored_study_is_one_study_per_question(fitted_toy: Path, tmp_path: Path) -> None:
    storage = str(tmp_path / "study.journal")
    first = optimize(study=fitted_toy, n_trials=4, storage=storage)
    again = optimize(study=fitted_toy, n_trials=4, storage=storage)
    other = optimize(["psnr_db <= 18"], study=fitted_toy, n_trials=4, storage=storage)
    assert first.study.study_name == again.study.study_name != other.study.study_name
    assert (again.search.n_trials, other.search.n_trials) == (8, 4)
    assert again.study.user_attrs["constraints"] == ["psnr_db <= 17.5", "local_flops <= 1e6"]


def test_repr_tells_the_recommendation(
    toy_result: OptimizationResult, hopeless_result: OptimizationResult
) -> None:
    assert "Recommended: conv" in repr(toy_result)
    assert "psnr_db <= 17.5" in repr(toy_result)
    assert "Recommended: nothing" in repr(hopeless_result)


def test_the_cache_lies_beside_the_table_or_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "characterization.csv"
    assert proxy_cache(table) == tmp_path / "proxies.json"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert proxy_cache(table).parent == tmp_path / "cache" / "privynet_opt"
    (tmp_path / "proxies.json").touch()
    assert proxy_cache(table) == tmp_path / "proxies.json"


def test_the_shipped_proxies_belong_to_the_shipped_table() -> None:
    for spec in study_spec.list_studies():
        table = load_table(spec.table_path)
        record = read_record(proxy_cache(spec.table_path), table_key(table), len(table.trained))
        assert record is not None, f"refit {spec.name}: its proxies.json is another table's"


def test_the_same_seed_gives_the_same_front_in_another_process(fitted_toy: Path) -> None:
    code = (
        "from privynet_opt import optimize\n"
        f"r = optimize(study={str(fitted_toy)!r})\n"
        "print(r.front.to_csv(), r.search.hypervolume_history.tolist())"
    )
    first, second = (python(code, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first == second
    assert "conv" in first


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, privynet_opt, privynet_opt.cli\n"
        "print(sorted(set(sys.modules) & {'pandas', 'sklearn', 'optuna', 'plotly', 'torch'}))"
    )
    assert python(code).strip() == "[]"


def test_a_run_with_report_does_not_load_torch(fitted_toy: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom privynet_opt.cli import main\n"
        f"main(['run', '--study', {str(fitted_toy)!r}, '--output', {str(tmp_path / 'o')!r}])\n"
        "print('torch' in sys.modules)"
    )
    assert python(code).splitlines()[-1] == "False"


def test_public_names_can_be_had_from_the_package() -> None:
    for name in privynet_opt.__all__:
        assert getattr(privynet_opt, name).__name__ == name
        assert name in dir(privynet_opt)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        privynet_opt.nothing  # noqa: B018


def test_the_version_is_that_of_the_distribution() -> None:
    assert f"version = {privynet_opt.__version__}\n" in (ROOT / "setup.cfg").read_text()


@pytest.mark.parametrize("module", [api, constraints, study_spec])
def test_examples_in_docstrings_run(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def test_topologies_beyond_the_trained_range_are_recommended_only_when_asked(
    tmp_path: Path,
) -> None:
    study = write_toy_study(tmp_path / "narrow")
    rows = [
        row
        for row in toy_rows(0.5)
        if row["fidelity"] == "screen" or (row["cut_layer"] != "conv3" and row["kept_filters"] < 12)
    ]
    write_toy_table(study / "characterization.csv", rows)
    trusted = optimize([], study=study, n_trials=5)
    assert trusted.best is not None
    assert trusted.best["cut_layer"] != "conv3"
    assert trusted.best["kept_filters"] < 12
    allowed = optimize([], study=study, n_trials=5, extrapolate=True)
    assert allowed.best is not None
    assert allowed.best["extrapolation"]
    assert allowed.best["accuracy"] > trusted.best["accuracy"]
    allowed.save(tmp_path / "answer")
    again = api.reopen(tmp_path / "answer").best
    assert again is not None
    assert again.name == allowed.best.name
    few = optimize([f"accuracy >= {trusted.best['accuracy'] + 0.01}"], study=study, n_trials=5)
    assert few.best is None
    assert few.infeasibility is not None
    text = " ".join(str(few).split())
    assert "Recommended: nothing" in text
    assert "Outside it" in text


def test_every_draw_is_a_candidate_with_what_was_measured_of_it(tmp_path: Path) -> None:
    study = write_toy_study(tmp_path / "toy", n_seeds=3)
    result = optimize([], study=study, n_trials=20)
    seeds = result.candidates.groupby("selection_strategy")["selection_seed"].unique()
    assert {name: sorted(found) for name, found in seeds.items()} == {
        "random": [0, 1, 2],
        "lda": [0],
        "privacy": [0],
    }
    trained = result.table.trained
    channels = trained["cut_layer"].map({n: c.channels for n, c in result.table.cuts.items()})
    drawn = trained[(trained["selection_seed"] > 0) & (trained["kept_filters"] < channels)]
    assert len(drawn) > 4
    known = result.candidates.merge(drawn, on=list(LOCAL_COLUMNS), suffixes=("", "_row"))
    assert len(known) == len(drawn)
    assert known["measured"].all()
    np.testing.assert_allclose(known["measured_psnr_db"], known["psnr_db_row"])
    assert (result.front["selection_seed"] > 0).any()
    curves = [c for of_cut in filters_info(result).curves.values() for c in of_cut.values()]
    assert all(len(set(curve.kept)) == len(curve.kept) for curve in curves)
    once = api.study_identity(load_study(fewer_draws(study, 1)), result.table)
    assert once != api.study_identity(result.spec, result.table)


def fewer_draws(study: Path, n: int) -> Path:
    """Return a copy of a study that offers fewer draws."""
    text = (study / "study.toml").read_text()
    copied = study.with_name("fewer") / "study.toml"
    copied.parent.mkdir()
    copied.write_text(text.replace("repeated_seeds = 3", f"repeated_seeds = {n}"))
    return copied

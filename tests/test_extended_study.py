"""A study that measurements are added to keeps all it had, and its copy all that was added."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from problems import write_toy_study

from privynet_opt.characterization import extend
from privynet_opt.characterization.extend import extend_table
from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.characterization.schema import KEY
from privynet_opt.characterization.table import load_table
from privynet_opt.errors import OutputError
from privynet_opt.study_spec import load_study


def test_copying_a_study_again_has_no_moment_without_what_was_added(
    fitted_toy: Path, tmp_path: Path, monkeypatch
):
    spec = load_study(fitted_toy)
    path = extend.copy_study(spec, tmp_path / "copy")
    shipped = load_table(path).rows
    added = {**shipped.iloc[-1].to_dict(), "training_seed": 7}
    extend_table(path, [added], [{"rows": 1}])

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(extend, "write_table", interrupted)
        extend.copy_study(spec, tmp_path / "copy")
    for _ in range(2):
        rows = load_table(path).rows
        assert len(rows) == len(shipped) + 1 and (rows["training_seed"] == 7).any()
        extend.copy_study(spec, tmp_path / "copy")
    assert load_table(path).sidecar["extensions"] == [{"rows": 1}]


@pytest.mark.parametrize(("part", "is_kept"), [("provenance", True), ("sha256", False)])
def test_rows_added_to_a_copy_are_kept_while_weights_and_images_are_the_studys(
    fitted_toy: Path, tmp_path: Path, part: str, is_kept: bool
):
    spec = load_study(fitted_toy)
    path = extend.copy_study(spec, tmp_path / "copy")
    added = {**load_table(path).rows.iloc[-1].to_dict(), "training_seed": 7}
    extend_table(path, [added], [{"rows": 1}])
    sidecar = json.loads(path.with_suffix(".json").read_text())
    sidecar["data"][part] = "as an earlier release told it"
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    extend.copy_study(spec, tmp_path / "copy")
    again = load_table(path)
    assert (again.rows["training_seed"] == 7).any() == is_kept
    assert again.sidecar["data"] == load_table(spec.table_path).sidecar["data"]


def test_a_copy_that_cannot_be_written_is_told_in_one_line(fitted_toy: Path, tmp_path: Path):
    (tmp_path / "copy").write_text("no folder")
    with pytest.raises(OutputError, match="`output` must be writable"):
        extend.copy_study(load_study(fitted_toy), tmp_path / "copy")


def test_rows_are_added_beside_the_measurements_they_came_from(tmp_path: Path):
    table = load_table(write_toy_study(tmp_path / "toy") / "characterization.csv")
    (tmp_path / "toy" / "measurements").mkdir()
    row = table.trained.iloc[0].to_dict() | {"training_seed": 9, "accuracy": 0.123}
    plain = {k: getattr(v, "item", lambda v=v: v)() for k, v in row.items()}
    extend_table(table.path, [plain], [{"rows": 1}])
    assert load_table(table.path).sidecar["extensions"] == [{"rows": 1}]
    again = load_table(table.path).rows
    old, kept = (f.sort_values(list(KEY), ignore_index=True) for f in (table.rows, again))
    pd.testing.assert_frame_equal(kept[kept["training_seed"] != 9].reset_index(drop=True), old)
    assert again.loc[again["training_seed"] == 9, "accuracy"].tolist() == [0.123]
    assert MeasurementFolder(tmp_path / "toy").rows()[0]["accuracy"] == 0.123

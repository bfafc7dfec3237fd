from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from problems import toy_cuts, toy_rows, write_toy_sidecar, write_toy_table

from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.characterization.schema import COLUMNS, KEY
from privynet_opt.characterization.table import load_table, validate_rows
from privynet_opt.characterization.table_files import write_table
from privynet_opt.errors import TableError
from privynet_opt.topology import SENDING_DEFAULTS

CUTS = {cut.name: cut for cut in toy_cuts()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_toy_table(tmp_path / "characterization.csv", toy_rows(noise=0.5))


def change(path: Path, line: int, **cells: Any) -> None:
    """Rewrite cells of one line of the file (the header is line 1) and its sidecar."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows[line - 2].update({name: str(value) for name, value in cells.items()})
    write_toy_table(path, rows)


def fault(path: Path) -> str:
    with pytest.raises(TableError) as raised:
        load_table(path)
    message = str(raised.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_table_holds_every_row_with_the_types_of_the_schema(path: Path) -> None:
    table = load_table(path)
    assert list(table.rows.columns) == list(COLUMNS)
    assert len(table.rows) == len(toy_rows())
    kinds = {"int": "i", "float": "f"}
    for name, column in COLUMNS.items():
        if column.dtype in kinds:
            assert table.rows[name].dtype.kind == kinds[column.dtype], name
    first = toy_rows(noise=0.5)[0]
    assert table.rows.loc[0, "psnr_db"] == pytest.approx(first["psnr_db"], abs=1e-12)
    assert table.path == path


def test_cuts_are_profiles_in_network_order(path: Path) -> None:
    assert list(load_table(path).cuts.values()) == list(toy_cuts())


def test_screen_and_trained_rows_partition_the_table(path: Path) -> None:
    table = load_table(path)
    assert set(table.screen["fidelity"]) == {"screen"}
    assert set(table.trained["fidelity"]) == {"standard"}
    assert len(table.screen) + len(table.trained) == len(table.rows)


def test_amortised_rows_are_neither_screen_nor_trained(path: Path) -> None:
    change(path, 2, fidelity="amortised", training_seed=7)
    table = load_table(path)
    assert len(table.screen) + len(table.trained) == len(table.rows) - 1


def test_missing_table_and_sidecar_are_named_together(tmp_path: Path) -> None:
    message = fault(tmp_path / "characterization.csv")
    assert "2 faults" in message
    assert "characterization.json (No such file or directory)" in message
    assert "privynet-opt characterize" in message


def test_missing_column_is_named_with_its_meaning(path: Path) -> None:
    rows = pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns="ssim")
    rows.to_csv(path, index=False)
    write_toy_sidecar(path)
    assert "column `ssim` (mean SSIM" in fault(path)


def test_unknown_column_is_told_what_was_meant(path: Path) -> None:
    rows = pd.read_csv(path, dtype=str, keep_default_na=False).rename(columns={"ssim": "sim"})
    rows.to_csv(path, index=False)
    write_toy_sidecar(path)
    message = fault(path)
    assert "column `sim` must be one of the schema's" in message
    assert "Did you mean 'ssim'?" in message


@pytest.mark.parametrize("cell", ["", "nan", "inf", "high"])
def test_cell_that_is_no_number_is_named_by_line_and_column(path: Path, cell: str) -> None:
    change(path, 5, psnr_db=cell)
    assert f"`psnr_db` must be a finite number, but got psnr_db={cell!r} in line 5." in fault(path)


def test_count_that_is_not_whole_is_refused(path: Path) -> None:
    change(path, 5, kept_filters=1.5)
    assert "`kept_filters` must be a whole number, but got kept_filters='1.5'" in fault(path)


def test_decoder_psnr_may_be_empty_but_not_a_word(path: Path) -> None:
    assert load_table(path).screen["decoder_psnr_db"].isna().all()
    change(path, 3, decoder_psnr_db="strong")
    assert "`decoder_psnr_db` must be a finite number" in fault(path)


def test_changed_table_no_longer_matches_its_hash(path: Path) -> None:
    path.write_text(path.read_text().replace("0.5", "0.6"))
    message = fault(path)
    assert "`table_sha256` must be the hash of characterization.csv" in message
    assert "Restore the pair of files" in message


def test_rows_of_a_cut_that_the_study_lacks_are_told_in_one_line(tmp_path: Path) -> None:
    rows = [row | SENDING_DEFAULTS for row in toy_rows()]
    with pytest.raises(TableError, match=r"must name every cut that is measured, .* of conv3\."):
        write_table(tmp_path / "t.csv", rows, ["conv1", "conv2", "conv2p"], {})
    assert not list(tmp_path.iterdir())


def test_attacks_beside_the_rows_are_part_of_what_an_answer_rests_on(path: Path) -> None:
    alone = load_table(path)
    assert alone.answer_sha256 == alone.sidecar["table_sha256"]
    write_toy_sidecar(path, side_attacks=[{"psnr_db": 20.0}])
    attacked = load_table(path).answer_sha256
    write_toy_sidecar(path, side_attacks=[{"psnr_db": 21.0}])
    assert len({alone.answer_sha256, attacked, load_table(path).answer_sha256}) == 3


def test_table_of_only_a_header_has_no_rows(path: Path) -> None:
    write_toy_table(path, [])
    assert "must have at least one row, but got none" in fault(path)


def test_empty_file_is_no_table(path: Path) -> None:
    path.write_bytes(b"")
    write_toy_sidecar(path)
    assert "must be comma-separated text, but No columns to parse" in fault(path)


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b'"open,quote\n1,2\n'])
def test_text_that_is_no_csv_is_refused(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    write_toy_sidecar(path)
    assert "must be comma-separated text" in fault(path)


def test_row_of_too_many_cells_is_refused(path: Path) -> None:
    path.write_text(path.read_text().replace("\n", "\n1,2,", 1))
    write_toy_sidecar(path)
    assert "must be comma-separated text" in fault(path)


def test_unknown_cut_is_told_the_known_ones(path: Path) -> None:
    change(path, 4, cut_layer="conv33")
    message = fault(path)
    assert "got cut_layer='conv33' in line 4" in message
    assert "Did you mean 'conv3'? Known: conv1, conv2, conv2p, conv3." in message


def test_kept_filters_beyond_the_channels_are_refused(path: Path) -> None:
    change(path, 2, kept_filters=9)
    message = fault(path)
    assert "must be at most the 8 channels of conv1, but got kept_filters=9 in line 2" in message


@pytest.mark.parametrize(
    ("column", "word", "meant"),
    [("fidelity", "standart", "standard"), ("selection_strategy", "ida", "lda")],
)
def test_unknown_word_is_told_what_was_meant(
    path: Path, column: str, word: str, meant: str
) -> None:
    change(path, 6, **{column: word})
    message = fault(path)
    assert f"got {column}='{word}' in line 6" in message
    assert f"Did you mean '{meant}'?" in message


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("accuracy", 61.0, "be in [0, 1]"),
        ("ssim", 1.5, "be in [-1, 1]"),
        ("kept_filters", 0, "be at least 1"),
        ("selection_seed", -1, "be at least 0"),
        ("seconds", -2, "be at least 0"),
    ],
)
def test_value_out_of_range_is_refused(path: Path, column: str, value: float, rule: str) -> None:
    change(path, 8, **{column: value})
    assert f"`{column}` must {rule}, but got {column}={value:g} in line 8" in fault(path)


def test_seed_of_a_strategy_that_draws_nothing_is_refused(path: Path) -> None:
    line = next(i for i, row in enumerate(toy_rows(), 2) if row["selection_strategy"] == "lda")
    change(path, line, selection_seed=3)
    assert "`selection_seed` must be 0 where nothing is drawn" in fault(path)


def test_privacy_loss_below_an_attackers_own_is_refused(path: Path) -> None:
    change(path, 2, psnr_db=9.0)
    assert "`psnr_db` must be at least every attacker's own PSNR, but got psnr_db=9" in fault(path)


def test_same_measurement_twice_is_refused(path: Path) -> None:
    rows = toy_rows()
    write_toy_table(path, [*rows, rows[0]])
    message = fault(path)
    assert f"key ({', '.join(KEY)}) must be unique" in message
    assert f"in line {len(rows) + 2}." in message


def test_other_schema_version_is_refused(path: Path) -> None:
    write_toy_sidecar(path, schema_version=99)
    assert "`schema_version` must be 1, but characterization.json has schema_version=99" in fault(
        path
    )


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_sidecar_that_is_no_json_object_is_refused(path: Path, text: str) -> None:
    path.with_suffix(".json").write_text(text)
    assert "sidecar characterization.json must" in fault(path)


def test_sidecar_without_an_entry_is_told_which(path: Path) -> None:
    sidecar = json.loads(path.with_suffix(".json").read_text())
    del sidecar["cuts"], sidecar["data"]
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    assert "but `cuts`, `data` are missing" in fault(path)


@pytest.mark.parametrize("cuts", [[{"name": "conv1"}], "conv1", [3], 7, []])
def test_malformed_cut_profiles_are_refused(path: Path, cuts: Any) -> None:
    write_toy_sidecar(path, cuts=cuts)
    assert "`cuts` must" in fault(path)


def test_independent_faults_come_in_one_message(path: Path) -> None:
    change(path, 4, cut_layer="conv9", accuracy=2, psnr_db="")
    write_toy_sidecar(path, schema_version=2)
    message = fault(path)
    assert "4 faults: (1) `schema_version`" in message
    for name in ("psnr_db", "accuracy", "cut_layer"):
        assert f"column `{name}`" in message


def test_further_lines_with_the_same_fault_are_counted(path: Path) -> None:
    rows = toy_rows()
    for row in rows[3:6]:
        row["accuracy"] = ""
    write_toy_table(path, rows)
    assert "in line 5 and 2 more." in fault(path)


def test_rows_can_be_checked_before_they_are_written() -> None:
    rows = pd.DataFrame(toy_rows())
    assert len(validate_rows(rows, CUTS)) == len(rows)
    with pytest.raises(TableError, match="kept_filters=99"):
        validate_rows(rows.assign(kept_filters=99), CUTS)
    with pytest.raises(TableError, match="at least one row"):
        validate_rows(rows.iloc[:0], CUTS)


def test_how_features_are_sent_is_the_default_in_a_table_that_does_not_say(path: Path) -> None:
    rows = load_table(path).rows
    assert (rows["feature_bits"] == 32).all()
    assert (rows["noise_std"] == 0).all()


def test_a_table_writes_how_features_are_sent_only_where_it_varies(tmp_path: Path) -> None:
    rows = [row | SENDING_DEFAULTS for row in toy_rows()]
    cuts, path = [cut.name for cut in toy_cuts()], tmp_path / "characterization.csv"
    write_table(path, rows, cuts, {})
    assert not set(SENDING_DEFAULTS) & set(pd.read_csv(path).columns)
    sent = {**rows[0], "feature_bits": 8, "noise_std": 0.618}
    write_table(path, [*rows, sent], cuts, {})
    written = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert written[written["noise_std"] == "0.618"]["feature_bits"].tolist() == ["8"]
    validate_rows(written, CUTS)  # the same filters, sent otherwise, are another measurement


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"feature_bits": 6}, "column `feature_bits` must be one of 32, 16, 8, 4, but got"),
        ({"noise_std": -1}, "column `noise_std` must be at least 0, but got"),
    ],
)
def test_how_features_are_sent_obeys_its_rules(cells: dict[str, Any], said: str) -> None:
    rows = [{**row, **SENDING_DEFAULTS} for row in toy_rows()]
    rows[3] |= cells
    with pytest.raises(TableError, match=said):
        validate_rows(pd.DataFrame(rows), CUTS)


def test_measurements_sent_otherwise_have_files_of_their_own(tmp_path: Path) -> None:
    folder = MeasurementFolder(tmp_path)
    plain = {**toy_rows()[0], "decoder_psnr_db": None}
    folder.add(plain)
    sent = {**plain, "feature_bits": 4, "noise_std": 0.25}
    assert folder.has({**plain, **SENDING_DEFAULTS}) and not folder.has(sent)
    folder.add(sent)
    assert len(folder.rows()) == 2
    assert folder.get(sent)["noise_std"] == 0.25
    assert folder.get(plain)["feature_bits"] == 32

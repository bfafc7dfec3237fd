"""Measurements are whole or not there, and a full disk is said in one line."""

from __future__ import annotations

import errno
import json
import os
import tomllib

import pytest

from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.characterization.schema import CLOUD_NOISE
from privynet_opt.characterization.table_files import copy_study_file, write_table
from privynet_opt.errors import OutputError, TableError
from privynet_opt.files import write_atomically
from privynet_opt.topology import SENDING_DEFAULTS

ROW = {
    "cut_layer": "conv1",
    "kept_filters": 4,
    "selection_strategy": "random",
    "selection_seed": 2,
    **SENDING_DEFAULTS,
    "fidelity": "screen",
    "training_seed": 0,
    "accuracy": 0.5,
    "psnr_db": 14.25,
    "ssim": 0.3,
    "attacker": "ridge",
    "ridge_psnr_db": 14.25,
    "decoder_psnr_db": None,
    "decoder_epochs": 0,
    "cloud_epochs": 0,
    "seconds": 0.1,
}


@pytest.mark.parametrize("sent", [{}, {"feature_bits": 8, "noise_std": 0.125}])
def test_a_table_is_not_written_over_by_a_folder_that_lacks_a_row_of_it(tmp_path, sent):
    folder, row = MeasurementFolder(tmp_path), {**ROW, **sent}
    table = tmp_path / "characterization.csv"
    folder.check_that_nothing_is_lost(table)  # there is none yet
    write_table(table, [row, {**row, "kept_filters": 5}], ["conv1"], {})
    folder.add(row)
    before = table.read_bytes()
    with pytest.raises(TableError, match=r"but 1 rows of .* would be lost"):
        folder.check_that_nothing_is_lost(table)
    folder.add({**row, "kept_filters": 5})
    folder.check_that_nothing_is_lost(table)
    assert table.read_bytes() == before


def test_a_row_comes_back_as_it_was_stored(tmp_path):
    folder = MeasurementFolder(tmp_path)
    assert not folder.has(ROW)
    folder.add(ROW)
    assert folder.has(ROW)
    assert folder.rows() == [ROW]
    assert not folder.has({**ROW, "selection_seed": 1})


def test_full_disk_leaves_the_old_file_and_says_so(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_atomically(path, "old")

    def no_space(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OutputError, match=r"No space left.*already measured is kept"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_belongs_to_one_provenance(tmp_path):
    folder = MeasurementFolder(tmp_path)
    folder.claim({"weights": "a", "images": {"score": "b"}})
    folder.claim({"weights": "a", "images": {"score": "b"}})
    with pytest.raises(TableError, match="the same images, but"):
        folder.claim({"weights": "a", "images": {"score": "c"}})


def test_noise_may_be_added_to_a_folder_but_not_to_rows_that_learnt_of_another(tmp_path):
    plain, once = {"weights": "a"}, {"weights": "a", CLOUD_NOISE: "once"}
    trained = {**ROW, "fidelity": "standard", "training_seed": 1}
    folder = MeasurementFolder(tmp_path / "plain")
    folder.claim(plain)
    folder.add(trained)
    folder.claim(once)
    folder.add({**trained, "noise_std": 0.5, "feature_bits": 32})
    folder.claim(once)
    folder.claim(plain)  # and out of the study again
    folder = MeasurementFolder(tmp_path / "before")
    folder.claim(plain)
    folder.add({**trained, "noise_std": 0.5, "feature_bits": 32})
    with pytest.raises(TableError, match="the same cloud_noise, but"):
        folder.claim(once)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a,b\n1,2\n", "KeyError: 'cut_layer'"),
        (b"\xff\xfe\x00", "UnicodeDecodeError"),
        (f"{','.join(ROW)}\nconv1,4,random,2,,0,screen,0\n".encode(), "ValueError"),
        (f"{','.join(ROW)}\nconv1,4,random,2\n".encode(), "TypeError"),
        (None, "IsADirectoryError"),
    ],
)
def test_a_foreign_table_in_the_folder_is_refused_in_one_line(tmp_path, content, reason):
    table = tmp_path / "characterization.csv"
    table.mkdir() if content is None else table.write_bytes(content)
    with pytest.raises(TableError) as refused:
        MeasurementFolder(tmp_path).check_that_nothing_is_lost(table)
    said = str(refused.value)
    assert f"{table} cannot be read as one ({reason}" in said
    assert said.startswith("`output` must hold a table") and "\n" not in said
    assert said.endswith("Choose another --output folder.")


@pytest.mark.parametrize("content", [b"", b'{"weights": "a', b"[]", b"\xff"])
def test_a_damaged_provenance_is_named(tmp_path, content):
    folder = MeasurementFolder(tmp_path)
    folder.claim({"weights": "a"})
    path = folder.folder / "provenance.json"
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"^`output` must .*cannot be used \(.*another --output"):
        folder.claim({"weights": "a"})
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("conv1--4--random--2--screen--0", lambda folder: folder.rows()),
        ("conv1--4--random--2--screen--0", lambda folder: folder.get(ROW)),
        ("anonymity/conv1", lambda folder: folder.anonymity()),
        ("information/conv1", lambda folder: folder.information()),
        ("information/conv1", lambda folder: folder.add_information("conv1", [ROW])),
        ("searched/conv1--4", lambda folder: folder.searched()),
        ("side_attacks/conv1--4--random--2--2--", lambda folder: folder.side_attacks()),
    ],
)
@pytest.mark.parametrize("content", ['{"cut_layer": "co', '[{"cut', "", "7"])
def test_a_damaged_measurement_is_named_and_may_be_deleted(tmp_path, name, read, content):
    folder = MeasurementFolder(tmp_path)
    path = folder.folder / f"{name}.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(TableError) as refused:
        read(folder)
    said = str(refused.value)
    assert said.startswith(f"`output` must hold whole files of JSON, but {path} cannot be used (")
    assert said.endswith("delete it: what is missing is measured again.") and "\n" not in said


def test_half_written_files_are_no_measurements(tmp_path):
    folder = MeasurementFolder(tmp_path)
    folder.add(ROW)
    (folder.folder / ".conv1--8--lda--0--screen--0.json.tmp").write_text('{"cut_')
    assert folder.count() == 1
    assert folder.rows() == [json.loads(json.dumps(ROW))]


def test_weights_beside_a_study_travel_with_it_and_others_stay(tmp_path):
    study, target = tmp_path / "study", tmp_path / "copy"
    study.mkdir()
    (study / "study.toml").write_text(f"[network]\nweights = '{tmp_path / 'elsewhere.pth'}'\n")
    (study / "w.pth").write_bytes(b"w")
    (tmp_path / "elsewhere.pth").write_bytes(b"e")
    copy_study_file(study, str(tmp_path / "elsewhere.pth"), target)
    assert sorted(f.name for f in target.iterdir()) == ["study.toml"]
    copy_study_file(study, str(study / "w.pth"), target)
    assert (target / "w.pth").read_bytes() == b"w"
    elsewhere = study / ".." / "elsewhere.pth"
    for named in ('"../elsewhere.pth"', "'.././elsewhere.pth'"):
        (study / "study.toml").write_text(f"[network]\nweights = {named}  # of another study")
        copy_study_file(study, str(elsewhere), tmp_path / "other")
        copied = (tmp_path / "other" / "study.toml").read_text()
        said = f'weights = "{tmp_path / "elsewhere.pth"}"  # of another study'
        assert copied == f"[network]\n{said}"
    copy_study_file(study, str(study / "w.pth"), study)  # onto itself: nothing happens
    assert (study / "w.pth").read_bytes() == b"w"


def test_a_study_file_with_a_byte_order_mark_is_copied_like_any_other(tmp_path):
    study, weights = tmp_path / "study", tmp_path / "w.pth"
    study.mkdir()
    weights.touch()
    text = "[network]\nweights = '../w.pth'\n"
    (study / "study.toml").write_text(text, encoding="utf-8-sig")
    copy_study_file(study, str(study / ".." / "w.pth"), tmp_path / "copy")
    copied = (tmp_path / "copy" / "study.toml").read_text(encoding="utf-8")
    assert copied == f'[network]\nweights = "{weights}"\n'


def test_weights_elsewhere_are_named_as_toml_has_any_character(tmp_path):
    study, weights = tmp_path / "\x7f\U0001f600" / "study", tmp_path / "\x7f\U0001f600" / "w.pth"
    study.mkdir(parents=True)
    weights.touch()
    (study / "study.toml").write_text("[network]\nweights = '../w.pth'\n")
    copy_study_file(study, str(study / ".." / "w.pth"), tmp_path / "copy")
    copied = (tmp_path / "copy" / "study.toml").read_text(encoding="utf-8")
    assert tomllib.loads(copied)["network"]["weights"] == str(weights)

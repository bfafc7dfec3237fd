from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
from pathlib import Path

import optuna
import pandas as pd
import pytest

from privynet_opt.api import optimize, reopen
from privynet_opt.cli import main
from privynet_opt.errors import OutputError
from privynet_opt.files import prepare_output
from privynet_opt.result import OptimizationResult
from privynet_opt.saved import command_of, read_front
from privynet_opt.topology import SENDING_DEFAULTS


def test_every_file_is_written_and_named(toy_result: OptimizationResult, tmp_path: Path) -> None:
    files = toy_result.save(tmp_path / "new" / "folder")
    assert set(files) == {"front.csv", "front.json", "candidates.csv", "study.journal"}
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == sorted(files)


def test_the_front_reads_back_from_csv(toy_result: OptimizationResult, tmp_path: Path) -> None:
    read = pd.read_csv(toy_result.save(tmp_path)["front.csv"], keep_default_na=False)
    told = [name for name in toy_result.front.columns if name not in SENDING_DEFAULTS]
    assert list(read.columns) == told
    assert read["cut_layer"].tolist() == toy_result.front["cut_layer"].tolist()
    assert read["local_flops"].tolist() == toy_result.front["local_flops"].tolist()
    assert read["psnr_db"].tolist() == pytest.approx(toy_result.front["psnr_db"], rel=1e-5)
    assert read["measured"].tolist() == toy_result.front["measured"].tolist()


def test_candidates_hold_the_whole_space(toy_result: OptimizationResult, tmp_path: Path) -> None:
    read = pd.read_csv(toy_result.save(tmp_path)["candidates.csv"])
    assert len(read) == len(toy_result.candidates)
    assert read["on_front"].sum() == len(toy_result.front)


def test_a_result_that_holds_its_study_can_be_moved(toy_study: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(toy_study, here / "study")
    optimize(["psnr_db <= 17.5"], study=here / "study", n_trials=5).save(here)
    outside = tmp_path / "outside"
    optimize(["psnr_db <= 17.5"], study=here / "study", n_trials=5).save(outside)
    assert read_front(outside)["study_path"] == str(here / "study")
    here.rename(there)
    assert Path(read_front(there)["study_path"]) == there / "study"
    assert reopen(there).table.path == there / "study" / "characterization.csv"


def test_the_command_of_a_saved_result_asks_its_question_again(
    fitted_toy: Path, tmp_path: Path
) -> None:
    out = tmp_path / "an answer"
    asked = {"objectives": ["accuracy", "ssim"], "confidence": 0.8, "extrapolate": True}
    for number, limits in enumerate((["psnr_db <= 18"], [])):
        asked |= {"n_trials": 7, "seed": 3, "sampler": "random"}
        optimize(limits, study=fitted_toy, **asked).save(out)
        before = (out / "front.json").read_text()
        command = shlex.split(command_of(read_front(out), out))
        assert command[:2] == ["privynet-opt", "run"]
        (out / "front.json").unlink()
        assert main(command[1:]) == 0
        assert (out / "front.json").read_text() == before, number


def test_a_result_that_does_not_tell_how_many_trials_were_asked_for_is_read(
    toy_result: OptimizationResult, tmp_path: Path
) -> None:
    front = toy_result.save(tmp_path)["front.json"]
    content = json.loads(front.read_text())
    del content["search"]["n_asked"]
    front.write_text(json.dumps(content))
    assert read_front(tmp_path)["search"]["n_asked"] == toy_result.search.n_trials


def test_json_holds_question_answer_and_provenance(
    toy_result: OptimizationResult, tmp_path: Path
) -> None:
    content = json.loads(toy_result.save(tmp_path)["front.json"].read_text())
    assert toy_result.best is not None
    assert content["constraints"] == ["psnr_db <= 17.5", "local_flops <= 1e6"]
    assert content["recommended"]["cut_layer"] == toy_result.best["cut_layer"]
    assert len(content["front"]) == len(toy_result.front)
    assert content["search"]["gap"] == pytest.approx(toy_result.search.gap, rel=1e-5)
    assert content["answer_sha256"] == toy_result.table.answer_sha256
    assert content["proxies"]["psnr_db"]["n_rows"] > 0
    assert content["infeasibility"] is None


def test_json_is_strict_where_nothing_is_feasible(
    hopeless_result: OptimizationResult, tmp_path: Path
) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    text = hopeless_result.save(tmp_path)["front.json"].read_text()
    content = json.loads(text, parse_constant=refuse)
    assert content["recommended"] is None
    assert content["front"] == []
    assert content["search"]["gap"] is None
    assert any("psnr_db <= 14" in line for line in content["infeasibility"])


def test_the_journal_is_the_optuna_study(toy_result: OptimizationResult, tmp_path: Path) -> None:
    path = toy_result.save(tmp_path)["study.journal"]
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    study = optuna.load_study(
        study_name=toy_result.study.study_name, storage=optuna.storages.JournalStorage(backend)
    )
    assert len(study.trials) == len(toy_result.study.trials)
    assert len({str(t.user_attrs["topology"]) for t in study.best_trials}) == len(toy_result.front)


def test_a_journal_that_the_study_is_kept_in_is_not_replaced(
    fitted_toy: Path, tmp_path: Path
) -> None:
    path = tmp_path / "study.journal"
    journal = optuna.storages.journal.JournalFileBackend
    storage = optuna.storages.JournalStorage(journal(str(path)))
    for limit in ("psnr_db <= 18", "psnr_db <= 20"):
        result = optimize([limit], study=fitted_toy, n_trials=2, storage=storage)
        assert result.save(tmp_path)["study.journal"] == path
    read = optuna.storages.JournalStorage(journal(str(path)))
    assert len(optuna.get_all_study_names(read)) == 2
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "study.journal"
    other.write_text("old")
    assert result.save(other.parent)["study.journal"].read_text() != "old"


def test_saving_twice_gives_the_same_bytes(toy_result: OptimizationResult, tmp_path: Path) -> None:
    first, second = toy_result.save(tmp_path / "a"), toy_result.save(tmp_path / "b")
    for name in ("front.csv", "front.json", "candidates.csv"):
        assert first[name].read_bytes() == second[name].read_bytes()


def test_a_full_disk_is_one_line_and_keeps_the_files_of_before(
    toy_result: OptimizationResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_result.save(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device") as caught:
        toy_result.save(tmp_path)
    assert "\n" not in str(caught.value)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_file_in_place_of_the_folder_is_one_line_and_stays(
    toy_result: OptimizationResult, tmp_path: Path
) -> None:
    path = tmp_path / "api.py"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"`output` must be a folder .*api\.py") as caught:
        toy_result.save(path)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_found_before_the_search(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nothing")):
        with pytest.raises(OutputError, match="`output` must be a folder"):
            prepare_output(wrong)
    assert prepare_output(tmp_path / "fine") == tmp_path / "fine"
    assert list((tmp_path / "fine").iterdir()) == []


def test_a_journal_of_several_studies_gets_another_and_loses_none(
    toy_result: OptimizationResult, tmp_path: Path
) -> None:
    path = tmp_path / "study.journal"
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    for name in ("one", "two"):
        optuna.create_study(storage=storage, study_name=name)
    for _ in range(2):  # the second time it is there
        with path.open("a") as stream:
            stream.write('{"op_code":')  # another worker writes, or was killed at it
        toy_result.save(tmp_path)
        names = set(optuna.get_all_study_names(storage))
        assert names == {"one", "two", toy_result.study.study_name}
    added = optuna.load_study(study_name=toy_result.study.study_name, storage=storage)
    assert len(added.trials) == len(toy_result.study.trials) > 0

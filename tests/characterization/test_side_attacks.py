"""Other attackers than the usual one, on the digits: compared like with like, told, refused."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from privynet_opt.characterization.audit import audit_table
from privynet_opt.characterization.characterize import characterize
from privynet_opt.characterization.schema import KEY
from privynet_opt.characterization.table import load_table
from privynet_opt.errors import DataError, StudyError


def test_an_attacker_with_images_of_another_kind_is_measured_beside_the_usual_one(
    study, measured, tmp_path
):
    noise = np.random.default_rng(0).integers(0, 256, (450, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "noise.npz", images=noise, labels=np.arange(450) % 2)
    shutil.copytree(measured.parent, tmp_path / "out")
    arguments = (study, None, None, tmp_path / "out")
    asked = {"attacker_data": tmp_path / "noise.npz", "double_capacity": True}
    table = load_table(characterize(*arguments, **asked))
    attacks = pd.DataFrame(table.sidecar["side_attacks"])
    entries = attacks[attacks["images"] == "noise"]
    alike = load_table(measured).trained
    same = entries.merge(alike, on=list(KEY[:4]), suffixes=("", "_alike"))
    assert len(same) == len(entries) == (alike["selection_seed"] == 0).sum() > 1
    assert (same["psnr_db"] < same["psnr_db_alike"] - 0.5).all()
    larger = attacks[attacks["capacity"] == 2].merge(alike, on=list(KEY[:4]), suffixes=("", "_1"))
    assert len(larger) == len(entries)
    assert (larger["psnr_db"] != larger["psnr_db_1"]).all()
    assert audit_table(table).compared["capacity", "standard"] == len(larger)
    files = sorted((tmp_path / "out" / "measurements" / "side_attacks").iterdir())
    before = [f.stat().st_mtime_ns for f in files]
    files[0].unlink()
    characterize(*arguments, **asked)
    after = [f.stat().st_mtime_ns for f in files]
    assert after[1:] == before[1:]
    assert after[0] > before[0]


def test_other_attackers_are_compared_like_with_like(study, tmp_path):
    few = np.zeros((449, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "few.npz", images=few, labels=np.arange(449) % 2)
    arguments = (study, None, None, tmp_path / "out")
    with pytest.raises(DataError, match=r"the 450 images of the usual attacker.*has 449"):
        characterize(*arguments, attacker_data=tmp_path / "few.npz")
    with pytest.raises(StudyError, match="`start` must be scratch"):
        characterize(*arguments, start="amortised", double_capacity=True)

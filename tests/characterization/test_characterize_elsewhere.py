"""Everything that is measured can be measured on another device than the CPU."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch
from digits_study import STUDY
from second_device import DEVICE, second_device

from privynet_opt.characterization import measure, subset_search
from privynet_opt.characterization.characterize import characterize
from privynet_opt.characterization.fresh import measure_again
from privynet_opt.characterization.schema import KEY
from privynet_opt.characterization.table import load_table
from privynet_opt.networks import precision
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LocalTopology

SMALL = (
    STUDY.replace('"privacy", "privynet", "magnitude"]', '"greedy", "searched"]')
    .replace('["conv1", "conv4"]', '["conv3"]')
    .replace("[2, 8]", "[4]")
    .replace("450", "150")
    .replace("score = 250", "score = 60")
    .replace("[characterization]", "[characterization]\nsearched = { conv3 = [4] }")
)
NOISY = SMALL.replace(
    "[search_space]", "[search_space]\nfeature_bits = [8]\nnoise_std = [0.0, 1.0]"
)


def measured(text, folder, fidelities, device):
    folder.mkdir()
    (folder / "study.toml").write_text(text)
    arguments = (load_study(folder), None, None, folder / "out")
    return load_table(characterize(*arguments, fidelities=fidelities, n_trained=1, device=device))


def test_devices_are_kept_apart():
    with second_device():
        there = torch.ones(2, device=DEVICE)
        with pytest.raises(RuntimeError, match="two devices"):
            there + torch.ones(2)
        with pytest.raises(TypeError, match="NumPy cannot see"):
            there.numpy()
        assert (there + 1).cpu().tolist() == [2, 2]


@pytest.mark.parametrize(
    ("text", "fidelities"),
    [(SMALL, ("screen", "amortised", "standard")), (NOISY, ("screen", "standard"))],
)
def test_a_characterization_elsewhere_ends_with_the_rows_of_the_cpu(
    tmp_path, monkeypatch, text, fidelities
):
    torch.set_num_threads(1)
    monkeypatch.setattr(subset_search, "N_RANDOM", 4)
    monkeypatch.setattr(precision, "uses_bfloat16", lambda device: False)
    tuned = replace(measure.ADAPTATION, finest_untouched_grid=3)  # conv3 has 4×4 cells
    monkeypatch.setattr(measure, "ADAPTATION", tuned)
    here = measured(text, tmp_path / "here", fidelities, "cpu")
    with second_device():
        there = measured(text, tmp_path / "there", fidelities, "cuda")
    assert set(there.rows["fidelity"]) == set(fidelities)
    both = pd.merge(here.rows, there.rows, on=[*KEY], suffixes=("", "_there"))
    assert len(both) == len(here.rows) == len(there.rows)
    for column in ("psnr_db", "accuracy", "ssim"):
        assert (both[column] - both[f"{column}_there"]).abs().max() <= 1e-3
    for beside in ("anonymity", "searched", "information", "side_attacks"):
        assert len(there.sidecar.get(beside, [])) == len(here.sidecar.get(beside, []))


def test_fresh_attacks_elsewhere_recover_what_those_on_the_cpu_do(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "uses_bfloat16", lambda device: False)
    (tmp_path / "study.toml").write_text(SMALL)
    asked = (load_study(tmp_path), [LocalTopology("conv3", 4, "lda")], "standard", 2)
    here = measure_again(*asked, tmp_path / "here")
    with second_device():
        there = measure_again(*asked, tmp_path / "there", device="cuda")
    for name in ("psnr_db", "accuracy"):
        assert there.rows[0][name] == pytest.approx(here.rows[0][name], abs=1e-3)
    known_there, known_here = (each.label_aware[0]["psnr_db"] for each in (there, here))
    assert known_there == pytest.approx(known_here, abs=1e-3)

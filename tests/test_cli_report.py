import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from fake_gallery import fake_gallery

from privynet_opt.cli import main

QUICK = ["--n-trials", "20"]


@pytest.fixture(scope="module")
def saved(fitted_toy_folder, tmp_path_factory):
    """Results of the toy study under two limits."""
    folders = [tmp_path_factory.mktemp("saved") / name for name in ("tight", "loose")]
    for folder, limit in zip(folders, ("psnr_db <= 20", "psnr_db <= 24"), strict=True):
        asked = ["run", "--study", str(fitted_toy_folder), "--output", str(folder), *QUICK]
        assert main([*asked, "--constraint", limit]) == 0
    return folders


def test_a_report_is_rebuilt_to_the_byte(saved, capsys):
    path = saved[0] / "report.html"
    before = path.read_bytes()
    path.unlink()
    assert main(["report", str(saved[0])]) == 0
    assert path.read_bytes() == before
    assert capsys.readouterr().out == f"Report: {path}\n"


def test_a_report_says_that_the_front_beside_it_is_of_an_older_table(saved, capsys):
    front = saved[0] / "front.json"
    before = front.read_text(encoding="utf-8")
    digest = json.loads(before)["answer_sha256"]
    front.write_text(before.replace(digest, "0" * 64), encoding="utf-8")
    assert main(["report", str(saved[0])]) == 0
    front.write_text(before, encoding="utf-8")
    _, told = capsys.readouterr().out.splitlines()
    assert "measured further since front.json and front.csv were written" in told
    assert "privynet-opt run --study " in told


def test_two_results_are_compared_in_one_page(saved, capsys):
    assert main(["report", str(saved[0]), "--compare", str(saved[1])]) == 0
    text = (saved[0] / "comparison.html").read_text(encoding="utf-8")
    assert "psnr_db &lt;= 20" in text and "psnr_db &lt;= 24" in text
    assert "comparison.html" in capsys.readouterr().out


def test_a_rebuilt_report_keeps_what_a_validation_found(saved):
    best = json.loads((saved[1] / "front.json").read_text())["recommended"]
    point = {name: best[name] for name in best if not name.startswith("violation")}
    for target in ("accuracy", "psnr_db", "ssim"):
        point |= {f"measured_{target}": best[target], f"inside_{target}": True}
    said = {
        "predicted_fidelity": "full",
        "fidelity": "full",
        "training_seed": 2,
        "holds": True,
        "same_source": True,
        "points": [{**point, "broken": ""}],
    }
    path = saved[1] / "validation.json"
    path.write_text(json.dumps(said))
    assert main(["report", str(saved[1])]) == 0
    text = (saved[1] / "report.html").read_text(encoding="utf-8")
    assert "A fresh attack confirms the limits</" in text
    path.write_text(json.dumps(said | {"same_source": False}))
    assert main(["report", str(saved[1])]) == 0
    text = (saved[1] / "report.html").read_text(encoding="utf-8")
    assert "A fresh attack confirms the limits, on other images" in text
    path.write_text("{")
    assert main(["report", str(saved[1])]) == 2
    path.unlink()


def test_pictures_can_be_left_out(saved):
    front = json.loads((saved[0] / "front.json").read_text())["front"]
    fake_gallery(saved[0] / "gallery", pd.DataFrame(front).head(3))
    assert main(["report", str(saved[0])]) == 0
    path = saved[0] / "report.html"
    assert "data:image/png" in path.read_text(encoding="utf-8")
    assert main(["report", str(saved[0]), "--no-pictures"]) == 0
    assert "data:image/png" not in path.read_text(encoding="utf-8")


def test_a_mistake_is_one_line(saved, tmp_path, capsys, monkeypatch):
    assert main(["report", str(tmp_path)]) == 2
    assert "must be a folder that `privynet-opt run` or `tune` wrote" in capsys.readouterr().err
    assert main(["report", str(saved[0]), "--compare", str(tmp_path)]) == 2
    monkeypatch.setitem(sys.modules, "kaleido", None)
    capsys.readouterr()
    assert main(["report", str(saved[0]), "--png", str(tmp_path / "png")]) == 2
    complaint = capsys.readouterr().err
    assert "`--png` must have kaleido" in complaint and "privynet_opt[png]" in complaint
    assert complaint.count("\n") == 1


def test_figures_become_files(saved, tmp_path: Path, monkeypatch):
    import types

    drawn = []

    def draw(figure, opts):
        drawn.append((figure, opts))
        return b"\x89PNG"

    monkeypatch.setitem(sys.modules, "kaleido", types.SimpleNamespace(calc_fig_sync=draw))
    assert main(["report", str(saved[0]), "--png", str(tmp_path)]) == 0
    names = sorted(path.name for path in tmp_path.glob("*.png"))
    assert "pareto.png" in names and "predicted-psnr_db.png" in names and len(names) >= 5
    assert "@ink" not in json.dumps(drawn[0][0])
    assert drawn[0][1]["format"] == "png"

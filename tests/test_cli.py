from __future__ import annotations

import json
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from problems import toy_rows, write_toy_sidecar, write_toy_study, write_toy_table

from privynet_opt import api
from privynet_opt.characterization.audit import audit_table
from privynet_opt.characterization.table import load_table
from privynet_opt.cli import main
from privynet_opt.cli_output import N_ANSWERED, print_audit


def one_line(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run a command that must fail as the user's mistake; return its one line."""
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "Traceback" not in printed.err
    return printed.err


def run(study: Path, output: Path, *more: str) -> int:
    return main(["run", "--study", str(study), "--output", str(output), *more])


def test_run_prints_the_verdict_and_writes_every_file(
    fitted_toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fitted_toy, tmp_path / "out") == 0
    printed = capsys.readouterr()
    for words in (
        "Recommended: conv",
        "psnr_db <= 17.5",
        "+0.",
        "upper end of the interval",
        "Pareto front: ",
        "held-out",
        "(gap",
        "misses nothing",
        f"Files in {tmp_path / 'out'}",
    ):
        assert words in printed.out
    assert printed.err == ""
    for name in ("report.html", "front.csv", "front.json", "candidates.csv", "study.journal"):
        assert name in printed.out
        assert (tmp_path / "out" / name).stat().st_size > 0


def test_the_shipped_study_gives_an_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--study", "cifar10", "--output", str(tmp_path)]) in (0, 3)
    printed = capsys.readouterr()
    assert "Recommended: " in printed.out
    assert max(map(len, printed.out.splitlines())) <= 100 + len(str(tmp_path))
    assert printed.err == ""


def test_the_printed_front_has_at_most_twelve_rows(
    fitted_toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fitted_toy, tmp_path / "out", "--constraint", "none") == 0
    front = capsys.readouterr().out.split("Pareto front")[1].split("\n\n")[0].splitlines()
    assert len(front) == 2 + 12
    assert max(map(len, front)) <= 100


@pytest.mark.parametrize("more", [[], ["--extrapolate"]])
def test_extrapolation_is_allowed_on_the_command_line(
    fitted_toy: Path, tmp_path: Path, more: list[str]
) -> None:
    assert run(fitted_toy, tmp_path / "out", *more) == 0
    saved = json.loads((tmp_path / "out" / "front.json").read_text(encoding="utf-8"))
    assert saved["extrapolate"] is bool(more)


def test_constraints_and_objectives_replace_those_of_the_study(
    fitted_toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--constraint", "ssim <= 0.4", "--constraint", "accuracy>=0.4"]
    more += ["--objective", "ssim", "--objective", "feature_bytes"]
    assert run(fitted_toy, tmp_path, *more, "--n-trials", "9", "--seed", "5") == 0
    content = json.loads((tmp_path / "front.json").read_text())
    assert content["constraints"] == ["ssim <= 0.4", "accuracy >= 0.4"]
    assert content["objectives"] == ["ssim", "feature_bytes"]
    assert (content["search"]["n_trials"], content["search"]["seed"]) == (9, 5)


def test_nothing_feasible_exits_with_three_and_writes_every_file(
    fitted_toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = ["--constraint", "psnr_db <= 14", "--constraint", "accuracy >= 0.6"]
    assert run(fitted_toy, tmp_path / "out", *limits) == 3
    printed = capsys.readouterr().out
    for words in (
        "Recommended: nothing",
        "psnr_db <= 14 excludes 64 of 64",
        "nearest: ",
        "relaxing psnr_db <= 14 to ",
        "relaxing accuracy >= 0.6 alone admits nothing",
    ):
        assert words in printed
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_quiet_prints_the_topology_alone(
    fitted_toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fitted_toy, tmp_path, "--quiet", "--n-trials", "5") == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert printed.startswith("conv")


def test_the_default_output_is_named_after_the_study(
    fitted_toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--study", str(fitted_toy), "--n-trials", "5"]) == 0
    assert (tmp_path / "privynet-opt-toy" / "report.html").exists()


def test_open_shows_the_report(
    fitted_toy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)  # returns None: no browser
    assert run(fitted_toy, tmp_path, "--open", "--n-trials", "5") == 0
    assert opened == [(tmp_path / "report.html").as_uri()]
    assert "no browser found; open" in capsys.readouterr().err


def test_studies_lists_network_data_and_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["studies"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["study", "network", "data"]
    shipped = next(line for line in lines if line.startswith("cifar10"))
    assert "vgg16" in shipped


def test_studies_counts_the_rows_of_each_fidelity(
    toy_study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from privynet_opt import study_spec

    unmeasured = write_toy_study(toy_study.parent / "bare", name="bare", with_table=False)
    found = [study_spec.load_study(path) for path in (toy_study, unmeasured)]
    monkeypatch.setattr(study_spec, "list_studies", lambda: found)
    assert main(["studies"]) == 0
    printed = capsys.readouterr().out
    n_screen = sum(row["fidelity"] == "screen" for row in toy_rows())
    assert f"{n_screen} screen, {len(toy_rows()) - n_screen} standard" in printed
    assert "none yet" in printed


def test_version_and_help_exit_with_zero(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--version"], ["--help"], [], ["run", "--help"]):
        assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "privynet-opt 0." in printed
    assert "exit codes" in printed
    assert "privynet-opt run --study cifar10" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "--study"),
        (["rum"], "'run'"),
        (["run", "--study", "cifra10"], "Did you mean 'cifar10'?"),
        (["run", "--study", "cifar10", "--constraint", "psnr <= 17"], "Did you mean 'psnr_db'?"),
        (["run", "--study", "cifar10", "--constraint", "psnr_db <= 17dB"], 'Write "psnr_db <= 17"'),
        (["run", "--study", "cifar10", "--objective", "acc"], "Did you mean"),
        (["run", "--study", "cifar10", "--n-trials", "0"], "`n_trials` must be at least 1"),
        (["run", "--study", "cifar10", "--n-trials", "many"], "--n-trials"),
        (["run", "--study", "cifar10", "--sampler", "nsga"], "'nsga2'"),
        (["run", "--study", "cifar10", "--confidence", "90"], "between 0 and 1"),
        (["characterize", "--study", "cifar10", "--workers", "0"], "at least 1"),
        (["characterize", "--study", "cifar10", "--device", "gpu"], "'cuda'"),
        (["validate", "out", "--neighbours", "-1"], "must be at least 0, but got -1"),
        (["characterize", "--study", "cifra10"], "Did you mean 'cifar10'?"),
    ],
)
def test_a_mistake_is_one_line_with_a_remedy(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in one_line(capsys, *arguments)
    assert list(tmp_path.iterdir()) == [], "a mistake leaves no folder behind"


def test_a_study_that_was_never_measured_names_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_toy_study(tmp_path / "toy", with_table=False)
    line = one_line(capsys, "run", "--study", study, "--output", tmp_path / "out")
    assert f"privynet-opt characterize --study {study}" in line


def test_a_malformed_study_is_one_line(
    toy_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (toy_study / "study.toml").write_text("name = toy\n")
    assert "valid TOML" in one_line(capsys, "run", "--study", toy_study)


def damaged(study: Path, how: str) -> None:
    table = study / "characterization.csv"
    rows: list[dict[str, Any]] = toy_rows()
    if how == "nan":
        rows[-1]["accuracy"] = "nan"
    if how == "no rows":
        rows = []
    write_toy_table(table, rows)
    if how == "column":
        table.write_text(table.read_text().replace("psnr_db,ssim", "psnr_dB,ssim", 1))
        write_toy_sidecar(table)
    if how == "hash":
        table.write_text(table.read_text().replace("conv1,1,", "conv1,2,", 1))
    if how == "sidecar":
        table.with_suffix(".json").unlink()


@pytest.mark.parametrize("how", ["nan", "no rows", "column", "hash", "sidecar"])
def test_a_damaged_table_is_one_line(
    how: str, toy_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged(toy_study, how)
    line = one_line(capsys, "run", "--study", toy_study, "--output", tmp_path / "out")
    assert "characterization" in line


def test_an_output_that_cannot_be_written_is_found_before_the_search(
    fitted_toy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(api, "optimize", None)
    (tmp_path / "file").touch()
    line = one_line(capsys, "run", "--study", fitted_toy, "--output", tmp_path / "file")
    assert "must be a folder" in line


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    from privynet_opt.errors import UnknownStudyError

    with pytest.raises(UnknownStudyError):
        main(["run", "--study", "cifra10", "--debug"])


def test_an_unusable_storage_is_one_line(
    fitted_toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--output", tmp_path / "out", "--storage", "sqlite:////no/such/folder/x.db")
    assert "`storage` must be usable" in one_line(capsys, "run", "--study", fitted_toy, *more)


def test_a_storage_is_added_to(fitted_toy: Path, tmp_path: Path) -> None:
    for expected in (4, 8):
        more = ("--storage", str(tmp_path / "s.journal"), "--n-trials", "4", "--quiet")
        assert run(fitted_toy, tmp_path / "out", *more) == 0
        search = json.loads((tmp_path / "out" / "front.json").read_text())["search"]
        assert (search["n_trials"], search["n_asked"]) == (expected, 4)


def test_the_journal_of_a_run_can_be_the_storage_of_the_next(
    fitted_toy: Path, tmp_path: Path
) -> None:
    assert run(fitted_toy, tmp_path, "--n-trials", "4", "--quiet") == 0
    storage = str(tmp_path / "study.journal")
    assert run(fitted_toy, tmp_path, "--n-trials", "4", "--quiet", "--storage", storage) == 0
    content = json.loads((tmp_path / "front.json").read_text())
    assert content["search"]["n_trials"] == 8


def test_a_journal_in_the_folder_of_the_results_keeps_the_trials_of_every_question(
    fitted_toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("privynet-opt-toy")  # where results go unless told
    asked = ["run", "--study", str(fitted_toy), "--storage", str(folder / "study.journal")]
    for limit, expected in (("psnr_db <= 18", 4), ("psnr_db <= 20", 4), ("psnr_db <= 18", 8)):
        assert main([*asked, "--constraint", limit, "--n-trials", "4", "--quiet"]) == 0
        content = json.loads((folder / "front.json").read_text())
        assert content["search"]["n_trials"] == expected


def test_audit_prints_what_was_compared_and_what_breaks_a_rule(
    toy_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "--study", str(toy_study)]) == 0
    printed = capsys.readouterr().out
    assert "more of the same channels leak no less" in printed
    assert "too weakly" not in printed
    rows = toy_rows()
    for row in rows:
        row["psnr_db"] += 20 * (row["fidelity"] == "screen")
    write_toy_table(toy_study / "characterization.csv", rows)
    assert main(["audit", "--study", str(toy_study), "--noise-db", "0"]) == 0
    assert "attacked too weakly" in capsys.readouterr().out


@pytest.mark.parametrize("noise", ["nan", "inf", "-inf", "-1"])
def test_audit_refuses_noise_that_is_no_finite_number_from_zero(
    noise: str, toy_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = one_line(capsys, "audit", "--study", toy_study, f"--noise-db={noise}")
    assert f"--noise-db: must be a finite number from 0, but got {noise}." in line


def test_audit_lists_some_of_many_weak_attacks_that_a_stronger_one_answers(
    toy_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = load_table(toy_study / "characterization.csv")
    rows = table.rows.copy()
    rows.loc[rows["fidelity"] == "screen", "psnr_db"] += 20
    audit = audit_table(replace(table, rows=rows))
    print_audit(audit, table.path)
    printed = capsys.readouterr().out
    assert len(audit.violations) > N_ANSWERED
    assert printed.count("was attacked too weakly") == N_ANSWERED
    left = len(audit.violations) - N_ANSWERED
    assert f"{left} more were attacked too weakly, by less; all are measured" in printed


def test_a_sampler_that_slows_down_is_announced(
    fitted_toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from privynet_opt.commands.run import SENSIBLE_TRIALS

    assert SENSIBLE_TRIALS["tpe"] == 300
    SENSIBLE_TRIALS["random"] = 5
    try:
        assert run(fitted_toy, tmp_path, "--sampler", "random", "--n-trials", "6") == 0
    finally:
        del SENSIBLE_TRIALS["random"]
    assert "--n-trials 5 is sensible" in capsys.readouterr().err

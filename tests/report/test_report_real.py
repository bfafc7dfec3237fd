"""The report of a real result: proxies fitted, topologies searched, every attribute its own."""

import json

from privynet_opt import optimize
from privynet_opt.report.cards import cards
from privynet_opt.report.page import write_report


def test_a_real_result_gives_a_report_of_its_own_numbers(toy_result, tmp_path):
    shown = {card.id: card for card in cards(toy_result)}
    verdict = shown["verdict"].body["verdict"]
    assert json.loads(verdict.topology_json)["cut_layer"] == toy_result.best["cut_layer"]
    assert len(verdict.constraints) == len(toy_result.constraints)
    assert all(row.holds for row in verdict.constraints)
    rows = shown["front"].body.rows
    assert len(rows) == len(toy_result.front)
    assert rows[0].recommended
    assert len(shown["pareto"].data["words"]) == len(toy_result.candidates)
    assert not shown["search"].reason
    text = write_report(toy_result, tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"Deploy <strong>{verdict.topology}</strong>" in text


def test_a_real_result_without_an_answer_gives_a_report(hopeless_result, tmp_path):
    path = write_report(hopeless_result, tmp_path / "report.html")
    assert "No topology meets every limit" in path.read_text(encoding="utf-8")
    shown = {card.id: card for card in cards(hopeless_result)}
    assert shown["pareto"].data["nearest"] is not None
    assert len(shown["verdict"].body["verdict"].relaxations) == 2


def test_the_same_question_twice_writes_the_same_file(toy_result, fitted_toy_folder, tmp_path):
    again = optimize(study=fitted_toy_folder)
    files = [write_report(r, tmp_path / f"{i}.html") for i, r in enumerate((toy_result, again))]
    assert files[0].read_bytes() == files[1].read_bytes()

import pytest
from fake_result import fake_result
from test_report_page import Reader

from privynet_opt.report.comparison import fronts_figure, question_lines, verdict_lines
from privynet_opt.report.page import write_comparison

LOOSER = ("psnr_db <= 19", "local_flops <= 150e6", "memory_bytes <= 4e6")


@pytest.fixture(scope="module")
def results():
    return fake_result(), fake_result(constraints=LOOSER)


def test_both_answers_stand_side_by_side_with_what_changes(results):
    lines = {line.title: line for line in verdict_lines(*results)}
    first, second = (r.best for r in results)
    assert lines["Recommended"].first == "conv4, 6 filters by privacy"
    assert lines["Recommended"].second != lines["Recommended"].first
    gap = second["psnr_db"] - first["psnr_db"]
    assert lines["Privacy loss (PSNR)"].change == f"+{gap:.2f} dB"
    assert verdict_lines(results[0], results[0])[1].change == "same"
    both = [set(r.candidates.index[r.candidates["on_front"]]) for r in results]
    assert lines["On both fronts"].first == f"{len(both[0] & both[1]):,}"


def test_topologies_of_different_networks_are_not_counted_as_shared(results):
    other = fake_result()
    other.table.sidecar["network"]["weights_sha256"] = "another"
    titles = [line.title for line in verdict_lines(results[0], other)]
    assert "On both fronts" not in titles


def test_only_what_differs_is_marked(results):
    marked = [line.title for line in question_lines(*results) if line.change]
    assert marked == ["Limits"]


def test_a_result_without_an_answer_can_be_compared(results):
    nothing = fake_result(constraints=("psnr_db <= 1",))
    lines = {line.title: line for line in verdict_lines(results[0], nothing)}
    assert lines["Recommended"].second == "nothing is feasible"
    assert (lines["Accuracy"].second, lines["Accuracy"].change) == ("none", "")
    names = [t["name"] for t in fronts_figure((results[0], nothing), ("a", "b"))["data"]]
    assert names == ["a", "a, recommended", "b"]


def test_the_page_shows_names_as_text_and_every_point_of_both_fronts(results, tmp_path):
    path = write_comparison(results, ("<b>a</b>", "b"), tmp_path / "comparison.html")
    read = Reader(path.read_text(encoding="utf-8"))
    assert "<b>a</b>" in read.text
    data = read.data["figures"]["fronts"]["data"]
    assert [len(t["x"]) for t in data] == [len(results[0].front), 1, len(results[1].front), 1]
    symbols = [t["marker"]["symbol"] for t in data]
    assert symbols[0] != symbols[2]

import base64
import gzip
import hashlib
import json
from html.parser import HTMLParser

import pytest
from fake_result import fake_result

from privynet_opt.errors import OutputError
from privynet_opt.report.page import page, script_json, write_report

CARDS = [
    "verdict",
    "gallery",
    "pareto",
    "front",
    "filters",
    "proxies",
    "attackers",
    "search",
    "provenance",
]
TITLE = "<script>alert('title')</script> & <b>co</b>"


class Reader(HTMLParser):
    """Collects what a test asks about: elements, the text a reader sees, the data."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.shown, self.scripts, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style", "title"):
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if self.open and self.open[-1][0] == tag:
            self.open.pop()

    def handle_data(self, data):
        if not self.open:
            self.shown.append(data)
        elif self.open[-1][0] == "script":
            self.scripts.append((self.open[-1][1], data))

    @property
    def text(self):
        return " ".join(" ".join(self.shown).split())

    @property
    def data(self):
        return json.loads("".join(t for a, t in self.scripts if a.get("id") == "report-data"))

    def ids(self, tag):
        return [attrs["id"] for name, attrs in self.elements if name == tag and "id" in attrs]

    def rows(self):
        return [a for tag, a in self.elements if tag == "tr" and "data-index" in a]


@pytest.fixture(scope="module")
def result():
    return fake_result()


@pytest.fixture(scope="module")
def read(result):
    return Reader(page(result))


def test_every_card_is_there_in_reading_order(read):
    assert read.ids("section") == CARDS


def test_the_verdict_is_plain_html(read):
    assert "Deploy conv4, 6 filters by privacy" in read.text
    assert "Privacy loss (PSNR) 16.81 dB 16.39 to 17.23 dB ≤ 17.50 dB +0.27 dB" in read.text


def test_the_table_has_one_row_per_point_of_the_front(read, result):
    rows = read.rows()
    assert [int(r["data-index"]) for r in rows] == list(
        result.front.merge(
            result.candidates.reset_index(),
            on=["cut_layer", "kept_filters", "selection_strategy", "selection_seed"],
        ).sort_values(["accuracy_x", "local_flops_x"], ascending=[False, True])["index"]
    )
    assert [r.get("class") for r in rows].count("recommended") == 1


def test_the_plots_hold_as_many_points_as_the_data(read, result):
    data = read.data
    drawn = {t["name"]: len(t["customdata"]) for t in data["figures"]["pareto-figure"]["data"][:5]}
    assert drawn["Infeasible"] == (~result.candidates["feasible"]).sum()
    assert drawn["Pareto front"] == len(result.front)
    assert drawn["Measured"] == result.candidates["measured"].sum()
    assert len(data["points"]["accuracy"]) == len(data["words"]) == len(result.candidates)
    for target, held_out in result.proxies.validations.items():
        traces = data["figures"][f"proxy-{target}"]["data"]
        assert sum(len(t["x"]) for t in traces) == len(held_out.predictions)


def test_every_figure_has_its_place(read):
    places = {a["id"] for _, a in read.elements if a.get("class", "").split(" ")[0] == "plot"}
    assert places == set(read.data["figures"]) | set(read.data["cut_figures"])


def test_ids_are_unique(read):
    ids = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_every_control_has_its_target(read):
    ids = {attrs["id"] for _, attrs in read.elements if "id" in attrs}
    wanted = {a["data-copy"] for _, a in read.elements if "data-copy" in a}
    wanted |= {a["href"][1:] for tag, a in read.elements if tag == "a"}
    assert wanted <= ids


def test_nothing_is_fetched(read):
    fetching = {"src", "href", "srcset", "action", "data", "poster"}
    for tag, attrs in read.elements:
        for name in fetching & set(attrs):
            assert attrs[name].startswith("#"), (tag, attrs)
    assert not {"link", "img", "iframe", "object", "embed"} & {tag for tag, _ in read.elements}


def test_the_policy_allows_the_two_scripts_and_no_connection(read):
    policy = next(a["content"] for t, a in read.elements if t == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert policy.count("'sha256-") == 2
    assert "unsafe-eval" not in policy and "script-src 'unsafe-inline'" not in policy


def test_plotly_is_embedded_once(read):
    packed = [text for attrs, text in read.scripts if attrs.get("id") == "plotly-gz"]
    (plain,) = (gzip.decompress(base64.b64decode(text)) for text in packed)
    assert b"plotly.js v" in plain[:200]
    digest = base64.b64encode(hashlib.sha256(plain).digest()).decode()
    policy = next(a["content"] for t, a in read.elements if t == "meta" and "http-equiv" in a)
    assert f"'sha256-{digest}'" in policy


def test_what_users_wrote_is_shown_as_text():
    result = fake_result(title=TITLE)
    result.table.sidecar["data"]["class_names"] = ["</script><img src=x onerror=alert(1)>"]
    read = Reader(page(result))
    assert TITLE in read.text
    assert "</script><img src=x onerror=alert(1)>" in read.text
    assert "img" not in {tag for tag, _ in read.elements}
    assert [tag for tag, _ in read.elements].count("script") == 3


def test_a_cut_named_like_markup_is_text_in_the_data():
    result = fake_result()
    name = "</script><b>conv1</b>"
    result.candidates["cut_layer"] = result.candidates["cut_layer"].replace("conv1", name)
    result.table.cuts[name] = result.table.cuts.pop("conv1")
    read = Reader(page(result))
    assert f"{name}, 1 filter by random" in read.data["words"]
    figure = read.data["cut_figures"]["filters-accuracy"][name]
    assert "&lt;b&gt;conv1" in figure["layout"]["xaxis"]["title"]["text"]


def test_json_in_the_page_cannot_end_its_script():
    text = script_json({"a": "</script><!-- & \u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!-- & \u2028"}


def test_json_in_the_page_has_no_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json([float("nan")])


def test_two_identical_runs_write_identical_files(tmp_path):
    paths = [write_report(fake_result(), tmp_path / f"{i}.html") for i in (1, 2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.html", "2.html"]


def test_a_report_in_place_of_a_link_leaves_the_link(tmp_path, result):
    (tmp_path / "real.html").write_text("old")
    (tmp_path / "report.html").symlink_to("real.html")
    assert write_report(result, tmp_path / "report.html").is_symlink()
    assert (tmp_path / "real.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["real.html", "report.html"]


def test_a_report_of_a_thousand_topologies_stays_under_six_megabytes(tmp_path, result):
    assert write_report(result, tmp_path / "report.html").stat().st_size < 6e6


def test_nothing_feasible_is_an_answer():
    result = fake_result(constraints=("psnr_db <= 13", "accuracy >= 0.6"))
    read = Reader(page(result))
    assert read.ids("section") == CARDS
    assert "No topology meets every limit" in read.text
    assert "The front is empty" in read.text
    assert read.rows() == []
    assert read.data["recommended"] is None
    nearest = read.data["words"][read.data["nearest"]]
    assert f"nearest: {nearest}" in read.text
    assert "What would let one through" in read.text


def test_an_error_names_the_path_that_cannot_be_written(tmp_path, result):
    with pytest.raises(OutputError, match=r"`path` must be a file.*missing.*Choose another"):
        write_report(result, tmp_path / "missing" / "report.html")


@pytest.mark.parametrize("folder", [".", "/", ""])
def test_a_folder_in_place_of_the_file_is_one_line(monkeypatch, tmp_path, result, folder):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"`path` must be a file, but got the folder") as caught:
        write_report(result, folder)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_provenance_names_hashes_recipes_and_versions(read):
    for fact in ("ab12" * 16, "12ef" * 16, "c0ffee" * 10, "2026-08-14", "NVIDIA H200", "nsga2"):
        assert fact in read.text
    assert "max epochs 120" in read.text


@pytest.mark.parametrize(
    ("date", "added", "shown"),
    [
        ("2026-01-03", [], "2026-01-03"),
        ("2026-01-03 to 2026-01-05", ["2026-01-04"], "2026-01-03 to 2026-01-05"),
        ("2026-01-03 to 2026-01-05", ["2026-01-05", "2026-02-01"], "2026-01-03 to 2026-02-01"),
    ],
)
def test_the_page_tells_when_the_first_and_the_last_row_was_measured(date, added, shown):
    result = fake_result()
    result.table.sidecar["measured"]["date"] = date
    result.table.sidecar["extensions"] = [{"date": day} for day in added]
    assert f"trained measurements, {shown} " in Reader(page(result)).text + " "

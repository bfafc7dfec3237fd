"""The report in a real browser: nothing complains, nothing is fetched, everything can be used."""

import json
import time

import pandas as pd
import pytest
from fake_gallery import fake_gallery
from fake_result import LIMITS, fake_result
from headless_browser import browser_page, find_chromium

from privynet_opt.report.page import write_comparison, write_report

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")

VISIBLE = "[...document.querySelectorAll('#front-table tbody tr')].filter(r => !r.hidden)"


def until(page, condition):
    """Wait until an expression holds; a busy machine answers late."""
    for _ in range(300):
        if page.evaluate(condition):
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder, result = tmp_path_factory.mktemp("report"), fake_result()
    result.galleries = (fake_gallery(folder / "gallery", result.front.head(3)),)
    return write_report(result, folder / "report.html")


@pytest.fixture(scope="module")
def browser():
    with browser_page() as page:
        yield page


@pytest.fixture
def report(browser, path):
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(path, 1600)
    yield browser
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [path.as_uri()]


def test_every_figure_is_drawn_once_the_reader_comes_near(report):
    far = "document.querySelectorAll('#search .main-svg').length"
    assert report.evaluate(far) == 0
    report.evaluate(
        "(async () => { for (const plot of document.querySelectorAll('.plot')) {"
        "plot.scrollIntoView(); await new Promise(done => setTimeout(done, 250)); } })()"
    )
    for place in ("filters", "proxies", "search"):
        report.evaluate(f"document.getElementById('{place}').scrollIntoView()")
        assert until(report, f"document.querySelectorAll('#{place} .main-svg').length > 0")
    drawn = "[...document.querySelectorAll('.plot')].filter(p => !p.closest('[hidden]'))"
    assert report.evaluate(f"{drawn}.length > 5")
    assert until(report, f"{drawn}.every(p => p.data?.length)")
    points = "[...document.querySelectorAll('#pareto-figure .points path')].length"
    assert report.evaluate(points) >= len(fake_result().candidates)


@pytest.mark.parametrize("width", [400, 800, 1600])
def test_the_page_never_scrolls_sideways(report, width):
    report.size(width, 900)
    assert report.evaluate("document.documentElement.scrollWidth") == width


def test_dark_changes_page_and_figures_while_they_are_open(report):
    ground = "getComputedStyle(document.querySelector('.card')).backgroundColor"
    both = f"[{ground}, document.getElementById('pareto-figure').layout.font.color]"
    assert report.evaluate(both) == ["rgb(255, 255, 255)", "#171b20"]
    report.prefer_dark(True)
    report.evaluate("new Promise(done => setTimeout(done, 300))")
    assert report.evaluate(both) == ["rgb(23, 28, 33)", "#e9ecef"]


def test_a_click_on_a_point_shows_its_topology(report):
    point = f"{{points: [{{customdata: {len(fake_result().candidates) - 1}}}]}}"
    report.evaluate(f"document.getElementById('pareto-figure').emit('plotly_click', {point})")
    assert report.evaluate("document.getElementById('details-title').textContent") == (
        "conv10p, 512 filters by random"
    )
    assert '"conv10p"' in report.evaluate("document.getElementById('details-json').textContent")
    assert "infeasible" in report.evaluate("document.getElementById('details').textContent")


def mouse(page, *steps):
    """Real events of the mouse: pairs of a kind and a place in the window."""
    for kind, (x, y) in steps:
        page.call(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1, buttons=1
        )


LONELIEST = """
(trace => {
  const plot = document.getElementById('pareto-figure'), { xaxis, yaxis } = plot._fullLayout;
  const places = d => d.x.map((x, k) => [xaxis.l2p(x), yaxis.l2p(d.y[k])]);
  const drawn = plot.data.filter(d => d.visible !== false && d.meta.source !== 'legend');
  const others = drawn.flatMap(places);
  const gaps = ([x, y]) => others.map(o => Math.hypot(o[0] - x, o[1] - y)).filter(Boolean);
  const shown = plot.data.find(d => d.name === trace);
  const found = places(shown).map(
    (place, k) => [Math.min(...gaps(place)), place, shown.customdata[k]]);
  const [, [x, y], candidate] = found.sort((a, b) => b[0] - a[0])[0];
  const box = plot.getBoundingClientRect();
  return [[box.x + xaxis._offset + x, box.y + yaxis._offset + y], candidate];
})
"""


def place_of(page, trace):
    """Where the loneliest point of a trace lies in the window, and its candidate."""
    page.evaluate("document.getElementById('pareto-panel').scrollIntoView({block: 'center'})")
    return page.evaluate(f"{LONELIEST}('{trace}')")


def test_a_real_click_of_the_mouse_shows_a_topology(report):
    place, candidate = place_of(report, "Pareto front")
    mouse(report, ("mouseMoved", place), ("mousePressed", place), ("mouseReleased", place))
    words = report.evaluate(
        f"JSON.parse(document.getElementById('report-data').textContent).words[{candidate}]"
    )
    assert words != "conv4, 6 filters by privacy"
    assert until(report, f"document.getElementById('details-title').textContent === '{words}'")
    ring = "document.getElementById('pareto-figure').data.find(d => d.name.startsWith('Shown'))"
    assert report.evaluate(f"{ring}.customdata") == [candidate]


def test_intervals_are_shown_under_the_mouse(report):
    place, candidate = place_of(report, "Pareto front")
    mouse(report, ("mouseMoved", place))
    label = "document.querySelector('#pareto-figure .hoverlayer').textContent"
    assert until(report, f"{label}.includes('filter')")
    row = fake_result().candidates.loc[candidate]
    said = report.evaluate(label)
    assert f"({row['psnr_db_lower']:.2f} to {row['psnr_db_upper']:.2f} dB)" in said
    assert f"({row['accuracy_lower']:.1%} to ".replace("%", "") in said


def test_a_box_drawn_with_the_mouse_marks_topologies_everywhere(report):
    (x, y), candidate = place_of(report, "Pareto front")
    start, end = (x - 15, y - 15), (x + 15, y + 15)
    mouse(report, ("mouseMoved", start), ("mousePressed", start), ("mouseMoved", (x, y)))
    mouse(report, ("mouseMoved", end), ("mouseReleased", end))
    row = f"document.querySelector('#front-table tr[data-index=\"{candidate}\"]')"
    assert until(report, f"{row}.classList.contains('selected')")
    marked = "document.querySelectorAll('#front-table tr.selected').length"
    assert 1 <= report.evaluate(marked) < len(fake_result().front)
    report.evaluate("document.getElementById('parallel-tab').click()")
    faded = "document.querySelectorAll('#parallel-figure .front.faded').length"
    assert report.evaluate(faded) == len(fake_result().front) - report.evaluate(marked)


def test_a_topology_of_the_table_is_shown_in_details_and_plot(report):
    report.evaluate("document.querySelectorAll('#front-table tbody button')[3].click()")
    row = "document.querySelectorAll('#front-table tbody tr')[3]"
    title = report.evaluate("document.getElementById('details-title').textContent")
    assert title == report.evaluate(f"{row}.querySelector('button').textContent")
    ring = "document.getElementById('pareto-figure').data.find(d => d.name.startsWith('Shown'))"
    assert report.evaluate(f"{ring}.customdata") == [int(report.evaluate(f"{row}.dataset.index"))]


@pytest.mark.parametrize("name", ["verdict-json", "details-json"])
def test_the_topology_is_copied_as_json(report, name):
    report.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }")
    report.evaluate(f"document.querySelector('[data-copy={name}]').click()")
    assert json.loads(report.evaluate("window.copied")) == {
        "cut_layer": "conv4", "kept_filters": 6, "selection_strategy": "privacy",
        "selection_seed": 0,
    }  # fmt: skip


def test_copying_works_where_the_browser_refuses_the_clipboard(report):
    report.evaluate(
        "navigator.clipboard.writeText = async () => { throw new Error('refused'); };"
        "document.execCommand = what => { window.copied = [what, getSelection().toString() ||"
        "document.activeElement.value]; return true; }"
    )
    report.evaluate("document.querySelector('[data-copy=verdict-json]').click()")
    assert until(report, "window.copied !== undefined")
    what, text = report.evaluate("window.copied")
    assert what == "copy" and '"conv4"' in text


def test_the_front_is_not_squeezed_by_what_leaks_far_beyond_the_limit(report):
    rows = fake_result().candidates
    ends = "document.getElementById('pareto-figure')._fullLayout.xaxis.range"
    _, end = report.evaluate(ends)
    beyond = int((rows["psnr_db"] > end).sum())
    assert rows.loc[rows["feasible"], "psnr_db"].max() < end and beyond > 30
    note = "document.getElementById('beyond').textContent"
    assert f"{beyond} infeasible topologies leak more than the plot shows" in report.evaluate(note)
    report.evaluate("document.getElementById('beyond-show').click()")
    assert report.evaluate(ends)[1] > rows["psnr_db"].max()
    report.evaluate("document.getElementById('beyond-show').click()")
    assert report.evaluate(ends)[1] == pytest.approx(end)
    report.evaluate(f"{SLIDE}('psnr_db', 200)")
    assert report.evaluate(ends)[1] > rows["psnr_db"].max()
    assert report.evaluate("document.getElementById('beyond').hidden")


def test_the_first_screen_answers(report):
    bottom = "s => document.querySelector(s).getBoundingClientRect().bottom"
    asked = ("#verdict .answer", "#verdict .glimpse", "#verdict .tiles", "#verdict .checks li")
    assert all(report.evaluate(f"({bottom})('{selector}')") <= 900 for selector in asked)
    images = "[...document.querySelectorAll('.glimpse img')].map(i => i.naturalWidth)"
    assert len(report.evaluate(images)) == 8 and min(report.evaluate(images)) > 0


def test_tables_fit_their_place(report):
    too_wide = (
        "s => [...document.querySelectorAll(s)].filter(e => e.scrollWidth > e.clientWidth).length"
    )
    assert report.evaluate(f"({too_wide})('.scroll')") == 0
    report.size(400, 900)
    assert report.evaluate(f"({too_wide})('.scroll:not(:has(#front-table))')") == 0
    title = "getComputedStyle(document.querySelector('.stacked td'), '::before').content"
    assert report.evaluate(title) == '"Predicted or counted"'


def test_a_comparison_fits_a_narrow_screen(browser, tmp_path):
    results = fake_result(), fake_result(constraints=("psnr_db <= 19",))
    path = write_comparison(results, ("<b>first</b>", "second"), tmp_path / "comparison.html")
    browser.complaints.clear()
    browser.open(path, 400)
    narrow = "[...document.querySelectorAll('.comparison td')].map(cell => cell.clientWidth)"
    assert min(width for width in browser.evaluate(narrow) if width) > 250
    assert browser.evaluate("document.documentElement.scrollWidth") == 400
    name = "getComputedStyle(document.querySelector('.comparison td'), '::before').content"
    assert browser.evaluate(name) == '"<b>first</b>"'
    assert browser.evaluate("document.querySelectorAll('#fronts .points path').length") > 100
    assert browser.complaints == []


def test_on_paper_every_figure_is_drawn_whole_and_on_light_ground(report):
    report.prefer_dark(True)
    report.evaluate("dispatchEvent(new Event('beforeprint'))")
    plots = "[...document.querySelectorAll('.plot')].filter(p => !p.closest('[hidden]'))"
    sizes = report.evaluate(
        f"{plots}.map(p => [p._fullLayout.width, p._fullLayout.height, p.clientHeight])"
    )
    assert len(sizes) > 5
    assert all(width == 660 and height == place for width, height, place in sizes)
    colours = f"[...new Set({plots}.map(p => p.layout.font.color))]"
    assert report.evaluate(colours) == ["#171b20"]
    report.evaluate("dispatchEvent(new Event('afterprint'))")
    assert report.evaluate(colours) == ["#e9ecef"]


def test_names_with_markup_are_shown_as_text(browser, tmp_path):
    name = "<img src=x onerror=alert(1)>"
    result = fake_result(title=name)
    result.table.sidecar["data"]["class_names"] = [name]
    result.candidates["cut_layer"] = result.candidates["cut_layer"].replace("conv4", name)
    result.front = result.candidates[result.candidates["on_front"]]
    result.best = result.best.copy()
    result.best["cut_layer"] = name
    result.table.cuts[name] = result.table.cuts.pop("conv4")
    browser.complaints.clear()
    browser.open(write_report(result, tmp_path / "names.html"), 1600)
    shown = "s => document.querySelector(s).textContent"
    for selector in ("h1", ".answer", "#front-table", "#details-title", "#provenance"):
        assert name in browser.evaluate(f"({shown})('{selector}')")
    place, _ = place_of(browser, "Recommended")
    mouse(browser, ("mouseMoved", place))
    assert until(browser, f"({shown})('#pareto-figure .hoverlayer').includes('{name}')")
    browser.evaluate("document.getElementById('filters-accuracy').scrollIntoView()")
    assert until(browser, "document.querySelector('#filters-accuracy .xtitle') !== null")
    assert name in browser.evaluate(f"({shown})('#filters-accuracy .xtitle')")
    assert browser.evaluate("document.querySelectorAll('img:not([src^=\"data:\"])').length") == 0
    assert browser.complaints == []


def test_marked_points_mark_their_rows(report):
    rows = "[...document.querySelectorAll('#front-table tbody tr')]"
    first, second = report.evaluate(f"{rows}.slice(0, 2).map(r => Number(r.dataset.index))")
    points = (
        f"{{points: [{{customdata: {first}}}, {{customdata: {second}}}, {{customdata: 1000}}]}}"
    )
    report.evaluate(f"document.getElementById('pareto-figure').emit('plotly_selected', {points})")
    assert report.evaluate(f"{rows}.filter(r => r.classList.contains('selected')).length") == 2
    report.evaluate("document.getElementById('front-selected').click()")
    assert report.evaluate(f"{VISIBLE}.length") == 2


def test_the_table_sorts_both_ways(report):
    rows = "[...document.querySelectorAll('#front-table tbody tr')]"
    column = f"{rows}.map(r => +r.cells[2].dataset.order)"
    press = "document.querySelectorAll('#front-table thead button')[2].click()"
    report.evaluate(press)
    falling = report.evaluate(column)
    report.evaluate(press)
    rising = report.evaluate(column)
    assert falling == sorted(falling, reverse=True)
    assert rising == sorted(rising)
    sort = "document.querySelectorAll('#front-table thead th')[2].getAttribute('aria-sort')"
    assert report.evaluate(sort) == "ascending"


def test_the_filter_keeps_rows_with_every_word(report):
    report.evaluate(
        "(() => { const f = document.getElementById('front-filter'); f.value = 'lda conv4';"
        "f.dispatchEvent(new Event('input')); })()"
    )
    shown = report.evaluate(f"{VISIBLE}.map(r => r.cells[0].textContent)")
    assert shown and all("lda" in text and "conv4" in text for text in shown)
    count = report.evaluate("document.getElementById('front-count').textContent")
    assert count == f"{len(shown)} of {len(fake_result().front)} topologies"


def test_the_visible_rows_are_copied_as_csv(report):
    report.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }")
    report.evaluate("document.getElementById('front-copy').click()")
    lines = report.evaluate("window.copied").splitlines()
    assert lines[0].startswith("cut_layer,kept_filters,selection_strategy,selection_seed,accuracy,")
    assert len(lines) == 1 + len(fake_result().front)
    assert lines[1].startswith("conv4,6,privacy,0,0.4007")


def test_other_axes_move_points_and_limits(report):
    report.evaluate(
        "(() => { const s = document.getElementById('pareto-x'); s.value = 'local_flops';"
        "s.dispatchEvent(new Event('change')); })()"
    )
    plot = "document.getElementById('pareto-figure')"
    assert report.evaluate(f"{plot}.layout.xaxis.type") == "log"
    assert report.evaluate(f"{plot}.layout.shapes.map(s => s.x0)") == [150e6]
    star = "d => d.name === 'Recommended'"
    assert report.evaluate(f"{plot}.data.find({star}).x[0]") == fake_result().best["local_flops"]


def test_the_key_hides_and_shows_a_part(report):
    press = "document.querySelector('[data-part=\"Infeasible\"]').click()"
    visible = (
        "document.getElementById('pareto-figure').data.find(d => d.name === 'Infeasible').visible"
    )
    report.evaluate(press)
    assert report.evaluate(visible) is False
    report.evaluate(press)
    assert report.evaluate(visible) is True


def test_another_cut_and_strategy_redraw_the_curves(report):
    report.evaluate(
        "['cut', 'strategy'].forEach((part, i) => { const s = document.getElementById('filters-' +"
        "part); s.value = ['conv8', 'lda'][i]; s.dispatchEvent(new Event('change')); })"
    )
    plot = "document.getElementById('filters-accuracy')"
    assert report.evaluate(f"{plot}.layout.xaxis.title.text") == "Kept filters at conv8"
    band = f"{plot}.data.filter(d => d.meta.part === 'band' && d.visible).map(d => d.meta.strategy)"
    assert report.evaluate(band) == ["lda"]


SLIDE = (
    "((metric, position) => { const i = JSON.parse(document.getElementById('report-data')"
    ".textContent).sliders.findIndex(s => s.metric === metric); const input ="
    "document.getElementById('limit-' + i); input.value = position;"
    "input.dispatchEvent(new Event('input')); })"
)


def test_a_moved_limit_gives_the_front_that_a_new_search_would(report):
    report.evaluate(f"{SLIDE}('psnr_db', 200)")
    limits = [limit for limit in LIMITS if "psnr_db" not in limit]
    asked = fake_result(constraints=tuple(limits))
    rows = "[...document.querySelectorAll('#front-table tbody tr')].map(r => +r.dataset.index)"
    on_front = asked.candidates.index[asked.candidates["on_front"]]
    assert sorted(report.evaluate(rows)) == on_front.tolist()
    star = "document.getElementById('pareto-figure').data.find(d => d.name === 'Recommended').x[0]"
    assert report.evaluate(star) == pytest.approx(asked.best["psnr_db"], abs=1e-5)
    said = report.evaluate("document.getElementById('limits-answer').textContent")
    assert f"{asked.candidates['feasible'].sum()} feasible, {len(on_front)} on the front" in said
    assert "The verdict above is for the study's own limits" in said
    infeasible = "document.querySelector('[data-part=\"Infeasible\"] span').textContent"
    assert int(report.evaluate(infeasible)) == (~asked.candidates["feasible"]).sum()
    shapes = "document.getElementById('pareto-figure').layout.shapes.filter(s => s.name)"
    assert report.evaluate(f"{shapes}.length") == 0
    report.evaluate("document.getElementById('limits-reset').click()")
    front = fake_result().candidates
    assert sorted(report.evaluate(rows)) == front.index[front["on_front"]].tolist()
    assert report.evaluate(f"{shapes}.length") == 1


def test_limits_that_nothing_meets_leave_an_empty_front(report):
    report.evaluate(f"{SLIDE}('accuracy', 199)")
    report.evaluate(f"{SLIDE}('psnr_db', 1)")
    said = report.evaluate("document.getElementById('limits-answer').textContent")
    assert said.startswith("0 feasible, 0 on the front. No topology that can be recommended")
    assert report.evaluate(f"{VISIBLE}.length") == 0


def test_three_dimensions_show_the_same_topologies_on_three_axes(report):
    report.evaluate("document.getElementById('space-tab').click()")
    report.evaluate("new Promise(done => setTimeout(done, 500))")
    plot = "document.getElementById('space-figure')"
    count = f"{plot}.data.slice(0, 3).reduce((sum, d) => sum + d.x.length, 0)"
    assert report.evaluate(count) == len(fake_result().candidates)
    symbols = report.evaluate(f"{plot}.data.slice(0, 5).map(d => d.marker.symbol)")
    assert len(set(symbols)) == 5
    report.evaluate(
        "(() => { const s = document.getElementById('pareto-z'); s.value = 'memory_bytes';"
        "s.dispatchEvent(new Event('change')); })()"
    )
    star = f"{plot}.data.find(d => d.name === 'Recommended').z[0]"
    assert report.evaluate(star) == fake_result().best["memory_bytes"]
    report.evaluate(f"{plot}.emit('plotly_click', {{points: [{{customdata: 0}}]}})")
    title = report.evaluate("document.getElementById('details-title').textContent")
    assert title == "conv1, 1 filter by random"
    report.evaluate("document.getElementById('pareto-tab').click()")


def test_dragging_an_axis_of_the_parallel_view_marks_topologies_everywhere(report):
    report.evaluate("document.getElementById('parallel-tab').click()")
    lines = "document.querySelectorAll('#parallel-figure .lines path[data-index]').length"
    assert report.evaluate(lines) == len(fake_result().candidates) + 1
    report.evaluate("document.getElementById('parallel-figure').scrollIntoView()")
    x, top, bottom = report.evaluate(
        "(() => { const r = document.querySelector('[data-axis=\"accuracy\"]')"
        ".getBoundingClientRect(); return [r.x + r.width / 2, r.top, r.bottom]; })()"
    )
    middle = (top + bottom) / 2
    for kind, y in (("mousePressed", top + 1), ("mouseMoved", middle), ("mouseReleased", middle)):
        report.call(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1, buttons=1
        )
    rows = fake_result().candidates
    low, high = rows["accuracy"].min(), rows["accuracy"].max()
    marked = "document.querySelectorAll('#front-table tr.selected').length"
    half = (rows["accuracy"] >= (low + high) / 2) & rows["on_front"]
    assert abs(report.evaluate(marked) - half.sum()) <= 2
    faded = report.evaluate("document.querySelectorAll('#parallel-figure .faded').length")
    assert 0 < faded < len(rows)
    report.evaluate("document.getElementById('pareto-tab').click()")
    chosen = "document.getElementById('pareto-figure').data[0].selectedpoints.length"
    assert report.evaluate(chosen) < (~rows["feasible"]).sum()


def test_an_axis_of_the_parallel_view_moves_by_keys(report):
    report.evaluate("document.getElementById('parallel-tab').click()")
    report.evaluate("document.querySelector('[data-axis=\"psnr_db\"]').focus()")
    for key in ("ArrowDown", "ArrowDown"):
        report.call("Input.dispatchKeyEvent", type="keyDown", key=key)
    label = "document.activeElement.getAttribute('aria-label')"
    assert "Privacy loss, PSNR: " in report.evaluate(label)
    assert "all" not in report.evaluate(label).split(".")[0]
    report.call("Input.dispatchKeyEvent", type="keyDown", key="Escape")
    assert report.evaluate(label).startswith("Privacy loss, PSNR: all")


def test_tab_reaches_every_control(report):
    kinds = "button, select, input, [tabindex='0'], nav a"
    unreachable = report.evaluate(
        f"[...document.querySelectorAll(\"{kinds}\")].filter(e => !e.closest('[hidden]')"
        " && e.tabIndex < 0 && !e.closest('.plot')).length"
    )
    assert unreachable == 0


def test_pictures_are_shown_at_every_width(report):
    for width in (400, 1600):
        report.size(width, 900)
        sizes = report.evaluate("[...document.querySelectorAll('.strip img')].map(i => i.width)")
        assert len(sizes) > 8 and min(sizes) >= 30


def test_a_report_of_two_thousand_topologies_is_drawn_and_stays_small(browser, tmp_path):
    result = fake_result()
    copies = [result.candidates.assign(selection_seed=seed) for seed in range(5)]
    many = pd.concat(copies, ignore_index=True).head(2000)
    result.candidates = many
    path = write_report(result, tmp_path / "many.html")
    assert path.stat().st_size < 6e6
    browser.open(path, 1600)
    points = "[...document.querySelectorAll('#pareto-figure .points path')].length"
    assert browser.evaluate(points) >= 2000
    assert browser.evaluate("performance.getEntriesByName('drawn').length") == 1


def test_numbers_in_the_page_read_like_those_of_the_package(report):
    details = report.evaluate("document.getElementById('details').textContent")
    for text in ("40.1%", "16.81 dB", "120 MFLOPs", "792 kB", "6.14 kB"):
        assert text in details
        assert text in report.evaluate("document.querySelector('.tiles').textContent")
    row = report.evaluate("document.querySelector('#front-table tr.recommended').innerText")
    for interval in ("37.7 to 42.5%", "16.39 to 17.23 dB"):
        assert interval in details and interval in row


def test_the_tab_key_goes_through_the_controls_and_each_shows_that_it_has_the_focus(report):
    seen = {}
    for _ in range(60):
        report.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", windowsVirtualKeyCode=9)
        name, outline = report.evaluate(
            "(() => { const e = document.activeElement; return [e.id || e.dataset.copy ||"
            "e.dataset.part || e.getAttribute('href') || e.textContent,"
            "getComputedStyle(e).outlineStyle]; })()"
        )
        seen[name] = outline
    wanted = {"#verdict", "#gallery", "verdict-json", "pareto-tab", "space-tab", "parallel-tab"}
    wanted |= {"pareto-x", "pareto-y", "limit-0", "Infeasible", "details-json", "front-filter"}
    assert wanted <= set(seen)
    assert {name for name in wanted if seen[name] == "none"} == set()


def test_verdict_and_table_are_readable_without_scripts(report, path):
    report.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        report.requests.clear()
        report.call("Page.navigate", url=path.as_uri())
        for _ in range(100):
            time.sleep(0.1)
            if report.evaluate("document.readyState") == "complete":
                break
        text = report.evaluate("document.body.innerText")
    finally:
        report.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "Deploy conv4, 6 filters by privacy" in text
    assert "37.7 to 42.5%" in text
    assert "Figures need scripts" in text
    assert "Copy as CSV" not in text

"""The report as HTML, of recordings of what never happened."""

import html.parser
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools import instrument
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.page import html_report, html_verdict
from seqtools.instrument.profiling.report import report
from seqtools.instrument.profiling.timeline import WIDTH, Axis
from seqtools.instrument.profiling.tracks import Recording
from tests.profiling.synthetic import SOURCE, USE, WAIT, Lane, recorded, stages


class Elements(html.parser.HTMLParser):
    """The elements of a page with their attributes, which must all be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def lane_of(page: str, name: str) -> str:
    """Return the drawing of a lane."""
    [drawing] = re.findall(rf'<svg data-lane="{name}".*?</svg>', page, flags=re.DOTALL)
    assert f'viewBox="0 0 {WIDTH} ' in drawing
    return drawing  # type: ignore[no-any-return]


def boxes(drawing: str, colour: str) -> list[tuple[int, int]]:
    """Return where the full-height boxes of a colour begin and end."""
    [path] = re.findall(rf'<path class="{colour}" d="(.*?)"', drawing)
    found = re.findall(r"M(\d+) 0h(\d+)v20h", path)
    return [(int(x), int(x) + int(width)) for x, width in found]


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    """Return a second: up to 500 ms a worker loads and the loop waits, then the loop works."""
    consumer = Lane(tmp_path, "consumer").sees(0, 10)
    consumer.does(WAIT, 500).sees(4, 10).does(USE, 400).sees(9, 20).does(WAIT, 100)
    worker = Lane(tmp_path, "worker", pid=101)
    for k in range(10):
        worker.does(SOURCE, 50, which=k)
    return recorded(tmp_path, stages(method="process"))


def test_lanes_and_window_have_one_time_scale(recording: Recording) -> None:
    page = html_report(Case(recording))
    consumer, window = lane_of(page, "consumer"), lane_of(page, "window")
    assert boxes(consumer, "wait") == [(0, 500), (900, 1000)]
    assert boxes(consumer, "use") == [(500, 900)]
    assert boxes(lane_of(page, "worker 1"), "s0") == [(0, 500)]
    [ready] = re.findall(r'class="ready" d="(.*?)"', window)
    assert ready == "M0.0 60.0H500.0V48.4H900.0V33.9H1000.0V60H0.0z"  # only to the right, up, down
    [room] = re.findall(r'class="room" d="(.*?)"', window)
    assert room == "M0.0 31.0H500.0V31.0H900.0V2.0H1000.0"


def test_both_axes_have_the_ticks_of_the_grid(recording: Recording) -> None:
    page = html_report(Case(recording))
    axes = re.findall(r'<div class="axis".*?</div>', page)
    assert len(axes) == 2
    assert axes[0] == axes[1]
    ticks = re.findall(r"left:([\d.]+)%.*?>([^<]+)<", axes[0])
    assert ticks == [("0", "0"), ("20", "0.2 s"), ("40", "0.4 s"), ("60", "0.6 s"), ("80", "0.8 s"),
                     ("100", "1 s")]  # fmt: skip
    grids = set(re.findall(r'class="grid" d="(.*?)"', page))
    assert grids == {"".join(f"M{10 * int(place)} 0v100" for place, _ in ticks)}


@pytest.mark.parametrize(
    ("nanoseconds", "last", "count"),
    [(1, "1 ns", 2), (999, "800 ns", 5), (1000, "1 µs", 6), (1_410_000_000, "1.4 s", 8),
     (100_000_000, "100 ms", 6), (100 * 10**9, "100 s", 6), (3_600 * 10**9, "60 min", 7)],
)  # fmt: skip
def test_ticks_are_few_round_numbers(nanoseconds: int, last: str, count: int) -> None:
    ticks = list(Axis(5, nanoseconds).ticks())
    assert (ticks[0], ticks[-1][1], len(ticks)) == ((0.0, "0"), last, count)
    assert all(0 <= place <= WIDTH for place, _ in ticks)


def test_advice_comes_first_and_where_it_was_measured_last(recording: Recording) -> None:
    page = html_report(Case(recording))
    parts = ['<h1 class="verdict">', 'class="because"', 'class="stages"', 'class="time"', "<h2>Sl"]
    places = [page.index(part) for part in [*parts, '<dl class="about">']]
    assert places == sorted(places)
    about = re.sub("<.*?>", " ", page[places[-1] :])
    assert re.search(r"date +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}, for 1 s", about)
    assert re.search(r"machine +\w+ .*, 4 of \d+ cores? usable", about)
    assert f"seqtools {seqtools.__version__}" in about
    assert "Python 3." in about
    text = report(Case(recording)).splitlines()
    assert [line.partition(":")[0] for line in text[-3:]] == ["date", "machine", "versions"]


def test_stages_have_their_colour_in_the_tree_and_in_the_lanes(recording: Recording) -> None:
    page = html_report(Case(recording))
    rows = re.findall(r'<div role="row" data-of="(\w+)".*?<code>(.*?)</code>', page)
    assert rows == [("wait", "prefetch"), ("s0", "smap(load)")]
    legend = re.findall(r'<li data-of="(\w+)".*?</i>(.*?)</li>', page)
    assert legend == [("s0", "smap(load)"), ("wait", "waits for prefetch"), ("use", "your loop")]
    assert ".seqtools-report .s0{fill:#0072b2;background:#0072b2}" in page
    assert "worker 1: smap(load) 50 %" in lane_of(page, "worker 1")


def test_names_cannot_break_the_page(tmp_path: Path) -> None:
    given = stages()
    name = 'smap(<script>alert("&")</script>)'
    given[SOURCE] = given[SOURCE]._replace(name=name, site=('<b>"x.py', 1))
    Lane(tmp_path, "consumer").does(WAIT, 20).does(USE, 980)
    Lane(tmp_path, '<i>"', pid=101).does(SOURCE, 20)
    page = html_report(Case(recorded(tmp_path, given)))
    tags = {tag for tag, _ in Elements(page).found}
    assert not tags & {"script", "b", "img", "link", "iframe"}
    assert "smap(&lt;script&gt;" in page
    assert "//" not in re.sub("<style>.*?</style>", "", page, flags=re.DOTALL)


def test_many_threads_stay_a_page_of_moderate_size(tmp_path: Path) -> None:
    consumer = Lane(tmp_path, "consumer")
    for k in range(500):
        consumer.sees(k % 30, 30).does(WAIT, 1).does(USE, 1)
    for number in range(80):
        worker = Lane(tmp_path, f"worker{number:03}", pid=200 + number)
        for k in range(250):
            worker.does(SOURCE, 1 + (k * number) % 3, which=k).rests(1 + k % 2)
    page = html_report(Case(recorded(tmp_path, stages(nworkers=80))))
    assert "and 17 more" in page
    assert len(page) < 1_000_000
    assert Elements(page).found


def test_a_reader_can_reach_what_is_pointed_at_by_keyboard(recording: Recording) -> None:
    found = Elements(html_report(Case(recording))).found
    pointed = [attributes for _, attributes in found if "data-of" in attributes]
    assert pointed
    assert all(attributes.get("tabindex") == "0" for attributes in pointed)
    drawings = [attributes for tag, attributes in found if tag == "svg"]
    assert all(a["role"] == "img" and a["aria-label"] for a in drawings)


# ---------------------------------------------------------------------------- notebooks


@pytest.fixture(scope="module")
def measured() -> instrument.Profile:
    p = seqtools.prefetch(seqtools.smap(abs, range(9)), 1)
    with instrument.profile(p) as measured:
        assert len(list(p)) == 9
    return measured


def shown(value: Any) -> str:
    text = value._repr_html_()
    assert isinstance(text, str)
    assert Elements(text).found[0] == ("div", {"class": "seqtools-report"})
    return text


@pytest.mark.parametrize("what", ["verdict", "report"])
def test_texts_are_texts_that_notebooks_format(measured: instrument.Profile, what: str) -> None:
    text: Callable[[], str] = getattr(measured, what)
    assert f"{text()}" == text() == str(text())
    assert type(pickle.loads(pickle.dumps(text()))) is str
    assert pickle.loads(pickle.dumps(text())) == text()
    assert ("Stages<" in shown(text())) == (what == "report")
    assert text().splitlines()[0] in shown(text())


def test_a_notebook_shows_a_profile_as_its_report(measured: instrument.Profile) -> None:
    assert shown(measured) == shown(measured.report())
    assert instrument.profile(seqtools.arange(3))._repr_html_() is None


def test_a_verdict_alone_has_no_lanes(recording: Recording) -> None:
    page = html_verdict(Case(recording))
    assert "Because" in page
    assert "<svg" not in page


def test_slowest_items_name_their_rows(tmp_path: Path) -> None:
    files = [f"<{k}>.png" for k in range(40)]
    p = seqtools.prefetch(seqtools.batch(seqtools.smap(str.upper, files), 2), 1)
    with p, instrument.profile(p) as profile:
        list(p)
        profile.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    (slowest,) = re.findall(r'<ol class="slow">(.*?)</ol>', page, flags=re.DOTALL)
    pattern = r"item (\d+): [^<]*, made from &#x27;&lt;(\d+)&gt;.png&#x27;, &#x27;&lt;(\d+)&gt;"
    for item, first, last in re.findall(pattern, slowest):
        assert (int(first), int(last)) == (2 * int(item), 2 * int(item) + 1)
    assert slowest.count("made from") == slowest.count("<li>") > 0

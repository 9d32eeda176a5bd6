"""The page of a profile in a real browser: Chromium, where there is one."""

import html
import html.parser
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools import instrument

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next((path for name in _NAMES if (path := shutil.which(name))), None)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: `apt-get install chromium`, then `make browser`"
)

_ALONE = (  # as root, without a network, and without anything that is kept
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--enable-logging=stderr"),
)

# The page in a frame, because a window of Chromium is at least 500 wide, and what the browser made
# of it, written where it can be read.
_LOOK = """<!DOCTYPE html><html><body style="margin:0">
<script>
const told = [];
addEventListener("error", event => told.push(String(event.message || event.target.src)), true);
function look() {
  const page = document.querySelector("iframe").contentDocument, root = page.documentElement;
  const all = selector => [...page.querySelectorAll(selector)];
  const box = each => each.getBoundingClientRect();
  const lanes = all("[data-lane]").filter(lane => {
    return box(lane).width > 100 && box(lane).height > 10 && lane.querySelector("path:not(.grid)");
  });
  const labels = all(".axis:last-child span").filter(
    each => getComputedStyle(each).visibility == "visible").map(box);
  Object.assign(document.body.dataset, {
    lanes: lanes.map(lane => lane.dataset.lane).join(),
    wide: root.scrollWidth > root.clientWidth,
    cut: all("body *:not(svg *)").filter(each => box(each).right > root.clientWidth + 1
      || each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display != "inline"
    ).map(each => `${each.localName}.${each.className}`).join(),
    scales: new Set(all("[data-lane], .axis").map(
      each => `${box(each).left.toFixed(1)} to ${box(each).right.toFixed(1)}`)).size,
    labels: labels.length,
    touching: labels.slice(1).filter((each, k) => each.left < labels[k].right + 3).length,
    verdict: page.querySelector(".verdict").textContent,
    dark: getComputedStyle(root).colorScheme,
    told: told.join(),
  });
}
</script>
<iframe style="border:0;width:WIDTHpx;height:800px" onload="look()" srcdoc="PAGE"></iframe>
</body></html>"""


class Body(html.parser.HTMLParser):
    """Keeps what the page says of itself."""

    found: dict[str, Any] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self.found = dict(attrs)


@pytest.fixture(scope="module")
def measured() -> instrument.Profile:
    sent = seqtools.smap(lambda x: [x] * 1000, range(200))
    p = seqtools.prefetch(seqtools.collate([sent, sent]), 2, method="process")
    with instrument.profile(p) as measured:
        assert len(list(p)) == 200
    return measured


@pytest.mark.parametrize("width", [1280, 360], ids=["desk", "phone"])
def test_a_browser_shows_all_of_the_page(
    measured: instrument.Profile, width: int, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    measured.to_html(page)
    framed = _LOOK.replace("WIDTH", str(width)).replace(
        "PAGE", html.escape(page.read_text(encoding="utf-8"))
    )
    page.write_text(framed, encoding="utf-8")
    command = [str(CHROMIUM), *_ALONE, f"--user-data-dir={tmp_path}", "--window-size=1400,900"]
    done = subprocess.run(
        [*command, "--dump-dom", page.as_uri()],
        check=True,
        capture_output=True,
        text=True,
        timeout=25,
    )
    body = Body()
    body.feed(done.stdout)
    assert body.found is not None
    assert body.found["data-verdict"] == measured.report().splitlines()[0]
    lanes = set(body.found["data-lanes"].split(","))
    assert {"consumer", "worker 1", "window"} <= lanes
    assert body.found["data-wide"] == "false"  # nothing is cut off at the right
    assert body.found["data-cut"] == ""
    assert body.found["data-scales"] == "1"
    assert int(body.found["data-labels"]) > 2
    assert body.found["data-touching"] == "0"
    assert body.found["data-dark"] == "light dark"
    assert body.found["data-told"] == ""
    assert "CONSOLE" not in done.stderr

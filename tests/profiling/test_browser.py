"""The page of a profile in a real browser: Chromium, where there is one."""

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

# Behind the page in a copy: what the browser made of it, written where it can be read.
_LOOK = """<script>
const told = [];
addEventListener("error", event => told.push(String(event.message || event.target.src)), true);
addEventListener("load", () => {
  const lanes = [...document.querySelectorAll("[data-lane]")].filter(lane => {
    const box = lane.querySelector("svg").getBoundingClientRect();
    return box.width > 100 && box.height > 10 && lane.querySelector("rect");
  });
  const root = document.documentElement;
  Object.assign(document.body.dataset, {
    lanes: lanes.map(lane => lane.dataset.lane).join(),
    wide: root.scrollWidth > root.clientWidth,
    verdict: document.getElementById("verdict").innerText,
    dark: getComputedStyle(root).colorScheme,
    told: told.join(),
  });
});
</script>"""


class Body(html.parser.HTMLParser):
    """Keeps what the page says of itself."""

    found: dict[str, Any] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self.found = dict(attrs)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    p = seqtools.prefetch(seqtools.smap(lambda x: [x] * 1000, range(200)), 2, method="process")
    with instrument.profile(p) as measured:
        assert len(list(p)) == 200
    path = tmp_path_factory.mktemp("page") / "report.html"
    measured.to_html(path)
    verdict = measured.report().splitlines()[0]
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("</body>", f"<!--{verdict}-->{_LOOK}</body>"), encoding="utf-8")
    return path


@pytest.mark.parametrize("size", ["1200,900", "390,844"], ids=["desk", "phone"])
def test_a_browser_shows_the_verdict_and_every_lane(page: Path, size: str, tmp_path: Path) -> None:
    command = [str(CHROMIUM), *_ALONE, f"--user-data-dir={tmp_path}", f"--window-size={size}"]
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
    verdict = page.read_text(encoding="utf-8").split("<!--")[1].split("-->")[0]
    assert body.found["data-verdict"] == verdict
    lanes = set(body.found["data-lanes"].split(","))
    assert {"consumer", "worker 1"} <= lanes
    assert body.found["data-told"] == ""
    assert body.found["data-wide"] == "false"  # nothing is cut off at the right
    assert body.found["data-dark"] == "light dark"
    assert "CONSOLE" not in done.stderr

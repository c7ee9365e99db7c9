"""The page in a real browser: headless Chromium opens it as wide as a phone and as a desk's screen, and clicks."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from etfgym.report.html import write_report

HOLD = "buy-and-hold"
WIDTHS = (390, 1400)
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
    *("--virtual-time-budget=20000", "--window-size=1500,1200"),
]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="neither chromium nor google-chrome is installed")

LISTEN = """<script>
const said = [];
console.error = (...words) => said.push(words.join(" "));
addEventListener("error", (event) => said.push(event.message));
addEventListener("unhandledrejection", (event) => said.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => said.push(`policy: ${event.violatedDirective}`));
</script>"""
"""Goes before all else, so that no error is missed."""

CHECK = """<script>
const unsorted = [];
let clicks = 0;
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    for (const _ of [1, 2]) {
      head.querySelector("button").click();
      clicks += 1;
      const keys = [...table.tBodies[0].rows].map(({ cells: { [column]: cell } }) =>
        "order" in cell.dataset ? Number(cell.dataset.order) : cell.textContent);
      const falling = head.getAttribute("aria-sort") === "descending";
      const wrong = (a, b) => Number.isNaN(a) ? !Number.isNaN(b) :
        typeof a === "number" ? (falling ? a < b : a > b) : (falling ? a.localeCompare(b) < 0 : a.localeCompare(b) > 0);
      const same = heads.filter((other) => other.getAttribute("aria-sort") !== "none").length === 1;
      if (!same || keys.some((key, place) => place && wrong(keys[place - 1], key))) {
        unsorted.push(`${table.className}, ${head.textContent}, ${head.getAttribute("aria-sort")}: ${keys}`);
      }
    }
  });
}
const spots = [...document.querySelectorAll(".plot rect")];
const untold = spots.filter((spot) => {
  spot.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true, clientX: innerWidth - 1, clientY: 5 }));
  const tip = document.getElementById("tip"), box = tip.getBoundingClientRect();
  return tip.hidden || !tip.textContent || box.left < 0 || box.right > innerWidth;
});
document.body.dispatchEvent(new PointerEvent("pointermove", { bubbles: true }));
addEventListener("load", () => parent.postMessage({
  width: innerWidth,
  errors: said,
  overflow: document.documentElement.scrollWidth - innerWidth,
  clicks,
  unsorted,
  spots: spots.length,
  untold: untold.map((spot) => spot.dataset.tip),
  tip_goes_away: document.getElementById("tip").hidden,
  images: [...document.images].filter((image) => !image.complete || !image.naturalWidth).length,
  loaded: performance.getEntriesByType("resource").filter(({ name }) => !name.startsWith("data:")).length,
}, "*"));
</script>"""
"""Goes after all else: does what a reader does, and tells the page around it what came of that."""

AROUND = """<!doctype html><title>around</title><pre></pre>
<script>
const verdicts = [];
addEventListener("message", ({ data }) => {
  verdicts.push(data);
  document.querySelector("pre").textContent = JSON.stringify(verdicts);
});
</script>
%s"""


@pytest.fixture(scope="module")
def verdicts(make_folder, tmp_path_factory):
    """What Chromium says of a page with all that a page can have, by width."""
    agents = ("dqn", "recurrent-ppo-with-a-name-that-is-long", HOLD, "ramped-buy-and-hold", "random", "hindsight")
    returns = {
        (agent, ticker, year): [0.1 + 0.01 * place + 0.02 * seed for seed in range(3 if place in {0, 1, 4} else 1)]
        for place, agent in enumerate(agents)
        for ticker in ("SPY", "QQQ")
        for year in (2018, 2019)
    }
    folder = make_folder(tmp_path_factory.mktemp("browser"), returns, notes=["<b>A note</b> " + "word" * 40])
    return look(write_report(folder), folder)


def look(report: Path, folder: Path) -> dict[int, dict[str, object]]:
    """Return the verdict at each width; the page is in a frame, as Chromium's own window is never so narrow."""
    text = report.read_text(encoding="utf-8")
    assert text.count("<title>etfgym report") == text.count("</body>") == 1
    text = text.replace("<title>etfgym report", f"{LISTEN}<title>etfgym report").replace("</body>", f"{CHECK}</body>")
    (folder / "checked.html").write_text(text, encoding="utf-8")
    frame = '<iframe src="checked.html" width="{}" height="900" style="border:0"></iframe>'
    frames = "".join(map(frame.format, WIDTHS))
    (folder / "around.html").write_text(AROUND % frames, encoding="utf-8")
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    done = subprocess.run(  # noqa: S603
        [*command, (folder / "around.html").as_uri()], capture_output=True, text=True, check=True
    )
    found = re.search(r"<pre>(.*?)</pre>", done.stdout, flags=re.DOTALL)
    assert found, done.stderr
    return {verdict["width"]: verdict for verdict in json.loads(html.unescape(found[1]))}


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_opens_without_an_error_and_loads_nothing(verdicts, width):
    assert verdicts[width]["errors"] == []
    assert verdicts[width]["images"] == 0
    assert verdicts[width]["loaded"] == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(verdicts, width):
    assert verdicts[width]["overflow"] <= 0


@pytest.mark.parametrize("width", WIDTHS)
def test_every_table_is_sorted_by_each_of_its_columns_in_both_directions(verdicts, width):
    assert verdicts[width]["clicks"] > 100
    assert verdicts[width]["unsorted"] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_a_touch_on_a_figure_shows_its_numbers_on_the_screen(verdicts, width):
    assert verdicts[width]["spots"] > 100
    assert verdicts[width]["untold"] == []
    assert verdicts[width]["tip_goes_away"]


def test_the_check_itself_finds_what_is_wrong(make_folder, tmp_path):
    report = write_report(make_folder(tmp_path, {("dqn", "SPY", 2019): [0.1, 0.2], (HOLD, "SPY", 2019): [0.1]}))
    text = report.read_text(encoding="utf-8")
    text = text.replace("rows].sort(", "rows].filter(")
    text = text.replace("<main>", '<main><div style="width:3000px">wide</div>')
    text = text.replace("</body>", '<img src="https://example.invalid/a.png" alt=""></body>')
    report.write_text(text, encoding="utf-8")
    for verdict in look(report, tmp_path).values():
        assert verdict["overflow"] > 0
        assert verdict["unsorted"]
        assert any("policy: img-src" in error for error in verdict["errors"])

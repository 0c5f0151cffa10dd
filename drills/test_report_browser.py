"""Opens the report in a headless Chromium: every figure drawn, nothing fetched, no error, no overflow.

A study that exists is drilled too where the environment variable PALMETTO_STUDY names its folder.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from browser import browser_missing, console_errors, open_browser, open_page, requested, set_width
from palmetto.common.progress import Silent
from palmetto.report.build import build_report
from report.fake_study import make_study

pytestmark = pytest.mark.skipif(bool(browser_missing()), reason=browser_missing())

WIDTHS = (390, 1400)
DRAWN = """
return [...document.querySelectorAll('.plot')].map(plot => {
  const svg = plot.querySelector('svg.main-svg');
  const box = svg ? svg.getBoundingClientRect() : {width: 0, height: 0};
  const marks = plot.querySelectorAll('.scatterlayer .trace path, .barlayer .trace path');
  return {id: plot.id, plotly: plot.classList.contains('js-plotly-plot'),
          width: box.width, height: box.height, marks: marks.length};
})
"""
CUT_LABELS = """
const cut = [];
for (const plot of document.querySelectorAll('.plot')) {
  const frame = plot.getBoundingClientRect();
  for (const text of plot.querySelectorAll('svg text')) {
    const box = text.getBoundingClientRect();
    if (box.width && (box.left < frame.left - 1 || box.right > frame.right + 1)) {
      cut.push([plot.id, text.textContent]);
    }
  }
}
return cut
"""
OVERFLOWING = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll('main *')]
  .filter(e => !e.closest('.table, svg') && e.getBoundingClientRect().right > width + 1)
  .map(e => e.tagName + '.' + e.className)
"""


@pytest.fixture(scope="module", params=["made up", "real"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    study = Path(os.environ.get("PALMETTO_STUDY", "")) if request.param == "real" else folder / "starter"
    if request.param == "made up":
        make_study(study)
    elif "PALMETTO_STUDY" not in os.environ:
        pytest.skip("PALMETTO_STUDY names no study folder")
    out = folder / "report"
    out.mkdir()
    build_report(study, out, Silent())
    return out / "index.html"


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with open_browser() as opened:
        yield opened


@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_is_drawn(driver: Chrome, page: Path, width: int) -> None:
    open_page(driver, page, width)
    plots = driver.execute_script(DRAWN)
    assert len(plots) >= 10
    for plot in plots:
        assert plot["plotly"], plot
        assert plot["width"] > 250, plot
        assert plot["height"] > 50, plot
        assert plot["marks"] > 0, plot


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_fetched_and_nothing_is_reported(driver: Chrome, page: Path, width: int) -> None:
    open_page(driver, page, width)
    addresses = requested(driver)
    assert page.resolve().as_uri() in addresses
    assert [address for address in addresses if not address.startswith(("file:", "data:", "blob:"))] == []
    assert console_errors(driver) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_runs_over_the_edge(driver: Chrome, page: Path, width: int) -> None:
    open_page(driver, page, width)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert driver.execute_script(OVERFLOWING) == []
    for details in driver.find_elements("css selector", "details"):
        driver.execute_script("arguments[0].open = true", details)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert driver.execute_script(OVERFLOWING) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_label_of_a_figure_is_cut(driver: Chrome, page: Path, width: int) -> None:
    open_page(driver, page, width)
    assert driver.execute_script(CUT_LABELS) == []


def test_figures_follow_the_window(driver: Chrome, page: Path) -> None:
    open_page(driver, page, 1400)
    set_width(driver, 390)
    driver.execute_async_script("setTimeout(arguments[0], 800)")
    assert all(plot["width"] <= 390 for plot in driver.execute_script(DRAWN))


def test_the_switch_makes_the_step_axis_logarithmic(driver: Chrome, page: Path) -> None:
    open_page(driver, page, 1400)
    driver.find_element("css selector", "input[data-log]").click()
    kinds = driver.execute_script(
        "return [...document.querySelectorAll('#curves .plot')].map(e => e.layout.xaxis.type)"
    )
    assert set(kinds) == {"log"}
    assert console_errors(driver) == []


def test_a_printed_page_is_no_wider_than_the_paper(driver: Chrome, page: Path) -> None:
    open_page(driver, page, 720)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        driver.execute_script("dispatchEvent(new Event('beforeprint'))")
        driver.execute_async_script("setTimeout(arguments[0], 500)")
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 720
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_scripts_in_documents_do_not_run(driver: Chrome, page: Path) -> None:
    open_page(driver, page, 1400)
    assert driver.execute_script("return window.hacked === undefined")


def test_paper_gets_what_is_folded_and_the_screen_gets_it_folded_again(driver: Chrome, page: Path) -> None:
    open_page(driver, page, 1400)
    folded = "return document.querySelectorAll('details:not(.data):not([open])').length"
    before = driver.execute_script(folded)
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert before > 5
    assert driver.execute_script(folded) == 0
    driver.execute_script("dispatchEvent(new Event('afterprint'))")
    assert driver.execute_script(folded) == before

"""A headless Chromium for the drills: opens a local page, listens to its network and console, takes pictures.

from browser import open_browser, screenshot
screenshot(Path("studies/starter/report/index.html"), Path("report.png"), width=1400)
"""

import base64
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def browser_missing() -> str:
    """Return why no browser can be started here, or an empty string."""
    absent = [name for name in ("chromedriver",) if shutil.which(name) is None]
    if shutil.which("chromium") is None and shutil.which("google-chrome") is None:
        absent.append("chromium")
    return f"{' and '.join(absent)} not installed (Debian: chromium chromium-driver)" if absent else ""


@contextmanager
def open_browser() -> Iterator[Chrome]:
    """Yield a fresh browser that keeps its network and console logs, on a profile thrown away afterwards."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        # A named service keeps selenium-manager from looking for a driver on the network.
        driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def set_width(driver: Chrome, width: int, height: int = 900) -> None:
    """Make the window `width` x `height` CSS pixels, below the narrowest real window too."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def open_page(driver: Chrome, page: Path, width: int) -> None:
    """Open a local file and wait until every figure has been drawn."""
    # The start page asks for its own parts; what was logged before this page opens is not the page's.
    driver.get("about:blank")
    driver.get_log("performance"), driver.get_log("browser")
    set_width(driver, width)
    driver.get(page.resolve().as_uri())
    deadline = time.monotonic() + 60
    ready = "return [...document.querySelectorAll('.plot')].every(e => e.querySelector('svg.main-svg'))"
    while not driver.execute_script(ready):
        assert time.monotonic() < deadline, "the figures were not drawn within a minute"
        time.sleep(0.1)
    time.sleep(0.5)


def requested(driver: Chrome) -> list[str]:
    """Return the addresses requested since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]


def console_errors(driver: Chrome) -> list[dict[str, Any]]:
    """Return the severe console entries since the last call."""
    return [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def screenshot(
    page: Path, out: Path, width: int = 1400, height: int | None = None, *, select: str = ""
) -> Path:
    """Save a PNG of a page: whole, cut to `height`, or only the element that the selector `select` names."""
    with open_browser() as driver:
        open_page(driver, page, width)
        box = {"x": 0, "y": 0, "width": width, "height": height or page_height(driver)}
        if select:
            script = "const b = document.querySelector(arguments[0]).getBoundingClientRect();"
            script += "return {x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height}"
            box = driver.execute_script(script, select)
        clip = {**box, "scale": 1}
        found = driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True, "clip": clip}
        )
        out.write_bytes(base64.b64decode(found["data"]))
    return out


def page_height(driver: Chrome) -> int:
    """Return the height of the whole page in CSS pixels."""
    return int(driver.execute_script("return document.documentElement.scrollHeight"))

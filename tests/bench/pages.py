"""
How soon pages of the console show something, and how large they are.

    python -m tests.bench.pages --home FOLDER            # as `tests.bench.dashboards` filled it
    python -m tests.bench.pages --home FOLDER --large    # with 10,000 devices

Each page is asked for once after the API's start (`asked first`, until the document has come), and
then opened three times by a browser that holds nothing of it; the median counts.  `whole` is when
the document has come; what a page loads beside it counts into its size, compressed as it comes.
Ends with one line of JSON.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from playwright.sync_api import Browser, sync_playwright

from services.store import api_keys
from services.store.postgres.pool import connect
from tests import browsers
from tests.bench.api import serving
from tests.bench.dashboards import filled

PAGES = (
    "/", "/projects/rooftop-pv", "/programme", "/parks/nck", "/live", "/alarms",
    "/devices/inv-1", "/devices/gw-1", "/statements",
)  # fmt: skip
_TIMES = 3
_SEEN = """() => {
    const page = performance.getEntriesByType('navigation')[0];
    const rest = performance.getEntriesByType('resource');
    return [performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1,
            page.responseEnd, [page, ...rest].reduce((sum, one) => sum + one.transferSize, 0)];
}"""


def measure(url: str, home: Path) -> dict[str, tuple[float, float, float, float]]:
    """
    Return time of the first request, of first content and of the whole page [ms], and size [bytes]
    of each page, signed in.
    """
    with connect(url, role="tonne_api", autocommit=True) as conn:
        _, token = api_keys.create(conn, "viewer", "auditor", None, "bench")
    with serving({"TONNE_HOME": str(home), "TONNE_DATABASE_URL": url}) as (bind, _):
        answer = httpx.post(f"http://{bind}/console/en/sign-in", data={"key": token})
        cookies = [
            {"name": name, "value": value, "domain": "127.0.0.1", "path": "/console"}
            for name, value in answer.cookies.items()
        ]
        with chromium() as browser:
            base = f"http://{bind}/console/en"
            return {path: _opened(browser, base + path, cookies) for path in PAGES}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield Chromium without a screen."""
    with sync_playwright() as made:
        browser = made.chromium.launch(
            executable_path=browsers.chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        try:
            yield browser
        finally:
            browser.close()


def _opened(browser: Browser, url: str, cookies: list[Any]) -> tuple[float, float, float, float]:
    found = []
    for _ in range(1 + _TIMES):
        context = browser.new_context()
        context.add_cookies(cookies)
        page = context.new_page()
        answer = page.goto(url, wait_until="load", timeout=120_000)
        if answer is None or answer.status != httpx.codes.OK:
            raise RuntimeError(f"{url}: {answer and answer.status}")
        page.wait_for_timeout(300)
        found.append(page.evaluate(_SEEN))
        context.close()
    first, whole, size = zip(*found[1:], strict=True)
    return found[0][1], median(first), median(whole), median(size)


def main() -> None:
    """Measure on a filled database."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pages", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    with filled(options.home, large=options.large) as url:
        found = measure(url, options.home.resolve())
    for path, (asked, first, whole, size) in found.items():
        print(
            f"asked first {asked:7.0f} ms  {first:7.0f} ms  whole {whole:7.0f} ms"
            f"  {size / 1000:7.1f} kB  {path}"
        )
    figures = {
        "pages_asked_first_ms": round(max(one[0] for one in found.values())),
        "pages_slowest_ms": round(max(one[1] for one in found.values())),
        "pages_largest_kb": round(max(one[3] for one in found.values()) / 1000),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

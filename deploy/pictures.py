# ruff: noqa: INP001 - a script, run by `make pictures`
"""
Take pictures of the console for README and docs from a running server, with Chromium.

`make pictures URL=http://127.0.0.1:8080` after `make demo`.  The pages of devices and alarms need
an API key in TONNE_API_TOKEN.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from urllib.parse import urljoin

from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
WIDTH, HEIGHT = 1280, 800
PHONE = {"width": 390, "height": 844}


def take(page: Page, base: str, path: str, name: str) -> None:
    """Save a picture of the visible part of a page."""
    page.goto(urljoin(base, path))
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")


def main(base: str) -> None:
    """Take all pictures of the server at `base`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell") or shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        take(page, base, "/console/en/", "overview")
        page.goto(urljoin(base, "/console/en/statements"))
        statement = page.locator("a[href*='/statements/TN-']").first.get_attribute("href")
        if statement is None:
            raise SystemExit("no statement is issued there; run `make demo` first")
        take(page, base, statement, "statement")
        take(page, base, "/console/en/projects/nck-pv", "project")
        if key := os.environ.get("TONNE_API_TOKEN"):
            page.goto(urljoin(base, "/console/en/sign-in"))
            page.locator("input[name=key]").fill(key)
            page.locator("main form button").click()
            take(page, base, "/console/en/devices/nck-inv-1", "device")
            take(page, base, "/console/en/alarms", "alarms")
        phone = browser.new_page(viewport=PHONE)
        take(phone, base, "/console/en/", "phone")
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and one URL
        raise SystemExit("usage: python deploy/pictures.py http://127.0.0.1:8080")
    main(sys.argv[1])

"""The browser of the system."""

import os

import pytest
from playwright.sync_api import sync_playwright

from tests import browsers

PATIENCE_MS = 90_000


@pytest.fixture(scope="module")
def browser():
    """
    Yield the system's Chromium; without it, the test fails and names it.

    Scope: one module. While it is open, an event loop runs, and others cannot start theirs.
    """
    path = browsers.chromium()
    if path is None:
        pytest.fail(browsers.MISSING)
    with sync_playwright() as made:
        opened = made.chromium.launch(
            executable_path=path,
            timeout=PATIENCE_MS,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
            env={**os.environ, "LANG": "C.UTF-8"},
        )
        yield opened
        opened.close()


@pytest.fixture
def opened(browser):
    """Return a function that opens a page with options; all pages are closed at the end."""
    contexts = []

    def page(**options):
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(PATIENCE_MS)
        return contexts[-1].new_page()

    yield page
    for one in contexts:
        one.close()


@pytest.fixture
def tab(opened):
    """Yield a page that fails its test on any error in it."""
    page = opened(locale="en", viewport={"width": 1280, "height": 900})
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    yield page
    page.context.close()
    assert not wrong

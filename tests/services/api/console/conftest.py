"""The system's browser."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="module")
def browser():
    """
    Return the system's Chromium; where there is none the test fails and says so.

    Of one module: while it is open an event loop runs, and others cannot start theirs.
    """
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("chromium is not installed; `make test` installs it")
    with sync_playwright() as made:
        opened = made.chromium.launch(
            executable_path=path,
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
def tab(browser):
    """Return a page that fails its test where anything goes wrong in it."""
    context = browser.new_context(locale="en", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    assert not wrong

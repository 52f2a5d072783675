"""The system's Chromium."""

import shutil

MISSING = "chromium is not installed; `make test` installs it"


def chromium() -> str | None:
    """
    Return the path of the Chromium that draws without a screen, or of the whole one.

    The whole one draws its own windows, too: twice the processor time of a page.
    """
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")

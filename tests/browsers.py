"""The system's Chromium."""

import shutil

MISSING = "chromium is not installed; `make test` installs it"


def chromium() -> str | None:
    """
    Return the path of the headless Chromium, or of the full one.

    The full one also draws its own windows, which takes twice the processor time of a page.
    """
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")

"""Pytest plug-in that stores closes: `pytest -p tests.closes.capture --closes FOLDER tests/mrv`."""

import json
from pathlib import Path

from mrv.rules import closing as period
from tests.closes import corpus


def pytest_addoption(parser):
    parser.addoption("--closes", type=Path, help="folder into which facts of closes go")


def pytest_configure(config):
    """Wrap `close` by a function that stores its arguments, before tests import it."""
    folder, close = config.getoption("--closes"), period.close

    def kept(*given, **named):
        asked, books = corpus.Close(*given, **named), {}
        facts = corpus.stored(asked, books)
        folder.mkdir(parents=True, exist_ok=True)
        whole = json.dumps({"facts": facts, "books": books})
        (folder / f"{corpus.digest(facts)}.json").write_text(whole, "utf-8")
        return close(*given, **named)

    period.close = kept

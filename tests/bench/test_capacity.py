"""The simulation of docs/capacity.md and cells.md: each message is stored or waits."""

import json
from pathlib import Path

from tests.bench.capacity import MEASURED
from tests.bench.capacity_tables import tables

PAGES = [Path(__file__).parents[2] / "docs" / name for name in ("capacity.md", "cells.md")]


def test_the_page_quotes_the_measured_figures():
    """Figures that were typed by hand drift from what was measured."""
    page = "".join(path.read_text() for path in PAGES)
    for part in tables(json.loads(MEASURED.read_text())).split("\n\n"):
        assert part in page, (
            f"docs/capacity.md or cells.md lacks this; python -m tests.bench.capacity:\n{part}"
        )

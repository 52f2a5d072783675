"""The simulation of docs/capacity.md and cells.md: each message is stored or waits."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bench.capacity import MEASURED
from tests.bench.capacity_tables import tables
from tests.bench.fleets import Loss, Plant, simulate
from tests.soak import often

PAGES = [Path(__file__).parents[2] / "docs" / name for name in ("capacity.md", "cells.md")]


@settings(deadline=None, max_examples=often(15, 30))
@given(
    st.lists(st.floats(0, 500), min_size=20, max_size=60),
    st.integers(1, 6),
    st.integers(1, 4),
    st.floats(1, 400),
    st.floats(1, 400),
    st.none() | st.integers(0, 50),
)
def test_what_came_is_stored_or_waits(rates, partitions, workers, worker, database, lost):
    """A simulation that loses messages would promise a capacity that is not there."""
    plant = Plant(np.full(partitions, 1 / partitions), workers, worker, database)
    loss = None if lost is None else Loss(lost, 7)
    trace = simulate(plant, lambda now: rates[now], len(rates), loss)
    assert trace.stored + trace.waiting[-1] == pytest.approx(sum(rates))
    assert trace.waiting.min() >= -1e-6
    assert trace.stored <= len(rates) * min(workers * worker, database) * (1 + 1e-9)


def test_the_page_quotes_the_measured_figures():
    """Figures that were typed by hand drift from what was measured."""
    page = "".join(path.read_text() for path in PAGES)
    for part in tables(json.loads(MEASURED.read_text())).split("\n\n"):
        assert part in page, (
            f"docs/capacity.md or cells.md lacks this; python -m tests.bench.capacity:\n{part}"
        )

"""The simulation behind docs/capacity.md and cells.md: what comes is stored or waits."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bench.capacity import MEASURED
from tests.bench.capacity_tables import tables
from tests.bench.fleets import Costs, Loss, Plant, limits, shares, simulate
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


def test_a_backlog_takes_its_time():
    """9,000 messages, then 100 a second, 190 stored: 8,810 - 90 n wait after second n."""
    plant = Plant(np.array([1.0]), 1, 190.0, 1_000.0)
    trace = simulate(plant, lambda now: 9_000.0 if now == 0 else 100.0, 200)
    assert trace.waiting[97] == pytest.approx(8_810 - 90 * 97)
    assert trace.waiting[98] == 0
    assert trace.oldest_s[98] == 0


def test_partitions_of_a_lost_worker_wait_for_the_session():
    """Half of what arrives in those seconds waits, then the other worker has it all."""
    plant = Plant(np.array([0.5, 0.5]), 2, 200.0, 1_000.0)
    trace = simulate(plant, lambda _: 100.0, 100, Loss(10, 30))
    assert trace.waiting[39] == pytest.approx(0.5 * 100 * 30)
    assert trace.oldest_s[39] == 30
    assert trace.waiting[-1] == 0
    alone = simulate(Plant(np.array([1.0]), 1, 200.0, 1e3), lambda _: 100.0, 100, Loss(10, 30))
    assert alone.waiting[-1] == pytest.approx(100 * 90)


def test_a_fleet_falls_evenly_on_partitions():
    """A hash with a bias would make one worker the limit of all."""
    found = shares(100_000, 24)
    assert found.sum() == pytest.approx(1)
    assert found.max() < 1.1 / 24


def test_the_page_quotes_the_measured_figures():
    """Figures that were typed by hand drift from what was measured."""
    page = "".join(path.read_text() for path in PAGES)
    for part in tables(json.loads(MEASURED.read_text())).split("\n\n"):
        assert part in page, (
            f"docs/capacity.md or cells.md lacks this; python -m tests.bench.capacity:\n{part}"
        )


def test_costs_that_double_halve_what_a_cell_holds():
    """A limit that does not follow from the costs was made up."""
    stage = json.loads(MEASURED.read_text())
    once = limits(Costs.of(stage, 900))
    twice = limits(Costs.of({k: v if "_rows_" in k else 2 * v for k, v in stage.items()}, 900))
    for what, devices in once.items():
        assert twice[what] == pytest.approx(devices / 2), what

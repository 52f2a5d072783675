"""Where a device's time went."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.model import INTERVAL_US
from mrv.accounting.coverage import gaps, service
from mrv.errors import PeriodError
from tests.mrv import plant

FIRST = plant.FROM // INTERVAL_US
THIRD = INTERVAL_US // 3


def laid(*given_rows, count=8):
    rows = plant.rows(*(("inv-1", "energy_export", *r) for r in given_rows))
    return service(rows, FIRST, FIRST + count, "inv-1")


def test_gaps_are_runs_with_their_own_time():
    """A gap of a minute would be charged, or excused, as hours."""
    part = laid(
        (0, 5),
        (1, 5, THIRD, 0, 2 * THIRD),
        (2, 0, 0, 0, INTERVAL_US),
        (3, 5, THIRD, THIRD, 0),
        (6, 5),
        (7, 5),
    )
    found = [
        (g.kind, (g.start_us - plant.FROM) // INTERVAL_US, (g.end_us - g.start_us) // INTERVAL_US)
        for g in gaps(part)
    ]
    assert found == [("unknown", 1, 2), ("missing", 3, 3)]
    assert [g.time_us for g in gaps(part)] == [5 * THIRD, 7 * THIRD]


def test_rows_outside_of_service_are_set_apart():
    """Energy before installation would be counted, or vanish without a word."""
    part = laid((-2, 7), (0, 1), (8, 11))
    assert part.value.tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert part.outside == 18
    nothing = laid((0, 1), count=0)
    assert (len(nothing), nothing.outside, gaps(nothing)) == (0, 1, [])


@pytest.mark.parametrize(
    ("given_rows", "says"),
    [
        ([(0, 1), (0, 1)], "appears twice"),
        ([(0, -1)], "negative value"),
        ([(0, 1, INTERVAL_US, 1, 0)], "more than its 15 minutes"),
        ([(0, 1, -1, 0, 0)], "inv-1: the interval at"),
    ],
)
def test_inconsistent_rows_are_refused(given_rows, says):
    """A doubled or impossible interval would be credited."""
    with pytest.raises(PeriodError, match=says):
        laid(*given_rows)


times = st.tuples(*[st.integers(0, THIRD)] * 3)


@given(st.dictionaries(st.integers(0, 7), times))
def test_every_microsecond_is_accounted_for(known):
    """Time that is neither measured nor a gap would cost nothing."""
    part = laid(*((place, 1, *three) for place, three in known.items()))
    sums = [
        int(column.sum())
        for column in (part.measured_us, part.estimated_us, part.unknown_us, part.missing_us)
    ]
    assert sum(sums) == 8 * INTERVAL_US
    found = gaps(part)
    assert sum(g.time_us for g in found if g.kind == "unknown") == sums[2]
    assert sum(g.time_us for g in found if g.kind == "missing") == sums[3]

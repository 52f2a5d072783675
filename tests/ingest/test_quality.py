"""Device clocks and gross ranges: what is judged before anything is stored."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.quality import clocks, gauges
from ingest.quality.clocks import FUTURE, OK, SECONDS, TOO_OLD

NOW_US = 1_767_225_600_000_000


def test_clocks_are_told_apart():
    """Each wrong clock has another remedy, and a technician is sent for the right one."""
    times = np.array(
        [
            NOW_US,
            NOW_US + clocks.AHEAD_US,
            NOW_US + clocks.AHEAD_US + 1,
            2_098_000_000_000_000,
            0,
            -1,
            NOW_US // 1_000,
            clocks.Y2000_US - 1,
            clocks.Y2000_US,
        ],
        dtype=np.int64,
    )
    assert clocks.judge(times, NOW_US).tolist() == [
        OK, OK, FUTURE, FUTURE, TOO_OLD, TOO_OLD, SECONDS, TOO_OLD, OK,
    ]  # fmt: skip


@given(st.integers(clocks.Y2000_US, NOW_US + clocks.AHEAD_US))
def test_late_is_never_refused(time_us):
    """A logger that was in a drawer for ten years has real readings."""
    assert clocks.judge(np.array([time_us]), NOW_US).tolist() == [OK]


def test_each_refusal_has_its_words():
    """A verdict without a remedy helps nobody."""
    assert clocks.REASONS.keys() == clocks.REMEDIES.keys() == {FUTURE, SECONDS, TOO_OLD}


def test_range_bounds_are_inside_and_absent_is_nowhere():
    """A sensor at its limit measures; one that says nothing is not out of range."""
    values = np.array([-1.0, -1.1, 2.0, 2.1, np.nan, np.inf])
    assert gauges.outside(values, -1.0, 2.0).tolist() == [False, True, False, True, False, True]
    high = np.array([np.nan, 1.0, 1.0, np.inf, 1.0, np.inf])
    assert gauges.outside(values, -np.inf, high).tolist() == [
        False,
        False,
        True,
        False,
        False,
        False,
    ]


@given(
    st.lists(st.floats() | st.sampled_from([-1.0, 2.0]), min_size=1, max_size=5),
    st.sampled_from([(-1.0, 2.0), (-np.inf, np.inf), (-np.inf, np.nan), (-1.0, np.inf)]),
)
def test_what_is_passed_over_at_once_has_nothing_to_refuse(values, span):
    """The quick look before the test would else let a value in that the test refuses."""
    found = np.array(values)
    if gauges.within(found, *span):
        assert np.isfinite(found).all()
        assert not gauges.outside(found, *span).any()
    else:
        assert np.isnan(span).any() or not all(
            np.isfinite(v) and span[0] <= v <= span[1] for v in values
        )


@given(st.lists(st.integers(clocks.Y2000_US - 2, NOW_US + clocks.AHEAD_US + 2)))
def test_clocks_are_judged_alike_alone_and_among_others(times):
    """A wrong clock would pass beside right ones, or a right one be refused beside a wrong."""
    alone = [int(clocks.judge(np.array([one]), NOW_US)[0]) for one in times]
    assert clocks.judge(np.array(times, dtype=np.int64), NOW_US).tolist() == alone

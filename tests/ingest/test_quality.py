"""
Device clocks and gross ranges, which are checked before storing.

Each quality test on honest readings: recorded nights and weekends, and the demo's devices.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.model import Device, Fleet
from ingest.pipeline.quality_limits import CHANNELS, TESTS, Checks
from ingest.pipeline.quality_state import Watched
from ingest.pipeline.quality_tests import judge
from ingest.quality import gauges
from ingest.quality.gauges import FUTURE, OK, SECONDS, TOO_OLD
from services.simulator.fleet import USUAL_POWER_W
from tests import recordings
from tests.bench import simulated_days
from tests.recordings import Recording

MOST = 0.005
# all that is flagged of the recordings that are kept here: readings by test, docs/quality.md
FLAGGED = {
    "SERF, quarter hours": {"spike": 1},
    "home": {"time_gap": 2},
    "inverter 7539": {"night_generation": 1},
    "inverter 2173": {"time_gap": 4, "unit_scale": 2},
}
# a flag of these raises an alarm once it has lasted for an hour
STANDSTILLS = ("flat_line", "frozen_register")
FROM_US = 1_767_200_400_000_000  # 2026-01-01, a Thursday, in Hai Phong
DAYS = 12
SIMULATED = (
    "pv_inverter", "energy_meter", "ev_charger", "wastewater_plant", "air_station",
    "noise_station", "vehicle", "wind_turbine", "waste_heat_turbine", "chiller", "pump", "furnace",
)  # fmt: skip


def flagged(one: Recording, *, whole: bool) -> Counter[tuple[str, str]]:
    """Count flagged honest readings, by test and channel."""
    flags = judge(Checks(Fleet([one.device])), Watched(1), [one.frame], whole=whole).flags
    honest = np.isin(flags.time_us, one.frame.time_us[one.honest])
    pairs = zip(flags.test[honest], flags.channel[honest], strict=True)
    return Counter((TESTS[test], CHANNELS[channel]) for test, channel in pairs)


def simulated(class_id: str) -> Iterator[Recording]:
    """
    Return readings of a demo device over days with a weekend, every 15
    minutes and every minute.
    """
    rated = USUAL_POWER_W.get(class_id) or None
    device = Device("d", "s", class_id, rated_power_w=rated, place=(20.86, 106.68))
    for cadence_s, days in ((900, DAYS), (60, 3)):
        to_us = FROM_US + days * 86_400_000_000
        read = simulated_days.of("d", class_id, FROM_US, to_us, cadence_s)
        yield Recording(class_id, device, read, np.ones(len(read), dtype=np.bool_))


def _few(one: Recording) -> None:
    for whole in (False, True):
        found = flagged(one, whole=whole)
        most = MOST * int(one.honest.sum())
        assert {key: n for key, n in found.items() if n > most} == {}, one.name
        assert not [key for key in found if key[0] in STANDSTILLS], one.name


def test_recorded_readings_are_not_flagged():
    """A plant without faults would have findings, and a technician would be sent each morning."""
    for one in recordings.kept_here():
        _few(one)
        found = {test: count for (test, _), count in flagged(one, whole=True).items()}
        published = [of for name, of in FLAGGED.items() if one.name.startswith(name)]
        assert found == (published[0] if published else {}), one.name


def test_recorded_readings_beside_the_checkout_are_not_flagged():
    """Honest recordings of two years, with weekends and holidays, must not be flagged."""
    found = list(recordings.shared())
    if not found:
        pytest.skip(f"{recordings.SHARED} holds no recordings; name their folder in RECORDED_DATA")
    for one in found:
        _few(one)


@pytest.mark.parametrize("class_id", SIMULATED)
def test_the_devices_of_the_demo_are_not_flagged(class_id):
    """Half of the readings of the demo's honest inverters would be flagged."""
    for one in simulated(class_id):
        assert flagged(one, whole=True) == flagged(one, whole=False) == Counter()


NOW_US = 1_767_225_600_000_000


def test_clocks_are_told_apart():
    """Each wrong clock has another remedy, and a technician is sent for the right one."""
    times = np.array(
        [
            NOW_US,
            NOW_US + gauges.AHEAD_US,
            NOW_US + gauges.AHEAD_US + 1,
            2_098_000_000_000_000,
            0,
            -1,
            NOW_US // 1_000,
            gauges.Y2000_US - 1,
            gauges.Y2000_US,
        ],
        dtype=np.int64,
    )
    assert gauges.judge(times, NOW_US).tolist() == [
        OK, OK, FUTURE, FUTURE, TOO_OLD, TOO_OLD, SECONDS, TOO_OLD, OK,
    ]  # fmt: skip


@given(st.integers(gauges.Y2000_US, NOW_US + gauges.AHEAD_US))
def test_late_is_never_refused(time_us):
    """A logger that was in a drawer for ten years has real readings."""
    assert gauges.judge(np.array([time_us]), NOW_US).tolist() == [OK]


def test_each_refusal_has_its_words():
    """A verdict without a remedy helps no one."""
    assert gauges.REASONS.keys() == gauges.REMEDIES.keys() == {FUTURE, SECONDS, TOO_OLD}


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
    """The quick check before the test must not accept a value that the test refuses."""
    found = np.array(values)
    if gauges.within(found, *span):
        assert np.isfinite(found).all()
        assert not gauges.outside(found, *span).any()
    else:
        assert np.isnan(span).any() or not all(
            np.isfinite(v) and span[0] <= v <= span[1] for v in values
        )


@given(st.lists(st.integers(gauges.Y2000_US - 2, NOW_US + gauges.AHEAD_US + 2)))
def test_clocks_are_judged_alike_alone_and_among_others(times):
    """A wrong clock would pass beside right ones, or a right one be refused beside a wrong."""
    alone = [int(gauges.judge(np.array([one]), NOW_US)[0]) for one in times]
    assert gauges.judge(np.array(times, dtype=np.int64), NOW_US).tolist() == alone

"""
Hours and days of stations: which readings count, and in which time zone.

Hours and days of noise stations.
"""

import math
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.model import Device
from mrv import environment
from mrv.calendar import midnight_us
from mrv.environment import KINDS, Values
from mrv.environment.kinds import Row, day_of, hour_starts
from tests.mrv.environment.stations import (
    AIR,
    DAY,
    HANOI,
    HOUR_US,
    NOISE,
    frame,
    hours,
    known,
    minutes,
    of_day,
)


def test_an_hour_of_noise_is_the_worked_example():
    """Levels would be averaged as numbers, 66.0 in place of 67.7."""
    levels = [62.1, 64.5, 71.2, 68.0, 66.3, 59.8, 63.7, 70.4, 65.2, 61.0, 67.8, 72.5]
    found = hours(NOISE, minutes(*range(0, 60, 5)), laeq_dba=levels)
    assert {kind: value for (kind, _), (value, _) in found.items()} == {
        "leq_1h_dba": 67.711,
        "l10_1h_dba": 71.12,
        "l50_1h_dba": 65.75,
        "l90_1h_dba": 61.11,
    }


def test_a_day_of_noise_has_its_parts_and_its_limits():
    """Night noise without its penalty, or judged by day, would keep a street awake."""
    clock = [58.0] * 7 + [68.0] * 12 + [65.0] * 4 + [58.0]
    area = {"standard": "qcvn-26-2010", "area": "ordinary"}
    place = Device("noise", "s", "noise_station", timezone=HANOI, limits=area)
    found = of_day(place, known(leq_1h_dba=clock))
    assert found["lden_dba"].value == 68.404
    assert found["leq_night_dba"].value == 60.768  # 21 to 23 is night
    assert (found["limits"].grade, found["limits"].detail["exceeded"]) == ("exceeded", ["night"])


def test_a_night_that_was_not_measured_gives_no_level_of_day_and_night():
    """Lden of a station that is off at night would be that of its days."""
    found = of_day(NOISE, known(leq_1h_dba=[None] * 5 + [60.0] * 18 + [None]))
    assert set(found) == {"leq_24h_dba", "leq_day_dba"}


def test_noise_and_water_have_no_index_of_an_hour():
    """An index that no decision knows would be shown as one."""
    assert environment.of_hours(NOISE, known(leq_1h_dba=[60.0]), [DAY.begin_us]) == []


@pytest.mark.parametrize(
    ("at", "covered"),
    [
        ((0, 15, 30, 45), 1.0),
        ((0, 15, 45), 0.75),
        ((7, 22, 37, 52), 53 / 60),
        ((-8, 7, 22, 37, 52), 1.0),  # the one before covers the beginning
        ((0, 1, 2, 3, 4, 30), None),
        ((0, 16, 32, 48), 57 / 60),
        ((15, 30, 44.9), None),  # 44.9 minutes
        ((15, 30, 45), 0.75),
        ((), None),
    ],
)
def test_an_hour_counts_where_three_quarters_are_covered(at, covered):
    """An hour of a few readings would be taken for an hour of data, or a good one be left out."""
    found = hours(AIR, minutes(*at), pm2_5_ug_m3=[10.0] * len(at))
    share = found.get(("pm2_5_1h_ug_m3", DAY.begin_us), (None, None))[1]
    assert share == (None if covered is None else pytest.approx(covered, abs=1e-12))


@given(
    st.lists(st.integers(0, 239), unique=True, max_size=60).map(sorted),
    st.randoms(use_true_random=False),
)
def test_hours_are_what_counting_seconds_gives(at, chance):
    """The calculation in columns would give another mean or share than the published rule."""
    values = [round(chance.uniform(-5, 400), 1) for _ in at]
    found = hours(AIR, minutes(*at), pm2_5_ug_m3=values)
    found = {start: row for (kind, start), row in found.items() if kind == "pm2_5_1h_ug_m3"}
    wanted = {}
    for hour in range(4):
        inside = [v for m, v in zip(at, values, strict=True) if m // 60 == hour]
        covered = {m + k for m in at for k in range(15)} & set(range(hour * 60, hour * 60 + 60))
        if len(covered) >= 45:
            mean = math.fsum(inside) / len(inside)
            wanted[DAY.begin_us + hour * HOUR_US] = (mean, len(covered) / 60)
    assert found.keys() == wanted.keys()
    for start, (mean, share) in wanted.items():
        assert found[start] == (pytest.approx(mean, abs=0.00051), pytest.approx(share))


def test_each_channel_counts_for_itself():
    """A dead gas sensor would take the dust with it, or borrow its completeness."""
    at = minutes(0, 15, 30, 45)
    nan = math.nan
    found = hours(AIR, at, pm2_5_ug_m3=[1, 2, 3, 6], so2_ug_m3=[5, nan, nan, 7])
    assert found == {("pm2_5_1h_ug_m3", DAY.begin_us): (3.0, 1.0)}


def test_stations_do_not_cover_each_other():
    """One station's last reading would complete the next one's hour."""
    one = frame("air_station", minutes(0, 15, 30, 45, 15, 30), pm2_5_ug_m3=[1.0] * 6)
    one.device[4:] = 1
    found = environment.hourly([AIR, AIR], one)
    assert found.device.tolist() == [0]


@pytest.mark.parametrize(
    ("zone", "instant", "begin"),
    [
        ("Asia/Kathmandu", "2026-01-10T10:10:00", "2026-01-10T09:15:00"),
        ("Asia/Ho_Chi_Minh", "2026-01-10T10:10:00", "2026-01-10T10:00:00"),
        ("Australia/Lord_Howe", "2026-01-10T10:29:00", "2026-01-10T10:00:00"),
        ("Australia/Lord_Howe", "2026-06-10T10:29:00", "2026-06-10T09:30:00"),
    ],
)
def test_hours_are_those_of_the_local_clock(zone, instant, begin):
    """A site on a half-hour zone would be judged by hours that its clocks do not show."""
    times = [
        round(datetime.fromisoformat(t).replace(tzinfo=UTC).timestamp()) * 1_000_000
        for t in (instant, begin)
    ]
    assert hour_starts(np.array(times[:1]), zone).tolist() == times[1:]


@pytest.mark.parametrize(("day", "length"), [((3, 29), 23), ((10, 25), 25), ((6, 1), 24)])
def test_a_day_has_the_hours_that_it_has(day, length):
    """On the day the clock changes, a full day would miss an hour, or hold a strange one."""
    found = day_of(midnight_us(date(2026, *day), "Europe/Berlin"), "Europe/Berlin")
    assert len(found.hours()) == length
    assert {found.clock(h) for h in found.hours()} >= {0, 1, 3, 23}


def test_the_kinds_are_named_once_and_carry_their_unit():
    """Two figures of one name would overwrite each other."""
    names = [kind.name for kind in KINDS]
    assert len(set(names)) == len(names)
    for kind in KINDS:
        tail = {"ug/m3": "ug_m3", "mg/L": "mg_l", "dBA": "dba", "kg/d": "kg_d", "m3": "m3"}
        assert kind.name.endswith(tail.get(kind.unit, ""))


def test_columns_carry_grades_and_details_along():
    """A verdict would be shown at another station's day."""
    rows = [Row("leq_1h_dba", 5, 60.0, 1.0), Row("vn-aqi-hourly", 7, 40.0, None, "Tot", {"a": 1})]
    both = Values.concat([Values.of(3, rows), Values.of(4, rows)])
    assert both.verdicts == {1: ("Tot", {"a": 1}), 3: ("Tot", {"a": 1})}
    kept = both.take(both.device == 4)
    assert (kept.verdicts, kept.device.tolist()) == ({1: ("Tot", {"a": 1})}, [4, 4])
    assert kept.by_device() == {4: {"leq_1h_dba": {5: 60.0}, "vn-aqi-hourly": {7: 40.0}}}


def test_a_day_begins_when_its_standard_says():
    """A town whose night begins at 22 would be judged by the hours of another country."""
    clock = [50.0] * 7 + [60.0] * 14 + [70.0] * 3
    place = Device("noise", "s", "noise_station", timezone=HANOI, limits={"day_hours": [7, 21]})
    assert of_day(place, known(leq_1h_dba=clock))["leq_day_dba"].value == 60

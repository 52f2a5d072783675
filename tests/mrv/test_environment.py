"""Hours and days of stations: what counts, by which clock, and what follows from it."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import classes
from ingest.model import NULL, Device, Frame
from mrv import environment
from mrv.calendar import midnight_us
from mrv.environment import KINDS, Values, field
from mrv.environment.clock import day_of, hour_starts
from mrv.environment.kinds import Row
from mrv.environment.water import Flow

MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
HANOI = "Asia/Ho_Chi_Minh"
DAY = day_of(midnight_us(date(2026, 1, 10), HANOI), HANOI)
AIR = Device("air", "s", "air_station", timezone=HANOI)
NOISE = Device("noise", "s", "noise_station", timezone=HANOI)
PLANT = Device("plant", "s", "wastewater_plant", timezone=HANOI)


def frame(class_id: str, time_us: list[int], **given) -> Frame:
    """Readings of one station; channels that are not given are empty."""
    n = len(time_us)
    columns = {
        name: np.full(n, NULL, dtype=np.int64) if c.kind == "register" else np.full(n, np.nan)
        for name, c in classes.load()[class_id].channels.items()
    }
    columns |= {name: np.array(values, dtype=np.float64) for name, values in given.items()}
    zero = np.zeros(n, dtype=np.int32)
    return Frame(class_id, zero, np.array(time_us, dtype=np.int64), zero, columns)


def hours(device: Device, time_us: list[int], **given) -> dict:
    """Values and shares of complete hours, by kind and start."""
    found = environment.hourly([device], frame(device.class_id, time_us, **given))
    rows = zip(found.kind, found.start_us, found.value, found.covered, strict=True)
    return {(KINDS[k].name, int(s)): (float(v), float(c)) for k, s, v, c in rows}


def minutes(*at: float) -> list[int]:
    return [DAY.begin_us + round(m * MINUTE_US) for m in at]


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
    """An hour of a few readings would pass for an hour of data, or a good one be left out."""
    found = hours(AIR, minutes(*at), pm2_5_ug_m3=[10.0] * len(at))
    share = found.get(("pm2_5_1h_ug_m3", DAY.begin_us), (None, None))[1]
    assert share == (None if covered is None else pytest.approx(covered, abs=1e-12))


@given(
    st.lists(st.integers(0, 239), unique=True, max_size=60).map(sorted),
    st.randoms(use_true_random=False),
)
def test_hours_are_what_counting_seconds_gives(at, chance):
    """The columns would give another mean or another share than the rule that is printed."""
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


def known(**series) -> dict:
    """Hourly values from the first hour of the day on, None where one is missing."""
    return {
        kind: {DAY.begin_us + i * HOUR_US: v for i, v in enumerate(values) if v is not None}
        for kind, values in series.items()
    }


def of_hour(values: dict, hour: int) -> list:
    return environment.of_hours(AIR, values, [DAY.begin_us + hour * HOUR_US])


def of_day(device: Device, values: dict, flow: Flow | None = None) -> dict:
    flows = {} if flow is None else {DAY.begin_us: flow}
    return {row.kind: row for row in environment.of_days(device, values, [DAY], flows)}


def test_the_index_of_an_hour_is_that_of_the_decisions_example():
    """An air warning of another number than the Decision's own example is no warning."""
    dust = [24.6, 23.9, 20.1, 18.7, 17.6, 22.4, 26.1, 28.7, 28.0, 25.2, 22.0, 19.5]
    (row,) = of_hour(known(pm2_5_1h_ug_m3=dust, no2_1h_ug_m3=[None] * 11 + [118.7]), 11)
    assert (row.kind, row.value, row.grade) == ("vn-aqi-hourly", 59.0, "Trung binh")
    assert row.detail["sub_indices"]["no2"] == 59


@pytest.mark.parametrize(
    ("values", "there"),
    [
        ({"pm2_5_1h_ug_m3": [30, 30, 30]}, True),
        ({"pm2_5_1h_ug_m3": [30, None, 30]}, True),
        ({"pm2_5_1h_ug_m3": [30, None, None]}, False),
        ({"pm2_5_1h_ug_m3": [30, 30, None]}, False),  # an hour without any value of its own
        ({"pm2_5_1h_ug_m3": [30, 30, None], "so2_1h_ug_m3": [None, None, 9]}, True),
        ({"so2_1h_ug_m3": [9, 9, 9]}, False),
    ],
)
def test_an_hour_has_an_index_where_dust_allows_one(values, there):
    """An index of gases alone, or of an hour without data, would be one of the Decision's."""
    assert bool(of_hour(known(**values), 2)) is there


def test_a_day_of_air_has_means_highest_hours_index_and_limits():
    """The day's bulletin would be short of one of its figures, or take a wrong one."""
    values = known(
        pm2_5_1h_ug_m3=[40.0] * 20 + [50.0] * 4,
        o3_1h_ug_m3=[10.0] * 16 + [130.0] * 8,
        so2_1h_ug_m3=[400.0] * 17,
    )
    found = of_day(AIR, values)
    assert found["pm2_5_24h_ug_m3"].value == 41.667
    assert found["o3_1h_max_ug_m3"].value == found["o3_8h_max_ug_m3"].value == 130.0
    assert not [kind for kind in found if kind.startswith("so2")]  # 17 of 24 hours
    index = found["vn-aqi-daily"]
    assert index.detail["sub_indices"] == {"pm2_5": 83, "o3": 110}
    assert (index.value, index.grade, index.covered) == (110.0, "Kem", 1.0)
    verdict = found["qcvn-05-2023"]
    assert (verdict.value, verdict.grade, verdict.detail) == (
        1.0,
        "exceeded",
        {"exceeded": ["8h.o3"]},
    )


def test_the_limit_of_dust_falls_on_new_years_day_2026():
    """A day of 47 ug/m3 in 2026 would pass by the limit of 2025."""
    for day, grade in ((date(2025, 12, 31), "within"), (date(2026, 1, 1), "exceeded")):
        found = day_of(midnight_us(day, HANOI), HANOI)
        values = {"pm2_5_1h_ug_m3": dict.fromkeys(found.hours(), 47.0)}
        rows = {r.kind: r for r in environment.of_days(AIR, values, [found], {})}
        assert rows["qcvn-05-2023"].grade == grade


def test_an_eight_hour_mean_belongs_to_the_day_in_which_it_ends():
    """Ozone of an evening would be lost between two days, or counted in both."""
    before = {DAY.begin_us - (i + 1) * HOUR_US: 160.0 for i in range(7)}
    values = known(o3_1h_ug_m3=[40.0] * 24)
    values["o3_1h_ug_m3"] |= before
    assert of_day(AIR, values)["o3_8h_max_ug_m3"].value == 145.0


def test_a_day_without_dust_has_no_index_but_its_limits():
    """A station whose dust sensor is out would show a day of clean air."""
    found = of_day(AIR, known(no2_1h_ug_m3=[210.0] * 24))
    assert "vn-aqi-daily" not in found
    assert found["qcvn-05-2023"].detail == {"exceeded": ["1h.no2", "24h.no2"]}


def test_what_an_analyser_shows_below_zero_is_zero_to_an_index():
    """Zero drift on a clean night would stop the stream, or lower the index."""
    (row,) = of_hour(known(pm2_5_1h_ug_m3=[-1.0, -1.0, -1.0]), 2)
    assert row.value == 0.0


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


def test_a_plants_load_is_concentration_times_flow():
    """Kilograms of COD a day are what a permit and a fee go by."""
    values = known(cod_out_1h_mg_l=[140.0] * 24)
    found = of_day(PLANT, values, Flow(800 * 10**6, 24 * HOUR_US))
    assert (found["flow_24h_m3"].value, found["cod_load_kg_d"].value) == (800.0, 112.0)
    short = of_day(PLANT, values, Flow(800 * 10**6, 18 * HOUR_US - 1))
    assert set(short) == {"cod_24h_mg_l"}
    assert set(of_day(PLANT, values)) == {"cod_24h_mg_l"}


CANAL = Device("canal", "s", "water_station", timezone=HANOI)
WORKED = {"ph_1h": 7.2, "temperature_1h_c": 28.0, "do_1h_mg_l": 4.1, "bod5_1h_mg_l": 9.0,
          "cod_1h_mg_l": 18.0, "nh4_n_1h_mg_l": 0.75, "po4_p_1h_mg_l": 0.15,
          "coliform_1h_mpn_100ml": 6200.0}  # fmt: skip


def _canal(**changed):
    means = {k: v for k, v in {**WORKED, **changed}.items() if v is not None}
    return of_day(CANAL, known(**{kind: [value] * 24 for kind, value in means.items()}))


def test_a_day_of_a_canal_is_the_worked_example():
    """The canal's restoration would be judged by another index than the Decision's."""
    row = _canal()["vn-wqi"]
    assert (row.value, row.grade) == (63.0, "Trung binh")
    assert row.detail == {"group_iv": "62.9503", "group_v": "63"}
    assert of_day(CANAL, {}) == {}
    # 17 of 24 hours
    assert "vn-wqi" not in of_day(CANAL, known(ph_1h=[7.2] * 17))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"temperature_1h_c": 50.0}, "temperature_c = 50 must not be more than 45"),
        ({"do_1h_mg_l": 35.0}, "do_mg_l = 35 must not be more than 30"),
        ({"bod5_1h_mg_l": None, "cod_1h_mg_l": None, "po4_p_1h_mg_l": None}, "group IV has 2"),
    ],
)
def test_a_probe_that_lies_in_the_sun_stops_nothing(changed, reason):
    """One station's nonsense would hold up every other station's hours and days."""
    row = _canal(**changed)["vn-wqi"]
    assert (row.value, row.grade) == (None, "not judged")
    assert reason in row.detail["reason"]


OLD = {"standard": "qcvn-40-2011", "column": "B", "kq": 0.9, "kf": 1}
TABLE = """
id = "qcvn-40-2025"
source = "the test"
certainty = "M"
[[limit]]
parameter = "cod"
column = "A"
value = "100"
unit = "mg/L"
"""
NEW = {"standard": "qcvn-40-2025", "column": "A", "flow_m3_d": 800}


@pytest.mark.parametrize(
    ("rules", "cod", "grade", "says"),
    [
        (OLD, 140.0, "exceeded", ["cod"]),
        (OLD, 135.0, "within", []),
        (OLD | {"commissioned": "2025-10-01"}, 10.0, "not judged", "qcvn-40-2025 holds"),
        (OLD | {"kq": 1.5}, 10.0, "not judged", "kq = "),
        (NEW, 10.0, "not judged", "could not be read"),
        (NEW | {"table": TABLE}, 101.0, "exceeded", ["cod"]),
        (NEW | {"table": "id ="}, 101.0, "not judged", "attributes.limits.table"),
        ({"standard": "qcvn-41"}, 10.0, "not judged", "is unknown"),
    ],
)
def test_a_plant_is_judged_by_the_standard_of_the_registry(rules, cod, grade, says):
    """A plant would be judged by a standard that does not hold for it, or by guessed limits."""
    plant = Device("plant", "s", "wastewater_plant", timezone=HANOI, limits=rules)
    row = of_day(plant, known(cod_out_1h_mg_l=[cod] * 24))["limits"]
    assert row.grade == grade
    if grade == "not judged":
        assert row.value is None
        assert says in row.detail["reason"]
    else:
        assert row.detail["exceeded"] == says


CANAL_TABLE = """
id = "qcvn-08-2023"
source = "the test, no standard"
certainty = "M"
[[limit]]
parameter = "cod"
water = "river"
class = "B"
value = "15"
unit = "mg/L"
[[limit]]
parameter = "do_mg_l"
water = "river"
class = "B"
value = "60"
lowest = "5"
unit = "mg/L"
"""
RIVER = {"standard": "qcvn-08-2023", "water": "river", "class": "B"}


@pytest.mark.parametrize(
    ("rules", "cod", "oxygen", "grade", "says"),
    [
        (RIVER, 10.0, 6.0, "not judged", "could not be read"),
        (RIVER | {"table": CANAL_TABLE}, 15.0, 5.0, "within", []),
        (RIVER | {"table": CANAL_TABLE}, 15.1, 4.9, "exceeded", ["cod", "do_mg_l"]),
        (RIVER | {"table": CANAL_TABLE, "class": "C"}, 10.0, 6.0, "not judged", "limits nothing"),
        (RIVER | {"table": CANAL_TABLE, "class": "E"}, 10.0, 6.0, "not judged", "class"),
        (RIVER | {"table": CANAL_TABLE.replace("08", "14")}, 1.0, 6.0, "not judged", "needs those"),
    ],
)
def test_a_canal_is_judged_by_a_table_that_somebody_has_and_by_none_else(
    rules, cod, oxygen, grade, says
):
    """A restored canal would be called clean by limits that nobody has read."""
    canal = Device("canal", "s", "water_station", timezone=HANOI, limits=rules)
    hours = {"cod_1h_mg_l": [cod] * 24, "do_1h_mg_l": [oxygen] * 24, "no3_n_1h_mg_l": [99.0] * 24}
    row = of_day(canal, known(**hours, temperature_1h_c=[25.0] * 24))["limits"]
    assert row.grade == grade
    if grade == "not judged":
        assert says in row.detail["reason"]
    else:
        assert row.detail["exceeded"] == says


FIELD = Device("field", "s", "water_tube", timezone=HANOI)


def test_a_field_speaks_hour_by_hour():
    """A tube that tells its level once an hour would never have a value."""
    at = minutes(*(60 * h for h in range(24)))
    levels = [5.0 - h for h in range(24)]
    found = hours(FIELD, at, level_cm=levels)
    assert found["level_1h_cm", at[3]] == (2.0, 1.0)
    assert len(found) == 24
    late = hours(FIELD, minutes(0, 20, 110), level_cm=[1.0, 3.0, 9.0])
    # 20 covers to 80: forty minutes of its hour and twenty of the next
    assert late["level_1h_cm", DAY.begin_us] == (2.0, 1.0)
    assert ("level_1h_cm", DAY.begin_us + HOUR_US) not in late


@pytest.mark.parametrize(
    ("levels", "state"),
    [
        ([5.0] * 24, "wet"),
        ([-3.0] * 24, "falling"),
        ([-15.0] + [5.0] * 23, "dry"),
        ([-14.9] * 24, "falling"),
        ([5.0] * 17, None),
    ],
)
def test_a_day_of_a_field_says_how_far_its_water_fell(levels, state):
    """A farmer would not know whether the field was dried far enough."""
    rows = of_day(FIELD, known(level_1h_cm=levels))
    if state is None:
        assert rows == {}
        return
    assert rows["awd"].grade == state
    assert rows["awd"].value == (state == "dry")
    assert (rows["level_24h_min_cm"].value, rows["level_24h_max_cm"].value) == (
        min(levels),
        max(levels),
    )


@pytest.mark.parametrize(
    ("days", "season"),
    [
        ([], (0, 0, 0, None)),
        ([(-20, -18)] * 3, (3, 3, 0, -20)),  # fallow: never seen under water
        ([(2, 5), (-16, -10), (-18, -16), (1, 5)], (4, 2, 1, -18)),
        ([(2, 5), (-16, 5), (-16, 5), (3, 5)], (4, 2, 2, -16)),
        ([(2, 5), (-14, -3), (1, 5)], (3, 0, 0, -14)),
        ([(2, 5), (-16, -10)], (2, 1, 0, -16)),  # not flooded again yet
    ],
)
def test_a_dry_down_counts_once_the_field_is_flooded_again(days, season):
    """A dry field would count as one that is wetted and dried in turn."""
    assert tuple(field.season(days)) == season


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
    assert both.said == {1: ("Tot", {"a": 1}), 3: ("Tot", {"a": 1})}
    kept = both.take(both.device == 4)
    assert (kept.said, kept.device.tolist()) == ({1: ("Tot", {"a": 1})}, [4, 4])
    assert kept.by_device() == {4: {"leq_1h_dba": {5: 60.0}, "vn-aqi-hourly": {7: 40.0}}}


def test_noise_and_water_have_no_index_of_an_hour():
    """An index that no decision knows would be shown as one."""
    assert environment.of_hours(NOISE, known(leq_1h_dba=[60.0]), [DAY.begin_us]) == []

"""Hours and days of air stations: means, indices, limits."""

from dataclasses import replace
from datetime import date

import pytest

from mrv import environment
from mrv.calendar import midnight_us
from mrv.environment.kinds import day_of
from tests.mrv.environment.stations import AIR, DAY, HANOI, HOUR_US, known, of_day, of_hour


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


@pytest.mark.parametrize(("country", "own"), [("VN", True), ("DE", False), (None, False)])
def test_a_station_has_the_index_and_limits_of_its_own_country(country, own):
    """A station in Freiburg would be judged by Viet Nam's index and by its limits of dust."""
    zone = HANOI if country == "VN" else "Europe/Berlin" if country else "UTC"
    device = replace(AIR, timezone=zone, country=country)
    day = day_of(midnight_us(date(2026, 1, 10), zone), zone)
    starts = [day.begin_us + i * HOUR_US for i in range(24)]
    values = {"pm2_5_1h_ug_m3": dict.fromkeys(starts, 40.0)}
    found = {row.kind for row in environment.of_days(device, values, [day], {})}
    found |= {row.kind for row in environment.of_hours(device, values, starts)}
    assert "pm2_5_24h_ug_m3" in found
    assert {"vn-aqi-hourly", "vn-aqi-daily", "qcvn-05-2023"}.isdisjoint(found) is not own


BY_LAW = """
id = "39-bimschv"
title = "Air"
source = "made up for this test"
certainty = "M"
verified = false
[[limit]]
parameter = "pm2_5"
mean = "24h"
value = "25"
unit = "ug/m3"
"""


@pytest.mark.parametrize(
    ("table", "grade"),
    [(BY_LAW, "exceeded"), (BY_LAW.replace("25", "45"), "within"), ("id = 1", "not judged")],
)
def test_a_city_abroad_is_judged_by_the_table_of_its_own_law(table, grade):
    """Its air would never be judged, or by Viet Nam's limits."""
    device = replace(AIR, timezone="Europe/Berlin", country="DE", limits={"table": table})
    day = day_of(midnight_us(date(2026, 1, 10), device.timezone), device.timezone)
    starts = [day.begin_us + i * HOUR_US for i in range(24)]
    values = {f"{x}_1h_ug_m3": dict.fromkeys(starts, 40.0) for x in ("pm2_5", "no2")}
    (row,) = [r for r in environment.of_days(device, values, [day], {}) if r.grade]
    assert (row.kind, row.grade) == ("limits", grade)
    if grade != "not judged":  # nitrogen dioxide has no limit there
        assert row.detail == {"standard": "39-bimschv", "exceeded": ["24h.pm2_5"][: int(row.value)]}

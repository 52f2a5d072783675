"""Hours and days of noise stations."""

from __future__ import annotations

from ingest.model import Device
from mrv import environment
from tests.mrv.environment.stations import DAY, HANOI, NOISE, hours, known, minutes, of_day


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


def test_a_day_begins_when_its_standard_says():
    """A town whose night begins at 22 would be judged by the hours of another country."""
    clock = [50.0] * 7 + [60.0] * 14 + [70.0] * 3
    place = Device("noise", "s", "noise_station", timezone=HANOI, limits={"day_hours": [7, 21]})
    assert of_day(place, known(leq_1h_dba=clock))["leq_day_dba"].value == 60

"""Days of wastewater plants, canals and paddy fields."""

import pytest

from ingest.model import Device
from mrv import environment
from mrv.environment import Flow
from tests.mrv.environment.stations import DAY, HANOI, HOUR_US, PLANT, hours, known, minutes, of_day


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
        (OLD | {"commissioned": "2025-10-01"}, 10.0, "not judged", "qcvn-40-2025 applies"),
        (OLD | {"kq": 1.5}, 10.0, "not judged", "kq = "),
        (NEW, 10.0, "not judged", "could not be read when this was written"),
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
        (RIVER, 10.0, 6.0, "not judged", "could not be read when this was written"),
        (RIVER | {"table": CANAL_TABLE}, 15.0, 5.0, "within", []),
        (RIVER | {"table": CANAL_TABLE}, 15.1, 4.9, "exceeded", ["cod", "do_mg_l"]),
        (RIVER | {"table": CANAL_TABLE, "class": "C"}, 10.0, 6.0, "not judged", "has no limit"),
        (RIVER | {"table": CANAL_TABLE, "class": "E"}, 10.0, 6.0, "not judged", "class"),
        (RIVER | {"table": CANAL_TABLE.replace("08", "14")}, 1.0, 6.0, "not judged", "needs those"),
    ],
)
def test_a_canal_is_judged_by_a_table_that_somebody_has_and_by_none_else(
    rules, cod, oxygen, grade, says
):
    """A restored canal would be called clean by limits that no one has read."""
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
    """A tube that reports its level once an hour would never have a value."""
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
    assert tuple(environment.season(days)) == season

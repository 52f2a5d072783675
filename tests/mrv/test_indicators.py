"""Indicators of air, water and noise, compared with the examples of their standards."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv import indicators, limits
from mrv.errors import IndicatorError, MethodologyError
from mrv.indicators.vn_aqi import nowcast
from tests.golden import of_kind

CASES = of_kind("indicator", parse_float=Decimal)
FOUR_FIFTHS = Fraction(4, 5)
CONFIGURED = """
id = "qcvn-40-2025"
source = "a permit"
certainty = "R"
[[limit]]
parameter = "cod"
column = "B"
flow_up_to_m3_d = "2000"
value = "90"
unit = "mg/L"
[[limit]]
parameter = "cod"
column = "B"
value = "75"
unit = "mg/L"
[[limit]]
parameter = "ph"
column = "B"
lowest = "6"
value = "9"
unit = "1"
"""


def evaluate(name, given, configured=None):
    return indicators.evaluate(indicators.find(name), given, "in.json", configured)


@pytest.mark.parametrize("name", sorted(CASES))
def test_golden_case(name):
    """The public would read another index than the Decision gives."""
    result = evaluate(name, CASES[name]["inputs"])
    assert result == _exact(CASES[name]["expected"])


def _exact(value):
    if isinstance(value, dict):
        return {key: _exact(one) for key, one in value.items()}
    return Fraction(value) if isinstance(value, Decimal | int) else value


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ([10, 10, None], 10),
        ([None, 10, None], None),
        ([None, 8, 10], (FOUR_FIFTHS * 8 + FOUR_FIFTHS**2 * 10) / (FOUR_FIFTHS + FOUR_FIFTHS**2)),
        ([0, 0, 0], 0),
        ([10, 2, 2], Fraction(10, 2) + Fraction(2, 4) + Fraction(2, 8)),
        ([10, None, 2], Fraction(10, 2) + Fraction(2, 8)),
    ],
)
def test_nowcast_with_gaps_and_falls(series, expected):
    """A gap would count as clean air, or a fall be smoothed away."""
    exact = [None if c is None else Fraction(c) for c in series]
    assert nowcast(exact) == expected


@given(st.lists(st.fractions(0, 500, max_denominator=10), min_size=2, max_size=12))
def test_nowcast_never_exceeds_the_worst_hour(series):
    """An index would alarm for air that was never there."""
    value = nowcast(series)
    assert value is not None
    assert 0 <= value <= max(series)


@pytest.mark.parametrize(
    ("curve", "value", "index"),
    [("pm2_5", 50, 100), ("pm2_5", 80, 150), ("pm10", 200, 125), ("so2", 300, "88.8889"),
     ("o3_1h", "114.6", "35.8125"), ("pm2_5", 501, 500), ("co", 0, 0), ("o3_8h", 401, None)],
)  # fmt: skip
def test_breakpoints(curve, value, index):
    """A boundary would fall into the neighbouring band."""
    at = limits.load("vn_aqi").curves[curve].at(Fraction(value))
    assert (None if at is None else round(float(at), 4)) == (
        None if index is None else float(index)
    )


def test_the_day_of_the_decision():
    """The Decision's own day would come out as another number."""
    given = {
        "pm_24h_ug_m3": {"pm2_5": Decimal("55.7")},
        "gas_1h_max_ug_m3": {"o3": Decimal("114.6"), "no2": Decimal("130.8")},
        "o3_8h_max_ug_m3": Decimal("89.3"),
    }
    assert evaluate("vn-aqi-daily", given) == {
        "sub_indices": {"pm2_5": 110, "o3": 45, "no2": 65},
        "aqi": 110,
    }


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("vn-aqi-daily", {"pm_24h_ug_m3": {}}, "give pm2_5 or pm10"),
        ("vn-aqi-daily", {"o3_8h_max_ug_m3": 401}, "above 400"),
        (
            "vn-aqi-hourly",
            {"pm_12h_latest_first_ug_m3": {}},
            "two values in the latest three hours",
        ),
        (
            "vn-aqi-hourly",
            {"pm_12h_latest_first_ug_m3": {"pm10": [9, None, None]}},
            "two values in",
        ),
        ("vn-wqi", {"bod5_mg_l": 1, "do_mg_l": 3}, "temperature_c is missing"),
        ("vn-wqi", {"bod5_mg_l": 1}, "group IV has 1 parameters; give at least 3"),
        (
            "vn-wqi",
            {"bod5_mg_l": 1, "cod_mg_l": 1, "toc_mg_l": 1, "ph": 7},
            "2 groups are measured",
        ),
        ("noise", {"laeq_dba": [60], "day_dba": 60}, "lden_dba needs all of day_dba"),
        (
            "qcvn-05-2023",
            {"on": "2026-01-01", "mean_ug_m3": {"24h": {"o3": 1}}},
            "no limit for 24h",
        ),
        ("qcvn-40-2011", {"column": "A", "measured_mg_l": {}}, "kf is missing; give it, or flow"),
    ],
)
def test_what_cannot_be_judged_is_refused(name, change, says):
    """A guess would be published as if it had been measured."""
    base = {"vn-aqi-daily": {"pm_24h_ug_m3": {"pm10": 20}}}.get(name, {})
    with pytest.raises(IndicatorError, match=says):
        evaluate(name, {**base, **change})


def test_ozone_above_the_eight_hour_scale_goes_by_the_hour():
    """The worst day of ozone would have no index."""
    given = {"pm_24h_ug_m3": {"pm10": 20}, "gas_1h_max_ug_m3": {"o3": 400}, "o3_8h_max_ug_m3": 401}
    assert evaluate("vn-aqi-daily", given)["sub_indices"]["o3"] == 200


def test_noise_beyond_the_golden_case():
    """The median and the American level would be missing."""
    given = {
        "laeq_dba": CASES["noise"]["inputs"]["laeq_dba"],
        "exceedance_percent": [50],
        "ldn_day_dba": 68,
        "ldn_night_dba": 58,
    }
    assert evaluate("noise", given) == {
        "leq_dba": Fraction("67.711"),
        "l50_dba": Fraction("65.75"),
        "ldn_dba": 68,
    }


def test_noise_against_its_limits():
    """A night at 56 dBA beside a hospital would pass."""
    judged = evaluate("qcvn-26-2010", {"area": "special", "day_dba": 55, "night_dba": 56})
    assert judged == {"limit_dba": {"day": 55, "night": 45}, "exceeded": ["night"]}
    assert evaluate("qcvn-26-2010", {"area": "ordinary", "day_dba": 71})["exceeded"] == ["day"]
    half = limits.read('id = "qcvn-26-2025"\nsource = "x"\ncertainty = "R"\n', "t.toml")
    with pytest.raises(IndicatorError, match="contain none for day"):
        evaluate("qcvn-26-2025", {"area": "special", "day_dba": 1}, half)


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        ({"column": "A", "kq": 1, "kf": Decimal("1.1")}, "82.5"),
        ({"column": "B", "flow_m3_d": 800}, "135"),
        ({"column": "B", "river_m3_s": 50, "flow_m3_d": 50}, "162"),
        ({"column": "B", "river_m3_s": 501, "flow_m3_d": 5001}, "162"),
        ({"column": "B", "lake_mm3": 5, "flow_m3_d": 500}, "99"),
        ({"column": "B", "lake_mm3": 500, "kf": 1}, "150"),
        ({"column": "B", "receiving": "lake", "kf": 1}, "90"),
        ({"column": "B", "receiving": "coast-protected", "kf": 1}, "150"),
        ({"column": "B", "receiving": "coast", "kf": 1}, "195"),
        ({"column": "B", "receiving": "sewer"}, "150"),
    ],
)
def test_receiving_water_and_flow_scale_the_limits(given, limit):
    """A canal would be treated like a great river."""
    result = evaluate("qcvn-40-2011", {**given, "measured_mg_l": {"cod": 1}})
    assert result == {"limit_mg_l": {"cod": Fraction(limit)}, "exceeded": []}


def test_a_sewer_goes_by_column_b():
    """A works on a city's sewer would be judged as if the sewer were drinking water."""
    with pytest.raises(IndicatorError, match="a sewer requires column B"):
        evaluate("qcvn-40-2011", {"column": "A", "receiving": "sewer", "measured_mg_l": {}})


def test_what_is_not_scaled_stays():
    """Kq would widen the range of pH."""
    given = {"column": "A", "kq": Decimal("0.9"), "kf": 1, "measured_mg_l": {}, "ph": 5,
             "temperature_c": 40, "coliform_mpn_100ml": 3001}  # fmt: skip
    assert evaluate("qcvn-40-2011", given) == {
        "limit_mg_l": {},
        "limit_unscaled": {"ph": [6, 9], "temperature_c": 40, "coliform_mpn_100ml": 3000},
        "exceeded": ["ph", "coliform_mpn_100ml"],
    }


def test_domestic_wastewater():
    """A hotel would be judged by the limits of a factory."""
    given = {"column": "A", "k": Decimal("1.2"), "measured_mg_l": {"bod5": 37}}
    assert evaluate("qcvn-14-2008", given) == {"limit_mg_l": {"bod5": 36}, "exceeded": ["bod5"]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"commissioned": "2025-09-01"}, "commissioned = 2025-09-01.*qcvn-40-2025 applies"),
        ({"on": "2032-01-01", "commissioned": "2015-01-01"}, "on = 2032-01-01.*qcvn-40-2025"),
        ({"on": "2026-13-01"}, "must be a date such as"),
    ],
)
def test_a_plant_of_the_newer_standard_is_not_judged_by_the_old(change, says):
    """A new plant would pass by limits that no longer hold for it."""
    given = {"column": "B", "kf": 1, "measured_mg_l": {"cod": 1}}
    with pytest.raises((IndicatorError, MethodologyError), match=says):
        evaluate("qcvn-40-2011", {**given, **change})
    evaluate("qcvn-40-2011", {**given, "on": "2031-12-31", "commissioned": "2025-08-31"})


@pytest.mark.parametrize("name", ["qcvn-40-2025", "qcvn-14-2025", "qcvn-26-2025"])
def test_limits_that_nobody_could_read_are_not_assumed(name):
    """A plant would be called compliant by invented limits."""
    with pytest.raises(IndicatorError, match=f"--limits FILE.*{name}"):
        evaluate(name, {})


def test_configured_limits_go_by_column_and_flow():
    """Anyone who holds the new table could not use it."""
    table = limits.read(CONFIGURED, "t.toml")
    given = {"column": "B", "flow_m3_d": 2000, "measured_mg_l": {"cod": 80}, "ph": 7}
    assert evaluate("qcvn-40-2025", given, table)["exceeded"] == []
    large = evaluate("qcvn-40-2025", {**given, "flow_m3_d": 2001}, table)
    assert large == {
        "limit_mg_l": {"cod": 75},
        "limit_unscaled": {"ph": [6, 9]},
        "exceeded": ["cod"],
    }
    with pytest.raises(IndicatorError, match="no limit of tn for column B"):
        evaluate("qcvn-40-2025", {**given, "measured_mg_l": {"tn": 1}}, table)
    with pytest.raises(IndicatorError, match="id 'qcvn-40-2025'; qcvn-14-2025 needs"):
        evaluate("qcvn-14-2025", given, table)


def test_water_quality_by_both_forms_and_with_metals():
    """The form that the Decision may mean instead could not be chosen."""
    given = CASES["vn-wqi"]["inputs"]
    assert evaluate("vn-wqi", {**given, "aggregate": "square-root"})["wqi"] == 63
    worse = evaluate("vn-wqi", {**given, "pb_mg_l": Decimal("0.04"), "zn_mg_l": 1})
    assert worse["group_iii"] == 75
    assert worse["wqi"] == 47
    without = {k: v for k, v in given.items() if k != "coliform_mpn_100ml"} | {"cu_mg_l": 0}
    assert evaluate("vn-wqi", without)["wqi"] == 63
    no_ph = {k: v for k, v in given.items() if k != "ph"} | {"cu_mg_l": 0}
    assert evaluate("vn-wqi", no_ph)["wqi"] == 63


@pytest.mark.parametrize(
    ("curve", "value", "q"),
    [("nh4_n", "0.29", 100), ("nh4_n", "0.3", 75), ("nh4_n", 6, 10), ("no2_n", "0.05", 100),
     ("no2_n", "0.051", 10), ("ph", 7, 100), ("ph", "5.4", 10), ("no3_n", 16, 10),
     ("do_percent", 201, 10), ("do_percent", 100, 100), ("coliform", 10_001, 10)],
)  # fmt: skip
def test_steps_of_the_water_index(curve, value, q):
    """A value at a step would get the neighbour's index."""
    assert limits.load("vn_wqi").curves[curve].at(Fraction(value)) == q


def test_load_of_a_discharge():
    """The river's load would be off by the units."""
    given = {"flow_m3_d": 800, "concentration_mg_l": {"cod": 140}}
    assert evaluate("discharge-load", given) == {"load_kg_d": {"cod": 112}}


def test_an_unknown_indicator_is_refused_with_those_there_are():
    """A typing slip would look like a missing feature."""
    with pytest.raises(IndicatorError, match=r"'aqi' is unknown; known indicators: .*vn-aqi"):
        indicators.find("aqi")


@given(st.integers(1, 1199), st.integers(1, 1199))
def test_dirtier_air_never_has_a_lower_index(one, other):
    """An index would fall while the air got worse."""
    for curve in limits.load("vn_aqi").curves.values():
        low, high = sorted((Fraction(one), Fraction(other)))
        a, b = curve.at(low), curve.at(high)
        assert a is None or b is None or a <= b


def test_each_parameter_has_its_own_bands_of_flow():
    """A plant between two bands would be judged by the looser limit."""
    text = CONFIGURED + (
        '[[limit]]\nparameter = "tn"\ncolumn = "B"\nflow_up_to_m3_d = "5000"\nvalue = "40"\n'
        'unit = "mg/L"\n[[limit]]\nparameter = "tn"\ncolumn = "B"\nflow_up_to_m3_d = "500"\n'
        'value = "60"\nunit = "mg/L"\n'
    )
    table = limits.read(text, "t.toml")
    given = {"column": "B", "flow_m3_d": 1500, "measured_mg_l": {"cod": 1, "tn": 41}}
    assert evaluate("qcvn-40-2025", given, table) == {
        "limit_mg_l": {"cod": 90, "tn": 40},
        "exceeded": ["tn"],
    }
    with pytest.raises(IndicatorError, match="no limit of tn"):
        evaluate("qcvn-40-2025", {**given, "flow_m3_d": 5001}, table)

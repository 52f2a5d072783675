"""Metered activities compared with the golden cases: the same inputs give the same results."""

from fractions import Fraction

import pytest

from mrv import factors, methodologies
from mrv.accounting import live_emissions as bindings
from mrv.methodologies._composting import SHARES
from mrv.model import GAINING, PERIOD, Activity, Candidate, CandidateDevice
from mrv.parameters import read
from mrv.rules.account import added
from tests.golden import case

MWH, T, L, M3, H, D = 10**6, 10**6, 1000, 10**6, 3600, 86_400
SITE = {"phi": 0.85, "f_captured": 0, "mcf": 1}
MODES = {
    "motorcycle_share": 0.7, "motorcycle_ef_g_per_km": 90.83, "motorcycle_occupancy": 1.3,
    "car_share": 0.12, "car_ef_g_per_km": 181.74336, "car_occupancy": 1.6,
    "bus_share": 0.1, "bus_ef_g_per_km": 910.0073, "bus_occupancy": 22,
    "motorcycle_improvement": 0.99,
}  # fmt: skip
# role, amount in base units, what the registry says of the device
CASES = {
    "ams-iii-aj": (
        [("hdpe", 1200 * T), ("ldpe", 600 * T), ("pet", 800 * T), ("pp", 400 * T),
         ("power", 2490 * MWH), ("fuel", 30_000 * L)],
        {"ef_grid_t_per_mwh": 0.6592},
    ),
    "ams-iii-ba": (
        [("metal", 210 * T, 8.4), ("metal", 640 * T, 1.27), ("metal", 95 * T, 3.0),
         ("abs", 130 * T), ("power", 320 * MWH), ("fuel", 12_000 * L)],
        {"ef_grid_t_per_mwh": 0.6592},
    ),
    "ams-ii-d": (
        [("production", 11_500 * T), ("power", 6210 * MWH)],
        {"production_hist_t": 11_500, "sec_baseline_mwh_per_t": 0.72, "ef_grid_t_per_mwh": 0.6592},
    ),
    "am0020": (
        [("volume", 36_500_000 * M3), ("power", 6497 * MWH)],
        {"kwh_per_m3_baseline": 0.215, "ef_grid_t_per_mwh": 0.6592},
    ),
    "acm0012": (
        [("turbine", 42_000 * MWH), ("fuel", 25_000 * L)],
        {"f_cap": 0.95, "f_wcm": 1, "ef_grid_t_per_mwh": 0.6592},
    ),
    "ams-iii-i": (
        [("inflow", 109_500 * M3), ("power", 60 * MWH)],
        {"cod_in_kg_per_m3": 0.5, "eta_cod": 0.85, "mcf_baseline": 0.5, "tdl": 0.0615},
    ),
    "ams-iii-h": (
        [("inflow", 182_500 * M3), ("biogas", 420_000 * M3), ("power", 150 * MWH)],
        {"cod_in_kg_per_m3": 6, "cod_out_kg_per_m3": 0.15, "eta_cod_baseline": 0.85,
         "eta_cod_project": 0.8, "mcf_baseline": 0.8, "mcf_project": 0.8, "mcf_discharge": 0.1,
         "ch4_fraction": 0.62, "flare_efficiency": 0.9, "tdl": 0.0615},
    ),
    "ams-iii-u": (
        [("passengers", 3_200_000), ("power", 1400 * MWH)],
        {"trip_km": 8.4, "baseline_year": 2025, "tdl": 0.0615, **MODES},
    ),
    "ams-ii-c": (
        [("equipment", 4000 * H, {"count": 1000, "kw_baseline": 0.15, "kw_project": 0.08})],
        {"ef_grid_t_per_mwh": 0.6592},
    ),
    "ams-ii-e": (
        [("weather", 3050 * D), ("power", 2780 * MWH)],
        {"intercept_mwh": 1450, "slope_mwh_per_cdd": 0.62, "ef_grid_t_per_mwh": 0.6592},
    ),
    "ams-iii-f": (
        [("waste", 36_500 * T), ("power", 650 * MWH), ("fuel", 40_000 * L)],
        {"first_year": 2026, "share_food": 0.75, "share_garden": 0.2, "share_paper": 0.05,
         "tdl": 0.0615, **SITE},
    ),
    "ams-ii-d-cupola": (
        [("production", 12_000 * T), ("power", 6720 * MWH)],
        {"production_hist_t": 12_000, "coke_t_per_t": 0.14, "limestone_t_per_t": 0.03,
         "tdl": 0.0615},
    ),
    "jcm-id-am009": (
        [("lpg", Fraction(1150, 540) * 1000 * M3, {"density_kg_per_m3": 540}),
         ("power", 120 * MWH)],
        {"eta_reference": 0.38, "eta_project": 0.55},
    ),
    "rice-awd": (
        [("field", 115 * D, {"area_ha": 1500}), ("field", 100 * D, {"area_ha": 1500})],
        {"season_days": 107.5, "ef_c_kg_per_ha_d": 1.22, "sf_w_baseline": 1, "sf_w_project": 0.55,
         "straw_t_per_ha": 2, "cfoa": 1, "n_kg_per_ha": 100},
    ),
}  # fmt: skip


def _period(part, gaining=None):
    return Activity(PERIOD, {GAINING: part if gaining is None else gaining}, part)


def _activities(method, given):
    made = [_period(Fraction(1))] if method.timed else []
    for role, amount, *more in given:
        params = (more or [{}])[0]
        params = params if isinstance(params, dict) else {"ef_t_per_t": params}
        params = read(method.roles[role].params, params, role)
        made.append(Activity(role, params, Fraction(amount)))
    return made


def _reductions(name, given, parameters, year=2026):
    method, book = methodologies.find(name), factors.load().within("VN")
    fixed = read(method.parameters, parameters, name)
    inputs = method.inputs_of(_activities(method, given), fixed, book, year)
    return method.reductions(inputs, book)


@pytest.mark.parametrize("name", CASES)
def test_meters_give_what_the_golden_case_gives(name):
    """A statement would rest on another equation than `tonne evaluate` shows."""
    golden = case(name)
    found = _reductions(name, *CASES[name])
    for key in ("baseline_t", "project_t", "reduction_t"):
        assert round(float(getattr(found, key)), 6) == golden["expected"][key], key


@pytest.mark.parametrize("name", CASES)
def test_an_interval_knows_nothing_that_goes_by_time(name):
    """Every 15 minutes would carry the leakage, or the base load, of a whole year."""
    method, book = methodologies.find(name), factors.load().within("VN")
    fixed = read(method.parameters, CASES[name][1], name)
    for role, _, *more in CASES[name][0]:
        if role == "biogas":  # caps the period's reduction, and earns nothing by itself
            continue
        (one,) = _activities(method, [(role, 1, *more)])[-1:]
        live = methodologies.unit_reductions(method, role, one.params, fixed, book, 2026)
        side = method.roles[role].side
        assert (live.baseline_t if side == "baseline" else live.project_t) > 0, role
        assert side == "baseline" or live.baseline_t == 0


def test_what_goes_by_time_counts_for_the_part_of_the_year():
    """A month would be credited with the base load of a year, or charged with its leakage."""
    method, book = methodologies.find("ams-ii-e"), factors.load().within("VN")
    fixed = read(method.parameters, CASES["ams-ii-e"][1], "ams-ii-e")
    month = Fraction(31, 365)
    for part, counted in ((_period(month), month), (_period(month, month / 2), month / 2)):
        found = method.reductions(method.inputs_of([part], fixed, book, 2026), book)
        assert found.baseline_t == 1450 * counted * Fraction("0.6592")


def test_earlier_waste_goes_on_decaying():
    """Waste of earlier years continues to decay in later years."""
    given, parameters = CASES["ams-iii-f"]
    alone = _reductions("ams-iii-f", given, parameters, 2027)
    both = _reductions("ams-iii-f", given, {**parameters, "waste_t_year_1": 36_500}, 2027)
    assert round(float(alone.baseline_t), 2) == 11_647.84
    assert round(float(both.baseline_t), 2) == 19_830.47


def test_waste_decays_by_the_climate_of_its_own_country():
    """A plant in Bogota would be credited as in the wet tropics, 4.8 times."""
    given, parameters = CASES["ams-iii-f"]
    method = methodologies.find("ams-iii-f")

    def made(country, **more):
        book = factors.load().within(country)
        fixed = read(method.parameters, {**parameters, **more}, "compost")
        inputs = method.inputs_of(_activities(method, given), fixed, book, 2026)
        return inputs["climate"], float(method.reductions(inputs, book).baseline_t)

    (usual, wet), (cautious, least) = made("VN"), made("CO")
    assert (usual, cautious) == ("tropical-wet", "temperate-dry")
    assert 4.8 < wet / least < 4.9
    assert made("CO", climate=1) == (usual, wet)
    others = [made("CO", climate=n)[1] for n in (2, 3)]
    assert all(least < one < wet for one in others)


def _tested(name, roles=(), **parameters):
    devices = tuple(CandidateDevice(role, role, "x", 1) for role in roles)
    found = [
        c.test(Candidate(parameters, devices, 2026, None))
        for c in methodologies.find(name).applicability
    ]
    return [one if one is None else str(one) for one in found]


def test_a_live_project_that_nothing_can_be_counted_for_is_named():
    """A plant would run for a year with fans and fuel metered, and nothing that is credited."""
    assert _tested("ams-iii-aj", ["pet"]) == [None]
    assert _tested("acm0012", ["turbine"], feedwater_kj_per_kg=0) == [None] * 3
    assert _tested("acm0012", ["steam"], feedwater_kj_per_kg=420) == [None] * 3
    fans, cold = (_tested("acm0012", [r], feedwater_kj_per_kg=0) for r in ("fuel", "steam"))
    assert "turbine, steam; no quantity would be counted" in fans[0]
    assert "enter the enthalpy of the feedwater, 420 for water of 100 °C" in cold[1]
    assert "any of the roles hdpe, ldpe, pet, pp" in _tested("ams-iii-aj", ["power"])[0]


def test_shares_of_a_live_project_are_held():
    """More waste would decay, or more passengers have driven, than there were."""
    sorted_waste = dict.fromkeys(SHARES, Fraction(0)) | {"share_food": Fraction(1)}
    assert _tested("ams-iii-f", **sorted_waste) == [None]
    both = {**sorted_waste, "share_garden": Fraction(1, 2)}
    assert "the shares of the waste sum to 1.5" in _tested("ams-iii-f", **both)[0]
    modes = {"motorcycle_share": Fraction(1, 2), "car_share": Fraction(1, 2), "bus_share": 0}
    assert _tested("ams-iii-u", **modes) == [None]
    assert "sum to 1.5, more than all" in _tested("ams-iii-u", **{**modes, "bus_share": 0.5})[0]


def test_a_furnace_has_one_figure_of_its_electricity():
    """A mean of the brochure would be listed beside what the meter counted."""
    method = methodologies.find("ams-ii-d")
    assert methodologies.implausible(method, {"energy_mwh": 1}) is None
    for wrong in ({}, {"energy_mwh": 1, "sec_project_mwh_per_t": 1}):
        assert "give one of them" in methodologies.implausible(method, wrong)


def test_auxiliaries_of_a_waste_heat_plant_run_all_year():
    """A plant would be credited for what its own pumps and fans use."""
    parameters = {"captive_load_kw": 180, "ef_grid_t_per_mwh": 0.6592}
    given = [("turbine", 42_000 * MWH)]
    for year, hours in ((2026, 8_760), (2028, 8_784)):
        found = _reductions("jcm-whr", given, parameters, year)
        own = Fraction(180 * hours, 1000)
        assert found.reduction_t == (42_000 - own) * Fraction("0.6592")
    method, book = methodologies.find("jcm-whr"), factors.load().within("VN")
    fixed = read(method.parameters, parameters, "jcm-whr")
    # a month of standstill owes what its auxiliaries may have used
    month = method.inputs_of([_period(Fraction(31, 365))], fixed, book, 2026)
    still = method.reductions(month, book)
    assert still.reduction_t == -Fraction(180 * 24 * 31, 1000) * Fraction("0.6592")
    unit = methodologies.unit_reductions(method, "turbine", {}, fixed, book, 2026)
    assert unit.reduction_t == Fraction("0.6592") / MWH


def test_burners_of_two_fuels_are_two_projects():
    """Gas and oil would be added up at the properties of the first of them."""
    better = {"eta_reference": Fraction(38, 100), "eta_project": Fraction(55, 100)}
    assert _tested("jcm-id-am009", ["lpg", "power"], **better) == [None, None]
    both = _tested("jcm-id-am009", ["lpg", "diesel"], **better)[0]
    assert both.startswith("the project has meters of diesel and lpg, but")
    assert "no quantity would be counted" in _tested("jcm-id-am009", ["power"], **better)[0]
    worse = _tested("jcm-id-am009", ["lpg"], eta_reference=Fraction(1), eta_project=Fraction(1))
    assert "is not above eta_reference" in worse[1]


def test_panels_earn_by_their_materials():
    """The live form would leave out a material, or count one twice."""
    given = [("panels", 10_000), ("power", Fraction("26.4") * MWH)]
    parameters = {
        "panel_kg": 22,
        "aluminium_share": 0.1,
        "aluminium_ef_t_per_t": 8.4,
        "glass_share": 0.7,
        "glass_ef_t_per_t": 0.6,
        "copper_share": 0.01,
        "copper_ef_t_per_t": 3,
        "ef_grid_t_per_mwh": 0.6592,
    }
    found = _reductions("pv-panel-recycling", given, parameters)
    assert found.baseline_t == Fraction("283.8")
    assert round(float(found.project_t), 3) == 17.403


def test_a_deduction_stays_in_the_sum_of_the_years():
    """Rice would be credited without its deduction, wastewater above the methane it burnt."""
    given, parameters = CASES["rice-awd"]
    found = _reductions("rice-awd", given, parameters)
    assert found.reduction_t < found.baseline_t - found.project_t
    assert added({2026: found, 2027: found}).reduction_t == 2 * found.reduction_t


def test_a_deduction_shows_in_the_live_rows():
    """Dashboards would promise tonnes that the statement deducts again."""
    method, book = methodologies.find("rice-awd"), factors.load().within("VN")
    fixed = read(method.parameters, CASES["rice-awd"][1], "rice-awd")
    unit = methodologies.unit_reductions(
        method, "field", {"area_ha": Fraction(1)}, fixed, book, 2026
    )
    baseline, emitted, leakage, withheld = bindings._in_ug(unit)
    assert baseline - emitted - leakage - withheld == unit.reduction_t * 10**12

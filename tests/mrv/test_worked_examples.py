"""Examples of the dossier beyond the golden cases; the dossier gives their results."""

from decimal import Decimal
from fractions import Fraction

import pytest

from mrv import factors, methodologies
from mrv.methodologies import _tools as tools
from mrv.methodologies import diesel_litres
from mrv.methodologies.ams_ii_d_cupola import COKE_MWH_PER_T
from mrv.parameters import read
from tests.golden import case

GRID = Decimal("0.6592")


def inputs(name, **change):
    return {**case(name, Decimal)["inputs"], **change}


def evaluate(name, given):
    return methodologies.evaluate(
        methodologies.find(name), given, factors.load().within("VN"), "in.json"
    )


def compute(name, given, country="VN"):
    tool, book = tools.load()[name], factors.load().within(country)
    return tool.compute(
        methodologies.filled(tool.inputs, read(tool.inputs, given, name), book), book
    )


@pytest.mark.parametrize("name", ["tool04", "tool07"])
def test_golden_factors(name):
    """Every tonne would be calculated with a wrong grid factor or decay."""
    expected = case(name)["expected"]
    for key, value in compute(name, inputs(name)).items():
        mine = [round(float(v), 6) for v in value] if isinstance(value, list) else float(value)
        assert mine == pytest.approx(expected[key], abs=1e-6)


def test_other_plants_weigh_the_margins_otherwise():
    """The weights of the combined margin depend on the plant type."""
    burnt = Fraction("19.9") * Fraction("0.0895") * 4 + Fraction("46.5") * Fraction("0.0543") * (
        Fraction("0.9")
    )
    margin = burnt / Fraction("16.5")
    found = compute("tool07", inputs("tool07", technology="other"))["ef_cm_t_per_mwh"]
    assert found == (margin + Fraction("0.335")) / 2


def test_the_build_margin_follows_from_the_newest_plants():
    """A grid's factor would rest on a build margin that no one can work out again."""
    given = inputs("tool07")
    said = compute("tool07", given)
    build = given.pop("ef_bm_t_per_mwh")
    gas, sun = {"eg_mwh": 2, "ef_t_per_mwh": build * 2}, {"eg_mwh": 2, "ef_t_per_mwh": 0}
    assert compute("tool07", {**given, "newest_units": [gas, sun]}) == said
    both = {"newest_units": [gas, sun], "ef_bm_t_per_mwh": build}
    for wrong, why in (({}, "no factor of the country"), (both, "are both given; omit one")):
        with pytest.raises(methodologies.MethodologyError, match=f"tool07, build margin: .*{why}"):
            compute("tool07", {**given, **wrong})
    # India's authority publishes one, and it counts as if it were entered
    entered = compute("tool07", {**given, "ef_bm_t_per_mwh": Decimal("0.5119")})
    assert compute("tool07", given, "IN") == entered


def test_heat_from_waste_energy():
    """A steam plant would get nothing, or the heat of its feedwater too."""
    given = {
        "f_cap": 1, "f_wcm": 1, "steam_t": 95_000, "steam_kj_per_kg": 2776,
        "feedwater_kj_per_kg": 420, "boiler_efficiency": Decimal("0.85"),
        "boiler_fuel": "anthracite", "diesel_l": 0, "ef_grid_t_per_mwh": GRID,
    }  # fmt: skip
    assert float(evaluate("acm0012", given).reduction_t) == pytest.approx(25_884.12471, abs=5e-6)
    given["feedwater_kj_per_kg"] = 0
    with pytest.raises(methodologies.MethodologyError, match="feedwater_kj_per_kg is 0"):
        evaluate("acm0012", given)
    given["feedwater_kj_per_kg"] = 2800
    assert evaluate("acm0012", given).reduction_t < 0


def test_the_limit_of_a_large_foundry_counts_coke_in_the_factors_own_energy():
    """The limit would be calculated with another coke than the emissions."""
    ncv = factors.load().within("VN").select("coke.ncv", "either").value
    assert ncv / Fraction("3.6") == COKE_MWH_PER_T
    large = inputs("ams-ii-d-cupola", production_t=120_000, production_hist_t=120_000)
    with pytest.raises(methodologies.MethodologyError, match=r"type II limit, 60 GWh.*64,400 MWh"):
        evaluate("ams-ii-d-cupola", large)


@pytest.mark.parametrize(
    "name",
    ["ams-ii-d-cupola", "ams-iii-c", "ams-iii-f", "ams-iii-h", "ams-iii-i", "ams-iii-u",
     "jcm-id-am009", "ams-iii-aj", "ams-iii-ba"],
)  # fmt: skip
def test_a_reference_factor_is_refused_for_what_a_project_consumes(name):
    """The foundry's 508 t would be 2,990: the slip that the dossier warns of."""
    with pytest.raises(methodologies.MethodologyError, match="a factor for avoided electricity"):
        evaluate(name, inputs(name, ef_grid_t_per_mwh=Decimal("0.333")))


def test_panels():
    """The recycling of PV panels has no golden case, and would stay unchecked."""
    materials = {
        "aluminium": {"share": Decimal("0.1"), "ef_t_per_t": Decimal("8.4")},
        "glass": {"share": Decimal("0.7"), "ef_t_per_t": Decimal("0.6")},
        "copper": {"share": Decimal("0.01"), "ef_t_per_t": 3},
    }
    given = {"panels": 10_000, "panel_kg": 22, "materials": materials,
             "power_mwh": Decimal("26.4"), "ef_grid_t_per_mwh": GRID}  # fmt: skip
    assert evaluate("pv-panel-recycling", given).reduction_t == Fraction("266.39712")
    materials["silver"] = {"share": Decimal("0.2"), "ef_t_per_t": 1}
    with pytest.raises(methodologies.MethodologyError, match=r"shares sum to 1\.01"):
        evaluate("pv-panel-recycling", given)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("ams-iii-h", {"eta_cod_project": 80}, "eta_cod_project = 80 must not be more than 1"),
        ("ams-iii-i", {"flow_m3": 109_500_000, "power_mwh": 60_000}, "type III limit"),
        ("ams-iii-f", {"year": 2}, "waste_t_by_year holds 1 years and year = 2"),
        ("ams-iii-f", {"waste_t_by_year": [{"plastic": 1}]}, "unknown key 'plastic'"),
        ("ams-iii-f", {"climate": "wet"}, "climate = 'wet' must be one of tropical-wet"),
        ("ams-iii-u", {"modes": {}}, "modes = {} must be an object with at least one name"),
        ("ams-iii-aj", {"polymer_t": 1}, "polymer_t: 1 must be an object"),
        ("ams-iii-ba", {"metals": {"tin": {"mass_t": 1}}}, "metals.tin: 'ef_t_per_t' is missing"),
        ("rice-awd", {"seasons": [{"area_ha": 1, "days": 200}] * 2}, "400 days of one year"),
        ("am0020", {"head_m": 70}, "energy_mwh divided by volume_m3 is 0.178 kWh/m3"),
        ("am0020", {"volume_m3": 365 * 10**9}, "volume_m3 = 365000000000 must not be more"),
        (
            "ams-i-d",
            {"eg_mwh": 131_761},
            "131,761 is more than the 131,760 MWh that 15 MW generate",
        ),
        ("ams-ii-d", {"production_t": 10**6, "production_hist_t": 10**6}, "180,000 MWh are saved"),
        ("jcm-id-am009", {"fuel": "wood"}, "fuel = 'wood' must be one of anthracite"),
        ("jcm-vn-am003", {"cop_reference": 0}, "cop_reference = 0 must not be less than 0.1"),
    ],
)
def test_what_no_real_project_has_is_refused_by_name(name, change, says):
    """A slip would come out as a plausible number of tonnes."""
    with pytest.raises(methodologies.MethodologyError, match=says):
        evaluate(name, inputs(name, **change))


def test_shares_above_one_are_refused():
    """More passengers would have come by motorcycle than came at all."""
    modes = inputs("ams-iii-u")["modes"]
    modes["motorcycle"]["share"] = Decimal("0.8")
    with pytest.raises(methodologies.MethodologyError, match=r"modes: the shares sum to 1\.02"):
        evaluate("ams-iii-u", inputs("ams-iii-u", modes=modes))


def test_months_that_are_missing_are_refused():
    """Half a year's waste would be taken for a year's."""
    given = inputs("ams-iii-f")
    del given["waste_t_by_year"]
    with pytest.raises(
        methodologies.MethodologyError, match="holds 6 months and year = 1 needs 12"
    ):
        evaluate("ams-iii-f-monthly", {**given, "waste_t_by_month": [{"food": 1}] * 6})


@pytest.mark.parametrize(
    ("tonnes", "litres"),
    [("0", None), ("-3", None), ("0.01", 3), ("1", 360), ("4643000", 1_700_000_000)],
)
def test_a_tonne_in_litres_of_diesel(tonnes, litres):
    """0.84 kg/L of 43.3 TJ/Gg and 74.8 t/TJ: 2.7206 kg per litre; the page must not show more."""
    assert diesel_litres(Fraction(tonnes), factors.load()) == litres

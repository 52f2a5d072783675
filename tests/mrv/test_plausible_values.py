"""Values that an owner types, in an invented document too, earn no more than what is plausible."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from mrv.methodologies import find
from mrv.methodologies._steam import most_enthalpy
from mrv.registry.project import ACCOUNTING, FIRST, Besides, Measured, Sample
from tests.mrv import plant
from tests.mrv.test_live_systems import M3, MWH
from tests.mrv.test_plausible_service import charged, closed, driven
from tests.mrv.test_service_attacks import PLANTS, earned, tonnes

BILLED = "EVD-03"

RULE, DATED, OFFICIAL = "PAR-03", "PAR-07", "FAC-01"
GAS = 1_600_000 * M3
BURNERS = {"eta_reference": 0.35, "eta_project": 0.5}
PUMPS = [("volume", 36_500_000 * M3), ("power", 6497 * MWH)]
GRID = {"ef_grid_t_per_mwh": 0.6592}


@pytest.fixture
def close():
    """Close two weeks of a plant with other values than the honest ones."""

    def closing(name, parameters=None, given=None, accounting=ACCOUNTING, **besides):
        old_given, old = PLANTS[name]
        changed = given or old_given, {**old, **(parameters or {})}
        return earned(name, accounting=accounting, built=changed, **besides)

    return closing


def burnt(close, role="natural_gas", density=0.7, amount=GAS, eta=BURNERS, power=120 * MWH, **more):
    """Close burners of a gas meter that is bound in a role."""
    given = [(role, amount, {"density_kg_per_m3": density}), ("power", power)]
    return close("jcm-id-am009", eta, given, **more)


def said(result, clause=RULE):
    """What does not hold of a clause."""
    of = {"PAR-03", "PAR-04", "PAR-05"} if clause == RULE else {clause}
    return "; ".join(f.detail for f in result.applicability if f.rule in of and not f.holds)


def values(result):
    """Return the parameters that counted."""
    return {p.name: p.value for p in result.parameters}


def unchanged(close, name, parameters=None, given=None):
    """Close an honest plant: it earns what it does without the rules; fuel by its upper bound."""
    found = close(name, parameters, given)
    assert found.net.baseline == close(name, parameters, given, accounting=FIRST).net.baseline
    assert not said(found)
    assert tonnes(found) > 0
    return found


def test_fuel_has_the_density_of_its_kind(close):
    """Natural gas of 1.05 kg/m3 earned half more than it burnt, in silence."""
    honest = burnt(close)
    assert honest.net == burnt(close, accounting=FIRST).net
    assert not said(honest)
    for density in (0.65, 0.85):
        assert not said(burnt(close, density=density))
    dense = burnt(close, density=1.05)
    assert tonnes(dense) < tonnes(honest)
    assert values(dense)["density_kg_per_m3"] == "0.65"
    text = said(dense)
    assert "density_kg_per_m3 of natural_gas-0 = 1.05 kg/m3 is outside" in text
    assert "the plausible range 0.65 to 0.85" in text
    cost = tonnes(burnt(close, density=1.05, accounting=FIRST)) - tonnes(dense)
    assert float(text.split(" is applied, ")[1].split(" t less")[0]) == pytest.approx(
        cost, abs=2e-6
    )
    # less than there can be costs the owner, and stays
    light = burnt(close, density=0.5)
    assert values(light)["density_kg_per_m3"] == "0.5"
    assert "it is applied, as it is more conservative" in said(light)


@pytest.mark.parametrize(("role", "density"), [("diesel", 840), ("lpg", 540), ("fuel_oil", 980)])
def test_a_gas_meter_is_no_meter_of_a_liquid(close, role, density):
    """The same cubic metres as diesel earned 47 times the truth."""
    honest, lie = tonnes(burnt(close)), burnt(close, role, density)
    before = burnt(close, role, density, accounting=FIRST)
    assert tonnes(before) > 40 * honest
    assert tonnes(lie) <= 0
    told = "; ".join(f.detail for f in lie.applicability if not f.holds)
    assert "above what such a device can count: 5,000 L an hour" in told
    # as many burners that do burn it earn what they did
    litres = Fraction(1200) * M3
    true = burnt(close, role, density, litres)
    assert true.net == burnt(close, role, density, litres, accounting=FIRST).net
    assert tonnes(true) > 0
    assert not said(true)


def test_a_small_gas_meter_has_no_air_for_diesel(close):
    """Below the bound of a liquid's meter 3 m3 an hour of gas would be 2,500 kg of diesel."""
    small = {"amount": Fraction(26_000) * M3, "power": 10 * MWH}
    honest, lie = burnt(close, **small), burnt(close, "diesel", 840, **small)
    assert honest.net == burnt(close, **small, accounting=FIRST).net
    assert tonnes(burnt(close, "diesel", 840, **small, accounting=FIRST)) > 500 * tonnes(honest)
    assert tonnes(lie) <= 0
    clause = "PAR-08"
    assert not said(honest, clause)
    assert "kWh for each GJ of diesel" in said(lie, clause)
    cost = tonnes(burnt(close, "diesel", 840, **small, accounting=FIRST)) - tonnes(lie)
    (found,) = (one for one in lie.applicability if one.rule == clause)
    assert float(found.tonnes) == pytest.approx(cost, rel=1e-3)


def test_lpg_that_is_metered_as_gas_is_told_to_the_verifier(close):
    """Natural gas as LPG of 2 kg/m3 is within all ranges, and earned three times the truth."""
    lie = burnt(close, "lpg", 2)
    assert lie.net == burnt(close, "lpg", 2, accounting=FIRST).net
    text = said(lie)
    assert "density_kg_per_m3 of lpg-0 = 2 kg/m3 is below 100, which is rare" in text
    assert "licence 12/2025, Department of Environment, its supplier" in text


def test_the_density_of_a_fuel_stands_in_a_document(close):
    """Who binds a meter as another fuel names no paper of its supplier."""
    names = find("jcm-id-am009").documented
    bare = burnt(close, documents=plant.papers(*(n for n in names if not n.startswith("density"))))
    assert tonnes(bare) <= 0
    assert "density_kg_per_m3" in said(bare, BILLED)


def test_a_value_counts_as_its_document_states_it(close):
    """Burners typed as 0.5 efficient earned by that while the maker's file said 0.45."""
    names = PLANTS["jcm-id-am009"][1].keys() | {"density_kg_per_m3"}

    def stating(**given):
        return burnt(
            close,
            documents=tuple(replace(one, **given) if one.parameter == "eta_project" else one
                            for one in plant.papers(*names)),
        )  # fmt: skip

    honest = stating(value=Fraction("0.5"))
    assert not said(honest)
    assert honest.net == stating().net
    lower = stating(value=Fraction("0.45"))
    assert values(lower)["eta_project"] == "0.45"
    assert tonnes(lower) == tonnes(burnt(close, eta={**BURNERS, "eta_project": 0.45}))
    (found,) = [f for f in lower.applicability if f.rule == "PAR-05" and not f.holds]
    assert found.severity == "CAR"
    assert "its document" in found.detail
    assert "states 0.45: 0.45 is applied" in found.detail
    higher = stating(value=Fraction("0.55"))
    assert higher.net == honest.net
    (found,) = [f for f in higher.applicability if f.rule == "PAR-05" and not f.holds]
    assert found.severity in ("", "observation")
    assert "states 0.55: the entered value is applied" in found.detail


def test_burners_save_no_more_than_burners_do(close):
    """Efficiencies of 1 over 0.1 earned 24 times the truth, and 0.9 four times."""
    honest = tonnes(burnt(close))
    gained = {}
    for reference, project in ((0.1, 1), (0.35, 0.9), (0.35, 0.6), (0.2, 0.75)):
        found = burnt(close, eta={"eta_reference": reference, "eta_project": project})
        gained[reference, project] = tonnes(found) / honest
        assert "eta_" in said(found)
    assert max(gained.values()) < 1.8
    # 0.6 over 0.35 is bound by what air of 900 Cel saves
    found = burnt(close, eta={"eta_reference": 0.35, "eta_project": 0.6})
    assert values(found)["eta_project"] == "0.583333333"
    # more than a third is rare: it counts, and a verifier is told
    rare = burnt(close, eta={"eta_reference": 0.35, "eta_project": 0.56})
    assert rare.net == burnt(
        close, eta={"eta_reference": 0.35, "eta_project": 0.56}, accounting=FIRST
    ).net  # fmt: skip
    assert "which is rare" in said(rare)


def test_pumps_before_the_project_were_pumps(close):
    """A baseline of 2 kWh/m3 earned 52 times the truth at the head that the plant documents."""
    fixed = GRID | {"kwh_per_m3_baseline": 0.215, "head_m": 40}
    honest = unchanged(close, "am0020", fixed, PUMPS)
    most = {}
    for value in (2, 0.5, 0.3):
        lie = close("am0020", fixed | {"kwh_per_m3_baseline": value}, PUMPS)
        before = close("am0020", fixed | {"kwh_per_m3_baseline": value}, PUMPS, FIRST)
        most[value] = tonnes(lie) / tonnes(honest)
        assert tonnes(lie) < tonnes(before)
        assert "kwh_per_m3_baseline" in said(lie)
        # 5/3 of 0.178 kWh/m3
        assert float(values(lie)["kwh_per_m3_baseline"]) == pytest.approx(0.29667, abs=1e-4)
    assert max(most.values()) < 3.3
    rare = close("am0020", fixed | {"kwh_per_m3_baseline": 0.25}, PUMPS)
    assert "which is rare" in said(rare)
    # of a low head the worst pump is less: rho g h over 0.3
    low = close("am0020", fixed | {"kwh_per_m3_baseline": 0.29, "head_m": 25}, PUMPS)
    assert float(values(low)["kwh_per_m3_baseline"]) == pytest.approx(0.22701, abs=1e-4)


def test_the_boiler_is_one_and_is_documented(close):
    """A text alone made the boiler ten times as bad, and the reduction 8.8 times the truth."""
    honest = unchanged(close, "acm0012")
    for value in (0.1, 0.5):
        lie = close("acm0012", {"boiler_efficiency": value})
        assert values(lie)["boiler_efficiency"] == "0.8"
        assert tonnes(lie) < 1.1 * tonnes(honest)
        assert "TOOL09" in said(lie)
    names = [n for n in find("acm0012").documented if n != "boiler_efficiency"]
    bare = close("acm0012", documents=plant.papers(*names))
    assert values(bare)["boiler_efficiency"] == "1"
    assert tonnes(bare) < tonnes(honest)
    assert "boiler_efficiency = 0.85 has no supporting document" in said(bare)
    assert "no document is named" in said(bare)
    # who does not know it needs none
    assert not said(close("acm0012", {"boiler_efficiency": 1}, documents=plant.papers(*names)))


def sampled(value):
    """What a laboratory says of the steam."""
    return (Sample("steam_kj_per_kg", "S-1", date(2026, 1, 5), Decimal(value), "calculated",
                   "Lab, VILAS 1", "d4" * 32),)  # fmt: skip


def measured(celsius):
    """What the steam's own meter tells of it."""
    return {"steam_cel": Measured(Fraction(celsius), "temperature_c of steam-0", 300, 336)}


def test_steam_has_the_enthalpy_of_its_temperature(close):
    """A laboratory gave 3,600 kJ/kg to steam whose own meter told 170 Cel."""
    honest = close("acm0012", channels=measured(170), samples=sampled(2776))
    assert honest.net.baseline == close("acm0012", accounting=FIRST).net.baseline
    assert not said(honest)
    lie = close("acm0012", channels=measured(170), samples=sampled(3600))
    assert float(values(lie)["steam_kj_per_kg"]) == pytest.approx(2822.4)
    assert tonnes(lie) < 1.03 * tonnes(honest)
    assert "steam_kj_per_kg = 3,600 kJ/kg is outside 0 to 2,822.4" in said(lie)
    # superheated steam shows its temperature; else it is saturated
    hot = close("acm0012", {"steam_kj_per_kg": 3200}, channels=measured(400))
    assert not said(hot)
    assert tonnes(hot) > tonnes(honest)
    blind = close("acm0012", {"steam_kj_per_kg": 3200})
    assert values(blind)["steam_kj_per_kg"] == "2804"
    beyond = close("acm0012", {"steam_kj_per_kg": 4400}, channels=measured(900))
    assert values(beyond)["steam_kj_per_kg"] == "3700"
    cold = close("acm0012", {"feedwater_kj_per_kg": 1})
    assert values(cold)["feedwater_kj_per_kg"] == "84"


@pytest.mark.parametrize(("celsius", "real"), [(120, 2716), (170, 2769), (250, 2943), (450, 3384)])
def test_no_real_steam_is_above_the_bound(celsius, real):
    """An honest plant would lose heat: steam tables at 100, 792, 1000 and 400 kPa."""
    assert real < most_enthalpy(Fraction(celsius)) < 1.03 * real


def test_a_bus_baseline_is_a_condition_until_its_survey_is_dated():
    """Ten litres more in a free text earned 2.66 times the truth."""
    rows = {("ch-1", "energy_import"): charged(14, 160), ("bus-1", "distance"): driven(14, 2_000)}

    def of(accounting=ACCOUNTING, documents=()):
        besides = Besides(accounting=accounting, documents=(*plant.LOSSES, *documents))
        return closed(rows, "ch-1", weeks=2, besides=besides)

    bare, dated = of(), of(documents=plant.papers("sfc_l_per_100km", "baseline_year"))
    assert bare.net == dated.net == of(FIRST).net
    assert "sfc_l_per_100km" in said(bare, DATED)
    assert "`sha256`" in said(bare, DATED)
    assert not said(dated, DATED)
    late = of(documents=plant.papers("sfc_l_per_100km", "baseline_year", issued=date(2026, 3, 1)))
    assert "after the period began" in said(late, DATED)
    assert DATED not in {f.rule for f in of(FIRST).applicability}

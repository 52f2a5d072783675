"""A planned PV plant: its expected energy, and what no plant can produce."""

import sys
from fractions import Fraction

import pytest

from mrv import exante, factors
from mrv.errors import MethodologyError

BOOK = factors.load().within("VN")
# The plan as the programme's slides show it.
SLIDES = {
    "latitude": 20.94,
    "longitude": 106.6,
    "rated_kw": 45_000,
    "modules": {"count": 400_000, "watt": 440},
    "roof_m2": 1_000_000,
    "declared_kwh_per_year": 214_706_580,
    "declared_t_per_year": 71_500,
}
ROOF = {
    "latitude": 20.94,
    "longitude": 106.6,
    "rated_kw": 100,
    "ghi_kwh_per_m2": [1380],
    "air_c": 27,
}


def _pv(**changed):
    return exante.estimate(exante.find("pv"), {**ROOF, **changed}, BOOK, "plan.json")


def _flags(found):
    return {f.about: f for f in found.flags}


def test_the_slides_plan_is_impossible_and_says_why():
    """45 MW would be registered with the energy of 176 MW, and 71,500 t be claimed."""
    found = exante.estimate(exante.find("pv"), SLIDES, BOOK, "slides.json")
    flags = _flags(found)
    assert flags["capacity_factor"].severity == "impossible"
    assert "4,771.3 kWh/kW, a capacity factor of 54.5 %" in flags["capacity_factor"].text
    assert "a ratio of 3.91" in flags["dc_to_ac"].text
    assert "71,497.291 t, a credit of 71,497 t" in flags["rounded_up"].text
    assert "roof_area" not in flags
    assert found.figures["declared_reduction_t"] == Fraction("71497.29114")
    assert found.figures["declared_credit_t"] == 71_497
    assert found.figures["declared_kwh_per_kw_of_modules"] == Fraction("1219.9")
    assert (found.energy_kwh, found.reductions) == (None, None)
    assert "contradicts itself" in found.withheld


def test_a_roof_in_hai_phong_makes_what_such_roofs_make():
    """An estimate off by half would make every measured year look like a fault."""
    found = _pv()
    assert 950 < found.figures["yield_kwh_per_kw"] < 1_150
    assert Fraction("0.70") < found.figures["performance_ratio"] < Fraction("0.82")
    assert found.energy_kwh == round(found.figures["yield_kwh_per_kw"] * 100, -1) or (
        abs(found.energy_kwh - found.figures["yield_kwh_per_kw"] * 100) < 10
    )
    assert found.reductions.reduction_t == Fraction(found.energy_kwh, 1000) * Fraction("0.333")
    assert found.withheld is None
    assert found.flags == ()


def test_the_roof_matters():
    """North-facing modules would be expected to make as much as south-facing ones."""
    south, north, wall = _pv(tilt=20), _pv(tilt=20, azimuth=0), _pv(tilt=90)
    assert south.energy_kwh > north.energy_kwh > wall.energy_kwh


def test_modules_face_the_equator_unless_their_plan_says_otherwise():
    """South of the equator a roof would be estimated with modules turned from the sun."""
    nakuru = {"latitude": -0.3, "longitude": 36.1, "tilt": 20}
    cape = {"latitude": -33.9, "longitude": 18.4, "tilt": 30}
    assert _pv(**nakuru).figures["azimuth_deg"] == 0
    assert _pv(**cape).energy_kwh == _pv(**cape, azimuth=0).energy_kwh
    assert _pv(**cape).energy_kwh > _pv(**cape, azimuth=180).energy_kwh
    assert _pv(azimuth=0).figures["azimuth_deg"] == 0, "a stated north stays one"


def test_the_heat_of_another_place_is_not_assumed():
    """A roof in Tromsø would be as warm as one in Hai Phong."""
    given = {key: value for key, value in ROOF.items() if key != "air_c"}
    with pytest.raises(MethodologyError, match="air_c is missing"):
        exante.estimate(exante.find("pv"), given, BOOK, "plan.json")


def test_months_and_their_sum_agree_nearly():
    """With only the yearly irradiation, the estimate would be of another plant."""
    months = [75, 72, 85, 100, 145, 145, 160, 150, 135, 125, 105, 83]
    found = _pv(ghi_kwh_per_m2=months, ghi_source="satellite")
    assert found.figures["ghi_kwh_per_m2"] == sum(months)
    assert abs(found.energy_kwh / _pv().energy_kwh - 1) < 0.03
    assert found.uncertainty_percent < _pv().uncertainty_percent


def test_without_irradiation_there_is_only_a_ceiling():
    """A cloudless year would appear in the registry as what is expected."""
    found = _pv(ghi_kwh_per_m2=[1380])
    given = {k: v for k, v in ROOF.items() if k != "ghi_kwh_per_m2"}
    blind = exante.estimate(exante.find("pv"), given, BOOK, "plan.json")
    assert blind.energy_kwh is None
    assert "no irradiation of the place was given" in blind.withheld
    assert blind.figures["ceiling_kwh_per_kw"] > found.figures["yield_kwh_per_kw"]


def test_irradiation_of_another_unit_shows():
    """Megajoules taken for kilowatt hours would treble the plant."""
    flag = _flags(_pv(ghi_kwh_per_m2=[2900]))["irradiation"]
    assert flag.severity == "impossible"
    assert "above the clear-sky irradiation" in flag.text


def test_a_declared_energy_far_from_the_estimate_is_flagged():
    """An optimistic planner would set what the meters are compared with."""
    assert "declared_energy" in _flags(_pv(declared_kwh_per_year=150_000))
    assert _flags(_pv(declared_kwh_per_year=110_000)) == {}


def test_modules_that_no_roof_holds():
    """A roof of 100 m2 cannot carry 100 kW."""
    assert _flags(_pv(roof_m2=100))["roof_area"].severity == "impossible"


def test_every_assumption_is_shown_with_its_source():
    """No one could tell a default from what the planner measured."""
    said = {a.name: a for a in _pv(losses=0.1).assumptions}
    assert said["losses"].given
    assert not said["tilt"].given
    assert said["inverter_efficiency"].value == Fraction("0.96")
    assert all(a.source for a in said.values())
    assert said["power_loss_per_k"].certainty == "M"
    assert said["air_c"].given


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rated_kw": None}, "rated_kw = null must be a number"),
        ({"ghi_kwh_per_m2": [100, 100]}, "has 2 numbers; enter 12"),
        ({"ghi_kwh_per_m2": [0]}, "ghi_kwh_per_m2 = 0 all year"),
        ({"ghi_kwh_per_m2": [0] * 12}, "ghi_kwh_per_m2 = 0 all year"),
        ({"tilt": 91}, "tilt = 91 must not be more than 90"),
        ({"case": 4}, "case = 4 must be one of 1, 2, 3"),
        ({"lattitude": 1}, "unknown key 'lattitude'"),
        ({"modules": {"count": 1.5, "watt": 440}}, "must be a whole number"),
        ({"losses": 14}, "must be below 1"),
    ],
)
def test_bad_input_is_named(changed, said):
    """A mistyped plan would be estimated as if it could be built."""
    with pytest.raises(MethodologyError, match=said.replace(".", r"\.")):
        _pv(**changed)


def test_a_declared_reduction_below_the_energys_is_no_slip():
    """A careful planner would be asked to declare more."""
    modest = {**SLIDES, "declared_t_per_year": 71_000}
    found = exante.estimate(exante.find("pv"), modest, BOOK, "slides.json")
    assert "rounded_up" not in _flags(found)


def test_without_pvlib_the_remedy_is_named(monkeypatch):
    """An installation without optional packages would end in a traceback."""
    monkeypatch.setitem(sys.modules, "pvlib", None)
    with pytest.raises(MethodologyError, match="tonne's extra `estimate`"):
        _pv()


def test_no_power_at_all():
    """Without a rated power, the estimate would end without a remedy."""
    with pytest.raises(MethodologyError, match="enter rated_kw, or modules"):
        exante.estimate(exante.find("pv"), {"latitude": 1, "longitude": 2}, BOOK, "plan.json")

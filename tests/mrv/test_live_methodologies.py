"""Methodologies with metered quantities: roles, parameters, rates per interval."""

from dataclasses import fields
from fractions import Fraction

import pytest

from mrv import factors, methodologies
from mrv.errors import MethodologyError
from mrv.model import Candidate, CandidateDevice, Methodology
from mrv.parameters import read

WIND = {"ef_grid_t_per_mwh": Fraction("0.63767"), "capacity_mw": Fraction(14)}
CHILLER = {
    "cop_reference": Fraction("4.2"),
    "cop_project": Fraction("5.8"),
    "ef_grid_t_per_mwh": Fraction("0.6592"),
}


def _candidate(parameters, certificates=1, nets=True):
    device = CandidateDevice("m-1", "generation", "energy_meter", certificates, nets)
    return Candidate(parameters, (device,), 2026, None, "VN")


def _tested(name, candidate):
    found = [check.test(candidate) for check in methodologies.find(name).applicability]
    return [one if one is None else str(one) for one in found]


def test_wind_counts_whole_micrograms_a_watt_hour():
    """Rows of an additive methodology would not add up to its period."""
    method = methodologies.find("ams-i-d")
    one = methodologies.unit_reductions(
        method, "generation", {}, WIND, factors.load().within("VN"), 2026
    )
    assert one.baseline_t * 10**12 == 637_670
    assert method.additive
    with pytest.raises(MethodologyError, match="must not have more than 6 decimals"):
        read(method.parameters, {**WIND, "ef_grid_t_per_mwh": Fraction("0.6376701")}, "p")


def test_wind_outside_its_conditions_is_named():
    """A plant of 20 MW would be credited under a small-scale methodology."""
    assert _tested("ams-i-d", _candidate(WIND)) == [None] * 4
    large = _candidate({**WIND, "capacity_mw": Fraction(20)}, 0, nets=False)
    assert _tested("ams-i-d", large) == [
        "m-1 has no calibration certificate",
        (
            "the import of m-1 is not metered, and net electricity is export minus import; set the"
            " meter or its gateway to send energy_import_kwh as well"
        ),
        "capacity_mw = 20 is above 15; a larger plant needs ACM0002",
        None,
    ]


@pytest.mark.parametrize(
    ("area", "devices", "finding"),
    [
        (None, "w", "m-1 generates electricity from water, and reservoir_m2 is missing"),
        (10**6, "ws", "register m-2 in another project"),
        (10**6, "w", "no device has the role auxiliary"),
        (10**6, "wa", None),
        (0, "w", None),
        (900_000, "w", None),
    ],
)
def test_emissions_of_a_reservoir_can_be_calculated(area, devices, finding):
    """A water power plant of 10 MW would be credited without the methane of its reservoir."""
    made = tuple(
        CandidateDevice(
            f"m-{i}", "auxiliary" if of == "a" else "generation", "energy_meter", 1, True,
            {"w": 2, "s": 1, "a": None}[of],
        )
        for i, of in enumerate(devices, 1)
    )  # fmt: skip
    values = {**WIND, "capacity_mw": Fraction(10), "reservoir_m2": area}
    values = {key: value for key, value in values.items() if value is not None}
    *_, told = _tested("ams-i-d", Candidate(values, made, 2026, None, "VN"))
    assert told is finding is None or finding in told


def test_a_reservoir_emits_by_the_hour_as_by_the_period():
    """Rows of an interval of 15 minutes would not add up to the methane of the period."""
    method, book = methodologies.find("ams-i-d"), factors.load().within("VN")
    values = {**WIND, "capacity_mw": Fraction(10), "reservoir_m2": Fraction(10**6)}
    for role in ("generation", "auxiliary"):
        unit = methodologies.unit_reductions(method, role, {}, values, book, 2026)
        assert unit.project_t * 10**12 == 90_000


def test_a_chiller_no_better_than_the_reference_is_named():
    """A project without any gain would be registered."""
    assert _tested("jcm-vn-am003", _candidate(CHILLER)) == [None]
    (broken,) = _tested("jcm-vn-am003", _candidate({**CHILLER, "cop_project": Fraction(4)}))
    assert broken.startswith("cop_project = 4 is not above cop_reference = 4.2; measure both by")


def test_what_no_meter_delivers_is_never_accounted_live():
    """A project on invoices would close a period with zero tonnes, as if measured."""
    method = methodologies.find("jcm-whr")
    written = {field.name: getattr(method, field.name) for field in fields(method)}
    bare = Methodology(**{k: v for k, v in written.items() if k not in {"roles", "inputs_of"}})
    assert not bare.roles
    with pytest.raises(MethodologyError, match="uses no devices"):
        bare.inputs_of([], {}, factors.load().within("VN"), 2026)

"""The applied value in the text of a finding is the counted one."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from ingest.model import Fleet
from mrv.registry.project import ProjectDevice
from mrv.rules.closing import close
from tests.closes import corpus
from tests.mrv import plant
from tests.mrv.test_asked_grades import closed
from tests.mrv.test_design_capacity import PUMP, WEEK, WEEKS, ended


def texts(result, rule):
    """Return codes and findings of a rule that are not met."""
    found = [f for f in result.applicability if f.rule == rule and not f.holds]
    return {code for f in found for one in f.lines for code in _codes(one)}, found


def _codes(one):
    yield one.code
    for _, value in one.values:
        if hasattr(value, "code"):
            yield from _codes(value)


def test_a_pumped_volume_by_its_electricity_is_said_to_be_that():
    """A verifier would read that nothing counts, and find half of the volume counted."""
    project = replace(
        plant.PV, id="pumps", methodology="am0020", version="2.0", expected={},
        parameters={"kwh_per_m3_baseline": Decimal("0.14"), "ef_grid_t_per_mwh": Decimal("0.6592"),
                    "design_flow_m3_per_d": 1000, "design_kwh_per_m3": Decimal("0.085")},
        devices=(ProjectDevice("pump", "volume"), ProjectDevice("power", "power")),
    )  # fmt: skip
    rows = {
        ("pump", "flow"): [10**7] * (WEEKS * WEEK),
        ("power", "energy_import"): [900] * (WEEKS * WEEK),
    }
    found = ended(project, Fleet(PUMP), rows, {}, certified=False, documents=(), invoices=())
    counted = next(Fraction(d.counted) for d in found.devices if d.device == "pump")
    codes, (finding,) = texts(found, "EVD-02")
    assert "EVD-02.by_before" in codes
    assert "EVD-02.alone" not in codes
    assert "divided by kwh_per_m3_baseline is applied" in finding.detail
    # 900 Wh by 0.14 kWh/m3 each quarter hour, less 5 % of a meter without a certificate
    expected = Fraction(900, 140) * 10**6 * WEEKS * WEEK * Fraction(95, 100)
    assert abs(counted - expected) < 1


def test_a_meter_is_not_accused_for_what_was_added_to_it():
    """A fleet with its approved consumption had a finding because of tonne's own addition."""
    buses = (
        ProjectDevice("ch-1", "charging"),
        ProjectDevice("bus-1", "vehicle", {"kwh_per_km": Decimal("0.9")}),
    )
    project = replace(
        plant.BUS, devices=buses, parameters={**plant.BUS.parameters, "sfc_l_per_100km": 48}
    )
    found = closed(project=project, required=None)
    assert "MTR-05.below_range" in texts(found, "MTR-05")[0]
    assert "MTR-06.not_its_value" not in texts(found, "MTR-06")[0]
    # one that takes five times as much as approved is named
    given = {
        ("bus-1", "distance"): [600] * plant.DAY,
        ("ch-1", "energy_import"): [2_500] * plant.DAY,
    }
    assert (
        "MTR-06.not_its_value"
        in texts(closed(project=project, given=given, required=None), "MTR-06")[0]
    )


@pytest.mark.parametrize("name", ["2/am0020/065dd02ba940"])
def test_a_rare_value_that_is_applied_is_a_request_to_clarify(name):
    """A rare value would be a corrective action request, which says that it is impossible."""
    given, books = corpus.read()
    found = close(*corpus.asked_of(given[name], corpus.books_of(books)))
    codes, findings = texts(found, "PAR-04")
    assert codes & {"PAR-04.unusual", "PAR-04.applied", "PAR-04.kept"} == {"PAR-04.unusual"}
    assert {f.severity for f in findings} == {"CL"}

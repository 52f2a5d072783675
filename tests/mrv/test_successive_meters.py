"""A meter that is replaced by a device with an id of its own is one meter place all the same."""

import re
from dataclasses import replace
from fractions import Fraction

import pytest

from ingest.model import INTERVAL_US, Fleet
from mrv.accounting.coverage import Served
from mrv.accounting.device_period import Monitored
from mrv.accounting.evidenced_time import successive, together_us
from mrv.methodologies import find
from mrv.registry.project import ACCOUNTING, FIRST, Besides, Measured, ProjectDevice
from mrv.rules.capacity import at_capacity
from mrv.rules.closing import close
from tests.mrv import plant
from tests.mrv.test_design_capacity import BOOK, BUILT, TREATED, WATER, WEEK, WEEKS
from tests.mrv.test_owner_inputs import PLANT

METHOD = find(TREATED.methodology)
COUNT = WEEKS * WEEK
HALF = COUNT // 2 + 5
AT = plant.FROM + HALF * INTERVAL_US
VALUES = dict(zip(WATER, (5 * 10**6, 12 * 10**6, 4_000), strict=True))
TOLD = {
    "cod_in_kg_per_m3": "6", "cod_out_kg_per_m3": "0.15", "eta_cod_project": "0.8",
    "ch4_fraction": "0.62", "flare_efficiency": "0.9",
}  # fmt: skip
CHANNELS = {n: Measured(Fraction(v), "by its analyser", 1, 1) for n, v in TOLD.items()}
ROLES = {"in": "inflow", "gas": "biogas", "power": "power"}


def treated(
    changed=(), scale=1, accounting=ACCOUNTING, apart=0, bill=None, sold=False, *, certified=True
):
    """
    Close five weeks of a plant some of whose meters are replaced within the third.

    `apart` are intervals between one and the next, below zero where both serve; `bill` says
    which devices the invoice of the electricity names.  `sold` adds an invoice of the water.
    """
    devices, bound, rows = [], [], {}
    for (name, quantity), value in VALUES.items():
        some = [value * scale] * COUNT
        known = next(d for d in PLANT.devices if d.id == name)
        if name not in changed:
            devices.append(known)
            bound.append(ProjectDevice(name, ROLES[name]))
            rows[name, quantity] = some
            continue
        begin = HALF + apart
        devices += [known, replace(known, id=f"{name}-2")]
        bound += [
            ProjectDevice(name, ROLES[name], to_us=AT),
            ProjectDevice(f"{name}-2", ROLES[name], from_us=plant.FROM + begin * INTERVAL_US),
        ]
        rows[name, quantity] = some[:HALF]
        rows[f"{name}-2", quantity] = [None] * begin + some[begin:]
    fleet = Fleet(devices)
    whole = plant.bills({("power", "energy_import"): [4_000 * scale] * COUNT}, "power")
    named = bill or tuple(d.id for d in devices if d.id.startswith("power"))
    besides = Besides(
        accounting=accounting, documents=plant.papers(*BUILT), channels=CHANNELS,
        invoices=(
            *(replace(one, devices=named) for one in whole),
            *(plant.bills({("in", "flow"): [5 * 10**6] * COUNT}, "in") if sold else ()),
        ),
    )  # fmt: skip
    project = replace(TREATED, devices=tuple(bound), parameters={**TREATED.parameters, **BUILT})
    papers = dict.fromkeys([d.id for d in devices if certified], plant.CERTIFICATES["inv-1"])
    end = plant.FROM + COUNT * INTERVAL_US
    return close(
        project, fleet, papers, plant.laid_out(fleet, rows), plant.FROM, end, BOOK,
        besides=besides,
    )  # fmt: skip


def tonnes(result):
    """Reduction of a period. [tCO2e]"""
    return float(result.net.reduction.t)


def unmet(result):
    return " ".join(f.detail for f in result.applicability if not f.holds)


@pytest.mark.parametrize("apart", [-96, 96])
def test_an_invoice_of_meters_that_overlap_or_leave_a_gap_says_so(apart):
    """What nobody metered, or two did, would be compared with what was bought once."""
    found = treated(("power",), apart=apart, certified=False)
    assert tonnes(found) <= 0
    assert "all that time: power served from 2025-12-31T17:00:00Z to 2026-01-" in unmet(found)
    for name in ("power", "power-2"):
        assert f"The invoices of {name} do not corroborate it: i-power" in unmet(found)


def test_an_invoice_that_names_one_of_both_meters_is_not_compared():
    """Half a meter's electricity would be found to differ from the whole invoice."""
    found = treated(("power",), bill=("power",), certified=False)
    assert tonnes(found) <= 0
    assert "all that time: power served from 2025-12-31T17:00:00Z to 2026-01-" in unmet(found)
    assert "No invoice with its file corroborates power-2" in unmet(found)


def served(first, count, role="power"):
    """Return a meter that serves some intervals."""
    return Monitored(
        ProjectDevice("x", role), PLANT.devices[0], METHOD.roles[role], {}, (),
        Served(first, count, 0, 0, 0, 0, 0), (), (),
    )  # fmt: skip


def test_meters_of_several_places_change_at_once():
    """As many serve at any time; one that leaves without a successor is no change of meters."""
    both = [served(0, 5), served(5, 5), served(0, 7), served(7, 3)]
    assert successive(both, 0, 10)
    assert successive([served(0, 6), served(5, 5)], 0, 10)
    assert not successive(both[:3], 0, 10)
    assert not successive([served(0, 7), served(5, 5)], 0, 10)
    assert not successive([served(0, 5), served(5, 5, "inflow")], 0, 10)


def test_what_a_capacity_comes_to_is_of_the_time_of_both_meters():
    """A capacity three times too large passed its load test with two meters after each other."""
    capacity = next(c for c in METHOD.capacities if not c.of and "inflow" in c.serves)
    one, two = [served(0, 960, "inflow")], [served(0, 480, "inflow"), served(480, 480, "inflow")]
    whole = at_capacity(one, capacity, BUILT)
    assert whole == 10 * 600 * 10**6
    assert at_capacity(one * 2, capacity, BUILT) == whole
    assert together_us(two, 0, 960) == 960 * INTERVAL_US
    assert at_capacity(two, capacity, BUILT) == whole


def test_a_meter_of_the_baseline_names_what_ends_its_time():
    """A fan meter that came late, and the condition blamed the fuel meter."""
    found = treated(("power",), apart=96, sold=True, certified=False)
    assert "in served from" in unmet(found)
    assert "since nothing counts without power-2 (power)" in unmet(found)


def cost_of_change(result):
    """What is told of a change of meters; it asks for no reply."""
    (found,) = [f for f in result.applicability if f.rule == "REG-03"] or [None]
    assert found is None or found.severity == "observation"
    return "" if found is None else found.detail


def test_a_day_between_two_power_meters_is_told_with_its_tonnes():
    """An honest plant lost a day's water, and no line of its statement said why."""
    assert cost_of_change(treated(("power",))) == ""
    told = cost_of_change(treated(("power",), apart=96))
    assert re.search(
        r"in: 480,000 L from 2026-01-\S+ to 2026-01-\S+ are not counted, [0-9.]+ t of"
        " the baseline, since no meter of the role power is in service",
        told,
    )
    assert cost_of_change(treated(("power",), apart=96, accounting=FIRST)) == ""

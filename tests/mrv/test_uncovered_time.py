"""Invoices from mid-month to mid-month: ends without one count as the others' mean, at most."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.methodologies import find
from mrv.registry.project import ACCOUNTING, Besides, Invoice, ProjectDevice
from mrv.rules.closing import close
from tests.mrv import plant
from tests.mrv.test_invoice_evidence import HONEST, LINE
from tests.mrv.test_service_attacks import SURE, tonnes

RULE = "EVD-03"

BOOK = factors.load()
METHOD = find("ams-ii-e")
YEAR = 365
# days before the 15th of each month of a year
FIFTEENTHS = [14, 45, 73, 104, 134, 165, 195, 226, 257, 287, 318, 348]


def bill(role, first, last, share=1, device=None, **other):
    """Return a true invoice from one day of the period to another."""
    value = int(HONEST[role] * (last - first) * plant.DAY * share)
    edges = (plant.FROM + day * plant.DAY * INTERVAL_US for day in (first, last))
    device = device or role
    given = Invoice(
        f"i-{device}-{first}", "its supplier", f"{first}", date(2027, 3, 1), (device,),
        METHOD.roles[role].quantity, *edges, value, Decimal(5), "c3" * 32,
    )  # fmt: skip
    return replace(given, **other)


def monthly(role, edges=FIFTEENTHS, **other):
    """Return invoices between some days, each of its own number."""
    return tuple(bill(role, a, b, **other) for a, b in pairwise(edges))


def building(invoices, lie=(1, 1), lied=(), days=YEAR, accounting=ACCOUNTING, *, certified=True):
    """Close a building whose weather and electricity tell a multiple on some days."""
    fleet = Fleet(
        [
            Device(name, "s", METHOD.roles[name].classes[0], rated_power_w=2 * 10**6,
                   installed_us=plant.FROM)
            for name in HONEST
        ]
    )  # fmt: skip
    rows = {}
    for (name, value), scale in zip(HONEST.items(), lie, strict=True):
        every = (int(value * (scale if day in lied else 1)) for day in range(days))
        rows[name, METHOD.roles[name].quantity] = [v for v in every for _ in range(plant.DAY)]
    project = replace(
        plant.PV, id="p", methodology="ams-ii-e", version=METHOD.version, expected={},
        parameters={**LINE, "ef_grid_t_per_mwh": Decimal("0.6592")},
        devices=tuple(ProjectDevice(name, name) for name in HONEST),
    )  # fmt: skip
    besides = Besides(
        accounting=accounting, invoices=invoices, documents=plant.papers(*METHOD.papers)
    )
    certificates = dict.fromkeys(HONEST if certified else (), SURE)
    return close(
        project, fleet, certificates, plant.laid_out(fleet, rows), plant.FROM,
        plant.FROM + days * plant.DAY * INTERVAL_US, BOOK, besides=besides,
    )  # fmt: skip


def said(result):
    """What the condition says where it does not hold."""
    return "".join(f.detail for f in result.applicability if f.rule == RULE and not f.holds)


OTHERS = {
    "the middle": ((0, 165), (195, YEAR)),
    "an end longer than the invoice beside it": ((29, 50), (50, YEAR)),
    "an end of more than a month": ((33, YEAR),),
    "less than nine tenths": ((20, 200), (200, 345)),
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_time_without_an_invoice_is_asked_for(what):
    """An owner would leave out the invoices of the months of which the meter tells too much."""
    some = tuple(b for edges in OTHERS[what] for b in monthly("power", edges))
    found = building((bill("weather", 0, YEAR), *some), certified=False)
    assert tonnes(found) == 0
    assert "The invoices of power do not corroborate it: they cover" in said(found)


def test_an_end_that_an_invoice_refutes_is_not_left_out():
    """The bill of December says less than the meter: it would pass for time without a bill."""
    some = (bill("weather", 0, YEAR), *monthly("power", (0, 150, 334)))
    assert tonnes(building(some)) > 200
    found = building((*some, bill("power", 334, YEAR, 2)))
    assert tonnes(found) == 0
    assert "differs by \N{MINUS SIGN}50" in said(found)
    assert "they cover 91.5 % of its time" in said(found)

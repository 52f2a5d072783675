"""Invoices from mid-month to mid-month: ends without one count as the others' mean, at most."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.methodologies import find
from mrv.registry.project import ACCOUNTING, FIRST, Besides, Invoice, ProjectDevice
from mrv.rules.closing import close
from tests.mrv import plant
from tests.mrv.test_invoice_evidence import HONEST, LINE
from tests.mrv.test_service_attacks import ALONE, COUNT, PLANTS, SURE, earned, tonnes, unmet

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


BOTH = (*monthly("weather"), *monthly("power"))
BARE = {*range(FIFTEENTHS[0]), *range(FIFTEENTHS[-1], YEAR)}


def test_twelve_bills_from_mid_month_to_mid_month_show_a_calendar_year():
    """They cover 334 days of 365, 91.5 %, and an honest owner lost the whole year."""
    truth = building((), accounting=FIRST)
    assert tonnes(truth) > 200
    found = building(BOTH)
    assert found.net == truth.net
    assert not said(found)
    # the weather service's figures are by the month
    assert building((bill("weather", 0, YEAR), *monthly("power"))).net == truth.net


@pytest.mark.parametrize("lie", [(3, 1), (1, 0), (1, 0.5), (1.2, 0.8), (1.05, 1), (1, 0.95)])
def test_a_building_that_lies_where_no_invoice_is_earns_no_more(lie):
    """By 1.05 on 31 days of a year a meter differs by less than a half per cent over all."""
    truth = tonnes(building(BOTH))
    assert tonnes(building(BOTH, lie, BARE)) <= truth
    # nor where the invoices cover 95 %, and the rest is in the middle
    gap = [day for day in range(YEAR) if day not in range(170, 188)]
    some = (*monthly("weather", (0, 170)), *monthly("weather", (188, YEAR)),
            *monthly("power", (0, 170)), *monthly("power", (188, YEAR)))  # fmt: skip
    assert tonnes(building(some)) == truth
    assert tonnes(building(some, lie, set(range(YEAR)) - set(gap))) <= truth


@pytest.mark.parametrize("lie", [(0.5, 1), (1, 1.3), (0.9, 1.1)])
def test_what_is_less_favourable_counts_as_metered(lie):
    """A worse month would be made as good as the mean of the others."""
    before = building((), lie, BARE, accounting=FIRST)
    assert building(BOTH, lie, BARE).net == before.net


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


def test_each_meter_of_a_role_has_the_mean_of_its_own_invoices():
    """A small meter would tell as much as a large one where it has no invoice."""
    given = [("large", 100_000), ("small", 1_000)]
    method = find("jcm-vn-am003")
    fleet = Fleet(
        [Device(name, "s", "energy_meter", rated_power_w=2 * 10**6, installed_us=plant.FROM)
         for name, _ in given]
    )  # fmt: skip
    project = replace(
        plant.PV, id="p", methodology=method.id, version=method.version, expected={},
        parameters={"cop_reference": Decimal(4), "cop_project": Decimal(6),
                    "ef_grid_t_per_mwh": Decimal("0.6592")},
        devices=tuple(ProjectDevice(name, "equipment") for name, _ in given),
    )  # fmt: skip
    days, tail = 56, 5

    def closed(last):
        rows = {
            (name, "energy_import"): [value] * (days - tail) * plant.DAY
            + [last if name == "small" else value] * tail * plant.DAY
            for name, value in given
        }
        bills = tuple(
            replace(bill("power", 0, end, device=name), value=value * end * plant.DAY)
            for (name, value), end in zip(given, (days, days - tail), strict=True)
        )
        besides = Besides(
            accounting=ACCOUNTING, invoices=bills, documents=plant.papers(*method.papers)
        )
        return close(
            project, fleet, {n: SURE for n, _ in given}, plant.laid_out(fleet, rows), plant.FROM,
            plant.FROM + days * plant.DAY * INTERVAL_US, BOOK, besides=besides,
        )  # fmt: skip

    truth = closed(1_000)
    assert tonnes(truth) > 100
    assert not said(truth)
    assert tonnes(closed(50_000)) <= tonnes(truth)


@pytest.mark.parametrize("name", [name for name in PLANTS if name not in ALONE])
def test_a_plant_that_lies_where_no_invoice_is_earns_no_more(name):
    """Service and electricity ten times too high for a day would agree with each other."""
    tail = COUNT * 8 // 100
    truth = earned(name)
    honest = earned(name, tail=tail)
    assert RULE not in unmet(honest)
    assert honest.net == truth.net
    for load in (0.8, 0.08):
        # without its own invoices a service may be some per cent higher than its electricity says
        alone = ((1.2, 1),) if name in {"ams-iii-aj", "ams-iii-ba"} else ()
        for lies in ((3, 3), (10, 10), (1, 0), (1.1, 1.1), *alone):
            assert tonnes(earned(name, tail=tail, lies=lies, load=load)) <= 1.001 * tonnes(truth)

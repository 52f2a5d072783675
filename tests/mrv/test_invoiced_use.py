"""Use on the project's side of which an invoice says more than its meter."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from ingest.model import INTERVAL_US
from mrv.rules.invoiced_use import MORE
from tests.mrv import plant
from tests.mrv.test_project_meters import COUNT, END, ROLES, plant_of, said

RULE = "EVD-05"

MIDDLE = plant.FROM + COUNT // 2 * INTERVAL_US
TRUTH = {name: amount for name, (*_, amount) in ROLES.items()}


def bill(*names, first=plant.FROM, last=END, scale=1.0, percent=2, **other):
    """Return an invoice of what some meters truly used, or a multiple of it."""
    steps = (last - first) // INTERVAL_US
    value = round(scale * sum(TRUTH[name] for name in names) * steps)
    (one,) = plant.bills({(names[0], ROLES[names[0]][2]): [1]}, names[0])
    return replace(
        one, devices=tuple(sorted(names)), from_us=first, to_us=last, value=value,
        issued=date(2026, 3, 1), percent=Decimal(percent), **other,
    )  # fmt: skip


def told(*invoices, scale=1.0, meter="aux", **given):
    """Close four weeks of a turbine whose meter of use tells a part of the truth."""
    values = [round(TRUTH[meter] * scale)] * COUNT
    given = {meter: values} | given
    return plant_of("gen", "aux", "fuel", invoices=invoices, **given)


def tonnes(result):
    return float(result.net.reduction.t)


@pytest.mark.parametrize("meter", ["aux", "fuel"])
def test_an_invoice_that_says_more_counts(meter):
    """A meter of a tenth of the use, of which an invoice told all, earned by its meter."""
    truth = told(bill(meter), meter=meter)
    before = told(scale=0.1, meter=meter)
    found = told(bill(meter), scale=0.1, meter=meter)
    assert tonnes(before) > tonnes(truth)
    assert not said(before, RULE)
    assert tonnes(found) == pytest.approx(tonnes(truth), abs=2e-6)
    detail = said(found, RULE)
    cost = float(detail.rpartition("This deducts ")[2].split(" t.")[0])
    assert cost == pytest.approx(tonnes(before) - tonnes(found), abs=2e-6)
    assert f"{meter} ({meter if meter == 'fuel' else 'auxiliary'})" in detail
    (taken,) = (d for d in found.deductions if d.device == meter and d.reason == MORE)
    assert float(taken.cost_t) == pytest.approx(cost, abs=2e-6)
    # the comparison stays beside it
    assert [c.holds for c in found.cross_checks] == [False]


def test_both_figures_stand_in_the_condition():
    """As the supplier has them, and the meter."""
    detail = said(told(bill("aux"), scale=0.1), RULE)
    kwh = TRUTH["aux"] * COUNT / 1000
    assert f"i-aux: its supplier, 1 states {kwh:,.0f} kWh, and {kwh / 10:,.0f} kWh count" in detail
    assert f"{0.9 * kwh:,.0f} kWh are added" in detail


def two(value, **given):
    """Close a plant with two auxiliaries, of which one tells a value each quarter hour."""
    paper = bill("aux", "aux-2", scale=1)
    return plant_of("gen", "aux", "aux-2", "fuel", invoices=(paper,),
                    **{"aux-2": [value] * COUNT}, **given)  # fmt: skip


def test_an_invoice_beyond_the_period_is_shared_by_time():
    """Suppliers bill from mid-month to mid-month."""
    reach = {"first": MIDDLE, "last": END + (END - MIDDLE)}
    truth, found = told(bill("aux", **reach)), told(bill("aux", **reach), scale=0.1)
    assert truth.net == told().net
    assert tonnes(found) == pytest.approx(tonnes(truth), abs=4e-6)
    assert "for its share of the period" in said(found, RULE)
    # a week of more use outside of the period is no difference
    assert told(bill("aux", scale=1.4, **reach)).net == told().net
    # nor is time before the project
    before = {"first": plant.FROM - (MIDDLE - plant.FROM), "last": MIDDLE}
    assert told(bill("aux", **before), scale=0.1).net == told(scale=0.1).net

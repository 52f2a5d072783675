"""Buses drive no more day after day than buses do, unless their electricity is invoiced."""

from datetime import date
from decimal import Decimal

import pytest

from ingest.model import INTERVAL_US
from mrv.registry.project import ACCOUNTING, FIRST, Besides, Invoice
from mrv.texts import text
from tests.mrv import plant
from tests.mrv.test_plausible_service import WEEK, charged, closed, driven

BILLED = text("invoice.less")
OUTSIDE = "EVD-03"

RULE = "EVD-04"
WEEKS = 2
DAYS = 7 * WEEKS
METRES, KWH = 2_000, 160  # 144 km a day, and what the charger takes for them


def fleet(scale, invoices=(), accounting=ACCOUNTING):
    """Close two weeks of a bus whose odometer and charger both tell a multiple of the truth."""
    rows = {
        ("ch-1", "energy_import"): charged(DAYS, int(KWH * scale)),
        ("bus-1", "distance"): driven(DAYS, int(METRES * scale)),
    }
    besides = Besides(accounting=accounting, invoices=invoices, documents=plant.papers("tdl"))
    return closed(rows, "ch-1", weeks=WEEKS, besides=besides)


def bill(kwh, **other):
    """Return an invoice of the charger's electricity over both weeks."""
    end = plant.FROM + WEEKS * WEEK * INTERVAL_US
    given = {
        "id": "b", "issuer": "its supplier", "number": "7", "issued": date(2026, 4, 1),
        "devices": ("ch-1",), "quantity": "energy_import", "from_us": plant.FROM, "to_us": end,
        "value": kwh * 1000 * DAYS, "percent": Decimal(2), "sha256": "c3" * 32,
    }  # fmt: skip
    return Invoice(**(given | other))


def tonnes(result):
    return float(result.net.reduction.t)


def said(result, clause=RULE):
    return "".join(f.detail for f in result.applicability if f.rule == clause and not f.holds)


def test_a_bus_within_the_mean_of_its_class_earns_as_before():
    """A rule against lies would cost honest operators tonnes."""
    for scale in (1, 2, 2.4):
        found = fleet(scale)
        assert found.net == fleet(scale, accounting=FIRST).net
        assert not said(found)


def test_odometer_and_charger_that_lie_together_earn_no_more_than_the_mean():
    """Three times the kilometres with three times the electricity earned three times the truth."""
    before, found = fleet(3, accounting=FIRST), fleet(3)
    assert tonnes(before) == pytest.approx(3 * tonnes(fleet(1)), rel=0.01)
    assert tonnes(found) < 0.6 * tonnes(before)
    assert "devices of its kind do 350 km at most" in said(found)
    cost = tonnes(before) - tonnes(found)
    assert f"({cost:.5f}"[:-1] in said(found)
    assert "The supplier's invoices of ch-1 would corroborate it" in said(found)
    less = [d for d in found.deductions if "350 km" in str(d.reason)]
    assert [d.device for d in less] == ["bus-1"]
    # 432 km a day, of which 350 count
    assert sum(float(d.quantity) for d in less) == pytest.approx(82_000 * DAYS, rel=1e-6)


def test_a_bus_that_drives_more_and_shows_its_electricity_earns_it():
    """A line between cities would lose what it drives."""
    truth = fleet(3, accounting=FIRST)
    assert fleet(3, (bill(480),)).net == truth.net
    for wrong in (bill(160), bill(480, sha256=None), bill(480, devices=("ch-2",))):
        assert tonnes(fleet(3, (wrong,))) < 0.6 * tonnes(truth)


def test_what_no_invoice_is_of_counts_as_the_mean_of_the_invoices():
    """Two meters that lie together on the last day, of which no invoice is, earned a tenth more."""
    first, kwh, metres = DAYS - 1, 416, 5_200  # 374 km a day

    def ended(scale, invoices, accounting=ACCOUNTING):
        rows = {
            ("ch-1", "energy_import"): charged(first, kwh) + charged(1, int(kwh * scale)),
            ("bus-1", "distance"): driven(first, metres) + driven(1, int(metres * scale)),
        }
        besides = Besides(accounting=accounting, invoices=invoices, documents=plant.papers("tdl"))
        return closed(rows, "ch-1", weeks=WEEKS, besides=besides)

    end = plant.FROM + first * plant.DAY * INTERVAL_US
    shown = (bill(0, to_us=end, value=sum(charged(first, kwh))),)
    truth = ended(1, (), FIRST)
    assert ended(1, shown).net == truth.net
    assert tonnes(ended(1.3, (), FIRST)) > 1.02 * tonnes(truth)
    assert tonnes(ended(1.3, shown)) <= 1.001 * tonnes(truth)
    assert BILLED in [d.reason for d in ended(1.3, shown).deductions]


def test_whose_electricity_nobody_else_shows_is_named():
    """Within the mean of the class two meters that lie together had no condition at all."""
    bare = fleet(2)
    assert "No invoice with its file corroborates ch-1; With bus-1" in said(bare, OUTSIDE)
    assert not said(fleet(2, accounting=FIRST), OUTSIDE)
    shown = fleet(2, (bill(320),))
    assert not said(shown, OUTSIDE)
    assert ("Invoices with their files corroborate ch-1", True) in [
        (f.detail, f.holds) for f in shown.applicability
    ]
    # it moves no tonne
    assert shown.net == bare.net
    # invoices of what was truly charged do not show twice that
    assert said(fleet(2, (bill(160),)), OUTSIDE)

"""Buses drive no more day after day than buses do, unless their electricity is invoiced."""

from datetime import date
from decimal import Decimal

import pytest

from ingest.model import INTERVAL_US
from mrv.registry.project import ACCOUNTING, FIRST, Besides, Invoice
from tests.mrv import plant
from tests.mrv.test_plausible_service import WEEK, charged, closed, driven

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
    besides = Besides(accounting=accounting, invoices=invoices, documents=plant.LOSSES)
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


def test_odometer_and_charger_that_lie_together_earn_no_more_than_the_mean():
    """Three times the kilometres with three times the electricity earned three times the truth."""
    before, found = fleet(3, accounting=FIRST), fleet(3)
    assert tonnes(before) == pytest.approx(3 * tonnes(fleet(1)), rel=0.01)
    assert tonnes(found) < 0.6 * tonnes(before)
    assert "devices of its class average at most 350 km" in said(found)
    cost = tonnes(before) - tonnes(found)
    assert f"({cost:.5f}"[:-1] in said(found)
    assert "The supplier's invoices of ch-1 would corroborate it" in said(found)
    less = [d for d in found.deductions if "350 km" in str(d.reason)]
    assert [d.device for d in less] == ["bus-1"]
    # 432 km a day, of which 350 count
    assert sum(float(d.quantity) for d in less) == pytest.approx(-82_000 * DAYS, rel=1e-6)


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

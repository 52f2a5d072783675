"""Steam that a meter tells beyond an invoice of its buyer counts as the invoice says."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from ingest.model import INTERVAL_US
from mrv.registry.project import FIRST
from tests.mrv import plant
from tests.mrv.test_project_meters import COUNT, plant_of, said

RULE = "EVD-03"

TRUTH = 1_100_000  # g of steam a quarter hour
MIDDLE = plant.FROM + COUNT // 2 * INTERVAL_US


def bill(first=plant.FROM, last=MIDDLE, of=TRUTH, **other):
    """Return an invoice of steam over a half of the period."""
    (one,) = plant.bills({("steam", "mass"): [TRUTH] * COUNT}, "steam")
    value = of * ((last - first) // INTERVAL_US)
    given = {"from_us": first, "to_us": last, "value": value, "issued": date(2026, 2, 6)}
    return replace(one, percent=Decimal(2), **(given | other))


def steam(scale, *invoices, **given):
    """Close four weeks of a steam meter that tells a multiple of the truth."""
    values = [round(TRUTH * scale)] * COUNT
    return plant_of("steam", "aux", "fuel", steam=values, invoices=invoices, **given)


def tonnes(result):
    return float(result.net.reduction.t)


def test_a_meter_above_its_invoice_counts_as_the_invoice_says():
    """1.4 times the steam that its buyer paid for a half of the month earned it all."""
    truth, before = steam(1, bill()), steam(1.4, bill(), accounting=FIRST)
    found = steam(1.4, bill())
    assert tonnes(before) > 1.3 * tonnes(truth)
    assert tonnes(found) == pytest.approx(tonnes(truth), rel=1e-6)
    assert tonnes(found) <= tonnes(truth) + 1e-5
    told = said(found, RULE)
    assert "steam report more than i-steam: its supplier, 1 (1,478,400 kg invoiced, 2,069," in told
    cost = float(told.rpartition("proportion (")[2].split(" t)")[0])
    assert cost == pytest.approx(tonnes(steam(1.4)) - tonnes(found), abs=1e-5)

"""Invoices that extend beyond the period: the quantity metered outside is subtracted."""

from datetime import date

from ingest.model import INTERVAL_US, IntervalRows
from mrv import factors
from mrv.accounting.cross_checks import outside
from mrv.registry.project import ACCOUNTING, Invoice, MeteredOutside, SupportingData
from mrv.rules.closing import close
from mrv.statement.plan_writer import outside_in, outside_out
from tests.mrv.plant import CERTIFICATES, DAY, FLEET, FROM, PV, full

DAY_US = DAY * INTERVAL_US
# what the inverter makes in a quarter of an hour, and in a day [Wh]
EACH = 10_000
DAILY = EACH * DAY


def bill(days=1.0, before=25, within=3, percent=5, after=0):
    """Return an invoice with the energy of a number of days."""
    return Invoice(
        "i-1", "EVN", "7", date(2026, 3, 1), ("inv-1",), "energy_export",
        FROM - before * DAY_US, FROM + (within + after) * DAY_US, round(days * DAILY), percent,
        "ab" * 32,
    )  # fmt: skip


def metered(days=25.0, before=25, known=1.0):
    """Return the quantity metered before the period."""
    begin = FROM - before * DAY_US
    return MeteredOutside(
        "inv-1", "energy_export", begin, FROM, round(days * DAILY),
        round(before * known * DAY) * INTERVAL_US,
    )  # fmt: skip


def compared(invoice, *facts, times=1.0, period=5, accounting=ACCOUNTING):
    """Close days in which the meter counts a multiple of the truth; return the comparison."""
    rows = IntervalRows.concat(
        [
            full("inv-1", "energy_export", period * DAY, int(EACH * times)),
            full("inv-2", "energy_export", period * DAY, 7),
        ]
    )
    supporting = SupportingData(accounting=accounting, invoices=(invoice,), outside=facts)
    end = FROM + period * DAY_US
    result = close(PV, FLEET, CERTIFICATES, rows, FROM, end, factors.load(), supporting=supporting)
    (found,) = result.cross_checks
    return found


def test_a_long_invoice_is_not_compared_with_a_short_period():
    """A tolerance of 5 % on two years exceeds the energy of a month."""
    long = bill(733, before=730)
    assert outside(long, (FROM, FROM + 5 * DAY_US)) is None
    found = compared(long, metered(730, before=730), times=2)
    assert found.holds is None
    assert "extends beyond the period; close a period that includes all of it" in str(found.detail)
    # a year's invoice of a year's period is
    year = FROM, FROM + 365 * DAY_US
    assert outside(bill(365, before=60, within=305), year) == ((FROM - 60 * DAY_US, FROM),)


def test_an_invoice_waits_for_the_readings_outside():
    """With fewer readings outside the period, the comparison names their meter and share."""
    assert compared(bill(28), metered(24, known=0.96)).holds
    for facts, share in (((metered(known=0.945),), "94.5"), ((), "0.0")):
        found = compared(bill(28), *facts)
        assert found.holds is None
        assert f"inv-1 has readings in {share} % of the time from 20" in str(found.detail)


def test_a_quantity_outside_the_period_is_read_as_it_was_written():
    """An auditor's recalculation would compare an invoice with another quantity."""
    metered = MeteredOutside("inv-1", "energy_export", 900_000_000, 1_800_000_000, 5, 7)
    assert outside_in(outside_out(metered)) == metered

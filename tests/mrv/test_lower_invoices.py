"""What a third party invoices counts where a baseline's meter reports more."""

from dataclasses import replace
from datetime import date

from ingest.model import INTERVAL_US, IntervalRows
from mrv import factors
from mrv.registry.project import ACCOUNTING, Besides, Invoice
from mrv.rules.closing import close
from mrv.statement.cross_check_json import indicated
from tests.mrv.plant import CERTIFICATES, DAY, FLEET, FROM, PV, full

DAY_US = DAY * INTERVAL_US
DAYS = 10
# what an inverter makes in a quarter of an hour, and in a day [Wh]
EACH = 10_000
DAILY = EACH * DAY


def bill(days, begin=0, end=DAYS, devices=("inv-1",), percent=2, **other):
    """Return an invoice over some days, of so many days' energy."""
    given = Invoice(
        f"i-{begin}-{end}-{days}", "EVN", f"{begin}", date(2026, 3, 1), devices, "energy_export",
        FROM + begin * DAY_US, FROM + end * DAY_US, round(days * DAILY), percent, "ab" * 32,
    )  # fmt: skip
    return replace(given, **other)


def closed(*invoices, times=1.0, second=1.0, skip=(), accounting=ACCOUNTING, outside=()):
    """Close ten days of two inverters whose meters count a multiple of the truth."""
    count = DAYS * DAY
    rows = IntervalRows.concat(
        [
            full("inv-1", "energy_export", count, int(EACH * times), skip),
            full("inv-2", "energy_export", count, int(EACH * second)),
        ]
    )
    besides = Besides(accounting=accounting, invoices=invoices, outside=outside)
    end = FROM + DAYS * DAY_US
    return close(PV, FLEET, CERTIFICATES, rows, FROM, end, factors.load(), besides=besides)


def test_a_difference_that_only_the_claimants_tolerance_explains_is_reported():
    """An inflated meter would pass by a tolerance typed to fit the true invoice."""

    def said(times, percent):
        found = closed(bill(10, percent=percent), times=times)
        of = [one for one in found.applicability if "EVD-03.explained" in repr(one.texts)]
        return [(one.holds, one.severity) for one in of]

    assert said(1.1, 11) == [(False, "observation")]
    assert said(1.04, 11) == said(1.1, 5) == said(0.9, 11) == []


def test_what_is_deducted_is_no_misstatement():
    """A statement that counts what was invoiced would be called wrong by the difference."""
    found = closed(bill(10), times=1.2)
    (check,) = found.cross_checks
    assert (check.holds, check.effect_t) == (False, "0.000000")
    assert indicated(found).absolute_t == 0
    # nor where another invoice shows the rest of the time
    found = closed(bill(5, 0, 5), bill(7.5, 5), times=1.5)
    assert indicated(found).absolute_t == 0
    # what no rule took off is one
    unbound = closed(bill(10, sha256=None), times=1.2)
    assert indicated(unbound).absolute_t > 0

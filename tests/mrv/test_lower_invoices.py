"""What a third party invoices counts where a baseline's meter reports more."""

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from ingest.model import INTERVAL_US, IntervalRows
from mrv import factors
from mrv.registry.project import ACCOUNTING, FIRST, Besides, Invoice, MeteredOutside
from mrv.rules.closing import close
from mrv.statement.cross_check_json import indicated
from tests.mrv.plant import CERTIFICATES, DAY, FLEET, FROM, PV, full

RULE = "EVD-03"
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


def counted(result, device=0):
    """Days' energy that counts of a device."""
    return float(Fraction(result.devices[device].counted) / DAILY)


def said(result):
    """What the condition says; None where it is not asked."""
    found = [(f.holds, f.detail) for f in result.applicability if f.rule == RULE]
    return found[0] if found else None


def test_no_more_counts_than_is_invoiced():
    """A meter of the owner's would earn a fifth more than its buyer paid for."""
    found = closed(bill(10), times=1.2)
    assert counted(found) == 10
    holds, text = said(found)
    assert not holds
    assert "inv-1 report more than i-0-10-10: EVN, 0 (9,600 kWh invoiced, 11,520 kWh met" in text
    # nothing else moves, and the first release's rules do not either
    assert counted(found, 1) == counted(closed(), 1)
    assert counted(closed(bill(10), times=1.2, accounting=FIRST)) == 12


@pytest.mark.parametrize("days", [9.85, 10, 10.15, 11, 20])
def test_what_agrees_or_is_higher_takes_nothing(days):
    """An honest plant behind a transformer would lose the loss that its invoice may differ by."""
    found = closed(bill(days))
    assert found.net == closed().net
    assert said(found) is None


def test_an_invoice_of_another_point_says_so():
    """Water that leaks behind the meter, or goods in store, would be taken for a lie."""
    assert counted(closed(bill(8.9))) == 8.9
    # declared: it is no evidence, and takes nothing
    found = closed(bill(8.9, percent=13))
    assert counted(found) == 10
    assert {e.grade for e in found.evidence if e.name == "inv-1"} <= {"C", "D"}
    # beyond what was declared, what is left counts
    assert counted(closed(bill(8, percent=13))) == pytest.approx(8 * 1.13)


def test_time_without_an_invoice_counts_in_the_same_proportion():
    """Who keeps the invoices of the worst weeks back would keep their energy."""
    assert counted(closed(bill(5, 0, 5), times=1.5)) == pytest.approx(10)
    # unless another invoice shows it
    assert counted(closed(bill(5, 0, 5), bill(7.5, 5), times=1.5)) == pytest.approx(12.5)


def test_estimates_that_make_up_for_each_other_take_nothing():
    """A bill that was estimated too low is followed by one that is as much too high."""
    assert counted(closed(bill(4, 0, 5), bill(6, 5))) == pytest.approx(10)
    assert counted(closed(bill(4, 0, 5), bill(5.5, 5))) == pytest.approx(9.5)
    # not by invoices of time that was lost
    lost = range(5 * DAY, 7 * DAY)
    assert counted(closed(bill(4, 0, 5), bill(5, 5), skip=lost)) == pytest.approx(4 + 3)


def test_of_two_invoices_of_one_time_the_lower_counts():
    """A second invoice of the same days would make the true one worthless."""
    for order in (("a", "b"), ("b", "a")):
        both = bill(10, id=order[0]), bill(13, id=order[1])
        assert counted(closed(*both, times=1.3)) == 10
    # nor is what overlaps taken twice
    over = bill(6, 0, 6), bill(6, 4)
    assert counted(closed(*over, times=1.2)) == pytest.approx(10)


def test_invoices_of_several_meters_bound_them_together():
    """One invoice of a park would bound none of its turbines, or each by all."""
    park = bill(20, devices=("inv-1", "inv-2"))
    assert closed(park).net == closed().net
    found = closed(park, times=1.5)
    assert counted(found) + counted(found, 1) == pytest.approx(20)


@pytest.mark.parametrize(
    "wrong", [{"sha256": None}, {"doubt": "operator"}, {"issued": date(2026, 1, 2)}]
)
def test_an_invoice_that_is_no_evidence_takes_nothing(wrong):
    """Who types a number could take an honest plant's energy."""
    assert counted(closed(bill(5, **wrong))) == 10


def test_an_invoice_across_the_period_bounds_what_is_within():
    """A difference would be shared with days that nobody accounts here."""
    across = bill(35, begin=-25)
    fact = MeteredOutside("inv-1", "energy_export", FROM - 25 * DAY_US, FROM, 25 * DAILY,
                          25 * DAY_US)  # fmt: skip
    assert counted(closed(across, outside=(fact,))) == 10
    assert counted(closed(across, times=1.4, outside=(fact,))) == pytest.approx(10)


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


def test_a_condition_is_not_met_beside_an_invoice_that_differs():
    """A verifier would read "yes" above a comparison that does not hold."""
    for invoice in (bill(10), bill(14)):
        found = closed(invoice, times=1.2)
        assert found.cross_checks[0].holds is False
        assert said(found) is None or not said(found)[0]

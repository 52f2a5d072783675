"""Invoices that reach beyond the period: what was metered outside it is taken off."""

from datetime import date

import pytest

from ingest.model import INTERVAL_US, IntervalRows
from mrv import factors
from mrv.accounting.cross_checks import outside
from mrv.registry.project import ACCOUNTING, FIRST, Besides, Invoice, MeteredOutside
from mrv.rules.closing import close
from tests.mrv import plant
from tests.mrv.plant import CERTIFICATES, DAY, FLEET, FROM, PV, full

DAY_US = DAY * INTERVAL_US
# what the inverter makes in a quarter of an hour, and in a day [Wh]
EACH = 10_000
DAILY = EACH * DAY


def bill(days=1.0, before=25, within=3, percent=5, after=0):
    """Return an invoice of so many days' energy."""
    return Invoice(
        "i-1", "EVN", "7", date(2026, 3, 1), ("inv-1",), "energy_export",
        FROM - before * DAY_US, FROM + (within + after) * DAY_US, round(days * DAILY), percent,
        "ab" * 32,
    )  # fmt: skip


def metered(days=25.0, before=25, known=1.0):
    """Return what was metered before the period."""
    begin = FROM - before * DAY_US
    return MeteredOutside(
        "inv-1", "energy_export", begin, FROM, round(days * DAILY),
        round(before * known * DAY) * INTERVAL_US,
    )  # fmt: skip


def compared(invoice, *facts, times=1.0, period=5, accounting=ACCOUNTING):
    """Close some days in which the meter counts a multiple of the truth; return the comparison."""
    rows = IntervalRows.concat(
        [
            full("inv-1", "energy_export", period * DAY, int(EACH * times)),
            full("inv-2", "energy_export", period * DAY, 7),
        ]
    )
    besides = Besides(accounting=accounting, invoices=(invoice,), outside=facts)
    end = FROM + period * DAY_US
    result = close(PV, FLEET, CERTIFICATES, rows, FROM, end, factors.load(), besides=besides)
    (found,) = result.cross_checks
    return found


def test_both_parts_are_compared():
    """An honest plant's invoice would be evidence of nothing, for it began before the month."""
    found = compared(bill(28), metered())
    assert (found.holds, found.coverage, found.difference_percent) == (True, "1.000000", "0.0000")
    assert (found.ours_within, found.theirs_within) == (3 * DAILY, 3 * DAILY)
    assert str(found.detail).endswith("24,000 kWh lie outside the period or the project")


@pytest.mark.parametrize(
    ("facts", "known"),
    [
        ((), False),
        ((metered(known=0.9),), False),
        ((metered(days=24, known=0.96),), True),
        # another time than the invoice's
        ((metered(before=24),), False),
    ],
    ids=["nothing", "a gap", "a small gap", "other days"],
)
def test_a_part_that_is_not_known_is_not_compared(facts, known):
    """Who loses the readings of the weeks before could make any invoice fit."""
    found = compared(bill(28), *facts)
    assert (found.holds is not None) is known
    # what is not known is taken as the rest
    assert found.holds is True if known else "beyond the period" in str(found.detail)


@pytest.mark.parametrize(
    ("times", "known", "holds"), [(1, 1, True), (0.7, 1, False), (1, 0.9, None), (1, None, None)]
)
def test_a_bill_of_the_depots_main_bounds_what_its_meters_say_together(times, known, holds):
    """A depot with a workshop on the same bill would be told that it has no invoice at all."""
    end, mine, other = FROM + DAY_US, 2_500, 70_000
    bill = Invoice(
        "i-1", "EVN", "7", date(2026, 5, 1), ("ch-1", "workshop"), "energy_import", FROM, end,
        mine * DAY + other, 2, "ab" * 32,
    )  # fmt: skip
    facts = () if known is None else (
        MeteredOutside("workshop", "energy_import", FROM, end, round(other * known),
                       round(DAY * known) * INTERVAL_US),
    )  # fmt: skip
    rows = plant.laid_out(FLEET, {
        ("bus-1", "distance"): [2_500] * DAY, ("ch-1", "energy_import"): [int(mine * times)] * DAY,
    })  # fmt: skip
    besides = Besides(accounting=ACCOUNTING, invoices=(bill,), outside=facts)
    result = close(plant.BUS, FLEET, CERTIFICATES, rows, FROM, end, factors.load(), besides=besides)
    (found,) = result.cross_checks
    assert found.holds is holds
    if holds:
        assert int(found.ours) == int(found.theirs)
        (charger,) = [o for o in result.evidence if o.name == "ch-1"]
        assert charger.grade == "C"  # what is the workshop's, its own meter says
    if holds is False:
        (charger,) = [d for d in result.devices if d.device == "ch-1"]
        assert float(charger.counted) == pytest.approx(mine * DAY)


def test_a_small_gap_outside_hides_nothing():
    """The hours that are lost outside would be energy of the period."""
    assert compared(bill(28), metered(days=24, known=0.96)).ours == str(28 * DAILY)


def test_a_long_invoice_is_not_compared_with_a_short_period():
    """Five percent of two years are more than a month."""
    long = bill(733, before=730)
    assert outside(long, (FROM, FROM + 5 * DAY_US)) is None
    found = compared(long, metered(730, before=730), times=2)
    assert found.holds is None
    # a year's invoice of a year's period is
    year = FROM, FROM + 365 * DAY_US
    assert outside(bill(365, before=60, within=305), year) == ((FROM - 60 * DAY_US, FROM),)


def test_weeks_outside_do_not_cover_a_difference_within():
    """Five percent of a month's invoice would be half a day of the three that are accounted."""
    assert compared(bill(28), metered(), times=1.01).holds is True
    found = compared(bill(28), metered(), times=1.4)
    assert (found.holds, found.difference_percent) == (False, "4.2857")
    assert float(found.tolerance_percent) < 2.5
    # meters that differ by 2 % everywhere do so by 2 % of the whole
    assert compared(bill(28), metered(25.5), times=1.02).holds is True


def test_what_was_metered_outside_is_taken_off():
    """An invoice would be shared by days, and a month that stood still get energy of the next.

    Readings that are lowered before they are sealed raise what is left; the seals of those days,
    and an audit, say so of ones that are changed later.
    """
    assert compared(bill(28), metered(26.5)).theirs_within == 1.5 * DAILY
    assert compared(bill(28), metered(23.8)).theirs_within == 4.2 * DAILY
    assert compared(bill(28), metered(30)).theirs_within == 0


def test_the_whole_difference_is_of_the_period():
    """Energy that nobody made would be spread over days that are not accounted."""
    within, whole = compared(bill(28), metered(), times=1.4), compared(bill(3, before=0), times=1.4)
    assert within.effect_t == whole.effect_t
    # no more than what is there
    assert compared(bill(0), metered()).effect_t == compared(bill(0, before=0)).effect_t


def test_the_rules_of_the_first_release_know_no_other_time():
    """A statement of release 0.1.0 would say another thing when it is computed again."""
    found = compared(bill(28), metered(), accounting=FIRST)
    assert (found.holds, found.outside) == (None, 0)

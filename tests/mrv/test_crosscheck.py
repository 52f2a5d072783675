"""Main meters against check meters and invoices: what is compared, and what it would cost."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest

from ingest.model import INTERVAL_US, Device, Fleet, IntervalRows
from mrv import factors
from mrv.registry.project import ACCOUNTING, Besides, CheckMeter, Earlier, Invoice
from mrv.rules import closing as period
from mrv.statement.conditions import findings, unmet
from tests.mrv.plant import CERTIFICATES, DAY, FLEET, FROM, PV, full

CHECKED = Fleet([*FLEET.devices, Device("check-1", "s", "energy_meter", installed_us=FROM)])
DAY_US = DAY * INTERVAL_US
METER = Besides((CheckMeter("inv-1", "check-1", 2),))


def _check_rows(value, count=DAY, skip=()):
    rows = full("inv-1", "energy_export", count, value, skip)
    return replace(rows, device=rows.device * 0 + CHECKED.by_id["check-1"])


def _close(project, rows, besides, days=1):
    return period.close(
        project, CHECKED, CERTIFICATES, rows, FROM, FROM + days * DAY_US, factors.load(), 0, besides
    )


def _pv(main, check, besides=METER, **more):
    rows = IntervalRows.concat(
        [
            full("inv-1", "energy_export", DAY, main),
            full("inv-2", "energy_export", DAY, 7),
            _check_rows(check, **more),
        ]
    )
    return _close(PV, rows, besides)


def test_a_main_meter_that_shows_too_much_is_reported_with_its_cost():
    """A main meter that runs fast would earn tonnes that never were."""
    (found,) = _pv(10_000, 9_000).cross_checks
    assert found.holds is False
    # 96 000 Wh too many at 0.333 t/MWh
    assert found.effect_t == "0.031968"
    assert "differ" in found.detail


@pytest.mark.parametrize(("check", "severity"), [(9_000, "CAR"), (11_000, "observation")])
def test_a_meter_that_counts_less_than_its_check_meter_is_an_observation(check, severity):
    """A plant whose conservative meter counts would have to answer a request."""
    claims = SimpleNamespace(applicability=(), cross_checks=_pv(10_000, check).cross_checks)
    (found,) = findings(claims)
    assert found.severity == severity
    assert len(unmet(claims)) == (severity != "observation")


@pytest.mark.parametrize(
    ("main", "check", "holds"),
    [(25_000, 25_000, None), (25_000, 24_950, True), (10_000, 10_000, True)],
    ids=["one signal", "two meters", "too little to tell"],
)
def test_a_check_meter_that_copies_its_meter_is_no_evidence(main, check, holds):
    """A false meter would vouch for itself by a second address on its bus."""
    found = _pv(main, check, replace(METER, accounting=ACCOUNTING))
    (compared,) = found.cross_checks
    assert compared.holds is holds
    said = [one for one in found.applicability if one.rule == "MTR-03" and not one.holds]
    asked = [one.severity for one in said if "one_signal" in repr(one.texts)]
    assert asked == ([] if holds else ["CL"])


def _invoice(value, begin=0, end=DAY, devices=("inv-1", "inv-2"), **more):
    first, last = (FROM + place * INTERVAL_US for place in (begin, end))
    issued = date(2026, 2, 1)
    return Invoice(
        "I-1", "EVN", "7", issued, devices, "energy_export", first, last, value, 2, **more
    )


@pytest.mark.parametrize(
    ("invoice", "holds", "detail"),
    [
        (_invoice(10_007 * DAY), True, ""),
        (_invoice(9_000 * DAY), False, "differ"),
        (_invoice(11_000 * DAY), False, "differ"),
        (_invoice(10_007 * DAY, end=DAY + 1), None, "beyond the period"),
        (_invoice(1, devices=("ch-1", "inv-1")), None, "ch-1 counts"),
        (_invoice(0), False, "differ"),
    ],
)
def test_invoices(invoice, holds, detail):
    """What was billed would say nothing about what is claimed, or something it cannot know."""
    rows = IntervalRows.concat(
        [full("inv-1", "energy_export", DAY, 10_000), full("inv-2", "energy_export", DAY, 7)]
    )
    (found,) = _close(PV, rows, Besides(invoices=(invoice,))).cross_checks
    assert found.holds is holds
    assert detail in found.detail
    if holds is not None:
        more = int(found.ours) > int(found.theirs)
        assert (Decimal(found.effect_t) > 0) is more


def test_other_periods_are_compared_by_their_length():
    """A month would look poor beside a longer one, or a bad meter beside its own good month."""
    rows = IntervalRows.concat(
        [full("inv-1", "energy_export", DAY, 10_000), full("inv-2", "energy_export", DAY, 10_000)]
    )
    before = Earlier(
        "TN-before",
        FROM - 2 * DAY_US,
        FROM,
        2_400_000,
        factors.load().select("jcm-vn-am007.case-1", "avoided").value,
    )
    found = _close(PV, rows, Besides(earlier=(before,))).comparisons
    bases = [(c.basis, c.what) for c in found]
    assert bases[:2] == [("design", "energy [kWh]"), ("design", "reduction [t]")]
    energy = next(c for c in found if (c.basis, c.what) == ("TN-before", "energy [kWh]"))
    assert (energy.expected, energy.actual) == ("1200.000000", "1920.000000")
    assert energy.difference_percent == "60.00"

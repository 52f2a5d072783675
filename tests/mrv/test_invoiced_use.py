"""Use on the project's side of which an invoice says more than its meter."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from ingest.model import INTERVAL_US
from mrv.rules.invoiced_use import MORE
from tests.mrv import plant
from tests.mrv.test_project_meters import COUNT, END, ROLES, WEEK, plant_of, said

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
def test_an_honest_meter_keeps_its_tonnes(meter):
    """With an invoice of a part, of all, within its tolerance on either side, or less."""
    bare = told(meter=meter)
    for paper in (
        bill(meter),
        bill(meter, last=MIDDLE),
        bill(meter, scale=1.019),
        bill(meter, scale=0.981),
        bill(meter, scale=0.5),
    ):
        found = told(paper, meter=meter)
        assert found.net == bare.net
        assert not said(found, RULE)


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
    cost = float(detail.rpartition("this takes ")[2].split(" t.")[0])
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
    assert f"{0.9 * kwh:,.0f} kWh more count" in detail


def test_time_without_an_invoice_counts_in_the_same_proportion():
    """A meter that counts a tenth does so in the other weeks as well."""
    truth = told()
    found = told(bill("aux", last=MIDDLE), scale=0.1)
    assert tonnes(found) == pytest.approx(tonnes(truth), abs=4e-6)
    # up to the mean: a meter that failed for a week, and is right in the others
    week = [2] * WEEK + [TRUTH["aux"]] * (COUNT - WEEK)
    paper = bill("aux", last=plant.FROM + WEEK * INTERVAL_US)
    assert tonnes(told(paper, aux=week)) == pytest.approx(tonnes(truth), abs=4e-6)
    # and what another invoice shows stays as it is
    shown = bill("aux", first=MIDDLE, scale=0.1, id="other")
    half = (tonnes(truth) + tonnes(told(scale=0.1))) / 2
    found = told(bill("aux", last=MIDDLE), shown, scale=0.1)
    assert tonnes(found) == pytest.approx(half, abs=4e-6)


def test_a_bill_that_was_estimated_is_made_up_for_by_the_next():
    """A supplier who does not read a meter bills too much once, and too little then."""
    high, low = bill("aux", last=MIDDLE, scale=1.2), bill("aux", first=MIDDLE, scale=0.8, id="b")
    assert told(high, low).net == told().net
    # what they say together counts
    some = told(high, bill("aux", first=MIDDLE, scale=0.9, id="b"))
    of = next(d for d in some.devices if d.device == "aux")
    assert float(of.counted) == pytest.approx(1.05 * TRUTH["aux"] * COUNT)
    # a second paper of the same time makes up for nothing
    both = told(bill("aux"), bill("aux", scale=0.1, id="b"), scale=0.1)
    assert tonnes(both) == pytest.approx(tonnes(told()), abs=4e-6)


def test_a_meter_that_stands_still_beside_others_does_not_escape():
    """One invoice of two meters: the whole difference counts, by whichever of them moved."""
    truth = two(TRUTH["aux"])
    for value in (0, TRUTH["aux"] // 10):
        found = two(value)
        assert tonnes(found) == pytest.approx(tonnes(truth), abs=4e-6)
        assert said(found, RULE)
    assert not said(truth, RULE)
    # both still: by time
    assert tonnes(told(bill("aux"), aux=[0] * COUNT)) == pytest.approx(tonnes(told()), abs=4e-6)


def two(value, **given):
    """Close a plant with two auxiliaries, of which one tells a value each quarter hour."""
    paper = bill("aux", "aux-2", scale=1)
    return plant_of("gen", "aux", "aux-2", "fuel", invoices=(paper,),
                    **{"aux-2": [value] * COUNT}, **given)  # fmt: skip


def test_what_is_no_evidence_takes_nothing():
    """A number without its file, an operator's own invoice, one before its time ended."""
    bare = told(scale=0.1)
    for wrong in ({"sha256": None}, {"doubt": "operator"}):
        assert told(bill("aux", **wrong), scale=0.1).net == bare.net
    early = replace(bill("aux"), issued=date(2026, 1, 5))
    assert told(early, scale=0.1).net == bare.net
    # a wide tolerance of its own shields no meter
    wide = told(bill("aux", percent=95), scale=0.1)
    assert tonnes(wide) == pytest.approx(tonnes(told()), abs=4e-6)
    assert told(bill("aux", percent=95)).net == told().net


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

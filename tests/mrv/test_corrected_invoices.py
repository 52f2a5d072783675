"""Invoices that another one corrects to less, to another meter or to another time."""

from dataclasses import replace

import pytest

from tests.mrv.test_exceeded_invoices import bill as steam_bill
from tests.mrv.test_exceeded_invoices import steam
from tests.mrv.test_invoiced_use import bill, told, tonnes
from tests.mrv.test_project_meters import said

RULE = "EVD-06"
USED = "EVD-05"


def corrected(old, new, *others, scale=0.1, meter="fuel", **given):
    """Close four weeks with an invoice that another one corrects."""
    replaced = ((old, new, "typing error"),)
    return told(new, *others, scale=scale, meter=meter, replaced=replaced, **given)


@pytest.mark.parametrize("meter", ["aux", "fuel"])
def test_what_the_first_invoice_said_of_a_use_counts_on(meter):
    """A true invoice was corrected to what a meter of a tenth told, and nothing was said."""
    first, second = bill(meter), bill(meter, scale=0.1, id="second", number="2", sha256="d4" * 32)
    truth = told(first, meter=meter)
    bare = told(second, scale=0.1, meter=meter)
    found = corrected(first, second, meter=meter)
    assert tonnes(bare) > tonnes(truth)
    assert tonnes(found) == pytest.approx(tonnes(truth), abs=2e-6)
    detail = said(found, RULE)
    for part in (f"i-{meter} (its supplier, 1; ", "second (its supplier, 2; ", "typing error",
                 f" of {meter}, 2026-01-01 to ", "the first counts", "the verifier"):  # fmt: skip
        assert part in detail
    cost = float(detail.partition("the reduction is ")[2].split(" t lower")[0])
    assert cost == pytest.approx(tonnes(bare) - tonnes(found), abs=2e-6)
    assert said(found, USED)
    # the comparison that stands in the statement is with what corrects it
    assert [c.against for c in found.cross_checks] == ["second: its supplier, 2"]


def test_a_delivery_that_is_corrected_to_more_is_a_condition():
    """What an invoice of the steam said less is named with its cost; a typing error earns on."""
    right = steam_bill(id="right", value=steam_bill().value)
    first = replace(right, id="first", number="0", value=right.value // 10)
    bare = steam(1, right)
    found = steam(1, right, replaced=((first, right, "a zero was lost"),))
    assert found.net == bare.net
    detail = said(found, RULE)
    assert "first (its supplier, 0; mass of steam, " in detail
    assert "and the correction is applied" in detail
    assert not said(bare, RULE)

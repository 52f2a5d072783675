"""Amounts of invoices as people write them."""

from datetime import UTC, datetime

import pytest

from mrv.registry.project import Project, ProjectDevice
from services.registry.invoices import entered_invoices as entered
from services.registry.invoices import plan, read

PROJECT = Project(
    "pv", "", "jcm-vn-am007", "1.0", "Asia/Ho_Chi_Minh", 0, 10**18, {},
    devices=(ProjectDevice("inv-1", "generation", {"case": 1}),),
)  # fmt: skip
HEAD = "id,project,issuer,number,issued,devices,from,to,amount,unit\n"


def _row(tmp_path, amount, unit="", days="2026-03-01,2026-04-01"):
    file = tmp_path / "invoices.csv"
    row = f'c-1,pv,Buyer,1,2026-04-03,inv-1,{days},"{amount}",{unit}\n'
    file.write_text(HEAD + row, "utf-8")
    (found,) = read(file)
    return entered(found, {"pv": PROJECT}), "; ".join(found.problems)


@pytest.mark.parametrize("amount", ["1,234.5", "1.234,5", "1 234.5", "12 kWh"])
def test_a_number_with_separators_or_a_unit_is_told_how_to_be_written(tmp_path, amount):
    """The owner would read that quotes are wrong, which a comma in a CSV file needs."""
    item, said = _row(tmp_path, amount)
    assert item is None
    assert "must be a number alone: no unit, a point before decimals, no separators" in said


def test_a_credit_note_is_told_which_row_to_enter(tmp_path):
    """The owner would read a range of numbers, and leave an invoice that is too high."""
    item, said = _row(tmp_path, "-12.5")
    assert item is None
    assert "for a credit note, enter the invoice again with the amount that remains" in said
    assert "must be from" not in said


def test_gigajoules_are_rounded_to_the_unit_of_the_meter(tmp_path):
    """12 GJ are no whole number of watt-hours, and would be refused whatever their digits."""
    item, said = _row(tmp_path, "12", "GJ")
    assert said == ""
    assert item.invoice.value == 3_333_333
    assert "finer than one Wh" in _row(tmp_path, "0.0001", "kWh")[1]


def test_an_invoice_may_state_when_the_meter_was_read(tmp_path):
    """A meter that is read at ten differs from its invoice by the mornings of two days."""
    item, said = _row(tmp_path, "12", days="2026-03-20T10:07:00+07:00,2026-04-20")
    assert said == ""
    assert datetime.fromtimestamp(item.invoice.from_us / 1e6, UTC).isoformat() == (
        "2026-03-20T03:00:00+00:00"
    )
    assert datetime.fromtimestamp(item.invoice.to_us / 1e6, UTC).hour == 17
    assert "a time with its offset" in _row(tmp_path, "12", days="2026-03-20T10:00,2026-04-20")[1]
    same = "2026-03-20T10:01:00+07:00,2026-03-20T10:09:00+07:00"
    assert "is not after" in _row(tmp_path, "12", days=same)[1]


@pytest.mark.parametrize(
    ("end", "digest", "said"),
    [
        ("2026-03-31", "", ("2026-03-31 is not included", "sha256: is missing")),
        ("2026-04-01", "ab" * 32, ()),
        ("2026-03-20", "ab" * 32, ()),
    ],
)
def test_what_keeps_an_invoice_from_being_evidence_is_stated_at_its_import(
    tmp_path, end, digest, said
):
    """A stored invoice is never changed, and the owner would learn it after the month."""
    file = tmp_path / "invoices.csv"
    row = f"c-1,pv,Buyer,1,2026-04-03,inv-1,2026-03-01,{end},5,kWh,{digest}\n"
    file.write_text(HEAD.replace("unit", "unit,sha256") + row, "utf-8")
    (result,) = plan(read(file), {"pv": PROJECT}, {}, (), {}).results
    assert result.result == "created"
    assert len(result.messages) == len(said)
    assert all(any(text in message for message in result.messages) for text in said)


@pytest.mark.parametrize("between", [" ", "; ", ";"])
def test_devices_of_a_csv_file_may_be_separated_by_semicolons(tmp_path, between):
    """In a file with commas, the message would be that `a;b` is no meter."""
    file = tmp_path / "invoices.csv"
    file.write_text(HEAD + f"c,pv,B,1,2026-04-03,a{between}b,2026-03-01,2026-04-01,5,kWh\n")
    (found,) = read(file)
    assert entered(found, {"pv": PROJECT}).invoice.devices == ("a", "b")

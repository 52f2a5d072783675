"""What Python does to a cell, as a spreadsheet has it."""

from fractions import Fraction

import pytest

from mrv.report.sheets.traced import Cell, Written, number, spans


def _cell(value, text="A1"):
    return Cell(Fraction(value), text)


@pytest.mark.parametrize(
    ("made", "formula", "value"),
    [
        (_cell(8) / 1000, "A1/1000", "1/125"),
        (5 - _cell(2), "5-A1", 3),
        (_cell(8) - (_cell(2, "B1") - 1), "A1-(B1-1)", 7),
        (_cell(8) / (_cell(2, "B1") * 2), "A1/(B1*2)", 2),
        ((_cell(8) + 1) * Fraction(3, 7), "(A1+1)*(3/7)", "27/7"),
        (2 / _cell(8), "2/A1", "1/4"),
        (Fraction(1, 4) * _cell(8), "0.25*A1", 2),
        (sum([_cell(1), _cell(2, "B1")], start=Fraction(0)), "A1+B1", 3),
        (_cell(8) * -1, "A1*(-1)", -8),
    ],
)
def test_a_formula_is_what_was_done(made, formula, value):
    """A workbook would multiply where the account divides."""
    assert made.text == formula
    assert Fraction(made) == Fraction(value)


def test_thousands_of_devices_are_one_span():
    """A spreadsheet refuses a formula of more than 8,192 characters."""
    rows = [Cell(Fraction(1), rows=("H", (place,))) for place in range(5, 3005)]
    assert sum(rows, start=Fraction(0)).text == "SUM(H5:H3004)"
    apart = spans("H", range(5, 2005, 2))
    assert apart.count("SUM(") == 5
    assert len(apart) < 8192


def test_a_choice_and_a_list_are_written():
    """A formula would be right in Python alone."""
    sheet = Written({"load": "E5", "x": "C9:C11"})
    assert sheet.formula("sum(x) if load else -last(x)") == "=IF(E5<>0,SUM(C9:C11),-C11)"
    assert sheet.formula("load ** 2 / KG_PER_T") == "=E5^2/1000"
    with pytest.raises(ValueError, match="no workbook formula exists for"):
        sheet.formula("[load]")


def test_a_part_of_a_year_is_two_whole_numbers():
    """A reader would see 0.0849315068493151 and not 31 days of 365."""
    assert number(Fraction(31, 365)) == "(31/365)"
    assert number(Fraction(-1, 8)) == "(-0.125)"

"""
Table 3: the reduction of each calendar year and of the period, next to the statement's.

A spreadsheet calculates with about fifteen digits, tonne exactly.  Both are compared to a gram,
which is exact for sums below a billion tonnes.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor

from mrv.documents.period_account import Vintage
from mrv.report.report_data import Facts
from mrv.report.sheets.calculation import Calculated
from mrv.report.sheets.grid import Grid
from mrv.report.words import Words
from mrv.steps import BASELINE, LEAKAGE, PROJECT

MILLION = 10**6
_NAMES = ("vintage", "grams", "reduction_t", "per_statement", "equal", "credited_t",
          "per_statement", "equal")  # fmt: skip
# of a tonne: a gram
_DIGITS = 6
# of a unit: a sum that a spreadsheet rounds in the sixteenth digit is no other figure
NEAR = Fraction(1, 10**9)


def table_3(sheet: Grid, at: int, facts: Facts, words: Words, calculated: Calculated) -> int:
    """Write the table with its head at a row; return its last row."""
    sheet.text(at - 1, 0, words["table_3"], "part")
    sheet.head(at, [words[n] for n in _NAMES])
    vintages = facts.subject.credited.vintages
    total = at + 1 + len(vintages)
    for row, vintage in enumerate(vintages, at + 1):
        sheet.number(row, 0, vintage.year, "year")
        years = [vintage.year] if vintage.year in calculated.reduction else []
        _grams(sheet, row, years, calculated)
        _comparison(sheet, row, years, Fraction(vintage.reduction_t), calculated, words)
        _credit(sheet, row, (at + 1, total), vintage, words)
    _total(sheet, total, facts, words, calculated)
    return total + 2


def equal(
    sheet: Grid, at: tuple[int, int], cells: tuple[str, str], words: Words, *, holds: bool
) -> None:
    """Write a formula for equality of two cells, to one part in a billion."""
    value, other = cells
    yes, no = words["yes"], words["differs"]
    formula = f'=IF(ABS({value}-{other})<0.000000001,"{yes}","{no}")'
    sheet.formula(*at, formula, yes if holds else no, "text")


def to_a_gram(
    sheet: Grid, at: tuple[int, int], cells: tuple[str, str], words: Words, *, holds: bool
) -> None:
    """Write a formula for equality of tonnes in two cells, to a gram."""
    value, other = cells
    yes, no = words["yes"], words["differs"]
    formula = f'=IF(ROUND(ABS({value}-{other}),{_DIGITS})<=0.000001,"{yes}","{no}")'
    sheet.formula(*at, formula, yes if holds else no, "text")


def _exact(years: list[int], calculated: Calculated) -> Fraction:
    return sum((calculated.counted[year] for year in years), start=Fraction(0))


def _grams(sheet: Grid, row: int, years: list[int], calculated: Calculated) -> None:
    """
    Write the whole grams of some years, rounded down; the inner rounding removes the last
    digit.
    """
    tonnes = "+".join(calculated.reduction[year] for year in years) or "0"
    grams = floor(_exact(years, calculated) * MILLION)
    sheet.formula(row, 1, f"=INT(ROUND(({tonnes})*1000000,3))", grams, "whole")


def _comparison(
    sheet: Grid, row: int, years: list[int], stated: Fraction, calculated: Calculated, words: Words
) -> None:
    """Write the tonnes of a row's grams, and those of the statement."""
    tonnes = Fraction(floor(_exact(years, calculated) * MILLION), MILLION)
    sheet.formula(row, 2, f"={sheet.cell(row, 1)}/1000000", tonnes, "six")
    sheet.number(row, 3, stated, "six")
    cells = (sheet.cell(row, 2), sheet.cell(row, 3))
    holds = abs(tonnes - stated) <= Fraction(1, MILLION)
    to_a_gram(sheet, (row, 4), cells, words, holds=holds)


def _credit(sheet: Grid, row: int, rows: tuple[int, int], vintage: Vintage, words: Words) -> None:
    """Write the whole tonnes of a year, at most what remains of the period's."""
    first, total = rows
    before = f"-SUM({sheet.span(first, row, 5)})" if row > first else ""
    own = f"MAX(0,INT({sheet.cell(row, 1)}/1000000))"
    credited = int(vintage.credited_t)
    sheet.formula(row, 5, f"=MIN({own},{sheet.cell(total + 2, 1)}{before})", credited, "result")
    sheet.number(row, 6, credited, "whole")
    equal(sheet, (row, 7), (sheet.cell(row, 5), sheet.cell(row, 6)), words, holds=True)


def _total(sheet: Grid, row: int, facts: Facts, words: Words, calculated: Calculated) -> None:
    """Write the sum of the period, the carried balance, and whole tonnes rounded down."""
    subject, years = facts.subject, [*calculated.reduction]
    sheet.text(row, 0, words["whole_period"], "head")
    _grams(sheet, row, years, calculated)
    _comparison(sheet, row, years, Fraction(subject.emissions.reduction.t), calculated, words)
    credited = int(subject.credited.t)
    first = row - len(subject.credited.vintages)
    cells = sheet.span(first, row, 5) if row > first else "0"
    sheet.formula(row, 5, f"=SUM({cells})", credited, "result")
    sheet.number(row, 6, credited, "whole")
    equal(sheet, (row, 7), (sheet.cell(row, 5), sheet.cell(row, 6)), words, holds=True)
    _max_whole_tonnes(sheet, row + 1, facts, _exact(years, calculated), words)


def _max_whole_tonnes(sheet: Grid, row: int, facts: Facts, exact: Fraction, words: Words) -> None:
    """Write the maximum of whole tonnes: the sum less the negative balance of earlier periods."""
    carried = int(facts.subject.carried.in_ug)
    sheet.text(row, 0, words["carried_in"], "head")
    sheet.number(row, 1, carried // MILLION, "whole")
    sheet.number(row, 2, carried % MILLION, "whole")
    sheet.text(row, 3, words["carried_unit"], "note")
    grams, whole = sheet.cell(row - 1, 1), sheet.cell(row, 1)
    sheet.text(row + 1, 0, words["most_whole_tonnes"], "head")
    maximum = max(0, (floor(exact * MILLION * MILLION) + carried) // 10**12)
    sheet.formula(row + 1, 1, f"=MAX(0,INT(({grams}+{whole})/1000000))", maximum, "result")


def sides(sheet: Grid, at: int, facts: Facts, words: Words, calculated: Calculated) -> None:
    """Write both sides of the account: from the statement, and as calculated."""
    sheet.text(at - 1, 0, words["sides"], "part")
    names = ("baseline", "project_emissions", "leakage", "reduction")
    sheet.head(at, ["", *(words[n] for n in names)])
    subject = facts.subject
    totals = (
        ("emissionsBeforeDeductions", subject.emissions_before_deductions),
        ("emissions", subject.emissions),
    )
    for row, (key, of) in enumerate(totals, at + 1):
        sheet.text(row, 0, words[f"sides.{key}"], "head")
        amounts = (of.baseline, of.project, of.leakage, of.reduction)
        sheet.row(row, [(amount.t, "six") for amount in amounts], 1)
    row = at + 3
    sheet.text(row, 0, words["calculation"], "head")
    sheet.text(row + 1, 0, words["equal"], "head")
    of_sides = (subject.emissions.baseline, subject.emissions.project, subject.emissions.leakage)
    for column, (name, amount) in enumerate(
        zip((BASELINE, PROJECT, LEAKAGE), of_sides, strict=True), 1
    ):
        blocks = calculated.years.values()
        cells = "+".join(block.cells[name] for block in blocks if name in block.cells) or "0"
        exact = sum((Fraction(block.values[name]) for block in blocks), start=Fraction(0))
        sheet.formula(row, column, f"={cells}", exact, "six")
        holds = round(abs(exact - Fraction(amount.t)), _DIGITS) <= Fraction(1, MILLION)
        to_a_gram(
            sheet,
            (row + 1, column),
            (sheet.cell(row, column), sheet.cell(at + 2, column)),
            words,
            holds=holds,
        )

"""The sheet of the JCM's form that stands after monitoring: the report."""

from __future__ import annotations

from fractions import Fraction

from mrv.report.report_data import Facts
from mrv.report.sheets.calculation import COUNTED, Calculated
from mrv.report.sheets.grid import FIRST, Grid
from mrv.report.sheets.layout import TABLE_1, TABLE_1_AT, Layout, fixed, general, monitored_cells
from mrv.report.sheets.table_3 import NEAR, equal, sides, table_3
from mrv.report.translations import SHOWN, period
from mrv.report.words import Words

_VALUE, _SAID, _CHECK = 4, 11, 12
FIRST_COLUMN = 2  # of Table 2, below (b)


def report(
    sheet: Grid, facts: Facts, words: Words, calculation: Grid, calculated: Calculated
) -> None:
    """Write what was monitored, and the tonnes that follow."""
    sheet.title(words["report"], words["report_note"])
    general(sheet, facts, words)
    sheet.text(TABLE_1_AT - 2, 0, words["table_1"], "part")
    sheet.head(TABLE_1_AT - 1, [words[n] for n in ("period", *TABLE_1, "per_statement", "equal")])
    for place in range(len(facts.parameters)):
        row = TABLE_1_AT + place
        sheet.text(row, 0, period(facts.subject, words))
        sheet.row(row, monitored_cells(facts, place, (0, "plain"), words), 1)
        _value(sheet, row, facts, place, words, calculation)
    layout = Layout(facts, FIRST_COLUMN)
    fixed(sheet, layout, words)
    end = table_3(sheet, layout.table_3, facts, words, calculated)
    sides(sheet, end + 3, facts, words, calculated)


def _value(
    sheet: Grid, row: int, facts: Facts, place: int, words: Words, calculation: Grid
) -> None:
    """Column (d) from the calculation, beside what the statement says."""
    one = facts.parameters[place]
    size = SHOWN[one.unit][1]
    rows = [i for i, line in enumerate(facts.lines) if line.parameter == place]
    cells = "+".join(calculation.cell(FIRST + i, COUNTED) for i in rows) or "0"
    counted = sum((facts.counted(facts.lines[i]) for i in rows), start=Fraction(0))
    sheet.formula(row, _VALUE, f"=ROUND({cells},6)/{size}", counted / size, "plain")
    said = Fraction(one.counted)
    sheet.number(row, _SAID, said / size, "plain")
    cells_ = (sheet.cell(row, _VALUE), sheet.cell(row, _SAID))
    # each deduction is rounded to a millionth of its base unit
    holds = abs(counted - said) / size < NEAR
    equal(sheet, (row, _CHECK), cells_, words, holds=holds)

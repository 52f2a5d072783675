"""Table 3: the reduction of each calendar year and of the period, beside the statement's."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mrv.documents.period_account import Vintage
from mrv.report.report_data import Facts
from mrv.report.sheets.calculation import GRAMS, MICROGRAMS, MILLION, Reckoning
from mrv.report.sheets.grid import FIRST, Grid
from mrv.report.words import Words

_NAMES = ("vintage", "grams", "reduction_t", "per_statement", "equal", "credited_t",
          "per_statement", "equal")  # fmt: skip


def table_3(sheet: Grid, at: int, reckoning: Reckoning, words: Words, calculation: Grid) -> int:
    """Write the table with its head at a row; return its last row."""
    facts = reckoning.facts
    sheet.text(at - 1, 0, words["table_3"], "part")
    sheet.head(at, [words[n] for n in _NAMES])
    vintages = facts.subject.credited.vintages
    total = at + 1 + len(vintages)
    for row, one in enumerate(vintages, at + 1):
        lines = [i for i, line in enumerate(facts.lines) if line.year == one.year]
        _vintage(sheet, row, one, reckoning, lines, words, calculation)
        _credit(sheet, row, (at + 1, total), one, words)
    _total(sheet, total, reckoning, words, calculation)
    return total + 2


def equal(
    sheet: Grid, at: tuple[int, int], cells: tuple[str, str], words: Words, *, holds: bool
) -> None:
    """
    Say whether two cells hold the same number.

    To a part in a billion of a unit: a sum that a spreadsheet rounds in the sixteenth
    digit is no other figure.
    """
    one, other = cells
    yes, no = words["yes"], words["differs"]
    formula = f'=IF(ABS({one}-{other})<0.000000001,"{yes}","{no}")'
    sheet.formula(*at, formula, yes if holds else no, "text")


def _grams(
    reckoning: Reckoning,
    lines: Sequence[int],
    calculation: Grid,
    carried: tuple[str, str] = ("", ""),
) -> tuple[str, int]:
    """Formula of the whole grams of some lines, and their micrograms."""
    first, last = FIRST + lines[0], FIRST + lines[-1] + 1
    grams, rest = (calculation.span(first, last, c) for c in (GRAMS, MICROGRAMS))
    formula = f"SUM({grams}){carried[0]}+INT((SUM({rest}){carried[1]})/1000000)"
    return formula, sum(reckoning.micrograms(i) for i in lines)


def _vintage(
    sheet: Grid,
    row: int,
    one: Vintage,
    reckoning: Reckoning,
    lines: Sequence[int],
    words: Words,
    calculation: Grid,
) -> None:
    sheet.number(row, 0, one.year, "year")
    said = Fraction(one.reduction_t)
    if reckoning.live and lines:
        formula, ug = _grams(reckoning, lines, calculation)
        sheet.formula(row, 1, f"={formula}", ug // MILLION, "whole")
        tonnes = Fraction(ug // MILLION, MILLION)
    else:
        sheet.number(row, 1, said * MILLION, "whole")
        tonnes = said
    _beside(sheet, row, tonnes, said, words)


def _beside(sheet: Grid, row: int, tonnes: Fraction, said: Fraction, words: Words) -> None:
    """Tonnes of a row's grams, and what the statement says."""
    sheet.formula(row, 2, f"={sheet.cell(row, 1)}/1000000", tonnes, "six")
    sheet.number(row, 3, said, "six")
    equal(sheet, (row, 4), (sheet.cell(row, 2), sheet.cell(row, 3)), words, holds=tonnes == said)


def _credit(sheet: Grid, row: int, rows: tuple[int, int], one: Vintage, words: Words) -> None:
    """Whole tonnes of a year, and never more than is left of the whole period's."""
    first, total = rows
    before = f"-SUM({sheet.span(first, row, 5)})" if row > first else ""
    own = f"MAX(0,INT({sheet.cell(row, 1)}/1000000))"
    said = int(one.credited_t)
    sheet.formula(row, 5, f"=MIN({own},{sheet.cell(total + 2, 1)}{before})", said, "result")
    sheet.number(row, 6, said, "whole")
    equal(sheet, (row, 7), (sheet.cell(row, 5), sheet.cell(row, 6)), words, holds=True)


def _total(sheet: Grid, row: int, reckoning: Reckoning, words: Words, calculation: Grid) -> None:
    """The period's sum, what is carried into it, and whole tonnes rounded down."""
    facts = reckoning.facts
    subject = facts.subject
    sheet.text(row, 0, words["whole_period"], "head")
    if reckoning.live and facts.lines:
        formula, ug = _grams(reckoning, range(len(facts.lines)), calculation)
        sheet.formula(row, 1, f"={formula}", ug // MILLION, "whole")
    else:
        ug = int(subject.emissions.reduction.ug)
        sheet.number(row, 1, ug // MILLION, "whole")
    said = Fraction(subject.emissions.reduction.t)
    _beside(sheet, row, Fraction(ug // MILLION, MILLION), said, words)
    credited = int(subject.credited.t)
    first = row - len(subject.credited.vintages)
    cells = sheet.span(first, row, 5) if row > first else "0"
    sheet.formula(row, 5, f"=SUM({cells})", credited, "result")
    sheet.number(row, 6, credited, "whole")
    equal(sheet, (row, 7), (sheet.cell(row, 5), sheet.cell(row, 6)), words, holds=True)
    _most(sheet, row + 1, reckoning, ug, words, calculation)


def _most(
    sheet: Grid, row: int, reckoning: Reckoning, ug: int, words: Words, calculation: Grid
) -> None:
    """Most whole tonnes: of the sum, less what earlier periods left below zero."""
    carried = int(reckoning.facts.subject.carried.in_ug)
    sheet.text(row, 0, words["carried_in"], "head")
    sheet.number(row, 1, carried // MILLION, "whole")
    sheet.number(row, 2, carried % MILLION, "whole")
    sheet.text(row, 3, words["carried_unit"], "note")
    added = (f"+{sheet.cell(row, 1)}", f"+{sheet.cell(row, 2)}")
    if reckoning.live and reckoning.facts.lines:
        formula, _ = _grams(reckoning, range(len(reckoning.facts.lines)), calculation, added)
    else:
        formula = f"{sheet.cell(row - 1, 1)}{added[0]}+INT(({ug % MILLION}{added[1]})/1000000)"
    sheet.text(row + 1, 0, words["most_whole_tonnes"], "head")
    most = max(0, (ug + carried) // 10**12)
    sheet.formula(row + 1, 1, f"=MAX(0,INT(({formula})/1000000))", most, "result")


def sides(sheet: Grid, at: int, facts: Facts, words: Words) -> None:
    """Write both sides of the account as the statement says them, before and after deductions."""
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

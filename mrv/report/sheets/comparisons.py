"""
Sheets of comparisons: check meters, design, other periods, misstatements.

Sums of failed checks are compared with the materiality threshold, as calculated and as signed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter

from mrv.accounting.rounded_figures import expected_of
from mrv.calendar import instant_us, part_of_year
from mrv.documents.monitoring import CrossCheck
from mrv.documents.period_account import Comparison, Misstatements, PeriodComparison
from mrv.documents.plan import StatementFigures
from mrv.report.report_data import Facts
from mrv.report.sheets.calculation import equal
from mrv.report.sheets.layout import FIRST, Grid
from mrv.report.sheets.lists import edges, listed
from mrv.report.words import DASH, Words, compared_quantity, detail, witness
from mrv.rounding import half_up

KIND, EFFECT, HOLDS = 0, 11, 12  # columns of a check
_COUNTS, _STATED, _EQUAL = 3, 4, 5
_KINDS = ("check meter", "invoice")


def materiality(sheet: Grid, at: int, facts: Facts, words: Words, cells: tuple[str, Grid]) -> None:
    """
    Write the potential misstatements of failed cross-checks, summed by kind; the larger sum
    applies.

    `at`: row of the table's heading.
    `cells`: address of the period's reduction, and the sheet with the cross-checks.
    """
    reduction, checked = cells
    misstatements = facts.subject.materiality
    if not misstatements:
        return
    sheet.text(at - 1, 0, words["materiality.title"], "part")
    kinds = [words[f"witness.{kind.replace(' ', '_')}"] for kind in _KINDS]
    sheet.head(at, ["", *kinds, words["counts"], words["per_statement"], words["equal"]])
    result = facts.subject.cross_checks or ()
    sheet.text(at + 1, 0, words["materiality.net"], "head")
    sheet.text(at + 2, 0, words["materiality.absolute"], "head")
    for column, kind in enumerate(_KINDS, 1):
        mine = [check for check in result if check.kind == kind]
        spans = [checked.span(FIRST, FIRST + max(1, len(result)), c) for c in (KIND, HOLDS, EFFECT)]
        _sums(sheet, (at + 1, column), mine, words, spans)
    _counted(sheet, at, misstatements, words)
    _verdict(
        sheet,
        _shares(sheet, at + 3, misstatements, (facts, reduction), words),
        misstatements,
        words,
    )


def _sums(
    sheet: Grid,
    at: tuple[int, int],
    cross_checks: Sequence[CrossCheck],
    words: Words,
    spans: Sequence[str],
) -> None:
    """
    Write the net effect of failed cross-checks of a kind, and below it their absolute sum. [t]

    `at`: row and column of the first of the two cells; the cell above it has the kind's name.
    `spans`: columns of the sheet of cross-checks: kind, result, effect.
    """
    row, column = at
    effects = [
        Fraction(cross_check.effect_t) for cross_check in cross_checks if cross_check.holds is False
    ]
    kinds, verdicts, tonnes = spans
    picked = f'({kinds}={sheet.cell(row - 1, column)})*({verdicts}="{words["no"]}")'
    for place, (cells, total) in enumerate(
        ((tonnes, sum(effects)), (f"ABS({tonnes})", sum(map(abs, effects)))), row
    ):
        # a sheet without checks has a text instead of effects
        formula = f"=SUMPRODUCT({picked}*{cells})" if cross_checks else "=0"
        sheet.formula(place, column, formula, Fraction(total), "six")


def _counted(sheet: Grid, at: int, misstatements: Misstatements, words: Words) -> None:
    """Write the net and absolute sum of the larger kind, and compare them with the statement's."""
    meters, invoices = (sheet.cell(at + 2, column) for column in (1, 2))
    sums = (misstatements.net_misstatement_t, misstatements.absolute_misstatement_t)
    for row, amount in enumerate(sums, at + 1):
        item, other = (sheet.cell(row, column) for column in (1, 2))
        value = Fraction(amount)
        sheet.formula(row, _COUNTS, f"=IF({meters}>={invoices},{item},{other})", value, "six")
        _comparison(sheet, row, value, "six", words)


def _shares(
    sheet: Grid, at: int, misstatements: Misstatements, of_period: tuple[Facts, str], words: Words
) -> int:
    """Write the reduction, and the sums as shares of it; return the next row."""
    facts, reduction = of_period
    sheet.text(at, 0, words["reduction_of_period"], "head")
    of = Fraction(facts.subject.emissions.reduction.t)
    sheet.formula(at, _COUNTS, f"={reduction}", of, "six")
    shares = (
        ("net_share", misstatements.net_share_percent),
        ("absolute_share", misstatements.absolute_share_percent),
    )
    for row, (name, share) in enumerate(shares, at + 1):
        sheet.text(row, 0, words[name], "head")
        if share is None:
            sheet.text(row, _COUNTS, DASH)
            continue
        tonnes, whole = sheet.cell(row - 3, _COUNTS), sheet.cell(at, _COUNTS)
        # the inner rounding removes the sixteenth digit, which would otherwise be rounded up
        formula = f"=ROUNDUP(ROUND(ABS({tonnes})*100/ABS({whole}),9),6)"
        sheet.formula(row, _COUNTS, formula, Fraction(share), "plain")
        _comparison(sheet, row, Fraction(share), "plain", words)
    return at + 3


def _verdict(sheet: Grid, at: int, misstatements: Misstatements, words: Words) -> None:
    """Write the threshold, and whether one of the sums reaches it."""
    sheet.text(at, 0, words["materiality"], "head")
    sheet.number(at, _COUNTS, Fraction(misstatements.threshold_percent), "plain")
    sheet.text(at + 1, 0, words["material"], "head")
    net, absolute, reduction, threshold = (
        sheet.cell(row, _COUNTS) for row in (at - 5, at - 4, at - 3, at)
    )
    maximum = f"MAX(ABS({net}),{absolute})"
    yes, no = words["yes"], words["no"]
    formula = f'=IF(AND({maximum}>0,{maximum}*100>=ABS({reduction})*{threshold}),"{yes}","{no}")'
    sheet.formula(at + 1, _COUNTS, formula, yes if misstatements.material else no, "text")


def _comparison(sheet: Grid, row: int, stated: Fraction, style: str, words: Words) -> None:
    sheet.number(row, _STATED, stated, style)
    cells = (sheet.cell(row, _COUNTS), sheet.cell(row, _STATED))
    equal(sheet, (row, _EQUAL), cells, words, holds=True)


_HOUR_US = 3_600_000_000
_YEAR_H = 8_760
_PLACES = 6
# columns of a check
_METERED, _WITNESSED, _DIFFERENCE, _TOLERANCE = 6, 7, 9, 10
_EXPECTED = {"energy [kWh]": "energy_kwh_per_year", "reduction [t]": "reduction_t_per_year"}
_EARLIER = {
    "energy [kWh]": (attrgetter("energy_wh"), 10**3),
    "reduction [t]": (attrgetter("reduction_ug"), 10**12),
}


def checks(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write the comparisons of meters, and their results."""
    names = ("witness", "against", "device", "from", "to", "compared", "metered", "witnessed",
             "unit", "difference", "tolerance", "effect_t", "page.holds", "comment")  # fmt: skip
    result = facts.subject.cross_checks or ()
    listed(sheet, words, "checks", names, [
        [
            (witness(item, words), "text"), (item.against, "text"),
            (", ".join(item.devices), "text"), *edges(facts, item),
            (item.compared_share, "share"), (item.metered, "six"), (item.witnessed, "six"),
            (item.unit, "text"), _percent(item.difference_percent),
            _percent(item.tolerance_percent), (item.effect_t, "six"),
            (words["not_compared"], "text"), (detail(item, words) or DASH, "text"),
        ]
        for item in result
    ])  # fmt: skip
    for row, check in enumerate(result, FIRST):
        _judged(sheet, row, check, words)


def _judged(sheet: Grid, row: int, cross_check: CrossCheck, words: Words) -> None:
    """Write difference and result of a check, by formulas; no result if not comparable."""
    metered, witnessed, tolerance = (sheet.cell(row, c) for c in (_METERED, _WITNESSED, _TOLERANCE))
    off = f"({metered}-{witnessed})*100"
    if cross_check.difference_percent is not None:
        ours, theirs = Fraction(cross_check.metered), Fraction(cross_check.witnessed)
        _live(sheet, (row, _DIFFERENCE), f"{off}/{witnessed}", (ours - theirs) * 100 / theirs,
              cross_check.difference_percent, 4)  # fmt: skip
    if cross_check.holds is not None:
        yes, no = words["yes"], words["no"]
        ours, theirs = Fraction(cross_check.metered), Fraction(cross_check.witnessed)
        alone = abs(ours - theirs) * 100 <= Fraction(cross_check.tolerance_percent) * abs(theirs)
        formula = f'=IF(ABS({off})<={tolerance}*ABS({witnessed}),"{yes}","{no}")'
        if cross_check.holds and not alone:  # accepted by the sum of several invoices
            sheet.text(row, HOLDS, yes)
        else:
            sheet.formula(row, HOLDS, formula, yes if cross_check.holds else no, "text")


def _percent(text: str | None) -> tuple[str, str]:
    return (DASH, "text") if text is None else (text, "plain")


def _live(
    sheet: Grid, at: tuple[int, int], formula: str, exact: Fraction, message: str, places: int
) -> None:
    """
    Write a rounded formula with the value of the statement.

    A spreadsheet rounds halves up and the statement half to even: where these differ, or the cells
    lack data of the statement, the statement's figure is written instead.
    """
    style = "six" if places == _PLACES else "plain"
    if half_up(exact, places) == Fraction(message):
        sheet.formula(*at, f"=ROUND({formula},{places})", Fraction(message), style)
    else:
        sheet.number(*at, message, style)


@dataclass(frozen=True)
class Cells:
    """
    Addresses of cells that are compared.

    `reduction`: the period's reduction, on the report's sheet. [t CO2e]
    `energies`: formula of the compared energy, on the calculation's sheet. [Wh]
    `expected`: cells of the design's yearly expectation on the plan sheet, by key.
    """

    reduction: str
    energies: str
    expected: Mapping[str, str]


@dataclass(frozen=True)
class _Other:
    """A figure for comparison, the hours that it covers, and its cell."""

    basis: str
    comparison: Comparison
    value: Fraction | None
    hours: Fraction
    cell: str | None


def comparisons(sheet: Grid, facts: Facts, words: Words, cells: Cells, checked: Grid) -> None:
    """Write design and other periods compared with the results, then materiality."""
    sheet.title(words["comparisons"], words["comparisons_note"])
    names = ("basis", "page.what", "there", "hours_there", "hours_here", "page.pro_rata",
             "page.actual", "difference", "per_statement", "equal")  # fmt: skip
    sheet.head(FIRST - 1, [words[n] for n in names])
    row = FIRST - 1
    for row, other in enumerate(_others(facts, words, cells), FIRST):
        _compared(sheet, row, other, facts, words, cells)
    if row < FIRST:
        sheet.text(FIRST, 0, words["none"])
    if facts.subject.materiality:
        materiality(sheet, max(row, FIRST) + 3, facts, words, (cells.reduction, checked))


def _others(facts: Facts, words: Words, cells: Cells) -> Iterator[_Other]:
    basis = words["basis.design_months" if facts.by_months else "basis.design"]
    expected = facts.plan.project.expected
    begin, end = facts.span_us
    span = begin, end, facts.timezone
    part = part_of_year(expected.get("by_month"), *span)
    # hours in which the year's whole output is generated at the design's mean rate in this period
    hours = Fraction(end - begin, _HOUR_US) / part if part else None
    for comparison in facts.subject.comparisons:
        key = _EXPECTED[comparison.what]
        if expected.get("dated"):  # the sum of several estimates, each for its own time
            there = Fraction(end - begin, _HOUR_US)
            yield _Other(basis, comparison, expected_of(expected, key, span), there, None)
            continue
        value = Fraction(str(expected[key]))
        if hours is None:  # the design has no output in this time
            yield _Other(basis, comparison, Fraction(0), Fraction(_YEAR_H), None)
            continue
        yield _Other(basis, comparison, value, hours, cells.expected[key])
    earlier = {figures.statement: figures for figures in facts.plan.earlier}
    for other_period in facts.subject.other_periods or ():
        yield _of_period(other_period, earlier[other_period.statement])


def _of_period(period_comparison: PeriodComparison, there: StatementFigures) -> _Other:
    figure, size = _EARLIER[period_comparison.what]
    begin, end = (instant_us(edge, "UTC") for edge in (there.from_, there.to))
    value = Fraction(int(figure(there)), size)
    return _Other(
        period_comparison.statement, period_comparison, value, Fraction(end - begin, _HOUR_US), None
    )


def _compared(
    sheet: Grid, row: int, other: _Other, facts: Facts, words: Words, cells: Cells
) -> None:
    comparison = other.comparison
    begin, end = facts.span_us
    hours = Fraction(end - begin, _HOUR_US)
    sheet.row(row, [
        (other.basis, "text"), (compared_quantity(comparison, words), "text"), (other.value, "six"),
        (other.hours, "plain"), (hours, "plain"),
    ])  # fmt: skip
    if other.cell is not None and other.value is not None:
        sheet.formula(row, 2, f"={other.cell}", other.value, "six")
    value, there, here, pro_rata, actual = (sheet.cell(row, c) for c in (2, 3, 4, 5, 6))
    exact = (other.value or Fraction(0)) * hours / other.hours
    _live(sheet, (row, 5), f"{value}*{here}/{there}", exact, comparison.expected, _PLACES)
    _actual(sheet, row, comparison, facts, cells)
    expected, came = Fraction(comparison.expected), Fraction(comparison.actual)
    if not comparison.difference_percent or not expected:
        sheet.row(row, [(DASH, "text")] * 3, 7)
        return
    _live(sheet, (row, 7), f"({actual}-{pro_rata})/ABS({pro_rata})*100",
          (came - expected) / abs(expected) * 100, comparison.difference_percent, 2)  # fmt: skip
    sheet.number(row, 8, comparison.difference_percent, "plain")
    equal(sheet, (row, 9), (sheet.cell(row, 7), sheet.cell(row, 8)), words, holds=True)


def _actual(sheet: Grid, row: int, comparison: Comparison, facts: Facts, cells: Cells) -> None:
    if comparison.what == "reduction [t]":
        sheet.formula(row, 6, f"={cells.reduction}", Fraction(comparison.actual), "six")
        return
    parameters = facts.parameters
    metered = sum(
        line.metered for line in facts.lines if parameters[line.parameter] in facts.compared
    )
    _live(
        sheet,
        (row, 6),
        f"({cells.energies})/1000",
        Fraction(metered, 1000),
        comparison.actual,
        _PLACES,
    )

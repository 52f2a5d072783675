"""What the checks that do not hold come to, beside what is material: live, and as signed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mrv.documents.monitoring import CrossCheck
from mrv.documents.period_account import Misstatements
from mrv.report.report_data import Facts
from mrv.report.sheets.grid import FIRST, Grid
from mrv.report.sheets.table_3 import equal
from mrv.report.translations import DASH
from mrv.report.words import Words

KIND, EFFECT, HOLDS = 0, 11, 12  # columns of a check
_COUNTS, _SAID, _EQUAL = 3, 4, 5
_KINDS = ("check meter", "invoice")


def materiality(sheet: Grid, at: int, facts: Facts, words: Words, cells: tuple[str, Grid]) -> None:
    """
    Add up the checks that do not hold, by kind; the kind that says more counts.

    Parameters
    ----------
    at : int
        Row of the table's head.
    cells : tuple of str and Grid
        Address of the period's reduction; the sheet of the checks.
    """
    reduction, checked = cells
    said = facts.subject.materiality
    if not said:
        return
    sheet.text(at - 1, 0, words["materiality.title"], "part")
    kinds = [words[f"witness.{kind.replace(' ', '_')}"] for kind in _KINDS]
    sheet.head(at, ["", *kinds, words["counts"], words["per_statement"], words["equal"]])
    found = facts.subject.cross_checks or ()
    sheet.text(at + 1, 0, words["materiality.net"], "head")
    sheet.text(at + 2, 0, words["materiality.absolute"], "head")
    for column, kind in enumerate(_KINDS, 1):
        mine = [one for one in found if one.kind == kind]
        spans = [checked.span(FIRST, FIRST + max(1, len(found)), c) for c in (KIND, HOLDS, EFFECT)]
        _sums(sheet, (at + 1, column), mine, words, spans)
    _counted(sheet, at, said, words)
    _verdict(sheet, _shares(sheet, at + 3, said, (facts, reduction), words), said, words)


def _sums(
    sheet: Grid,
    at: tuple[int, int],
    cross_checks: Sequence[CrossCheck],
    words: Words,
    spans: Sequence[str],
) -> None:
    """Net sum of a kind, and below it the sum without sign."""
    row, column = at
    effects = [
        Fraction(cross_check.effect_t) for cross_check in cross_checks if cross_check.holds is False
    ]
    kinds, verdicts, tonnes = spans
    picked = f'({kinds}={sheet.cell(row - 1, column)})*({verdicts}="{words["no"]}")'
    for place, (cells, total) in enumerate(
        ((tonnes, sum(effects)), (f"ABS({tonnes})", sum(map(abs, effects)))), row
    ):
        # a sheet without checks holds a word where effects would stand
        formula = f"=SUMPRODUCT({picked}*{cells})" if cross_checks else "=0"
        sheet.formula(place, column, formula, Fraction(total), "six")


def _counted(sheet: Grid, at: int, said: Misstatements, words: Words) -> None:
    """Net and absolute sum of the larger kind of misstatement, beside the statement's."""
    meters, invoices = (sheet.cell(at + 2, column) for column in (1, 2))
    sums = (said.net_misstatement_t, said.absolute_misstatement_t)
    for row, amount in enumerate(sums, at + 1):
        one, other = (sheet.cell(row, column) for column in (1, 2))
        value = Fraction(amount)
        sheet.formula(row, _COUNTS, f"=IF({meters}>={invoices},{one},{other})", value, "six")
        _beside(sheet, row, value, "six", words)


def _shares(
    sheet: Grid, at: int, said: Misstatements, of_period: tuple[Facts, str], words: Words
) -> int:
    """Write the reduction and what share of it the sums are; return the row after them."""
    facts, reduction = of_period
    sheet.text(at, 0, words["reduction_of_period"], "head")
    of = Fraction(facts.subject.emissions.reduction.t)
    sheet.formula(at, _COUNTS, f"={reduction}", of, "six")
    shares = (
        ("net_share", said.net_share_percent),
        ("absolute_share", said.absolute_share_percent),
    )
    for row, (name, share) in enumerate(shares, at + 1):
        sheet.text(row, 0, words[name], "head")
        if share is None:
            sheet.text(row, _COUNTS, DASH)
            continue
        tonnes, whole = sheet.cell(row - 3, _COUNTS), sheet.cell(at, _COUNTS)
        # the inner rounding takes away the sixteenth digit, which would be rounded up
        formula = f"=ROUNDUP(ROUND(ABS({tonnes})*100/ABS({whole}),9),6)"
        sheet.formula(row, _COUNTS, formula, Fraction(share), "plain")
        _beside(sheet, row, Fraction(share), "plain", words)
    return at + 3


def _verdict(sheet: Grid, at: int, said: Misstatements, words: Words) -> None:
    """Write the threshold, and whether either sum reaches it."""
    sheet.text(at, 0, words["materiality"], "head")
    sheet.number(at, _COUNTS, Fraction(said.threshold_percent), "plain")
    sheet.text(at + 1, 0, words["material"], "head")
    net, absolute, reduction, threshold = (
        sheet.cell(row, _COUNTS) for row in (at - 5, at - 4, at - 3, at)
    )
    most = f"MAX(ABS({net}),{absolute})"
    yes, no = words["yes"], words["no"]
    formula = f'=IF(AND({most}>0,{most}*100>=ABS({reduction})*{threshold}),"{yes}","{no}")'
    sheet.formula(at + 1, _COUNTS, formula, yes if said.material else no, "text")


def _beside(sheet: Grid, row: int, said: Fraction, style: str, words: Words) -> None:
    sheet.number(row, _SAID, said, style)
    cells = (sheet.cell(row, _COUNTS), sheet.cell(row, _SAID))
    equal(sheet, (row, _EQUAL), cells, words, holds=True)

"""The whole workbook."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO

from xlsxwriter import Workbook

from mrv.calendar import instant_us
from mrv.report.printable_text import legible
from mrv.report.report_data import Facts
from mrv.report.sheets import audited, comparisons, lists, monitored, plan
from mrv.report.sheets.calculation import METERED, Links, Reckoning, calculation
from mrv.report.sheets.charts import charts
from mrv.report.sheets.grid import FIRST, Grid, Styles
from mrv.report.sheets.layout import Layout
from mrv.report.sheets.sampled import sample
from mrv.report.words import Words

_WIDTHS: dict[str, tuple[int, ...]] = {
    "result": (44, 90),
    "plan": (18, 18, 30, 16, 14, 14, 26, 48, 28, 32),
    "structure": (34, 60, 40),
    "report": (24, 16, 18, 30, 16, 14, 14, 26, 48, 28, 32, 16, 10),
    "calculation": (8, 24, 34, 18, 18, 16, 44, 30, *([18] * 20)),
    "days": (12, 24, 22, 8, 16, 12, 12, 12, 12, 12),
    "charts": (30, 18, 18, 18, 18),
    "gaps": (24, 27, 27, 12, 12, 40, 16, 14, 18),
    "deductions": (24, 27, 27, 44, 12, 18, 14),
    "checks": (18, 24, 24, 27, 27, 12, 18, 18, 8, 14, 14, 16, 14, 44),
    "unusual": (36, 14, 12, 16, 18, 20),
    "comparisons": (36, 24, 18, 18, 18, 18, 18, 14, 14, 10),
    "sampling": (26, 24, 18, 14, 10, 44, 18, 8, 44),
    "calibrations": (24, 18, 28, 14, 14, 14, 14),
    "factors": (28, 26, 12, 12, 14, 12, 12, 44, 30, 10, 12, 12, 68),
    "dated": (24, 36, 26, 14, 12, 60),
    "conditions": (44, 80, 60),
    "audit_file": (34, 34, 24, 44, 34),
    "verification": (34, 100),
}


def workbook(facts: Facts, words: Words) -> bytes:
    """
    Return the workbook of a statement, the same bytes each time.

    Raises
    ------
    ReportError
        If a sheet cannot hold the period's days.
    """
    out = BytesIO()
    book = Workbook(out, {"in_memory": True})
    book.set_properties(
        {
            "title": legible(facts.name),
            "subject": legible(facts.subject.project.name, 200),
            "author": "tonne",
            "created": _created(facts),
        }
    )
    styles = Styles(book)
    if facts.hidden is not None:
        hidden, original = facts.hidden
        first = book.add_worksheet(words["public.title"])
        first.set_column(0, 0, 110, book.add_format({"text_wrap": True, "valign": "top"}))
        told = words["public.text"].format(hidden=hidden, original=original)
        first.write_string(0, 0, f"{facts.name}. {told}")
    sheets = {n: Grid(book, styles, words, n, widths, facts.name) for n, widths in _WIDTHS.items()}
    reckoning = Reckoning(facts, _links(facts, sheets["factors"], sheets["report"]))
    lists.result(sheets["result"], facts, words)
    plan.plan(sheets["plan"], facts, words)
    plan.structure(sheets["structure"], facts, words)
    others = (sheets["days"], sheets["gaps"], sheets["deductions"])
    calculated = calculation(sheets["calculation"], reckoning, words, others)
    monitored.report(sheets["report"], facts, words, sheets["calculation"], calculated)
    lists.days(sheets["days"], facts, words)
    charts(sheets["charts"], book, facts, words, sheets["days"])
    lists.gaps(sheets["gaps"], facts, words)
    lists.deductions(sheets["deductions"], facts, words, sheets["days"])
    comparisons.checks(sheets["checks"], facts, words)
    lists.unusual(sheets["unusual"], facts, words)
    comparisons.comparisons(
        sheets["comparisons"], facts, words, _compared(facts, sheets), sheets["checks"]
    )
    sample(sheets["sampling"], facts, words)
    lists.calibrations(sheets["calibrations"], facts, words)
    lists.factors(sheets["factors"], facts, words)
    lists.dated(sheets["dated"], facts, words)
    lists.conditions(sheets["conditions"], facts, words)
    audited.audit_file(sheets["audit_file"], facts, words)
    lists.verification(sheets["verification"], facts, words)
    book.close()
    return out.getvalue()


def _links(facts: Facts, factors: Grid, report: Grid) -> Links:
    """Cells of what the equation takes beside quantities: factors, and what was fixed ex ante."""
    layout = Layout(facts, monitored.FIRST_COLUMN)
    named = enumerate(facts.subject.factors, FIRST)
    fixed = enumerate(facts.subject.fixed_parameters or (), layout.fixed)
    return Links(
        {one.id: factors.cell(row, lists.FACTOR) for row, one in named},
        {
            (one.device, one.parameter): (report.cell(row, layout.value), Fraction(one.value))
            for row, one in fixed
        },
    )


def _compared(facts: Facts, sheets: Mapping[str, Grid]) -> comparisons.Cells:
    """Cells that hold what the comparisons compare: as the design and the report say it."""
    report, reckoned = sheets["report"], sheets["calculation"]
    energies = [
        reckoned.cell(row, METERED)
        for row, line in enumerate(facts.lines, FIRST)
        if facts.parameters[line.parameter] in facts.compared
    ]
    total = Layout(facts, monitored.FIRST_COLUMN).total
    return comparisons.Cells(
        reduction=report.cell(total, 2),
        energies="+".join(energies) or "0",
        expected=plan.expected_cells(sheets["plan"], facts),
    )


def _created(facts: Facts) -> datetime:
    """The period's end: a moment that every copy of the report has in common."""
    end = instant_us(facts.stated.valid_from, "UTC")
    return datetime.fromtimestamp(end / 1e6, UTC).replace(tzinfo=None)

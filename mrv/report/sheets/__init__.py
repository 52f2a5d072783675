"""
The monitoring report as a workbook, in the form of the JCM's sheets.

Formulas are live: daily sums, deductions, quantity, factor, tonnes and whole credits can be traced
from cell to cell.  Each cell also has its value, for programs that do not calculate.  XlsxWriter
writes both (openpyxl cannot write a formula's value), and the same input gives the same bytes.

This file has the JCM's sheets before monitoring (plan and structure) and after it (report), charts
of the account and of each metered quantity by day, and the verifier's sample with space for
results.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO
from itertools import groupby
from typing import Any

from xlsxwriter import Workbook

from mrv.calendar import instant_us
from mrv.report.blocks import drawn, drawn_rows, legible, risks, unit_for
from mrv.report.report_data import Facts
from mrv.report.sheets import comparisons, lists
from mrv.report.sheets import layout as grid
from mrv.report.sheets.calculation import (
    COUNTED,
    METERED,
    NEAR,
    Calculated,
    Links,
    Reckoning,
    calculation,
    equal,
    sides,
    table_3,
)
from mrv.report.sheets.layout import (
    FIRST,
    TABLE_1,
    TABLE_1_AT,
    Grid,
    Layout,
    Styles,
    fixed,
    general,
    monitored_cells,
)
from mrv.report.words import DASH, DISPLAY_UNITS, Words, period, quantity, role
from mrv.steps import in_symbols

_ESTIMATED = 3
_EXPECTED = (("energy_kwh_per_year", "kWh/a"), ("reduction_t_per_year", "tCO2/a"))


def plan(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write the monitored parameters, and the expected values of the design."""
    sheet.title(words["plan"], words["plan_note"])
    general(sheet, facts, words)
    sheet.text(TABLE_1_AT - 2, 0, words["table_1_ex_ante"], "part")
    heads = [words[n] for n in TABLE_1]
    heads[_ESTIMATED] = words["form_d_ex_ante"]
    sheet.head(TABLE_1_AT - 1, heads)
    for place in range(len(facts.parameters)):
        # no document states an expected value for a single meter
        sheet.row(TABLE_1_AT + place, monitored_cells(facts, place, (None, "text"), words))
    layout = Layout(facts, first=1)
    fixed(sheet, layout, words)
    _expected(sheet, layout.table_3, facts, words)


def _expected(sheet: Grid, at: int, facts: Facts, words: Words) -> None:
    sheet.text(at - 1, 0, words["expected"], "part")
    sheet.row(at, [(words[n], "head") for n in ("parameter", "value", "unit")], 1)
    expected = facts.plan.project.expected
    for row, (key, unit) in enumerate(_EXPECTED, at + 1):
        value = expected.get(key)
        number = (None, "text") if value is None else (Fraction(str(value)), "plain")
        sheet.row(row, [(words[f"expected.{key}"], "text"), number, (unit, "text")], 1)
    sheet.text(at + 4, 0, words["equations"], "part")
    method = facts.methodology
    applying = [s for s in method.steps.formulas if not s.when and s.name not in method.inputs]
    for row, step in enumerate(applying, at + 5):
        formula = f"{step.symbol} = {in_symbols(step.formula, method.symbols)} [{step.unit}]"
        sheet.text(row, 1, formula, "said")


def expected_cells(sheet: Grid, facts: Facts) -> dict[str, str]:
    """Return addresses of the yearly expected values of the design, by key."""
    at = Layout(facts, first=1).table_3
    return {key: sheet.cell(row, 2) for row, (key, _) in enumerate(_EXPECTED, at + 1)}


def structure(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write the responsibilities, as stated in documents."""
    sheet.title(words["structure"], words["structure_note"])
    sheet.head(FIRST - 1, [words[n] for n in ("responsible", "role_of_person", "named_by")])
    opinion = facts.opinion
    issuer = facts.stated.issuer or None
    signed = words["structure.by_proof"]
    rows = (
        (issuer.name if issuer else None, words["structure.operator"], signed if issuer else None),
        (
            opinion.issuer.name if opinion else None,
            words["structure.verifier"],
            signed if opinion else None,
        ),
        *_responsible(facts, words),
        ("tonne", words["structure.system"], facts.subject.code_version),
    )
    for row, cells in enumerate(rows, FIRST):
        for column, text in enumerate(cells):
            sheet.text(row, column, text)


def _responsible(facts: Facts, words: Words) -> list[tuple[str | None, str, str]]:
    """Return a row on the responsible persons of each version of the monitoring plan."""
    versions = facts.subject.monitoring_plan or ()
    if not versions:
        return [(None, words["structure.site"], words["structure.not_named"])]
    return [
        (
            version.responsible,
            words["structure.plan"],
            words.filled("structure.by_plan", version.version, words.day(version.from_)),
        )
        for version in versions
    ]


_NAMES = ("day", "device", "role", "drawn", "weight", "risk", "metered", "unit", "looked_at")


def sample(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write how the sample was drawn, and each of its device-days."""
    sheet.title(words["sampling"], words["sampling_note"])
    document = facts.sample
    if document is None:
        sheet.text(FIRST, 0, words["page.no_sample"], "said")
        return
    head = FIRST
    for head, (name, value) in enumerate(drawn_rows(document, facts.timezone, words), FIRST - 1):
        sheet.text(head, 0, name, "head")
        sheet.text(head, 1, value)
    sheet.head(head + 2, [words[name] for name in _NAMES])
    for row, sampled_day in enumerate(document.credential_subject.items, head + 3):
        sheet.row(row, [
            (sampled_day.day, "text"), (sampled_day.device, "text"),
            (words.get(f"role.{sampled_day.role}", sampled_day.role), "text"),
            (drawn(sampled_day, words), "text"), (sampled_day.weight, "whole"),
            (risks(sampled_day, words) or DASH, "text"), (sampled_day.metered, "whole"),
            (sampled_day.unit, "text"), ("", "text"),
        ])  # fmt: skip


# maximum number of charts; all days are on their own sheet
MAX_CHARTS = 12
_THOUSAND = 1000
_A_PAGE = 2
_ROWS, _SIZE = 18, {"width": 900, "height": 330}
_ACCOUNT = ("baseline", "project", "leakage", "reduction")
_BARS, _TONNES = {"color": "#2F75B5"}, {"color": "#548235"}


def charts(sheet: Grid, book: Workbook, facts: Facts, words: Words, days: Grid) -> None:
    """Insert charts of the account and of the largest quantities, each in its own unit."""
    sheet.title(words["charts"], words["charts_note"])
    for row, side in enumerate(_ACCOUNT, FIRST):
        sheet.text(row, 0, words[f"page.{side}"], "head")
        sheet.number(row, 1, Fraction(getattr(facts.subject.emissions, side).t), "six")
    account = _columns(book, words["page.account"], "t CO2e", "#,##0.###")
    account.add_series(
        {
            "categories": f"={sheet.span(FIRST, FIRST + len(_ACCOUNT), 0)}",
            "values": f"={sheet.span(FIRST, FIRST + len(_ACCOUNT), 1)}",
            "name": legible(words["page.account"]),
            "fill": _TONNES,
            "data_labels": {"value": True},
        }
    )
    at = FIRST + len(_ACCOUNT) + 1
    sheet.chart(at, account)
    for k, (place, first, last) in enumerate(_largest(facts)):
        at += _ROWS
        if k % _A_PAGE == 0:
            sheet.next_page(at)
        sheet.chart(at, _by_day(book, facts, words, days, (place, first, last)))


def _largest(facts: Facts) -> list[tuple[int, int, int]]:
    """Return the parameters with the largest quantities, and their rows in the days sheet."""
    result, row = [], FIRST
    for place, group in groupby(facts.days, lambda day: day.parameter):
        mine = list(group)
        total = sum(day.value or 0 for day in mine)
        result.append((-total, place, row, row + len(mine)))
        row += len(mine)
    return sorted(ranked[1:] for ranked in sorted(result)[:MAX_CHARTS])


def _by_day(
    book: Workbook, facts: Facts, words: Words, days: Grid, rows: tuple[int, int, int]
) -> Any:
    place, first, last = rows
    parameter = facts.parameters[place]
    values = [day.value or 0 for day in facts.days[first - FIRST : last - FIRST]]
    unit, size = unit_for(parameter.unit, Fraction(max(values, default=0)), words.number)
    commas = 0
    while size >= _THOUSAND and size % _THOUSAND == 0:
        size, commas = size // _THOUSAND, commas + 1
    if size != 1:  # a number format can only divide by thousands
        unit, commas = parameter.unit, 0
    name = f"{quantity(parameter, words)}, {parameter.device} ({role(parameter.role, words)})"
    chart = _columns(book, name, unit, f"#,##0{',' * commas}", least=0)
    chart.add_series(
        {
            "categories": f"={days.span(first, last, 0)}",
            "values": f"={days.span(first, last, lists.VALUE)}",
            "name": legible(name),
            "fill": _BARS,
            "gap": 40,
        }
    )
    return chart


def _columns(
    book: Workbook, title: str, unit: str, number: str, *, least: int | None = None
) -> Any:
    chart = book.add_chart({"type": "column"})
    font = {"name": "Arial", "size": 9, "bold": False}
    chart.set_title({"name": legible(title), "name_font": {**font, "size": 11}})
    chart.set_y_axis({
        "name": unit, "name_font": font, "num_font": font, "num_format": number, "min": least,
        "major_gridlines": {"visible": True, "line": {"color": "#D9D9D9"}},
    })  # fmt: skip
    chart.set_x_axis({"num_font": font})
    chart.set_legend({"none": True})
    chart.set_size(_SIZE)
    return chart


_VALUE, _STATED, _CHECK = 4, 11, 12
FIRST_COLUMN = 2  # column (b), at which Table 2 begins


def report(
    sheet: Grid, facts: Facts, words: Words, calculation: Grid, calculated: Calculated
) -> None:
    """Write the monitored values and the resulting tonnes."""
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
    """Write column (d) from the calculation, and compare it with the statement's value."""
    parameter = facts.parameters[place]
    size = DISPLAY_UNITS[parameter.unit][1]
    rows = [i for i, line in enumerate(facts.lines) if line.parameter == place]
    cells = "+".join(calculation.cell(FIRST + i, COUNTED) for i in rows) or "0"
    counted = sum((facts.counted(facts.lines[i]) for i in rows), start=Fraction(0))
    sheet.formula(row, _VALUE, f"=ROUND({cells},6)/{size}", counted / size, "plain")
    stated = Fraction(parameter.counted)
    sheet.number(row, _STATED, stated / size, "plain")
    cells_ = (sheet.cell(row, _VALUE), sheet.cell(row, _STATED))
    # deductions are rounded to a millionth of their base unit
    holds = abs(counted - stated) / size < NEAR
    equal(sheet, (row, _CHECK), cells_, words, holds=holds)


# column widths, 195 characters at most in all: on A4 in landscape, ten-point texts are then printed
# with at least seven points
_WIDTHS: dict[str, tuple[int, ...]] = {
    "result": (44, 90),
    "plan": (14, 13, 24, 13, 13, 10, 18, 34, 20, 22),
    "structure": (34, 60, 40),
    "report": (14, 13, 13, 22, 14, 13, 10, 14, 28, 15, 17, 13, 9),
    "calculation": (8, 20, 30, 18, 18, 14, 38, 26, *([18] * 20)),
    "days": (12, 24, 22, 8, 16, 12, 12, 12, 12, 12),
    "charts": (30, 18, 18, 18, 18),
    "gaps": (18, 23, 23, 12, 12, 36, 15, 13, 16),
    "deductions": (24, 27, 27, 44, 12, 18, 14),
    "checks": (13, 16, 16, 17, 17, 10, 14, 14, 8, 11, 11, 13, 11, 24),
    "unusual": (36, 14, 12, 16, 18, 20),
    "comparisons": (32, 20, 17, 17, 17, 17, 17, 13, 13, 10),
    "sampling": (22, 20, 16, 13, 10, 38, 16, 8, 38),
    "calibrations": (24, 18, 28, 14, 14, 14, 14),
    "factors": (18, 16, 11, 10, 11, 11, 11, 26, 18, 10, 10, 10, 32),
    "dated": (24, 36, 26, 14, 12, 60),
    "conditions": (44, 80, 60),
    "audit_file": (34, 34, 24, 44, 34),
    "verification": (32, 58, 34, 30, 34),
}


def workbook(facts: Facts, words: Words) -> bytes:
    """
    Return the workbook of a statement, byte-identical for the same data.

    Raises ReportError if the period has more days than a sheet has rows.
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
        message = words["public.text"].format(hidden=hidden, original=original)
        first.write_string(0, 0, f"{facts.name}. {message}")
    sheets = {n: Grid(book, styles, words, n, widths, facts.name) for n, widths in _WIDTHS.items()}
    reckoning = Reckoning(facts, _links(facts, sheets["factors"], sheets["report"]))
    lists.result(sheets["result"], facts, words)
    plan(sheets["plan"], facts, words)
    structure(sheets["structure"], facts, words)
    others = (sheets["days"], sheets["gaps"], sheets["deductions"])
    calculated = calculation(sheets["calculation"], reckoning, words, others)
    report(sheets["report"], facts, words, sheets["calculation"], calculated)
    lists.days(sheets["days"], facts, words)
    lists.measured(sheets["days"], sheets["report"], Layout(facts, FIRST_COLUMN), words)
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
    grid.audit_file(sheets["audit_file"], facts, words)
    lists.verification(sheets["verification"], facts, words)
    book.close()
    return out.getvalue()


def _links(facts: Facts, factors: Grid, report: Grid) -> Links:
    layout = Layout(facts, FIRST_COLUMN)
    named = enumerate(facts.subject.factors, FIRST)
    fixed = enumerate(facts.subject.fixed_parameters or (), layout.fixed)
    return Links(
        {factor.id: factors.cell(row, lists.FACTOR) for row, factor in named},
        {
            (item.device, item.parameter): (report.cell(row, layout.value), Fraction(item.value))
            for row, item in fixed
        },
    )


def _compared(facts: Facts, sheets: Mapping[str, Grid]) -> comparisons.Cells:
    report, reckoned = sheets["report"], sheets["calculation"]
    energies = [
        reckoned.cell(row, METERED)
        for row, line in enumerate(facts.lines, FIRST)
        if facts.parameters[line.parameter] in facts.compared
    ]
    total = Layout(facts, FIRST_COLUMN).total
    return comparisons.Cells(
        reduction=report.cell(total, 2),
        energies="+".join(energies) or "0",
        expected=expected_cells(sheets["plan"], facts),
    )


def _created(facts: Facts) -> datetime:
    """Return the end of the period, which is the creation time of every copy."""
    end = instant_us(facts.stated.valid_from, "UTC")
    return datetime.fromtimestamp(end / 1e6, UTC).replace(tzinfo=None)


__all__ = ["workbook"]

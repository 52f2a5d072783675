"""Charts of the workbook: the account, and each metered quantity by day; they read other sheets."""

from __future__ import annotations

from fractions import Fraction
from itertools import groupby
from typing import Any

from xlsxwriter import Workbook

from mrv.report.axis import unit_for
from mrv.report.printable_text import legible
from mrv.report.report_data import Facts
from mrv.report.sheets import lists
from mrv.report.sheets.grid import FIRST, Grid
from mrv.report.translations import quantity, role
from mrv.report.words import Words

# more than these nobody looks through; all days are on their own sheet
MOST = 12
_THOUSAND = 1000
_A_PAGE = 2
_ROWS, _SIZE = 18, {"width": 900, "height": 330}
_ACCOUNT = ("baseline", "project", "leakage", "reduction")
_BARS, _TONNES = {"color": "#2F75B5"}, {"color": "#548235"}


def charts(sheet: Grid, book: Workbook, facts: Facts, words: Words, days: Grid) -> None:
    """Draw the account, then the quantities that metered most, each in its own unit."""
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
    """Parameters that metered most of their kind, with their rows [first, last) of the days."""
    found, row = [], FIRST
    for place, group in groupby(facts.days, lambda day: day.parameter):
        mine = list(group)
        total = sum(day.value or 0 for day in mine)
        found.append((-total, place, row, row + len(mine)))
        row += len(mine)
    return sorted(one[1:] for one in sorted(found)[:MOST])


def _by_day(
    book: Workbook, facts: Facts, words: Words, days: Grid, rows: tuple[int, int, int]
) -> Any:
    place, first, last = rows
    one = facts.parameters[place]
    values = [day.value or 0 for day in facts.days[first - FIRST : last - FIRST]]
    unit, size = unit_for(one.unit, Fraction(max(values, default=0)), words.number)
    commas = 0
    while size >= _THOUSAND and size % _THOUSAND == 0:
        size, commas = size // _THOUSAND, commas + 1
    if size != 1:  # a spreadsheet's format divides by thousands alone
        unit, commas = one.unit, 0
    name = f"{quantity(one, words)}, {one.device} ({role(one.role, words)})"
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

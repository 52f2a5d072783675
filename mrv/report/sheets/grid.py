"""
One sheet of the workbook, with cells by kind, so that texts of documents cannot become formulas.

Also writes the sheet of the audit file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import ceil
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.utility import xl_rowcol_to_cell

from mrv.report.audit_rows import (
    arrival_rows,
    deviation_rows,
    meter_rows,
    point_rows,
    procedure_rows,
    quality_rows,
    signed_rows,
    status_url,
    uncertainty_rows,
    verifier_rows,
)
from mrv.report.printable_text import legible
from mrv.report.report_data import Facts
from mrv.report.words import Words, punctuated

# the first row of a list, below title, note, empty row and head
FIRST = 4
MOST_ROWS = 1_048_576
_LINE, _WIDE = 14, 110  # points, characters
_BASE = {"font_name": "Arial", "font_size": 10, "valign": "top"}
_EDGE = {"border": 1, "border_color": "#BFBFBF"}
_STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 14},
    "part": {"bold": True, "font_size": 11, "font_color": "#1F4E79"},
    "note": {"italic": True, "font_color": "#595959"},
    "about": {"italic": True, "font_color": "#595959", "text_wrap": True},
    "said": {},
    "head": {"bold": True, "bg_color": "#DDEBF7", "text_wrap": True, "valign": "vcenter", **_EDGE},
    # a quote prefix keeps a name such as =cmd a text when somebody edits the cell
    "text": {"text_wrap": True, "quote_prefix": True, "align": "left", "indent": 1, **_EDGE},
    "missing": {"italic": True, "font_color": "#9C5700", "bg_color": "#FFF2CC", **_EDGE},
    "year": {"num_format": "0", **_EDGE},
    "whole": {"num_format": "#,##0", **_EDGE},
    "three": {"num_format": "#,##0.000", **_EDGE},
    "six": {"num_format": "#,##0.000000", **_EDGE},
    # not 0.######, which a spreadsheet shows with a bare point behind a whole number
    "plain": {"num_format": "General", **_EDGE},
    "share": {"num_format": "0.00%", **_EDGE},
    "hours": {"num_format": "0.00", **_EDGE},
    "result": {"num_format": "#,##0", "bold": True, "bg_color": "#E2EFDA", **_EDGE},
}
Value = Fraction | int | str | None


class Styles:
    """The formats of a workbook, each created once."""

    def __init__(self, book: Workbook) -> None:
        self._made = {name: book.add_format({**_BASE, **more}) for name, more in _STYLES.items()}

    def __getitem__(self, name: str) -> Any:
        """Return a format by name."""
        return self._made[name]


class Grid:
    """
    A sheet.

    Parameters
    ----------
    name : str
        Key of its name, `sheet.NAME`.
    widths : sequence of int
        Widths of the columns. [characters]
    footer : str
        Footer of each printed page, next to the sheet's name.
    """

    def __init__(
        self,
        book: Workbook,
        styles: Styles,
        words: Words,
        name: str,
        widths: Sequence[int],
        footer: str,
    ) -> None:
        self.name = words[f"sheet.{name}"]
        self._styles = styles
        self._words = words
        self._sheet = book.add_worksheet(self.name)
        self._breaks: list[int] = []
        self._widths = widths
        for column, width in enumerate(widths):
            self._sheet.set_column(column, column, width)
        self._sheet.hide_gridlines(2)
        self._sheet.set_landscape()
        self._sheet.set_paper(9)  # A4
        self._sheet.fit_to_pages(1, 0)
        self._sheet.set_margins(left=0.4, right=0.4, top=0.6, bottom=0.6)
        self._sheet.set_footer(f"&L{footer}&C&A&R&P / &N")

    def opening(self) -> None:
        """Set this sheet as the one shown when the workbook opens."""
        self._sheet.set_first_sheet()
        self._sheet.activate()

    def title(self, text: str, note: str) -> None:
        """Write the title of the sheet and its note."""
        self.text(0, 0, text, "title")
        # wrapped within the page: on paper a wider line would shrink the whole sheet
        last = next((n for n in range(2, len(self._widths)) if sum(self._widths[:n]) > _WIDE),
                    len(self._widths)) - 1  # fmt: skip
        if last > 0:
            self._sheet.merge_range(1, 0, 1, last, "", self._styles["about"])
            self._sheet.set_row(1, _LINE * ceil(len(note) / sum(self._widths[: last + 1])))
        self.text(1, 0, note, "about")

    def head(self, row: int, texts: Iterable[str], *, frozen: bool = False) -> None:
        """Write the head of a table; a frozen head is repeated, also on paper."""
        for column, text in enumerate(texts):
            self.text(row, column, text, "head")
        if frozen:
            self._sheet.freeze_panes(row + 1, 0)
            self._sheet.repeat_rows(row)

    def text(self, row: int, column: int, text: str | None, style: str = "text") -> None:
        """Write a text; None is written as not stated."""
        if text is None:
            self._sheet.write_string(
                row, column, self._words["not_stated"], self._styles["missing"]
            )
        else:
            text_ = punctuated(legible(text), self._words.language)
            self._sheet.write_string(row, column, text_, self._styles[style])

    def missing(self, row: int, column: int) -> None:
        """Write the mark for a missing figure."""
        self._sheet.write_string(row, column, self._words["missing"], self._styles["missing"])

    def number(self, row: int, column: int, value: Value, style: str) -> None:
        """Write an exact number; None is missing, not zero."""
        if value is None:
            self.missing(row, column)
        else:
            self._sheet.write_number(row, column, float(Fraction(value)), self._styles[style])

    def formula(
        self, row: int, column: int, formula: str, value: Fraction | int | str, style: str
    ) -> None:
        """Write a formula and its result."""
        cached = value if isinstance(value, str) else float(value)
        self._sheet.write_formula(row, column, formula, self._styles[style], cached)

    def row(self, row: int, cells: Sequence[tuple[Value, str]], first: int = 0) -> None:
        """Write texts and numbers in a row, each with its style."""
        for column, (value, style) in enumerate(cells, first):
            if style in {"text", "head"}:
                self.text(row, column, None if value is None else str(value), style)
            else:
                self.number(row, column, value, style)

    def chart(self, row: int, chart: Any) -> None:
        """Insert a chart at the left edge; its size does not depend on column widths."""
        self._sheet.insert_chart(row, 0, chart, {"object_position": 2, "y_offset": 6})

    def next_page(self, row: int) -> None:
        """Start a new printed page with a row."""
        self._breaks.append(row)
        self._sheet.set_h_pagebreaks(self._breaks)

    def cell(self, row: int, column: int) -> str:
        """Return the address of a cell, for formulas on any sheet."""
        return f"'{self.name}'!{xl_rowcol_to_cell(row, column)}"

    def span(self, first: int, last: int, column: int) -> str:
        """Return the address of cells [first, last) of a column."""
        begin, end = xl_rowcol_to_cell(first, column), xl_rowcol_to_cell(last - 1, column)
        return f"'{self.name}'!{begin}:{end}"


def audit_file(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write meters, quality, deviations, arrival, signatures, verifier and status address."""
    sheet.title(words["page.audit_file"], words["audit_file_note"])
    meters = ("device", "maker_model", "serial", "ratings", "uncertainty")
    quality = ("plan_version", "parameter", "frequency_head", "qa_qc", "responsible")
    at = _table(sheet, FIRST, words, "page.meters_rated", meters, meter_rows(facts, words))
    at = _pairs(sheet, at, words, None, uncertainty_rows(facts, words))
    points = ("device", "monitoring_point", "feeds")
    at = _table(sheet, at, words, "page.line_diagram", points, point_rows(facts))
    at = _table(sheet, at, words, "page.quality", quality, quality_rows(facts, words))
    at = _pairs(sheet, at, words, None, procedure_rows(facts, words))
    at = _pairs(sheet, at, words, "page.deviations", deviation_rows(facts, words))
    at = _pairs(sheet, at, words, "page.arrival", arrival_rows(facts, words))
    at = _pairs(sheet, at, words, "page.signed", signed_rows(facts, words))
    at = _pairs(sheet, at, words, "verification", verifier_rows(facts, words))
    _pairs(sheet, at, words, "page.status", [(words["status_url"], status_url(facts))])


def _table(
    sheet: Grid,
    at: int,
    words: Words,
    title: str,
    names: Sequence[str],
    rows: Iterable[Sequence[str | None]],
) -> int:
    sheet.text(at, 0, words[title], "part")
    sheet.head(at + 1, [words[name] for name in names])
    free = at + 2
    for row in rows:
        for column, value in enumerate(row):
            sheet.text(free, column, words["not_stated"] if value is None else value)
        free += 1
    return free + 1


def _pairs(
    sheet: Grid, at: int, words: Words, title: str | None, rows: Iterable[tuple[str, str | None]]
) -> int:
    if title is not None:
        sheet.text(at, 0, words[title], "part")
        at += 1
    for name, value in rows:
        sheet.text(at, 0, name, "head")
        sheet.text(at, 1, words["not_stated"] if value is None else value)
        at += 1
    return at + 1

"""
Sheets of the workbook: one sheet with cells by name, and the layout of the JCM's sheets.

The sheet of the audit file is also written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.utility import xl_rowcol_to_cell

from mrv.calendar import instant_us, local_text
from mrv.documents.monitoring import MonitoredParameter
from mrv.registry.plan_departures import required_frequency
from mrv.report.audit_rows import (
    arrival_rows,
    deviation_rows,
    meter_rows,
    point_rows,
    procedure_rows,
    quality_rows,
    signed_rows,
    state,
    status_url,
    uncertainty_rows,
    verifier_rows,
)
from mrv.report.blocks import legible
from mrv.report.report_data import Facts
from mrv.report.words import (
    DASH,
    DISPLAY_UNITS,
    Words,
    meaning,
    methodology,
    period,
    plain_until,
    punctuated,
    quantity,
    role,
    source,
)
from mrv.texts import dates

# first row of a list, below title, note, empty row and head
FIRST = 4
MAX_ROWS = 1_048_576
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
    # with a quote prefix, a name such as =cmd stays a text when the cell is edited
    "text": {"text_wrap": True, "quote_prefix": True, "align": "left", "indent": 1, **_EDGE},
    "missing": {"italic": True, "font_color": "#9C5700", "bg_color": "#FFF2CC", **_EDGE},
    "year": {"num_format": "0", **_EDGE},
    "whole": {"num_format": "#,##0", **_EDGE},
    "three": {"num_format": "#,##0.000", **_EDGE},
    "six": {"num_format": "#,##0.000000", **_EDGE},
    # the general format, as 0.###### writes a point after a whole number
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
        return self._made[name]


class Grid:
    """
    A sheet of the workbook that is being written.

    `name`: key of its name, `sheet.NAME`.
    `widths`: widths of the columns. [characters]
    `footer`: footer of each printed page, next to the sheet's name.
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
        """Select this sheet for display when the workbook opens."""
        self._sheet.set_first_sheet()
        self._sheet.activate()

    def title(self, text: str, note: str) -> None:
        """Write the title of the sheet and its note."""
        self.text(0, 0, text, "title")
        # wrapped within the page, as a wider line would reduce the print size of the whole sheet
        last = next((n for n in range(2, len(self._widths)) if sum(self._widths[:n]) > _WIDE),
                    len(self._widths)) - 1  # fmt: skip
        if last > 0:
            self._sheet.merge_range(1, 0, 1, last, "", self._styles["about"])
            self._sheet.set_row(1, _LINE * ceil(len(note) / sum(self._widths[: last + 1])))
        self.text(1, 0, note, "about")

    def head(self, row: int, texts: Iterable[str], *, frozen: bool = False) -> None:
        """Write the heading row of a table; a frozen one stays visible and is repeated in print."""
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
        """Write texts and numbers in a row from column `first` on, each with its style."""
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


TABLE_1_AT = FIRST + 6
TABLE_1 = ("form_a", "form_b", "form_c", "form_d", "form_e", "form_f", "form_g", "form_h",
           "form_i", "form_j")  # fmt: skip
_TABLE_2 = ("parameter", "description", "value", "unit", "form_f", "source", "comment")


@dataclass(frozen=True)
class Layout:
    """
    Rows at which the parts of a sheet begin.

    `first`: column (b), at which Table 2 also begins.
    """

    facts: Facts
    first: int

    @property
    def table_2(self) -> int:
        """Return the heading row of Table 2."""
        return TABLE_1_AT + len(self.facts.parameters) + 3

    @property
    def fixed(self) -> int:
        """Return the row of the first fixed parameter, to which the calculation refers."""
        return self.table_2 + 1

    @property
    def value(self) -> int:
        """Return the column of a fixed parameter's value."""
        return self.first + 2

    @property
    def table_3(self) -> int:
        """Return the heading row of Table 3."""
        return self.fixed + max(1, len(self.facts.subject.fixed_parameters or ())) + 4

    @property
    def total(self) -> int:
        """Return the row of the whole period in Table 3."""
        return self.table_3 + 1 + len(self.facts.subject.credited.vintages)


def general(sheet: Grid, facts: Facts, words: Words) -> None:
    """Write project, methodology, period and statement, each with its heading, from row 3 on."""
    subject = facts.subject
    zone = subject.monitoring_period.timezone
    rows = (
        (words["project"], f"{facts.project(words.language)} ({subject.project.id})"),
        (words["methodology"], methodology(subject, words)),
        (words["period"], f"{period(subject, words)} ({zone})"),
        (words["statement"], f"{facts.name} ({state(facts, words)})"),
    )
    for row, (name, value) in enumerate(rows, 2):
        sheet.text(row, 0, name, "head")
        sheet.text(row, 1, value, "said")


def monitored_cells(
    facts: Facts, place: int, value: tuple[Value, str], words: Words
) -> list[tuple[Value, str]]:
    """Return columns (a) to (j) of Table 1."""
    parameter = facts.parameters[place]
    return [
        (str(place + 1), "text"),
        (parameter.symbol or parameter.parameter, "text"),
        (
            f"{quantity(parameter, words)}, {parameter.device} ({role(parameter.role, words)})",
            "text",
        ),
        value,
        (f"{DISPLAY_UNITS[parameter.unit][0]}/p", "text"),
        (f"{words['option']} {parameter.monitoring_option}", "text"),
        (source(parameter, facts.subject, words) or None, "text"),
        (_method(parameter, words), "text"),
        (_frequency(facts, parameter, words), "text"),
        (_comment(facts, parameter, words), "text"),
    ]


def fixed(sheet: Grid, layout: Layout, words: Words) -> None:
    """Write Table 2: values fixed ex ante, and those measured or surveyed."""
    at, first = layout.table_2, layout.first
    entries = layout.facts.subject.fixed_parameters or ()
    measured = any(item.monitoring_option for item in entries)
    sheet.text(at - 1, 0, words["table_2_measured" if measured else "table_2"], "part")
    sheet.row(at, [(words[n], "head") for n in _TABLE_2], first)
    for row, item in enumerate(entries, at + 1):
        option = item.monitoring_option
        whose = words["whole_project"] if item.device is None else item.device
        sheet.row(row, [
            (item.symbol or item.parameter, "text"),
            (meaning(item, layout.facts.subject, words), "text"),
            (Fraction(item.value), "plain"), (item.unit, "text"),
            (f"{words['option']} {option}" if option else DASH, "text"),
            (source(item, layout.facts.subject, words), "text"),
            (f"{item.parameter}, {whose}", "text"),
        ], first)  # fmt: skip
    if not entries:
        sheet.text(at + 1, first, words["none"])
    sheet.text(at + 1 + max(1, len(entries)), first, words["table_2_factors"], "note")


def _method(parameter: MonitoredParameter, words: Words) -> str:
    """Return column (h) in the form of the JCM's sheets: equipment, recording, calibration."""
    meter = parameter.meter
    listed = [
        f"{words['meter']}: {meter.class_}, {meter.profile}",
        f"{words['serial']}: {meter.serial or words['not_stated']}",
        f"{words['accuracy_class']}: {meter.accuracy_class or words['not_stated']}",
    ]
    certificates = "; ".join(
        f"{c.certificate} ({c.performed} {DASH} {plain_until(c, words)})"
        for c in parameter.calibrations
    )
    return (
        f"{', '.join(listed)}. {words['recording']}"
        f" {words['calibrated']} {certificates or words['no_certificate']}"
    )


def _frequency(facts: Facts, parameter: MonitoredParameter, words: Words) -> str:
    wanted = required_frequency(facts.methodology, parameter.symbol or None)
    message = words["frequency"]
    if not wanted:
        return message
    return f"{message}; {words['methodology_asks']}: {words.get(f'frequency.{wanted}', wanted)}"


def _comment(facts: Facts, parameter: MonitoredParameter, words: Words) -> str:
    zone = facts.timezone
    edges = [local_text(instant_us(edge, "UTC"), zone) for edge in (parameter.from_, parameter.to)]
    served = dates.period(edges[0], edges[1], words.language)
    percent = words.percent(parameter.coverage.measured_share)
    text = f"{words['in_service']} {served}; {words['measured_share']} {percent}"
    swaps = parameter.meter.replacements
    return f"{text}; {words['replacements']}: {swaps}" if swaps else text

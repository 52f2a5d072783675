"""
Forms as XLSX: a given official file that is filled in, or tonne's own layout, marked as such.

openpyxl (MIT, since 2010) preserves formulas, styles and protection; files with parts that it would
lose (drawings, pictures, macros) are rejected.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from importlib import resources
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

import msgspec
from msgspec import Struct
from openpyxl import Workbook, load_workbook
from openpyxl.cell.cell import MergedCell
from openpyxl.styles import Font
from openpyxl.utils.cell import coordinate_from_string
from openpyxl.utils.exceptions import InvalidFileException

from mrv.countries import rules
from mrv.errors import ExportError

_AT = re.compile(r"^[A-Z]{1,3}[1-9][0-9]{0,6}$")
_COLUMN = re.compile(r"^[A-Z]{1,3}$")


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sheet: str


class Cell(_Part, frozen=True, kw_only=True):
    """Value in a cell; tonne's own layouts write `label` in the cell before it."""

    at: str
    value: str
    label: str = ""


class Column(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Column of a table.

    `head`, `formula`: heading, and formula with `{row}`; only for tonne's own layouts.
    """

    value: str = ""
    head: str = ""
    formula: str = ""


class Rows(_Part, frozen=True, kw_only=True):
    """Rows of one kind from row `first` on; `room`: maximum number of rows in a template."""

    rows: str
    first: int
    columns: dict[str, Column]
    room: int | None = None


class Formula(_Part, frozen=True, kw_only=True):
    """
    Formula of tonne's own layout.

    `{first}` and `{last}` are the rows of the table above it; `equals` names the value that must
    result.
    """

    at: str
    formula: str
    label: str = ""
    equals: str = ""


class CellMap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Map of a form: name, source of the cell positions, and the cells."""

    name: str
    source: str
    certainty: str
    note: str = ""
    cell: tuple[Cell, ...] = ()
    table: tuple[Rows, ...] = ()
    formula: tuple[Formula, ...] = ()

    @property
    def values(self) -> set[str]:
        """Return the names of the values that are in a single cell."""
        return {cell.value for cell in self.cell}


def shipped(name: str) -> CellMap:
    """Return a cell map included in tonne. Raises ExportError for an unknown name."""
    file = resources.files(__package__) / "forms" / f"{name}.toml"
    if not file.is_file():
        raise ExportError(f"no map {name} is included in tonne; included: {', '.join(names())}")
    return read_map(file.read_text("utf-8"), f"{name}.toml")


def inventory_form(country: str | None) -> CellMap:
    """
    Return the layout for facility inventories in a country.

    Raises ExportError if tonne has none for that country.
    """
    result = rules(country, "facility")
    if result is None:
        raise ExportError(
            f"no inventory form of {country or 'an unknown country'} is included "
            "in tonne; pass the authority's own form with --template FORM.xlsx "
            "and --map MAP.toml, see docs/exports.md"
        )
    return read_map(result, f"countries/{country}/facility.toml")


def names() -> list[str]:
    """Return the names of all maps included in tonne."""
    folder = resources.files(__package__) / "forms"
    result = (f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))
    return sorted(result)


def read_map(text: str, name: str) -> CellMap:
    """
    Return a cell map from its file.

    Raises ExportError, naming the file and the wrong key, or two values for one cell.
    """
    try:
        cell_map = msgspec.convert(tomllib.loads(text), CellMap)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ExportError(f"{name}: {error}; see mrv/exports/forms/jcm-vn-am007.toml") from None
    taken: set[tuple[str, str]] = set()
    single: list[Cell | Formula] = [*cell_map.cell, *cell_map.formula]
    for item in single:
        if not _AT.match(item.at):
            raise ExportError(
                f"{name}: `at` = {item.at!r} on sheet {item.sheet!r} is not a cell; write it "
                "like B4"
            )
        if (item.sheet, item.at) in taken:
            raise ExportError(
                f"{name}: {item.sheet}!{item.at} is assigned twice; remove one of them"
            )
        taken.add((item.sheet, item.at))
    for table in cell_map.table:
        if bad := next((key for key in table.columns if not _COLUMN.match(key)), None):
            raise ExportError(f"{name}: {bad!r} is not the name of a column; write it like B")
    return cell_map


def check_known(cell_map: CellMap, known: Collection[str], columns: Collection[str]) -> None:
    """
    Check that a map contains only values that its form has.

    Raises ExportError that names the value, and the known ones.
    """
    for name in sorted(cell_map.values - set(known)):
        raise ExportError(
            f"map {cell_map.name}: value {name!r} is not known; known: {', '.join(sorted(known))}"
        )
    for table in cell_map.table:
        for column in table.columns.values():
            if column.value and column.value not in columns:
                raise ExportError(
                    f"map {cell_map.name}: column {column.value!r} is not known; known:"
                    f" {', '.join(sorted(columns))}"
                )


OWN = "Layout of tonne, not an official form"
_LOST = ("xl/drawings/", "xl/media/", "xl/charts/", "xl/embeddings/", "xl/vbaProject")
_DATED = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*")
_BOLD = Font(bold=True)


def filled(
    form: CellMap,
    values: Mapping[str, Any],
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    day: date,
    template: bytes | None = None,
) -> bytes:
    """
    Return a workbook with the values of a form.

    `values` (mapping of name to text, number): None leaves the cell unchanged.
    `rows` (mapping of name to rows): rows by the names in the map's tables.
    `day`: date of the workbook, so that its bytes are reproducible.
    `template`: the official file.
    Raises ExportError if the template is not a workbook, would lose a part, lacks a sheet or row,
    or has a formula in the cell of a value.
    """
    book = _own(form) if template is None else _official(template)
    for cell in form.cell:
        if values.get(cell.value) is not None:
            _put(book, form, cell.sheet, cell.at, values[cell.value])
    for table in form.table:
        _table(book, form, table, rows.get(table.rows, ()), own=template is None)
    if template is None:
        _formulas(book, form, rows)
    book.calculation.fullCalcOnLoad = True
    out = BytesIO()
    book.save(out)
    return _dated(out.getvalue(), day)


def _own(form: CellMap) -> Workbook:
    book = Workbook()
    book.remove(book.active)
    parts = (*form.cell, *form.table, *form.formula)
    for name in dict.fromkeys(part.sheet for part in parts):
        sheet = book.create_sheet(name)
        sheet["A1"] = f"{form.name}. {OWN}."
        sheet["A1"].font = _BOLD
        sheet.column_dimensions["A"].width = 34
    for cell in form.cell:
        column, row = coordinate_from_string(cell.at)
        if cell.label and column == "B":
            book[cell.sheet][f"A{row}"] = cell.label
    return book


def _official(template: bytes) -> Workbook:
    try:
        with ZipFile(BytesIO(template)) as archive:
            lost = next((n for n in archive.namelist() if n.startswith(_LOST)), None)
        if lost is not None:
            raise ExportError(
                f"the template contains {lost}, which would be lost; pass a copy without "
                "drawings, pictures and macros"
            )
        return load_workbook(BytesIO(template))
    except (BadZipFile, InvalidFileException, KeyError, ValueError) as error:
        raise ExportError(
            f"the template is not an XLSX workbook: {error}; save it as .xlsx"
        ) from None


def _put(book: Workbook, form: CellMap, sheet: str, at: str, value: Any) -> None:
    if sheet not in book.sheetnames:
        raise ExportError(
            f"the template has no sheet {sheet!r}, it has {', '.join(book.sheetnames)}; correct"
            f" the map {form.name}"
        )
    cell = book[sheet][at]
    if isinstance(cell, MergedCell):
        raise ExportError(f"{sheet}!{at} lies inside merged cells; name their first in the map")
    if cell.data_type == "f":
        raise ExportError(
            f"{sheet}!{at} contains a formula and is not overwritten; name another cell in the map"
        )
    cell.value = float(value) if isinstance(value, Decimal) else value
    if isinstance(value, str):
        cell.data_type = "s"  # a text that begins with = is stored as text, not as a formula


def _table(
    book: Workbook, form: CellMap, table: Rows, rows: Sequence[Mapping[str, Any]], *, own: bool
) -> None:
    if table.room is not None and len(rows) > table.room:
        raise ExportError(
            f"{table.sheet} has room for {table.room} rows of {table.rows}, there are {len(rows)}; "
            "add rows to a copy of the template and enter their number in the map"
        )
    for letter, column in table.columns.items():
        if own and column.head:
            head = book[table.sheet][f"{letter}{table.first - 1}"]
            head.value, head.font = column.head, _BOLD
            book[table.sheet].column_dimensions[letter].width = max(18, len(column.head) * 0.9)
        for number, row in enumerate(rows, table.first):
            if column.value and row.get(column.value) is not None:
                _put(book, form, table.sheet, f"{letter}{number}", row[column.value])
            if own and column.formula:
                book[table.sheet][f"{letter}{number}"] = column.formula.format(row=number)


def _formulas(
    book: Workbook, form: CellMap, rows: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    spans = {
        t.sheet: (t.first, t.first + max(len(rows.get(t.rows, ())), 1) - 1) for t in form.table
    }
    first, last = next(iter(spans.values()), (1, 1))
    for formula in form.formula:
        own_first, own_last = spans.get(formula.sheet, (first, last))
        sheet = book[formula.sheet]
        sheet[formula.at] = formula.formula.format(first=own_first, last=own_last)
        _, row = coordinate_from_string(formula.at)
        if formula.label:
            sheet[f"A{row}"] = formula.label


def _dated(data: bytes, day: date) -> bytes:
    """Return the workbook with the date `day` in all of its parts."""
    out = BytesIO()
    with ZipFile(BytesIO(data)) as archive, ZipFile(out, "w") as made:
        for name in sorted(archive.namelist()):
            part = archive.read(name)
            if name == "docProps/core.xml":
                part = _DATED.sub(rb"\g<1>" + f"{day.isoformat()}T00:00:00Z".encode(), part)
            made.writestr(
                ZipInfo(name, (day.year, day.month, day.day, 0, 0, 0)), part, compress_type=8
            )
    return out.getvalue()

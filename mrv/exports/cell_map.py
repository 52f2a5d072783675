"""
Map files (TOML): the cells of a workbook form and their values.

A map states the source of its cells (`source`, `certainty`), so that it can be corrected with the
official file without changing code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from importlib import resources

import msgspec
from msgspec import Struct

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
    """Column of a table with the heading `head`; `formula` has `{row}`; for tonne's layouts."""

    value: str = ""
    head: str = ""
    formula: str = ""


class Rows(_Part, frozen=True, kw_only=True):
    """Rows of one kind from a row on; `room` is the maximum number in a template."""

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
    """A form: its name, the source of its cells, and the cells."""

    name: str
    source: str
    certainty: str
    note: str = ""
    cell: tuple[Cell, ...] = ()
    table: tuple[Rows, ...] = ()
    formula: tuple[Formula, ...] = ()

    @property
    def values(self) -> set[str]:
        """Return the names of its single values."""
        return {cell.value for cell in self.cell}


def shipped(name: str) -> CellMap:
    """
    Return a map included in tonne.

    Raises
    ------
    ExportError
        If there is none of that name.
    """
    file = resources.files(__package__) / "forms" / f"{name}.toml"
    if not file.is_file():
        raise ExportError(f"no map {name} is included in tonne; included: {', '.join(names())}")
    return read_map(file.read_text("utf-8"), f"{name}.toml")


def inventory_form(country: str | None) -> CellMap:
    """
    Return the layout of a country's inventory of a facility.

    Raises
    ------
    ExportError
        If tonne has none of that country.
    """
    result = rules(country, "facility")
    if result is None:
        raise ExportError(
            f"no inventory form of {country or 'an unknown country'} is included "
            "in tonne; give the authority's own form with --template FORM.xlsx "
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
    Return a map from its file.

    Raises
    ------
    ExportError
        Naming the file and the key that is wrong, or two values for one cell.
    """
    try:
        cell_map = msgspec.convert(tomllib.loads(text), CellMap)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ExportError(f"{name}: {error}") from None
    taken: set[tuple[str, str]] = set()
    single: list[Cell | Formula] = [*cell_map.cell, *cell_map.formula]
    for item in single:
        if not _AT.match(item.at):
            raise ExportError(f"{name}: at {item.at!r} is not a cell; write it as B4")
        if (item.sheet, item.at) in taken:
            raise ExportError(f"{name}: {item.sheet}!{item.at} is given twice; keep one")
        taken.add((item.sheet, item.at))
    for table in cell_map.table:
        if bad := next((key for key in table.columns if not _COLUMN.match(key)), None):
            raise ExportError(f"{name}: column {bad!r} is not a column name; write it as B")
    return cell_map


def check_known(cell_map: CellMap, known: Collection[str], columns: Collection[str]) -> None:
    """
    Refuse a map with values that this form does not have.

    Raises
    ------
    ExportError
        Names the value, and the known ones.
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

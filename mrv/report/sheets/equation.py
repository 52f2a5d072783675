"""
The equation of a calendar year: inputs, factors and steps, one per cell.

The formulas are the methodology's own steps; an input is traced to the cells of quantities,
parameters and factors (`traced`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Any

from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell

from mrv.model import Direction, Factor, Factors, Methodology
from mrv.parameters.inputs import Inputs
from mrv.report.sheets.grid import Grid
from mrv.report.sheets.traced import Cell, Written, number
from mrv.report.translations import described
from mrv.report.words import Words
from mrv.steps import BEFORE, Published, Step, in_symbols

_HEADS = ("year", "input", "description", "symbol", "value", "unit", "formula", "source")
_VALUE = 4
_FIRST_FIELD = 1


@dataclass(frozen=True)
class Linked:
    """The factor book with the cell of each value."""

    book: Factors
    cells: Mapping[str, str]

    def select(self, kind: str, direction: Direction, at: date | None = None) -> Factor:
        """Return a factor of the book, with its cell if it has one."""
        factor = self.book.select(kind, direction, at)
        cell = self.cells.get(factor.id)
        return replace(factor, value=Cell(factor.value, cell)) if cell else factor

    def __iter__(self) -> Iterator[Factor]:
        """Yield all factors."""
        return iter(self.book)


@dataclass(frozen=True)
class Block:
    """
    Cells written for a year.

    Attributes
    ----------
    cells : mapping of str to str
        Addresses by the names of steps, for formulas of any sheet.
    values : mapping
        Exact results of the steps.
    end : int
        The row after it.
    """

    cells: Mapping[str, str]
    values: Mapping[str, Any]
    end: int


@dataclass
class _Equation:
    """Positions of the names of a year's equation."""

    sheet: Grid
    methodology: Methodology
    inputs: Inputs
    book: Linked
    words: Words
    year: int
    cells: dict[str, str] = field(default_factory=dict)

    def write(self, at: int) -> Block:
        steps, sheet = self.methodology.steps, self.sheet
        plain = without_cells(self.inputs)
        values = steps.values(plain, self.book.book)
        whole = {**steps.defaults, **self.inputs}
        factors = steps.published(plain, self.book)
        scalars: list[tuple[str, Any, Any]] = [
            (key, value, _spec(self.methodology.inputs, key)) for key, value in _scalars(whole)
        ]
        lists = self.methodology.steps.rows(self.inputs)
        tables: dict[str, list[Published | Step]] = {name: [] for name in lists}
        for part in steps.applying(plain):
            if part.over:
                tables[part.over].append(part)
            else:
                scalars.append((part.name, factors.get(part.name), part))
        sheet.text(at, 0, f"{self.words['equation']}, {self.year}", "part")
        sheet.head(at + 1, [self.words[name] for name in _HEADS])
        for row, (name, _, _) in enumerate(scalars, at + 2):
            self.cells[name] = xl_rowcol_to_cell(row, _VALUE)
        end = at + 2 + len(scalars)
        places = {}
        for name, parts in tables.items():
            places[name] = end + 1
            end = self._place(name, lists[name], parts, end + 1)
        for row, (name, value, about) in enumerate(scalars, at + 2):
            self._scalar(row, name, value, about, values[name])
        for name, parts in tables.items():
            self._table(name, lists, parts, places, (values, factors))
        steps_of = [p.name for p in steps.applying(plain) if not p.over]
        result = {
            name: sheet.cell(at + 2 + place, _VALUE)
            for place, (name, _, _) in enumerate(scalars)
            if name in {*steps_of, "leakage_t"}
        }
        return Block(result, values, end)

    @property
    def _symbols(self) -> dict[str, str]:
        return self.methodology.symbols

    def _place(
        self, name: str, rows: list[Mapping[str, Any]], parts: list[Published | Step], at: int
    ) -> int:
        """Assign addresses to the columns of a list; return the next row."""
        first, last = at + 3, at + 2 + len(rows)
        for column, key in enumerate([*_fields(rows), *(p.name for p in parts)], _FIRST_FIELD):
            letter = xl_col_to_name(column)
            span = f"{letter}{first + 1}:{letter}{last + 1}" if rows else "0"
            self.cells[f"{name}/{key}"] = span
        for part in parts:
            self.cells[part.name] = self.cells[f"{name}/{part.name}"]
        return last + 1

    def _scalar(self, row: int, name: str, entered: Any, about: Any, value: Any) -> None:
        sheet = self.sheet
        sheet.number(row, 0, self.year, "year")
        sheet.text(row, 1, name)
        sheet.text(row, 2, self._described(name, about) or getattr(about, "kind", "") or name)
        sheet.text(row, 3, getattr(about, "symbol", ""))
        sheet.text(row, 5, getattr(about, "unit", ""))
        source = getattr(about, "source", "")
        formula = ""
        if isinstance(about, Step):
            formula = f"{about.symbol} = {in_symbols(about.formula, self._symbols)}"
            sheet.formula(row, _VALUE, Written(self.cells).formula(about.formula), value, "plain")
        elif isinstance(about, Published):
            source = entered.source if entered else self.words["not_asked"]
            self._number(row, _VALUE, entered.value if entered else Fraction(0))
        else:
            self._number(row, _VALUE, entered)
        sheet.text(row, 6, formula)
        sheet.text(row, 7, self.words.get(f"source.{source}", source))

    def _number(self, row: int, column: int, value: Any) -> None:
        """Write a number with its formula, or a word as text."""
        if isinstance(value, Cell):
            self.sheet.formula(row, column, f"={value.text}", Fraction(value), "plain")
        elif isinstance(value, str):
            self.sheet.text(row, column, value)
        elif isinstance(value, Fraction) and value.denominator != 1:
            self.sheet.formula(row, column, f"={number(value)}", value, "plain")
        else:
            self.sheet.number(row, column, value, "plain")

    def _table(
        self,
        name: str,
        lists: Mapping[str, list[Mapping[str, Any]]],
        parts: list[Published | Step],
        places: Mapping[str, int],
        result: tuple[Mapping[str, Any], Mapping[str, Any]],
    ) -> None:
        sheet, rows, at = self.sheet, lists[name], places[name]
        values, factors = result
        fields = _fields(rows)
        spec = self.methodology.inputs.get(name)
        sheet.text(at, 0, f"{name}, {self.year}: {self._described(name, spec)}", "part")
        heads = [self._head(getattr(spec, "fields", {}).get(key), key) for key in fields]
        sheet.head(at + 1, ["", *heads, *(self._head(part, part.name) for part in parts)])
        sheet.row(at + 2, [("", "text")] * (1 + len(fields)) + [
            (in_symbols(p.formula, self._symbols) if isinstance(p, Step) else p.kind, "text")
            for p in parts
        ])  # fmt: skip
        for place, item in enumerate(rows):
            row = at + 3 + place
            sheet.number(row, 0, place + 1, "year")
            scope = self._scope(place, lists, places, name)
            for column, key in enumerate(fields, _FIRST_FIELD):
                self._number(row, column, item[key])
            for column, part in enumerate(parts, _FIRST_FIELD + len(fields)):
                if isinstance(part, Published):
                    self._number(row, column, factors[part.name][place].value)
                    continue
                scope[BEFORE] = xl_rowcol_to_cell(row - 1, column) if place else "0"
                formula = Written(scope).formula(part.formula)
                sheet.formula(row, column, formula, values[part.name][place], "plain")

    def _scope(
        self, place: int, lists: Mapping[str, Any], places: Mapping[str, int], name: str
    ) -> dict[str, str]:
        """Return the addresses of a row: its own, and those of longer lists next to it."""
        result, size = dict(self.cells), len(lists[name])
        for other in (*(n for n in lists if n != name), name):
            back = size - place
            if len(lists[other]) < size or not lists[other]:
                continue
            row = places[other] + 3 + len(lists[other]) - back
            for key, span in self.cells.items():
                whose, _, column = key.partition("/")
                if whose == other and column:
                    own = column in _fields(lists[other])
                    if other == name or not own:
                        letter = "".join(c for c in span.partition(":")[0] if c.isalpha())
                        result[column] = f"{letter}{row + 1}"
        return result

    def _described(self, name: str, about: Any) -> str:
        """Return the description of an input or step; empty for a factor."""
        if not getattr(about, "meaning", ""):
            return ""
        tables = ("step",) if isinstance(about, Step) else ("input", "parameter")
        return described(tables, self.methodology.id, name, self.words) or str(about.meaning)

    def _head(self, about: Any, key: str) -> str:
        unit = getattr(about, "unit", "")
        return f"{getattr(about, 'symbol', '') or key} [{unit}]" if unit else key


def equation(
    sheet: Grid, at: int, methodology: Methodology, values: tuple[int, Inputs, Linked], words: Words
) -> Block:
    """
    Write the equation of a year.

    Parameters
    ----------
    values : tuple of int, Inputs and Linked
        Year, inputs with their cells, factors with theirs.
    """
    year, inputs, book = values
    return _Equation(sheet, methodology, inputs, book, words, year).write(at)


def without_cells(value: Any) -> Any:
    """Return inputs as plain numbers, for a calculation without cells."""
    if isinstance(value, Cell):
        return Fraction(value)
    if isinstance(value, Mapping):
        return {key: without_cells(item) for key, item in value.items()}
    return [without_cells(item) for item in value] if isinstance(value, list) else value


def _scalars(inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in inputs.items():
        if isinstance(value, Mapping):
            inside = {k: v for k, v in value.items() if isinstance(v, int | Fraction)}
            yield from ((f"{key}.{below}", item) for below, item in inside.items())
        elif isinstance(value, int | Fraction | str):
            yield key, value


def _fields(rows: list[Mapping[str, Any]]) -> list[str]:
    return list(rows[0]) if rows else []


def _spec(specs: Mapping[str, Any], key: str) -> Any:
    whole, _, below = key.partition(".")
    spec = specs.get(whole)
    return getattr(spec, "fields", {}).get(below) if below else spec

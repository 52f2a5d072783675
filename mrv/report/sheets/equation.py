"""
The equation of a calendar year: one input, factor or step per cell, and its formula.

The formulas are the methodology's own steps; an input is traced to the cells of quantities,
parameters and factors (`traced`).

Python operations on a `Cell` are recorded as a formula, so that the workbook uses the same
arithmetic.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Any, Self

from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell

from mrv.model import Direction, Factor, Factors, Methodology
from mrv.parameters import Inputs
from mrv.report.sheets.layout import Grid
from mrv.report.words import Words, described
from mrv.steps import BEFORE, CONSTANTS, Published, Step, in_symbols, parsed

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
        return iter(self.book)


@dataclass(frozen=True)
class Block:
    """
    Cells written for a year.

    `cells`: addresses by the names of steps, for formulas of any sheet.
    `values`: exact results of the steps.
    `end`: the row after it.
    """

    cells: Mapping[str, str]
    values: Mapping[str, Any]
    end: int


@dataclass
class _Equation:
    """Writer of a year's equation, with the address of each name."""

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
        """Return the addresses for formulas of a row: its own, and those of other lists' rows."""
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
    Write the equation of a year from row `at` on.

    `values`: year, inputs with their cells, factors with theirs.
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


_SUM, _PRODUCT, _POWER, _WHOLE = range(1, 5)
_OPERATORS: Mapping[type[ast.operator], tuple[str, int]] = {
    ast.Add: ("+", _SUM), ast.Sub: ("-", _SUM), ast.Mult: ("*", _PRODUCT),
    ast.Div: ("/", _PRODUCT), ast.Pow: ("^", _POWER),
}  # fmt: skip
_FUNCTIONS = {"min": "MIN", "max": "MAX", "sum": "SUM", "exp": "EXP", "power": "POWER"}
_DIGITS = 15
_READABLE = 10**6
# maximum number of arguments of a function
_MAX_ARGUMENTS = 250


class Cell(Fraction):
    """
    A number of a sheet, with its formula.

    `rows`: rows of `column` that it sums, so that the sum of thousands of devices is one range.
    """

    formula: str
    level: int
    column: str
    rows: tuple[int, ...]

    def __new__(
        cls,
        value: Fraction,
        formula: str = "",
        level: int = _WHOLE,
        rows: tuple[str, tuple[int, ...]] = ("", ()),
    ) -> Self:
        """Return a number with its formula."""
        self = super().__new__(cls, value)
        self.formula, self.level = formula, level
        self.column, self.rows = rows
        return self

    @property
    def text(self) -> str:
        """Return the formula without its leading `=`."""
        return spans(self.column, self.rows) if self.rows else self.formula

    def _with(self, op: str, level: int, other: Any, *, first: bool) -> Cell:
        item, two = (self, other) if first else (other, self)
        value = _VALUES[op](Fraction(item), Fraction(two))
        remaining, right = _digits(item, level), _digits(two, level + (op in "-/"))
        return Cell(value, f"{remaining}{op}{right}", level)

    def __add__(self, other: Any) -> Any:
        """Return the sum; cells of one column become a range."""
        if not isinstance(other, Cell) and other == 0:
            return self
        if isinstance(other, Cell) and self.rows and self.column == other.column:
            value = Fraction(self) + Fraction(other)
            return Cell(value, rows=(self.column, (*self.rows, *other.rows)))
        return self._with("+", _SUM, other, first=True)

    def __radd__(self, other: Any) -> Any:
        return self if other == 0 else self._with("+", _SUM, other, first=False)

    def __sub__(self, other: Any) -> Any:
        return self._with("-", _SUM, other, first=True)

    def __rsub__(self, other: Any) -> Any:
        return self._with("-", _SUM, other, first=False)

    def __mul__(self, other: Any) -> Any:
        return self._with("*", _PRODUCT, other, first=True)

    def __rmul__(self, other: Any) -> Any:
        return self._with("*", _PRODUCT, other, first=False)

    def __truediv__(self, other: Any) -> Any:
        return self._with("/", _PRODUCT, other, first=True)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with("/", _PRODUCT, other, first=False)

    __hash__ = Fraction.__hash__


_VALUES: Mapping[str, Any] = {
    "+": Fraction.__add__, "-": Fraction.__sub__, "*": Fraction.__mul__, "/": Fraction.__truediv__,
}  # fmt: skip


def _digits(value: Fraction | int, level: int) -> str:
    if isinstance(value, Cell):
        return value.text if value.level >= level else f"({value.text})"
    return number(Fraction(value))


def number(value: Fraction) -> str:
    """Return a number as formula text; a fraction as a quotient of integers."""
    if value.denominator == 1:
        text = str(value.numerator)
    elif 10**_DIGITS % value.denominator == 0 or value.denominator > _READABLE:
        text = repr(float(value))
    else:
        return f"({value.numerator}/{value.denominator})"
    return f"({text})" if value < 0 else text


def spans(column: str, rows: Iterable[int]) -> str:
    """Return the sum of some rows [numbered from 1] of a column."""
    runs: list[list[int]] = []
    for row in sorted(rows):
        if runs and row == runs[-1][1] + 1:
            runs[-1][1] = row
        else:
            runs.append([row, row])
    texts = [f"{column}{a}" if a == b else f"{column}{a}:{column}{b}" for a, b in runs]
    if len(texts) == 1 and ":" not in texts[0]:
        return texts[0]
    groups = [",".join(texts[i : i + _MAX_ARGUMENTS]) for i in range(0, len(texts), _MAX_ARGUMENTS)]
    inside = groups if len(groups) == 1 else [f"SUM({group})" for group in groups]
    return f"SUM({','.join(inside)})"


@dataclass(frozen=True)
class Written:
    """
    Writer of the formulas of steps, from the cell of each name.

    `cells`: address by name; for a column its range, of which `last` takes the last cell.
    """

    cells: Mapping[str, str]

    def formula(self, text: str) -> str:
        """
        Return a step's formula as that of a cell, with its leading `=`.

        `text`: formula with the names of inputs, factors and steps.
        """
        return f"={self._of(parsed(text), 0)}"

    def _of(self, node: ast.expr, level: int) -> str:
        text, own = self._text(node)
        return text if own >= level else f"({text})"

    def _text(self, node: ast.expr) -> tuple[str, int]:  # noqa: PLR0911 - one a kind of node
        match node:
            case ast.Name(id=name):
                return (self.cells[name] if name in self.cells else number(CONSTANTS[name])), _WHOLE
            case ast.Constant(value=int() | float() as value):
                return number(Fraction(value)), _WHOLE
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"-{self._of(operand, _POWER)}", _SUM
            case ast.BinOp(left=left, op=op, right=right):
                sign, level = _OPERATORS[type(op)]
                after = level + (sign in "-/^")
                return f"{self._of(left, level)}{sign}{self._of(right, after)}", level
            case ast.IfExp(test=test, body=body, orelse=orelse):
                parts = (self._of(branch, 0) for branch in (body, orelse))
                return f"IF({self._of(test, _SUM)}<>0,{','.join(parts)})", _WHOLE
            case ast.Call(func=ast.Name(id="last"), args=[ast.Name(id=name)]):
                return self.cells[name].rpartition(":")[2], _WHOLE
            case ast.Call(func=ast.Name(id=name), args=args):
                return f"{_FUNCTIONS[name]}({','.join(self._of(a, 0) for a in args)})", _WHOLE
        raise ValueError(
            f"no workbook formula exists for {ast.unparse(node)!r}; use the operators of `Written`"
        )

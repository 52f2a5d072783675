"""
Numbers with their cell, and formulas in spreadsheet syntax.

Operations of Python on a `Cell` are recorded as a formula, so that the workbook follows the same
arithmetic.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

from mrv.steps import CONSTANTS, parsed

_SUM, _PRODUCT, _POWER, _WHOLE = range(1, 5)
_OPERATORS: Mapping[type[ast.operator], tuple[str, int]] = {
    ast.Add: ("+", _SUM), ast.Sub: ("-", _SUM), ast.Mult: ("*", _PRODUCT),
    ast.Div: ("/", _PRODUCT), ast.Pow: ("^", _POWER),
}  # fmt: skip
_FUNCTIONS = {"min": "MIN", "max": "MAX", "sum": "SUM", "exp": "EXP", "power": "POWER"}
_DIGITS = 15
_READABLE = 10**6
# arguments of one function
_MOST = 250


class Cell(Fraction):
    """
    A number of a sheet, with its formula.

    `rows` are those of column `column` that it sums, so that thousands of devices make one range.
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
        """Return the formula without its leading sign."""
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
    """Return a number as formula text; a fraction of a year as a quotient of integers."""
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
    groups = [",".join(texts[i : i + _MOST]) for i in range(0, len(texts), _MOST)]
    inside = groups if len(groups) == 1 else [f"SUM({group})" for group in groups]
    return f"SUM({','.join(inside)})"


@dataclass(frozen=True)
class Written:
    """
    Writer of formulas of steps, with the cells of their names.

    Attributes
    ----------
    cells : mapping of str to str
        Address by name; for a column its range, of which `last` takes the last cell.
    """

    cells: Mapping[str, str]

    def formula(self, text: str) -> str:
        """Return the formula with its leading sign."""
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
        raise ValueError(f"no workbook formula exists for {ast.unparse(node)!r}")

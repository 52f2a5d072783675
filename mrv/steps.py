"""
Steps of a methodology, from inputs to emissions; each is declared once.

A formula names inputs, published factors and earlier steps.  Python evaluates it exactly
(`Steps.values`), the workbook writes it into a cell, and the pages print it with the symbols of the
methodology; so all three use the same arithmetic.

Powers and exponentials are the only inexact numbers: decimals of fifty digits, correctly rounded
and therefore equal on every machine.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cached_property
from types import CodeType, MappingProxyType
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

_DIGITS = 50


def exponential(exponent: Fraction) -> Fraction:
    """Return e to a power, to fifty digits."""
    with localcontext(prec=_DIGITS):
        return Fraction(_decimal(exponent).exp())


def power(base: Fraction, exponent: Fraction) -> Fraction:
    """Return a positive number to a power, to fifty digits."""
    with localcontext(prec=_DIGITS):
        return Fraction(_decimal(base) ** _decimal(exponent))


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)


ZERO = Fraction(0)
# Constants of formulas: conversions of units, and ratios of molar masses.
CONSTANTS: Mapping[str, Fraction] = MappingProxyType({
    "KG_PER_T": Fraction(1000), "G_PER_T": Fraction(10**6), "KWH_PER_MWH": Fraction(1000),
    "KW_PER_MW": Fraction(1000), "W_PER_MW": Fraction(10**6), "H_PER_D": Fraction(24),
    "GJ_PER_TJ": Fraction(1000), "MJ_PER_TJ": Fraction(10**6), "KJ_PER_MJ": Fraction(1000),
    "G_PER_KM": Fraction(10), "MONTHS_PER_YEAR": Fraction(12), "N2O_PER_N": Fraction(44, 28),
    "CH4_PER_C": Fraction(16, 12), "RESERVOIR_W_PER_M2": Fraction(10),
})  # fmt: skip
# in a formula, the value of the same step in the previous row; 0 in the first row
BEFORE = "before"
BASELINE, PROJECT, LEAKAGE, REDUCTION = "baseline_t", "project_t", "leakage_t", "reduction_t"


@dataclass(frozen=True, slots=True)
class Published:
    """
    A factor that formulas name.

    `kind`, `direction`: kind and direction selected from the factor book; `{key}` in the kind is
    replaced by an input.
    `of`: the quantity to which it applies.  If that is zero, the factor is selected in the
    direction `zero`; without `zero` it is 0 and not listed.
    `over`: the list whose rows have a factor each.
    """

    name: str
    symbol: str
    unit: str
    kind: str
    direction: str
    of: str = ""
    zero: str = ""
    over: str = ""

    def factor_of(self, factors: Any, inputs: Mapping[str, Any], *, quantity: bool) -> Any:
        """
        Return the factor; None if its quantity is zero and no direction for zero is declared.

        `quantity`: whether its quantity is above zero.
        """
        direction = self.direction if quantity else self.zero
        return factors.select(self.kind.format_map(inputs), direction) if direction else None


@dataclass(frozen=True, slots=True)
class Step:
    """
    One formula of a methodology.

    `name`: name in later formulas; `baseline_t`, `project_t`, `leakage_t` and `reduction_t` are the
    results of the methodology.
    `source`: document and equation.
    `over`: the list whose rows have a value each.
    `when`: input that must be given for it to apply; of several steps with the same name, the first
    that applies is used.  A step whose name is given as an input is not calculated.
    """

    name: str
    symbol: str
    unit: str
    formula: str
    source: str
    meaning: str = ""
    over: str = ""
    when: str = ""


def baseline_emissions(formula: str, source: str, unit: str = "tCO2") -> Step:
    """Return the step of a methodology's baseline emissions; `source`: document."""
    what = "baseline emissions"
    return Step(BASELINE, "BE", unit, formula, f"{source}, {what}", what)


def project_emissions(formula: str, source: str, unit: str = "tCO2") -> Step:
    """Return the step of a methodology's project emissions; `source`: document."""
    what = "project emissions"
    return Step(PROJECT, "PE", unit, formula, f"{source}, {what}", what)


_LEFT = Step(
    REDUCTION,
    "ER",
    "tCO2e",
    f"{BASELINE} - {PROJECT} - {LEAKAGE}",
    "all methodologies: baseline emissions less project emissions and leakage",
    "reduction, negative where the project emits more than the baseline",
)
_NONE = "not provided for by the methodology"
_ELSE = (
    Step(PROJECT, "PE", "tCO2e", "0", _NONE, "project emissions"),
    Step(LEAKAGE, "LE", "tCO2e", "0", _NONE, "leakage"),
    _LEFT,
)
Part = Published | Step
Amount = TypeVar("Amount", Fraction, NDArray[np.int64])


class _Dotted(ast.NodeTransformer):
    """Transformer that turns a key of a record, such as `polymer_t.PET`, into one name."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Return one name for a record and its key: `polymer_t.PET`."""
        return ast.copy_location(ast.Name(ast.unparse(node), ast.Load()), node)


class _Symbols(ast.NodeTransformer):
    """Transformer that replaces names by symbols, and conversion constants by numbers."""

    def __init__(self, symbols: Mapping[str, str]) -> None:
        self._symbols = symbols

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Return the symbol of a name, or the number of a conversion constant."""
        number = str(CONSTANTS[node.id]) if node.id in CONSTANTS else node.id
        # of two symbols the first; a sum in brackets, as one symbol
        symbol = self._symbols.get(node.id, number).partition(", ")[0]
        return ast.Name(f"({symbol})" if " " in symbol else symbol, ast.Load())


def parsed(formula: str) -> ast.expr:
    """Return a formula as a syntax tree of names, numbers, operators, calls and conditions."""
    tree = ast.fix_missing_locations(_Dotted().visit(ast.parse(formula, mode="eval")))
    return cast("ast.Expression", tree).body


def in_symbols(formula: str, symbols: Mapping[str, str]) -> str:
    """Return a formula in the symbols of its methodology."""
    return ast.unparse(_Symbols(symbols).visit(parsed(formula))).replace(" ** ", "^")


def _sum(values: Iterable[Fraction]) -> Fraction:
    return sum(values, start=ZERO)


def _last(values: Sequence[Fraction]) -> Fraction:
    return values[-1] if values else ZERO


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"min": min, "max": max, "sum": _sum, "last": _last, "exp": exponential, "power": power}
)


@dataclass(frozen=True)
class Steps:
    """
    All steps of a methodology, in order.

    `lists`: lists of rows, and the formula for the number of rows used; empty: all.
    `defaults`: values of optional inputs.
    `functions`: functions of this methodology only, such as a regression; not in the workbook.
    `extra`: steps reported in addition to the emissions.
    """

    parts: tuple[Part, ...]
    lists: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    extra: tuple[str, ...] = ()

    def symbols(self, inputs: Mapping[str, Any]) -> dict[str, str]:
        """Return the symbol of each name in formulas, also of inputs in lists."""
        specs: dict[str, Any] = {}
        for name, spec in inputs.items():
            for key, item in getattr(spec, "fields", {}).items():
                specs |= {key: item, f"{name}.{key}": item}
        named = {key: getattr(spec, "symbol", "") for key, spec in {**specs, **inputs}.items()}
        named |= {part.name: part.symbol for part in self.parts}
        return {key: symbol for key, symbol in named.items() if symbol}

    @cached_property
    def _compiled(self) -> tuple[tuple[Step, CodeType], ...]:
        return tuple((step, _code(step.formula)) for step in self.formulas)

    @cached_property
    def _lengths(self) -> dict[str, CodeType | None]:
        return {name: _code(maximum) if maximum else None for name, maximum in self.lists.items()}

    @cached_property
    def _functions(self) -> dict[str, Any]:
        return {"__builtins__": {}, **FUNCTIONS, **self.functions, **CONSTANTS}

    @property
    def formulas(self) -> tuple[Step, ...]:
        """Return the steps, without the factors that they name."""
        return tuple(part for part in self.parts if isinstance(part, Step))

    def applying(self, inputs: Mapping[str, Any]) -> tuple[Part, ...]:
        """Return the steps that apply to some inputs."""
        result: dict[str, Part] = {}
        for part in self.parts:
            if part.name not in result and _applies(part, inputs):
                result[part.name] = part
        return tuple(result.values())

    def reported(self, inputs: Mapping[str, Any]) -> list[str]:
        """Return the names of the results other than emissions."""
        return [p.name for p in self.applying(inputs) if p.name in self.extra] if self.extra else []

    def rows(self, inputs: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
        """Return by list the rows whose steps are calculated."""
        whole = {**self.defaults, **inputs}
        result = {}
        for name, maximum in self._lengths.items():
            value = whole[name]
            records = list(value.values()) if isinstance(value, Mapping) else list(value)
            result[name] = (
                records if maximum is None else records[: int(self._evaluated(maximum, whole))]
            )
        return result

    def published(self, inputs: Mapping[str, Any], factors: Any) -> dict[str, Any]:
        """
        Return the factors by their names in formulas; None for one that is not needed.

        A factor of a list is itself a list, with one value per row.
        """
        lists, whole = self.rows(inputs), {**self.defaults, **inputs}
        result: dict[str, Any] = {}
        for part in self.parts:
            if isinstance(part, Step):
                continue
            if part.over:
                rows = lists[part.over]
                result[part.name] = [part.factor_of(factors, row, quantity=True) for row in rows]
                continue
            of, _, key = part.of.partition(".")
            quantity = any(row[key] for row in lists[of]) if key else not of or bool(whole[of])
            result[part.name] = part.factor_of(factors, whole, quantity=quantity)
        return result

    def values(self, inputs: Mapping[str, Any], factors: Any) -> dict[str, Any]:
        """
        Return inputs, factors and exact results of all steps, by name.

        The value of a step over a list is a list.
        """
        known = dict(self.defaults)
        for key, value in inputs.items():
            known[key] = value
            if isinstance(value, Mapping):
                known |= {f"{key}.{below}": item for below, item in value.items()}
        columns: dict[str, list[Any]] = {}
        for name, item in self.published(inputs, factors).items():
            if isinstance(item, list):
                known[name] = columns[name] = [row.value for row in item]
            else:
                known[name] = ZERO if item is None else item.value
        lists, done = self.rows(inputs), set[str]()
        for part, code in self._compiled:
            if part.name in done or not _applies(part, inputs):
                continue
            done.add(part.name)
            if not part.over:
                known[part.name] = self._evaluated(code, known)
                continue
            made: list[Any] = []
            for scope in _scopes(known, lists[part.over], columns):
                scope[BEFORE] = made[-1] if made else ZERO
                made.append(self._evaluated(code, scope))
            known[part.name] = columns[part.name] = made
        return known

    def _evaluated(self, code: CodeType, scope: Mapping[str, Any]) -> Any:
        # tonne's own formulas, compiled once; never a user's text
        result = eval(code, self._functions, scope)  # noqa: S307
        return Fraction(result) if isinstance(result, int) else result


def reduction(baseline: Amount, project: Amount, leakage: Amount) -> Amount:
    """
    Return the emission reduction, negative if the project emits more than the baseline.

    ER = BE - PE - LE, of fractions [tCO2e] or of int64 arrays [ug].
    """
    # tonne's own formula
    whole: Amount = eval(_LEFT_CODE, {BASELINE: baseline, PROJECT: project, LEAKAGE: leakage})  # noqa: S307
    return whole


def steps(
    *parts: Part | Iterable[Part],
    lists: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    extra: tuple[str, ...] = (),
) -> Steps:
    """Return declared steps; steps shared by methodologies are passed as groups."""
    flat: list[Part] = []
    for part in parts:
        flat += [part] if isinstance(part, Published | Step) else part
    if any(part.name == BASELINE for part in flat):
        always = {part.name for part in flat if not (isinstance(part, Step) and part.when)}
        flat += [step for step in _ELSE if step.name not in always]
    return Steps(tuple(flat), lists or {}, defaults or {}, functions or {}, extra)


def _applies(part: Part, inputs: Mapping[str, Any]) -> bool:
    when = part.when if isinstance(part, Step) else ""
    return part.name not in inputs and (not when or when in inputs)


def _code(formula: str) -> CodeType:
    tree = ast.fix_missing_locations(ast.Expression(parsed(formula)))
    return compile(tree, "<formula>", "eval")


_LEFT_CODE = _code(_LEFT.formula)


def _scopes(
    known: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Sequence[Any]],
) -> Iterable[dict[str, Any]]:
    """Yield the names for the formulas of each row, with the same row of the other lists."""
    size = len(rows)
    beside = {
        n: values[len(values) - size :] for n, values in columns.items() if len(values) >= size
    }
    for place, row in enumerate(rows):
        yield {**known, **row, **{name: values[place] for name, values in beside.items()}}

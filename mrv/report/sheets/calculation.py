"""
From daily sums to tonnes: a row per device and year, the year's equation, and Table 3.

All cells are formulas.  A spreadsheet calculates with about fifteen digits, tonne exactly.  Their
results are compared to a gram, which fifteen digits resolve for sums below a billion tonnes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import floor
from typing import Any, TypeVar

from xlsxwriter.utility import xl_col_to_name

from mrv.accounting.entered_values import parameters_of
from mrv.documents.monitoring import MonitoredParameter
from mrv.documents.period_account import Vintage
from mrv.model import MEASURED, MONTH, Activity
from mrv.parameters import read
from mrv.report.report_data import Facts, Line
from mrv.report.sheets.equation import Block, Cell, Linked, equation
from mrv.report.sheets.layout import FIRST, Grid
from mrv.report.sheets.lists import QUANTITY, SUBSTITUTED, VALUE
from mrv.report.words import Words, role
from mrv.rules.account import parts_of_years
from mrv.steps import BASELINE, LEAKAGE, PROJECT, REDUCTION

_T = TypeVar("_T")

METERED, COUNTED = 4, 7
_COUNTED_COLUMN = xl_col_to_name(COUNTED)
_VALUE = 4
# the rule that may deduct the whole reduction
INVOICED = "EVD-03"
_DAY_NAMES = ("year", "device", "role", "unit", "metered", "adjustment", "substituted", "counted")


@dataclass(frozen=True)
class Links:
    """
    Cells of factors (by id) and of ex-ante parameters, with their values.

    Parameters of the whole project have the device None.
    """

    factors: Mapping[str, str]
    fixed: Mapping[tuple[str | None, str], tuple[str, Fraction]]

    def of(self, device: str | None, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return parameters of a device, or of the project, with their cells."""
        result = dict(parameters)
        for name, value in parameters.items():
            for key in (name, f"{MEASURED}{name}"):
                cell, there = self.fixed.get((device, key), ("", None))
                if type(value) is Fraction and value == there:
                    result[name] = Cell(value, cell)
        return result


@dataclass(frozen=True)
class Reckoning:
    """Exact results of the rows, with their cells."""

    facts: Facts
    links: Links = field(default_factory=lambda: Links({}, {}))

    def _params(self, parameter: MonitoredParameter) -> Mapping[str, Any]:
        """Return the parameters of a device in its role, by the plan."""
        needs = self.facts.methodology.roles[parameter.role]
        bound = self._of(parameter, [
            d
            for d in sorted(self.facts.plan.project.devices, key=lambda d: d.from_us)
            if (d.device, d.role) == (parameter.device, parameter.role)
        ])  # fmt: skip
        return read(needs.params, bound.params, f"device {parameter.device}")

    def _counted(self, parameter: MonitoredParameter) -> Mapping[str, Any]:
        """
        Return the parameters of a device in its role as counted: limited by a rule, or
        measured.
        """
        result = dict(self._params(parameter))
        specs = self.facts.methodology.roles[parameter.role].params
        # a parameter's measured value is listed after its entered value
        for key in [k for n in result for k in (n, f"{MEASURED}{n}")]:
            if listed := self._listed.get((parameter.device, key)):
                name, value = key.removeprefix(MEASURED), self._of(parameter, listed)
                result[name] = int(value) if specs[name].integer else value
        return self.links.of(parameter.device, result)

    @cached_property
    def _listed(self) -> dict[tuple[str | None, str], list[Fraction]]:
        """Return values fixed ex ante by device and parameter; several if groups share a device."""
        result: dict[tuple[str | None, str], list[Fraction]] = {}
        for p in self.facts.subject.fixed_parameters or ():
            result.setdefault((p.device, p.parameter), []).append(Fraction(p.value))
        return result

    def _of(self, parameter: MonitoredParameter, values: Sequence[_T]) -> _T:
        """Return the value of a parameter's group, if several groups share a device."""
        key = parameter.device, parameter.role
        same = [
            p for p in self.facts.parameters if (p.device, p.role) == key
        ]  # fmt: skip
        return (
            next(g for g, p in zip(values, same, strict=True) if p is parameter)
            if len(same) == len(values)
            else values[0]
        )

    def _by_time(self, year: int) -> list[Activity]:
        """
        Return the period's share of a calendar year as an activity, if the methodology uses
        it.
        """
        facts = self.facts
        plan = facts.plan
        activities = parts_of_years(plan.project, facts.methodology, plan.fleet(), facts.span_us)
        return activities.get(year, [])

    @cached_property
    def own(self) -> Any:
        """Return parameters of the project as applied: measured, official or fixed ex ante."""
        project = self.facts.plan.project
        specs = self.facts.methodology.parameters
        parameters = parameters_of(self.facts.methodology, project.parameters, project.id)
        # a parameter's measured value is listed after its entered value
        counted = {
            name: Fraction(fixed_parameter.value)
            for fixed_parameter in self.facts.subject.fixed_parameters or ()
            for name in [fixed_parameter.parameter.removeprefix(MEASURED)]
            if fixed_parameter.device is None and name in specs and not specs[name].integer
        }
        return self.links.of(None, {**parameters, **counted})

    @cached_property
    def years(self) -> list[int]:
        """Return calendar years with a counted quantity."""
        facts = self.facts
        plan = facts.plan
        timed = parts_of_years(plan.project, facts.methodology, plan.fleet(), facts.span_us)
        return sorted({*timed, *(line.year for line in facts.lines)})

    def no_reduction(self, reductions: Mapping[int, Fraction]) -> str:
        """Return the rule that deducts the whole reduction; empty without one."""
        subject = self.facts.subject
        credited = any(Fraction(vintage.reduction_t) > 0 for vintage in subject.credited.vintages)
        if credited or max(reductions.values(), default=Fraction(0)) <= 0:
            return ""
        broken = {condition.name for condition in subject.applicability if not condition.holds}
        return INVOICED if INVOICED in broken else ""

    def inputs(self, year: int) -> dict[str, Any]:
        """Return the equation's inputs in a year, each with its source cells."""
        facts = self.facts
        activities = self._by_time(year)
        for place, line in enumerate(facts.lines):
            if line.year == year:
                parameter = facts.parameters[line.parameter]
                params = dict(self._counted(parameter))
                if line.month is not None:
                    params[MONTH] = line.month
                row = FIRST + place + 1
                counted = Cell(facts.counted(line), rows=(_COUNTED_COLUMN, (row,)))
                activities.append(Activity(parameter.role, params, counted))
        book = Linked(facts.book, self.links.factors)
        return dict(facts.methodology.inputs_of(activities, self.own, book, year))


@dataclass(frozen=True)
class Calculated:
    """
    Cells of the results of each calendar year.

    `years`: equations by year.
    `reduction`: cell of the credited reduction.
    `counted`: exact value of that cell. [tCO2e]
    """

    years: Mapping[int, Block]
    reduction: Mapping[int, str]
    counted: Mapping[int, Fraction]


def calculation(
    sheet: Grid, reckoning: Reckoning, words: Words, others: tuple[Grid, Grid, Grid]
) -> Calculated:
    """Write the calculation sheet of the monitoring report. `others`: days, gaps, deductions."""
    facts = reckoning.facts
    sheet.title(words["calculation"], words["calculation_note"])
    sheet.head(FIRST - 1, [words[n] for n in _DAY_NAMES], frozen=True)
    for place, line in enumerate(facts.lines):
        _quantity(sheet, FIRST + place, facts, line, words, others)
    at = FIRST + len(facts.lines) + 2
    book = Linked(facts.book, reckoning.links.factors)
    years, cells, counted = {}, {}, {}
    for year in reckoning.years:
        block = equation(sheet, at, facts.methodology, (year, reckoning.inputs(year), book), words)
        years[year], at = block, block.end + 2
        cells[year], counted[year] = block.cells[REDUCTION], block.values[REDUCTION]
    if none := reckoning.no_reduction(counted):
        sheet.text(at, 0, words["no_reduction"].format(rule=none), "part")
        for row, year in enumerate(reckoning.years, at + 1):
            sheet.number(row, 0, year, "year")
            counted[year] = min(counted[year], Fraction(0))
            sheet.formula(row, _VALUE, f"=MIN(0,{cells[year]})", counted[year], "plain")
            cells[year] = sheet.cell(row, _VALUE)
    return Calculated(years, cells, counted)


def _quantity(
    sheet: Grid, row: int, facts: Facts, line: Line, words: Words, others: tuple[Grid, Grid, Grid]
) -> None:
    days, gaps, deductions = others
    parameter = facts.parameters[line.parameter]
    sheet.row(row, [(line.year, "year"), (parameter.device, "text"),
                    (role(parameter.role, words), "text"), (parameter.unit, "text")])  # fmt: skip
    span = days.span(FIRST + line.first, FIRST + line.last, VALUE)
    sheet.formula(row, METERED, f"=SUM({span})", line.metered, "whole")
    taken = _sum_of(deductions, line.deductions, QUANTITY)
    sheet.formula(row, 5, taken, facts.adjusted(line), "six")
    sheet.formula(row, 6, _sum_of(gaps, line.gaps, SUBSTITUTED), facts.substituted(line), "six")
    net = "+".join(sheet.cell(row, c) for c in (METERED, 5, 6))
    sheet.formula(row, COUNTED, f"=ROUND({net},6)", facts.counted(line), "six")


def _sum_of(sheet: Grid, places: Sequence[int], column: int) -> str:
    """Return a formula for the sum of cells; consecutive rows are written as ranges."""
    spans = []
    begin = 0
    for i in range(1, len(places) + 1):
        if i == len(places) or places[i] != places[i - 1] + 1:
            spans.append(sheet.span(FIRST + places[begin], FIRST + places[i - 1] + 1, column))
            begin = i
    return f"=SUM({','.join(spans)})" if spans else "=0"


MILLION = 10**6
_YEAR_NAMES = ("vintage", "grams", "reduction_t", "per_statement", "equal", "credited_t",
          "per_statement", "equal")  # fmt: skip
# decimals of a tonne: a gram
_DIGITS = 6
# tolerance for the rounding of a spreadsheet in the sixteenth digit [unit of the figure]
NEAR = Fraction(1, 10**9)


def table_3(sheet: Grid, at: int, facts: Facts, words: Words, calculated: Calculated) -> int:
    """Write Table 3 with its heading row at `at`; return its last row."""
    sheet.text(at - 1, 0, words["table_3"], "part")
    sheet.head(at, [words[n] for n in _YEAR_NAMES])
    vintages = facts.subject.credited.vintages
    total = at + 1 + len(vintages)
    for row, vintage in enumerate(vintages, at + 1):
        sheet.number(row, 0, vintage.year, "year")
        years = [vintage.year] if vintage.year in calculated.reduction else []
        _grams(sheet, row, years, calculated)
        _comparison(sheet, row, years, Fraction(vintage.reduction_t), calculated, words)
        _credit(sheet, row, (at + 1, total), vintage, words)
    _total(sheet, total, facts, words, calculated)
    return total + 2


def equal(
    sheet: Grid, at: tuple[int, int], cells: tuple[str, str], words: Words, *, holds: bool
) -> None:
    """Write in cell `at` a formula that compares two cells, to one part in a billion."""
    value, other = cells
    yes, no = words["yes"], words["differs"]
    formula = f'=IF(ABS({value}-{other})<0.000000001,"{yes}","{no}")'
    sheet.formula(*at, formula, yes if holds else no, "text")


def to_a_gram(
    sheet: Grid, at: tuple[int, int], cells: tuple[str, str], words: Words, *, holds: bool
) -> None:
    """Write in cell `at` a formula that compares the tonnes in two cells, to a gram."""
    value, other = cells
    yes, no = words["yes"], words["differs"]
    formula = f'=IF(ROUND(ABS({value}-{other}),{_DIGITS})<=0.000001,"{yes}","{no}")'
    sheet.formula(*at, formula, yes if holds else no, "text")


def _exact(years: list[int], calculated: Calculated) -> Fraction:
    return sum((calculated.counted[year] for year in years), start=Fraction(0))


def _grams(sheet: Grid, row: int, years: list[int], calculated: Calculated) -> None:
    """
    Write the sum of years' reductions as a formula in whole grams, rounded down.

    The sum is first rounded to a thousandth of a gram, since a spreadsheet has only about 15
    digits.
    """
    tonnes = "+".join(calculated.reduction[year] for year in years) or "0"
    grams = floor(_exact(years, calculated) * MILLION)
    sheet.formula(row, 1, f"=INT(ROUND(({tonnes})*1000000,3))", grams, "whole")


def _comparison(
    sheet: Grid, row: int, years: list[int], stated: Fraction, calculated: Calculated, words: Words
) -> None:
    """Write the tonnes of a row's grams, and compare them with the statement's."""
    tonnes = Fraction(floor(_exact(years, calculated) * MILLION), MILLION)
    sheet.formula(row, 2, f"={sheet.cell(row, 1)}/1000000", tonnes, "six")
    sheet.number(row, 3, stated, "six")
    cells = (sheet.cell(row, 2), sheet.cell(row, 3))
    holds = abs(tonnes - stated) <= Fraction(1, MILLION)
    to_a_gram(sheet, (row, 4), cells, words, holds=holds)


def _credit(sheet: Grid, row: int, rows: tuple[int, int], vintage: Vintage, words: Words) -> None:
    """Write the whole tonnes of a year, at most the remainder of the period's."""
    first, total = rows
    before = f"-SUM({sheet.span(first, row, 5)})" if row > first else ""
    own = f"MAX(0,INT({sheet.cell(row, 1)}/1000000))"
    credited = int(vintage.credited_t)
    sheet.formula(row, 5, f"=MIN({own},{sheet.cell(total + 2, 1)}{before})", credited, "result")
    sheet.number(row, 6, credited, "whole")
    equal(sheet, (row, 7), (sheet.cell(row, 5), sheet.cell(row, 6)), words, holds=True)


def _total(sheet: Grid, row: int, facts: Facts, words: Words, calculated: Calculated) -> None:
    """Write the sum of the period, the carried balance, and whole tonnes rounded down."""
    subject, years = facts.subject, [*calculated.reduction]
    sheet.text(row, 0, words["whole_period"], "head")
    _grams(sheet, row, years, calculated)
    _comparison(sheet, row, years, Fraction(subject.emissions.reduction.t), calculated, words)
    credited = int(subject.credited.t)
    first = row - len(subject.credited.vintages)
    cells = sheet.span(first, row, 5) if row > first else "0"
    sheet.formula(row, 5, f"=SUM({cells})", credited, "result")
    sheet.number(row, 6, credited, "whole")
    equal(sheet, (row, 7), (sheet.cell(row, 5), sheet.cell(row, 6)), words, holds=True)
    _max_whole_tonnes(sheet, row + 1, facts, _exact(years, calculated), words)


def _max_whole_tonnes(sheet: Grid, row: int, facts: Facts, exact: Fraction, words: Words) -> None:
    """Write the maximum of whole tonnes: the sum less the negative balance of earlier periods."""
    carried = int(facts.subject.carried.in_ug)
    sheet.text(row, 0, words["carried_in"], "head")
    sheet.number(row, 1, carried // MILLION, "whole")
    sheet.number(row, 2, carried % MILLION, "whole")
    sheet.text(row, 3, words["carried_unit"], "note")
    grams, whole = sheet.cell(row - 1, 1), sheet.cell(row, 1)
    sheet.text(row + 1, 0, words["most_whole_tonnes"], "head")
    maximum = max(0, (floor(exact * MILLION * MILLION) + carried) // 10**12)
    sheet.formula(row + 1, 1, f"=MAX(0,INT(({grams}+{whole})/1000000))", maximum, "result")


def sides(sheet: Grid, at: int, facts: Facts, words: Words, calculated: Calculated) -> None:
    """Write both sides of the account from row `at` on: by the statement, and as calculated."""
    sheet.text(at - 1, 0, words["sides"], "part")
    names = ("baseline", "project_emissions", "leakage", "reduction")
    sheet.head(at, ["", *(words[n] for n in names)])
    subject = facts.subject
    totals = (
        ("emissionsBeforeDeductions", subject.emissions_before_deductions),
        ("emissions", subject.emissions),
    )
    for row, (key, of) in enumerate(totals, at + 1):
        sheet.text(row, 0, words[f"sides.{key}"], "head")
        amounts = (of.baseline, of.project, of.leakage, of.reduction)
        sheet.row(row, [(amount.t, "six") for amount in amounts], 1)
    row = at + 3
    sheet.text(row, 0, words["calculation"], "head")
    sheet.text(row + 1, 0, words["equal"], "head")
    of_sides = (subject.emissions.baseline, subject.emissions.project, subject.emissions.leakage)
    for column, (name, amount) in enumerate(
        zip((BASELINE, PROJECT, LEAKAGE), of_sides, strict=True), 1
    ):
        blocks = calculated.years.values()
        cells = "+".join(block.cells[name] for block in blocks if name in block.cells) or "0"
        exact = sum((Fraction(block.values[name]) for block in blocks), start=Fraction(0))
        sheet.formula(row, column, f"={cells}", exact, "six")
        holds = round(abs(exact - Fraction(amount.t)), _DIGITS) <= Fraction(1, MILLION)
        to_a_gram(
            sheet,
            (row + 1, column),
            (sheet.cell(row, column), sheet.cell(at + 2, column)),
            words,
            holds=holds,
        )

"""
From daily sums to tonnes, a row a device and calendar year, each step a column.

A spreadsheet reckons with about fifteen digits.  So a quantity is split into
whole millions of its unit and a rest, and its emissions into grams and the
micrograms beyond: every step is a whole number that a spreadsheet holds exactly,
and a sum of grams over a million is the statement's tonnes to the last decimal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, TypeVar

from mrv.accounting.entered_values import parameters_of
from mrv.documents.monitoring import MonitoredParameter
from mrv.methodologies import unit_reductions
from mrv.model import MEASURED, MONTH, Activity
from mrv.parameters.inputs import read
from mrv.report.report_data import Facts, Line
from mrv.report.sheets.grid import FIRST, Grid
from mrv.report.sheets.lists import QUANTITY, SUBSTITUTED, VALUE
from mrv.report.translations import role
from mrv.report.words import Words
from mrv.rules.account import parts_of_years

_T = TypeVar("_T")

MILLION = 10**6
METERED, COUNTED, GRAMS, MICROGRAMS = 4, 7, 12, 13
_RATE = 8
_NAMES = ("year", "device", "role", "unit", "metered", "deducted", "substituted", "counted")
_STEPS = ("rate", "whole_millions", "rest", "ug", "grams_of_line", "ug_beyond", "emissions_t")


@dataclass(frozen=True)
class Reckoning:
    """What the rows come to, exactly; `live` where a sheet can follow it to the tonne."""

    facts: Facts

    @cached_property
    def live(self) -> bool:
        """Whether emissions are quantity times one rate of six decimals, on the baseline side."""
        return self.facts.methodology.additive and all(
            self.facts.parameters[line.parameter].side == "baseline"
            and (self.rates[i] * MILLION).denominator == 1
            for i, line in enumerate(self.facts.lines)
        )

    @cached_property
    def rates(self) -> list[Fraction]:
        """Emissions of a million units of each line. [t/MWh, t/1000 km, ...]"""
        return [self._rate(line) for line in self.facts.lines]

    def _rate(self, line: Line) -> Fraction:
        facts, one = self.facts, self.facts.parameters[line.parameter]
        needs = facts.methodology.roles[one.role]
        unit = unit_reductions(
            facts.methodology, one.role, self._params(one), self.own, facts.book, line.year
        )
        return (unit.baseline_t if needs.side == "baseline" else unit.project_t) * MILLION

    def _params(self, one: MonitoredParameter) -> Mapping[str, Any]:
        """What the plan says of a device in its role, as the methodology takes it."""
        needs = self.facts.methodology.roles[one.role]
        bound = self._of(one, [
            d
            for d in sorted(self.facts.plan.project.devices, key=lambda d: d.from_us)
            if (d.device, d.role) == (one.device, one.role)
        ])  # fmt: skip
        return read(needs.params, bound.params, f"device {one.device}")

    def _counted(self, one: MonitoredParameter) -> Mapping[str, Any]:
        """The same, with what the device's own meter showed in place of what was typed."""
        found = dict(self._params(one))
        for name in found:
            shown = [
                Fraction(p.value)
                for p in self.facts.subject.fixed_parameters or ()
                if (p.device, p.parameter) == (one.device, f"{MEASURED}{name}")
            ]
            if shown:
                found[name] = self._of(one, shown)
        return found

    def _of(self, one: MonitoredParameter, given: Sequence[_T]) -> _T:
        """Which of what is given for groups that share a device is a parameter's."""
        same = [
            p for p in self.facts.parameters if (p.device, p.role) == (one.device, one.role)
        ]  # fmt: skip
        return (
            next(g for g, p in zip(given, same, strict=True) if p is one)
            if len(same) == len(given)
            else given[0]
        )

    def _by_time(self, year: int) -> list[Activity]:
        """The period's part of a calendar year, where the methodology counts by time too."""
        facts = self.facts
        plan = facts.plan
        found = parts_of_years(plan.project, facts.methodology, plan.fleet(), facts.span_us)
        return found.get(year, [])

    @cached_property
    def own(self) -> Any:
        """Parameters of the project as they counted: measured, official, or as they were fixed."""
        project = self.facts.plan.project
        specs = self.facts.methodology.parameters
        given = parameters_of(self.facts.methodology, project.parameters, project.id)
        # what a meter showed of a parameter stands behind what was typed of it
        counted = {
            name: Fraction(one.value)
            for one in self.facts.subject.fixed_parameters or ()
            for name in [one.parameter.removeprefix(MEASURED)]
            if one.device is None and name in specs and not specs[name].integer
        }
        return {**given, **counted}

    def micrograms(self, place: int) -> int:
        """Baseline emissions of a line, whole micrograms. [ug]"""
        exact = self.facts.counted(self.facts.lines[place]) * self.rates[place] * MILLION
        return exact.numerator // exact.denominator

    def inputs(self, year: int) -> dict[str, Any]:
        """Inputs of the methodology's equation in a year."""
        facts = self.facts
        activities = self._by_time(year)
        for line in facts.lines:
            if line.year == year:
                one = facts.parameters[line.parameter]
                params = dict(self._counted(one))
                if line.month is not None:
                    params[MONTH] = line.month
                activities.append(Activity(one.role, params, facts.counted(line)))
        return dict(facts.methodology.inputs_of(activities, self.own, facts.book, year))


def calculation(
    sheet: Grid, reckoning: Reckoning, words: Words, others: tuple[Grid, Grid, Grid], rates: Rates
) -> None:
    """
    Write the sheet.

    Parameters
    ----------
    others : tuple of Grid
        Days, gaps, deductions.
    """
    facts = reckoning.facts
    sheet.title(words["calculation"], words["calculation_note" if reckoning.live else "not_live"])
    names = (*_NAMES, *_STEPS) if reckoning.live else _NAMES
    sheet.head(FIRST - 1, [words[n] for n in names], frozen=True)
    for place, line in enumerate(facts.lines):
        row = FIRST + place
        _quantity(sheet, row, facts, line, words, others)
        if reckoning.live:
            _emissions(sheet, row, reckoning, place, rates)
    if not reckoning.live:
        _inputs(sheet, FIRST + len(facts.lines) + 2, reckoning, words)


def _quantity(
    sheet: Grid, row: int, facts: Facts, line: Line, words: Words, others: tuple[Grid, Grid, Grid]
) -> None:
    days, gaps, deductions = others
    one = facts.parameters[line.parameter]
    sheet.row(row, [(line.year, "year"), (one.device, "text"), (role(one.role, words), "text"),
                    (one.unit, "text")])  # fmt: skip
    span = days.span(FIRST + line.first, FIRST + line.last, VALUE)
    sheet.formula(row, METERED, f"=SUM({span})", line.metered, "whole")
    taken = _sum_of(deductions, line.deductions, QUANTITY)
    sheet.formula(row, 5, taken, facts.deducted(line), "six")
    sheet.formula(row, 6, _sum_of(gaps, line.gaps, SUBSTITUTED), facts.substituted(line), "six")
    metered, deducted, substituted = (sheet.cell(row, c) for c in (METERED, 5, 6))
    baseline = one.side == "baseline"
    net = f"{metered}{'-' if baseline else '+'}{deducted}+{substituted}"
    sheet.formula(row, COUNTED, f"=ROUND({net},6)", facts.counted(line), "six")


def _sum_of(sheet: Grid, places: Sequence[int], column: int) -> str:
    """Formula that adds cells of a list: runs of rows as spans, so that it stays short."""
    spans = []
    begin = 0
    for i in range(1, len(places) + 1):
        if i == len(places) or places[i] != places[i - 1] + 1:
            spans.append(sheet.span(FIRST + places[begin], FIRST + places[i - 1] + 1, column))
            begin = i
    return f"=SUM({','.join(spans)})" if spans else "=0"


def _emissions(sheet: Grid, row: int, reckoning: Reckoning, place: int, rates: Rates) -> None:
    rate, counted = reckoning.rates[place], reckoning.facts.counted(reckoning.facts.lines[place])
    whole = counted // MILLION
    rest = counted - whole * MILLION
    ug = round(rest * rate * MILLION)
    grams = int(whole * rate * MILLION) + ug // MILLION
    sheet.formula(row, _RATE, rates.formula(rate), rate, "six")
    cells = {c: sheet.cell(row, c) for c in range(COUNTED, MICROGRAMS)}
    sheet.formula(row, 9, f"=INT({cells[7]}/1000000)", whole, "whole")
    sheet.formula(row, 10, f"=ROUND({cells[7]}-{cells[9]}*1000000,6)", rest, "six")
    sheet.formula(row, 11, f"=ROUND({cells[10]}*{cells[8]}*1000000,0)", ug, "whole")
    sheet.formula(
        row,
        GRAMS,
        f"=ROUND({cells[9]}*{cells[8]}*1000000,0)+INT({cells[11]}/1000000)",
        grams,
        "whole",
    )
    sheet.formula(
        row, MICROGRAMS, f"={cells[11]}-INT({cells[11]}/1000000)*1000000", ug % MILLION, "whole"
    )
    sheet.formula(row, 14, f"={cells[12]}/1000000", Fraction(grams, MILLION), "six")


class Rates:
    """
    Where a rate stands: the cell of a factor or a fixed parameter of that value.

    Parameters
    ----------
    cells : sequence of (Fraction, str)
        Values, and the addresses that they stand at.
    """

    def __init__(self, cells: Sequence[tuple[Fraction, str]]) -> None:
        self._cells = dict(reversed(cells))

    def formula(self, rate: Fraction) -> str:
        """Formula of a rate; a plain number where it is neither."""
        return f"={self._cells[rate]}" if rate in self._cells else f"={float(rate)!r}"


def _inputs(sheet: Grid, row: int, reckoning: Reckoning, words: Words) -> None:
    """Write what the equation was given; what it gives stands in the statement."""
    facts = reckoning.facts
    sheet.text(row, 0, words["equation_inputs"], "part")
    names = ("year", "input", "description", "symbol", "value", "unit", "source")
    sheet.head(row + 1, [words[n] for n in names])
    at = row + 2
    for year in sorted({line.year for line in facts.lines}):
        for key, value in reckoning.inputs(year).items():
            for name, number, spec in _numbers(key, value, facts.methodology.inputs.get(key)):
                said = [getattr(spec, x, "") for x in ("meaning", "symbol", "unit", "source")]
                sheet.row(at, [
                    (year, "year"), (name, "text"), (said[0], "text"), (said[1], "text"),
                    (number, "six"), (said[2], "text"), (said[3], "text"),
                ])  # fmt: skip
                at += 1


def _numbers(name: str, value: Any, spec: Any) -> Iterator[tuple[str, int | Fraction, Any]]:
    """Numbers of an input with their names and specifications: `metals.0.mass_t`."""
    if isinstance(value, int | Fraction):
        yield name, value, spec
        return
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    inside = getattr(spec, "fields", {})
    for key, one in parts if isinstance(value, dict | list) else ():
        # a list or a map says what its records hold, a record what its keys hold
        yield from _numbers(f"{name}.{key}", one, inside.get(key, spec))

"""
The workbook of each methodology calculates from a day to whole tonnes in LibreOffice.

A spreadsheet has about fifteen digits: values that agree to a gram are equal.
"""

import math
from fractions import Fraction
from functools import cache
from io import BytesIO

import pytest
from openpyxl import load_workbook

from mrv import methodologies
from mrv.report.sheets import workbook
from mrv.report.sheets.calculation import COUNTED, Reckoning
from mrv.report.sheets.equation import without_cells
from mrv.report.sheets.layout import FIRST
from mrv.report.sheets.lists import VALUE
from mrv.report.words import Words
from mrv.steps import Step
from tests.mrv.report import closed, office
from tests.soak import SOAK

GRAM = Fraction(1, 10**6)
METHODS = sorted(methodologies.load())
# LibreOffice calculates some of them anew, all of them in the soak; of the others our own values
CALCULATED = METHODS if SOAK else METHODS[::8]


def _moved(data, facts):
    """Return a workbook with one day ten times as large, and the position of its line."""
    line = max(
        (one for one in facts.lines if facts.parameters[one.parameter].side == "baseline"),
        key=lambda one: max(facts.days[i].value or 0 for i in range(one.first, one.last)),
    )
    day = max(range(line.first, line.last), key=lambda i: facts.days[i].value or 0)
    assert facts.days[day].value
    book = load_workbook(BytesIO(data))
    book["Days"].cell(FIRST + day + 1, VALUE + 1).value *= 10
    out = BytesIO()
    book.save(out)
    return out.getvalue(), facts.lines.index(line), 9 * facts.days[day].value


@cache
def _made(name):
    """Return the facts of a methodology's statement, and their workbook with our own values."""
    facts = closed.facts_of(closed.names()[name])
    data = workbook(facts, Words("en"))
    return facts, data, _read(data)


def _read(data):
    return load_workbook(BytesIO(data), data_only=True)


@pytest.fixture(scope="module")
def moved():
    """Return a changed workbook of some methodologies, and what was changed."""
    return {name: _moved(data, facts) for name in CALCULATED for facts, data, _ in [_made(name)]}


@pytest.fixture(scope="module")
def calculated(tmp_path_factory, moved):
    """Return workbooks, unchanged and changed, recalculated by LibreOffice."""
    books = {name: _made(name)[1] for name in CALCULATED}
    books |= {f"{name}-moved": data for name, (data, _, _) in moved.items()}
    found = office.calculated(tmp_path_factory.mktemp("office"), books)
    return {name: _read(data) for name, data in found.items()}


def _row(sheet, text):
    return next(c.row for c in sheet["A"] if c.value == text)


def _total(book):
    """Return grams, tonnes, those of the statement, equality, credits, those of the statement."""
    sheet = book["Monitoring Report"]
    return [c.value for c in sheet[_row(sheet, "Whole period")]][1:8]


def _steps(facts, lines):
    """Return the result of the methodology's steps with other counted quantities. [tCO2e]"""
    other = closed.Moved.of(facts, lines)
    reckoning = Reckoning(other)
    found = [
        other.methodology.reductions(without_cells(reckoning.inputs(year)), other.book)
        for year in reckoning.years
    ]
    return sum((one.reduction_t for one in found), start=Fraction(0))


def _quantities(book, facts):
    sheet = book["Calculation"]
    return [
        Fraction(str(sheet.cell(FIRST + i + 1, COUNTED + 1).value)) for i in range(len(facts.lines))
    ]


def test_every_methodology_is_here():
    """A methodology whose workbook types its result would be found by an auditor."""
    assert sorted(closed.names()) == METHODS


@pytest.mark.parametrize("name", METHODS)
def test_unchanged_it_is_the_statements(calculated, name):
    """The workbook's formulas give the figures of the statement."""
    facts, _, book = _made(name)
    book = calculated.get(name, book)
    _, tonnes, said, same, credited, of_statement, credit_same = _total(book)
    assert (same, credit_same) == ("yes", "yes")
    assert abs(Fraction(str(tonnes)) - Fraction(facts.subject.emissions.reduction.t)) <= GRAM
    assert said == pytest.approx(float(facts.subject.emissions.reduction.t), abs=1e-9)
    assert credited == of_statement == int(facts.subject.credited.t)
    values = [c.value for row in book["Monitoring Report"].iter_rows() for c in row]
    assert "DIFFERS" not in values
    errors = [c.value for sheet in book for row in sheet.iter_rows() for c in row]
    assert not [v for v in errors if isinstance(v, str) and v.startswith(("#", "Err:"))]


@pytest.mark.parametrize("name", CALCULATED)
def test_a_day_times_ten_moves_the_tonne_as_the_steps_say(calculated, moved, name):
    """A changed daily value changes the workbook's reduction by the equations."""
    facts, before, after = _made(name)[0], calculated[name], calculated[f"{name}-moved"]
    _, place, more = moved[name]
    lines = _quantities(after, facts)
    counted = lines[place] - _quantities(before, facts)[place]
    assert 0 < counted <= more
    if Reckoning(facts).no_reduction({0: Fraction(1)}):
        # a rule leaves no reduction, whatever the days are; the emissions of a side differ
        sheet = after["Monitoring Report"]
        assert "DIFFERS" in [c.value for c in sheet[_row(sheet, "Equal")]]
        assert _total(after)[1] == 0
        return
    _, tonnes, _, same, credited, _, _ = _total(after)
    want = _steps(facts, lines)
    assert abs(Fraction(str(tonnes)) - want) <= 2 * GRAM
    assert abs(want - _steps(facts, _quantities(before, facts))) > 2 * GRAM
    assert same == "DIFFERS"
    grams = math.floor(want * 10**6) + int(facts.subject.carried.in_ug) // 10**6
    assert abs(credited - max(0, grams // 10**6)) <= (1 if grams % 10**6 in {0, 10**6 - 1} else 0)


@pytest.mark.parametrize("name", METHODS)
def test_each_step_says_what_it_is(name):
    """Each calculation step of the workbook has its symbol, meaning and unit."""
    facts, _, book = _made(name)
    rows = {row[1].value: row for row in book["Calculation"].iter_rows() if row[1].value}
    reckoning = Reckoning(facts)
    inputs = without_cells(reckoning.inputs(reckoning.years[-1]))
    for step in facts.methodology.steps.applying(inputs):
        if isinstance(step, Step) and not step.over:
            description, symbol, _, unit, formula, source = (c.value for c in rows[step.name][2:8])
            assert (description, symbol, unit) == (step.meaning, step.symbol, step.unit)
            assert formula.startswith(f"{step.symbol} = ")
            assert source == step.source
    assert {"baseline_t", "project_t", "leakage_t", "reduction_t"} <= rows.keys()


# closes in which a rule bounds what is typed of a device: lamps, fuel, the case of a PV system
BOUNDED = ("2/ams-ii-c/e2807def5bad", "2/jcm-id-am009/2514bb5c2689", "2/jcm-vn-am007/85b044030e54")


@pytest.mark.parametrize("name", [*closed.names("1").values(), *BOUNDED])
def test_the_inputs_are_those_that_counted(name):
    """The inputs of the workbook are the values applied in the statement."""
    facts = closed.facts_of(name)
    want = Fraction(facts.subject.emissions.reduction.t)
    assert abs(_steps(facts, [facts.counted(line) for line in facts.lines]) - want) <= GRAM


def test_a_rule_that_takes_the_whole_reduction_stands_in_the_workbook():
    """The workbook would calculate tonnes although the required invoices are missing."""
    facts = closed.facts_of("2/pv-panel-recycling/018aed436b03")
    data = workbook(facts, Words("en"))
    sheet = load_workbook(BytesIO(data), data_only=True)
    said = [c.value for c in sheet["Calculation"]["A"]]
    assert "Rule EVD-03 is not met: no reduction is credited" in said
    grams, _, of_statement, same, *_ = _total(sheet)
    assert (grams, of_statement, same) == (0, 0, "yes")
    formulas = load_workbook(BytesIO(data))["Calculation"]
    values = [str(c.value) for row in formulas.iter_rows() for c in row]
    assert any(value.startswith("=MIN(0,'Calculation'!E") for value in values)

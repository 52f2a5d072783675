"""
The workbook: in the form of the JCM, with formulas and the figures of the statement.

The evaluation of a cell in Python, as in a spreadsheet.
"""

import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from io import BytesIO
from itertools import pairwise

import pytest
from openpyxl import load_workbook

from mrv.documents.plan import StatementFigures
from mrv.errors import ReportError
from mrv.report.sheets import workbook
from mrv.report.sheets.calculation import Reckoning
from mrv.report.sheets.equation import Cell, Written, number, spans
from mrv.report.words import LANGUAGES, Words
from mrv.rounding import to_integer
from tests.mrv.report import office, sample
from tests.soak import SOAK


def _cell(value, text="A1"):
    return Cell(Fraction(value), text)


@pytest.mark.parametrize(
    ("made", "formula", "value"),
    [
        (_cell(8) / 1000, "A1/1000", "1/125"),
        (5 - _cell(2), "5-A1", 3),
        (_cell(8) - (_cell(2, "B1") - 1), "A1-(B1-1)", 7),
        (_cell(8) / (_cell(2, "B1") * 2), "A1/(B1*2)", 2),
        ((_cell(8) + 1) * Fraction(3, 7), "(A1+1)*(3/7)", "27/7"),
        (2 / _cell(8), "2/A1", "1/4"),
        (Fraction(1, 4) * _cell(8), "0.25*A1", 2),
        (sum([_cell(1), _cell(2, "B1")], start=Fraction(0)), "A1+B1", 3),
        (_cell(8) * -1, "A1*(-1)", -8),
    ],
)
def test_a_formula_is_what_was_done(made, formula, value):
    """A workbook would multiply where the account divides."""
    assert made.text == formula
    assert Fraction(made) == Fraction(value)


def test_thousands_of_devices_are_one_span():
    """A spreadsheet refuses a formula of more than 8,192 characters."""
    rows = [Cell(Fraction(1), rows=("H", (place,))) for place in range(5, 3005)]
    assert sum(rows, start=Fraction(0)).text == "SUM(H5:H3004)"
    apart = spans("H", range(5, 2005, 2))
    assert apart.count("SUM(") == 5
    assert len(apart) < 8192


def test_a_choice_and_a_list_are_written():
    """A formula would be right in Python alone."""
    sheet = Written({"load": "E5", "x": "C9:C11"})
    assert sheet.formula("sum(x) if load else -last(x)") == "=IF(E5<>0,SUM(C9:C11),-C11)"
    assert sheet.formula("load ** 2 / KG_PER_T") == "=E5^2/1000"
    with pytest.raises(ValueError, match="no workbook formula exists for"):
        sheet.formula("[load]")


def test_a_part_of_a_year_is_two_whole_numbers():
    """A reader would see 0.0849315068493151 and not 31 days of 365."""
    assert number(Fraction(31, 365)) == "(31/365)"
    assert number(Fraction(-1, 8)) == "(-0.125)"


SHEETS = [
    "Result",
    "Monitoring Plan", "Monitoring Structure", "Monitoring Report", "Calculation", "Days", "Charts",
    "Gaps", "Deductions", "Cross-checks", "Unusual readings", "Comparisons", "Sampling",
    "Calibrations", "Factors", "Dated values", "Conditions", "Audit file", "Verification",
]  # fmt: skip


@pytest.fixture(scope="module")
def books(facts):
    """Return the workbooks of all three in English, and of the first in every language."""
    made = {f"{name}-en": workbook(one, Words("en")) for name, one in facts.items()}
    return made | {f"pv-{lang}": workbook(facts["pv"], Words(lang)) for lang in LANGUAGES}


@cache
def opened(data, *, values=True):
    """Return a workbook as openpyxl reads it; no one writes to it."""
    return load_workbook(BytesIO(data), data_only=values)


def column(sheet, row, heading):
    """Return the column of a heading in the header row."""
    return next(c.column for c in sheet[row] if c.value == heading)


def row_of(sheet, text):
    """Return the first row that begins with a text."""
    return next(c.row for c in sheet["A"] if c.value == text)


def test_the_sheets_are_those_of_the_jcm_with_its_columns(books):
    """The sheets and columns of the workbook are those of the JCM."""
    book = opened(books["pv-en"])
    assert book.sheetnames == SHEETS
    assert book.active.title == "Result"
    assert {sheet.page_setup.paperSize for sheet in book} == {9}  # A4
    plan, report = book["Monitoring Plan"], book["Monitoring Report"]
    letters = [f"({letter})" for letter in "abcdefghij"]
    assert [c.value.split()[0] for c in plan[10]][:10] == letters
    heads = [c.value for c in report[10]]
    assert heads[0] == "Monitoring period"
    assert [h.split()[0] for h in heads[1:11]] == letters
    tables = [c.value for c in report["A"] if str(c.value).startswith("Table")]
    assert [text.partition(":")[0] for text in tables] == ["Table 1", "Table 2", "Table 3"]


def test_charts_draw_the_cells_of_the_days_and_of_the_account(books, facts):
    """A reader would see columns of another meter, or of days that were cut off."""
    book = opened(books["bus-en"])
    drawn = book["Charts"]._charts
    heads = [chart.title.tx.rich.p[0].r[0].t for chart in drawn]
    assert len(drawn) == 1 + len(facts["bus"].parameters)
    reduction = facts["bus"].subject.emissions.reduction.t
    assert float(reduction) == pytest.approx(book["Charts"]["B8"].value, abs=1e-9)
    rows = list(book["Days"].iter_rows(5, values_only=True))
    for head, chart in zip(heads[1:], drawn[1:], strict=True):
        (series,) = chart.ser
        sheet, first, last = re.fullmatch(
            r"'?(\w+)'?!\$?E\$?(\d+):\$?E\$?(\d+)", series.val.numRef.f
        ).groups()
        mine = rows[int(first) - 5 : int(last) - 4]
        assert sheet == "Days"
        assert {row[1] for row in mine} == {head.rpartition(" (")[0].rpartition(", ")[2]}
        others = rows[: int(first) - 5] + rows[int(last) - 4 :]
        assert (mine[0][1], mine[0][2]) not in {(row[1], row[2]) for row in others}


def test_the_figures_are_those_of_the_statement(books, facts):
    """Workbook and statement would tell two different stories."""
    subject = facts["pv"].statement["credentialSubject"]
    report = opened(books["pv-en"])["Monitoring Report"]
    head = row_of(report, "Vintage")
    total = row_of(report, "Whole period")
    rows = list(report.iter_rows(head + 1, total, max_col=7, values_only=True))
    said = [
        (v["year"], v["reduction_t"], int(v["credited_t"])) for v in subject["credited"]["vintages"]
    ]
    assert [(r[0], f"{r[2]:.6f}", r[5]) for r in rows[:-1]] == said
    assert f"{rows[-1][2]:.6f}" == subject["emissions"]["reduction"]["t"]
    assert rows[-1][5] == int(subject["credited"]["t"]) == 2
    for row, one in enumerate(subject["monitoredParameters"], 11):
        assert Decimal(f"{report.cell(row, 5).value:.9f}") == Decimal(one["counted"]) / 10**6


def test_every_formula_can_be_traced_to_the_days(books):
    """Each figure of the workbook is traceable to daily values by formulas."""
    book = opened(books["pv-en"], values=False)
    report, calculation = book["Monitoring Report"], book["Calculation"]
    total = row_of(report, "Whole period")
    assert "'Calculation'!" in report.cell(total, 2).value
    assert calculation["E5"].value == "=SUM('Days'!E5:E8)"
    equation = [c.value for row in calculation.iter_rows(min_row=8) for c in row]
    assert any(str(v).startswith("='Factors'!C") for v in equation)
    assert "'Deductions'!" in calculation["F6"].value
    assert book["Deductions"]["F5"].value.startswith("=-ROUNDUP(ROUND(SUM('Days'!E")


def test_libreoffice_comes_to_the_same_figures(books, tmp_path):
    """LibreOffice recalculates the workbook to the figures of the statement."""
    if not SOAK:
        books = {"pv-vi": books["pv-vi"]}
    again = office.calculated(tmp_path, books)
    compared = 0
    for name, data in books.items():
        formulas, ours = opened(data, values=False), opened(data)
        theirs = opened(again[name])
        for sheet in formulas:
            for cell in (c for row in sheet.iter_rows() for c in row if c.data_type == "f"):
                where = (name, sheet.title, cell.coordinate)
                wrote = ours[sheet.title][cell.coordinate].value
                found = theirs[sheet.title][cell.coordinate].value
                if isinstance(wrote, str):
                    assert found == wrote, where
                else:
                    assert found == pytest.approx(wrote, rel=1e-13, abs=1e-9), where
                compared += 1
    assert compared > (250 if SOAK else 80)
    for data in again.values():
        values = [c.value for sheet in opened(data) for row in sheet.iter_rows() for c in row]
        assert not [v for v in values if isinstance(v, str) and re.match(r"#|Err:", v)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_differs_from_the_statement(books, language):
    """A workbook that contradicts its statement would be submitted unseen."""
    words = Words(language)
    sheet = opened(books[f"pv-{language}"])[words["sheet.report"]]
    cells = [c.value for row in sheet.iter_rows() for c in row]
    assert words["differs"] not in cells
    assert cells.count(words["yes"]) == 11


def test_a_hostile_name_stays_a_text(books):
    """A project's name could run a program on the auditor's machine."""
    book = opened(books["pv-en"], values=False)
    cell = book["Monitoring Report"]["B3"]
    assert cell.data_type != "f"
    assert cell.value.startswith("=cmd|")
    assert "\u202e" not in cell.value
    assert "[U+202E]" in cell.value


def test_a_silent_day_is_missing_and_not_zero(books):
    """A reader would take a dead meter for a dark day."""
    days = opened(books["pv-en"])["Days"]
    rows = {(r[0], r[1]): r for r in days.iter_rows(5, 18, values_only=True)}
    assert rows["2026-12-28", "inv-2"][4] == "missing"
    assert rows["2026-12-28", "inv-1"][4] > 0
    assert rows["2026-12-28", "inv-2"][9] == 24


def test_what_no_document_says_is_said_to_be_missing(books):
    """An empty cell would be taken for an answer."""
    plan = opened(books["draft-en"])["Monitoring Structure"]
    names = [plan.cell(r, 1).value for r in (5, 6, 7)]
    assert names == ["not stated", "not stated", "Energy manager"]
    assert opened(books["bus-en"])["Monitoring Structure"]["A7"].value == "not stated"
    said = dict(
        opened(books["draft-en"])["Verification"].iter_rows(5, 20, max_col=2, values_only=True)
    )
    assert said["Prepared by"] == "not stated"
    assert said["State"].startswith("draft")
    assert said["Opinion"] == "none: not verified"


def test_findings_stand_in_the_order_of_their_events(books):
    """The secretariat could not see what was asked and how it was answered."""
    sheet = opened(books["pv-en"])["Verification"]
    heads = [c.value for c in sheet["A"]]
    wanted = ["CAR-1 raised", "CAR-1 answered", "CAR-1 closed", "FAR-1 raised", "Remark"]
    places = [heads.index(one) for one in wanted]
    assert all(a < b for a, b in pairwise(places))
    assert "Effect [t CO2e]: 0" in sheet.cell(places[2] + 1, 2).value


def test_a_witness_that_differs_stands_with_what_it_may_cost(books):
    """A check meter that shows less would be seen by no one who reads the report."""
    row = next(opened(books["pv-en"])["Cross-checks"].iter_rows(5, 5, values_only=True))
    assert row[:3] == ("check meter", "check-1", "inv-1")
    assert row[6] > row[7] > 0
    assert row[11] > 0
    assert row[12] == "no"
    assert "find the reason" in row[13]


def cells_of(sheet, text):
    """Return the values beside a text in the first column."""
    row = row_of(sheet, text)
    return [c.value for c in sheet[row]][1:]


def test_comparisons_are_the_statements(books, facts):
    """The workbook's comparisons are those of the statement."""
    subject = facts["pv"].statement["credentialSubject"]
    for live in (True, False):
        sheet = opened(books["pv-en"], values=live)["Comparisons"]
        design = list(sheet.iter_rows(5, 6, max_col=10, values_only=True))
        said = subject["comparisons"]
        assert [r[0] for r in design] == ["project design, a year of 365 days"] * 2
        if not live:
            assert all(str(v).startswith("=") for r in design for v in (r[2], r[5], r[6], r[7]))
            continue
        assert [(r[5], r[6], r[7]) for r in design] == [
            tuple(float(one[n]) for n in ("expected", "actual", "difference_percent"))
            for one in said
        ]
        assert {r[9] for r in design} == {"yes"}
    errors = subject["materiality"]
    assert errors["material"]
    net = cells_of(opened(books["pv-en"])["Comparisons"], "Net [t CO2e]")
    assert net[0] == net[2] == net[3] == float(errors["netMisstatement_t"]) > 0
    assert net[1] == 0
    assert cells_of(opened(books["pv-en"])["Comparisons"], "Material")[2] == "yes"


def test_an_earlier_period_is_compared_live(facts):
    """A period that makes twice as much as a year before would raise no question."""
    one = sample.draft(sample.pv_case())
    document = one.statement["credentialSubject"]
    begin, end = (document["monitoringPeriod"][edge] for edge in ("from", "to"))
    there = StatementFigures(
        statement="TN-pv-0",
        from_=begin,
        to=end,
        energy_wh="1000000",
        reduction_ug="2000000000000",
        credited_t="2",
        coverage="1.000000",
    )
    plan = replace(one.plan, earlier=(there,))
    energy = Decimal(document["comparisons"][0]["actual"])
    said = {"statement": "TN-pv-0", "what": "energy [kWh]", "expected": "1000.000000",
            "actual": f"{energy:.6f}",
            "difference_percent": f"{energy / 10 - 100:.2f}"}  # fmt: skip
    document["otherPeriods"] = [said]
    data = workbook(replace(one, plan=plan), Words("en"))
    row = next(opened(data, values=False)["Comparisons"].iter_rows(7, 7, values_only=True))
    assert row[:2] == ("TN-pv-0", "Energy [kWh]")
    assert row[7].startswith("=ROUND(")
    row = next(opened(data)["Comparisons"].iter_rows(7, 7, values_only=True))
    assert row[5] == 1000
    assert f"{row[7]:.2f}" == said["difference_percent"]


def test_the_sample_is_a_list_to_work_through(books, facts):
    """The workbook has the sampling list with a place for each result."""
    said = facts["pv"].sampling["credentialSubject"]
    sheet = opened(books["pv-en"])["Sampling"]
    assert cells_of(sheet, "Seed")[0] == said["seed"]
    head = row_of(sheet, "Day")
    rows = list(sheet.iter_rows(head + 1, max_col=6, values_only=True))
    assert [(r[0], r[1], r[4]) for r in rows] == [
        (one["day"], one["device"], int(one["weight"])) for one in said["items"]
    ]
    assert {r[3] for r in rows} == {"at random", "by risk"}
    assert any("partly unknown or missing" in (r[5] or "") for r in rows)
    assert opened(books["draft-en"])["Sampling"]["A5"].value == "No sampling list has been drawn."


def test_the_same_documents_give_the_same_bytes(books, facts):
    """Two copies of a report could not be compared."""
    assert workbook(facts["pv"], Words("ja")) == books["pv-ja"]
    assert workbook(sample.issued(sample.pv_case()), Words("ja")) == books["pv-ja"]


def test_an_unknown_language_is_refused():
    """A report in an unavailable language would be half empty."""
    with pytest.raises(ReportError, match="'fr' is not one of en, "):
        Words("fr")


@pytest.mark.parametrize(
    ("language", "text", "wanted"),
    [
        ("en", "-1234567.5", "\N{MINUS SIGN}1,234,567.5"),
        ("vi", "1234.25", "1.234,25"),
        ("ja", "123", "123"),
        ("vi", "0.000001", "0,000001"),
    ],
)
def test_numbers_keep_their_digits(language, text, wanted):
    """A figure would change its size on the way into another language."""
    assert Words(language).number(text) == wanted
    assert Words("en").percent("0.999999") == "99.99 %"


def test_what_is_over_the_whole_service_is_taken_off_its_year():
    """Two years' deductions would fall on the first, and both years would differ."""
    facts = sample.draft(sample.pv_case())
    document = facts.statement["credentialSubject"]
    served = document["monitoredParameters"][1]
    rest = {"device": "inv-2", "from": served["from"], "to": served["to"],
            "percent": "1", "quantity": "1.5", "cost_t": "0.1"}  # fmt: skip
    document["deductions"] = [
        {**rest, "reason": f"above the design of {year}: capacity"} for year in (2026, 2027)
    ]
    found = {(one.year, one.parameter): one.deductions for one in facts.lines}
    assert (found[2026, 1], found[2027, 1]) == ((0,), (1,))


def test_inputs_by_month_are_those_of_the_account():
    """An auditor who puts the workbook's inputs into the equation would get other tonnes."""
    case = sample.compost_case()
    facts = sample.draft(case)
    assert {line.month for line in facts.lines} == {1, 2}
    inputs = Reckoning(facts).inputs(2026)
    found = facts.methodology.reductions(inputs, facts.factors)
    net = case.result.net
    assert to_integer(found.baseline_t * 10**12, "down") == net.baseline.ug
    assert to_integer(found.project_t * 10**12, "up") == net.project.ug
    assert opened(workbook(facts, Words("en"))).sheetnames == SHEETS

"""Values with a date: the same rows in PDF, workbook and console."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from io import BytesIO

import pytest
from msgspec import UNSET, structs
from openpyxl import load_workbook

from mrv.documents.monitoring import CalibrationShown
from mrv.registry import Declared, Design, EmissionSource, Sample, Stratum, Survey, of_survey
from mrv.registry.project import ACCOUNTING
from mrv.report import make
from mrv.report.audit_rows import meter_rows
from mrv.report.dated_values import HEADS, dated, dated_rows, least_of
from mrv.report.page.basis import basis
from mrv.report.words import LANGUAGES, Words, certificate
from tests.mrv.plant import FROM, stating
from tests.mrv.report import closed, office, sample
from tests.mrv.test_analysers import PAPERS, case, paper

MONTH_US = 31 * 86_400_000_000


@pytest.fixture(scope="module")
def facts():
    """Return a turbine that was rated again, a laboratory result, and the grid factor of a year."""
    case = sample.waste_heat_case()
    plan = replace(
        case.plan,
        accounting=ACCOUNTING,
        ratings={"turbine": ((FROM, 2_000_000), (FROM + MONTH_US, 3_000_000))},
        samples=(Sample("f_wcm", "S-7", date(2026, 2, 1), Decimal("0.9"), "m", "Lab"),),
    )
    return sample.draft(replace(case, plan=plan))


def test_ratings_samples_and_factors_have_their_dates(facts):
    """The report dates each rated power, sample and factor."""
    rows = list(dated_rows(facts.subject, Words("en")))
    assert [(r[0], r[2], r[3]) for r in rows if r[1] == "rated power"] == [
        ("turbine", "2026-01-01", "2000000"),
        ("turbine", "2026-02-01", "3000000"),
    ]
    sample = "share of the output that comes from waste energy (sample S-7)"
    assert any(r[1] == sample and r[2] == "2026-02-01" for r in rows)
    assert any("vn-grid-2023" in r[1] and r[2] == "2023-01-01" for r in rows)
    assert all(len(r) == len(HEADS) for r in rows)


def test_a_rating_counts_from_the_projects_own_day(facts):
    """A meter installed on 1 January in Hanoi would have a rating of the year before."""
    (turbine,) = [row[3] for row in meter_rows(facts, Words("en")) if row[0] == "turbine"]
    assert "1 January 2026" in turbine
    assert "31 December 2025" not in turbine
    begun = [p.meaning for p in facts.subject.fixed_parameters if p.parameter == "rated_power_w"]
    assert begun[0] == "rated power from 2026-01-01T00:00:00+07:00 on"


def _declared(facts, declared):
    claims = structs.replace(facts.subject, declared=declared)
    return list(dated_rows(claims, Words("en")))


def test_a_survey_states_its_strata_and_how_it_was_taken(facts):
    """The report states strata and method of each survey."""
    survey = Survey(
        "x", 100, 40, Decimal("4.5"), "by lot", date(2026, 1, 2), None, strata=(
            Stratum("old", 50, 20, Decimal(4), Decimal(1)),
            Stratum("new", 50, 20, Decimal(5), Decimal(4)),
        ), method="telephone", participants=90, replaced=3, clusters=20,
    )  # fmt: skip
    (row,) = [r for r in _declared(facts, Declared(surveys=(survey,))) if "x" in r[1]]
    said = row[5]
    for one in ("by telephone", "90 participants", "20 clusters", "3 sampled units replaced"):
        assert one in said
    assert "old 20/50: 4, 9.15 %" in said
    assert "new 20/50: 5, 29.3 %" in said


def test_a_design_states_its_sources_and_the_life_of_what_it_replaces(facts):
    """A second fuel would be burnt, and a boiler at its end be replaced, without a message."""
    sources = (
        EmissionSource("grid", "CO2", "baseline", counted_by="generation"),
        EmissionSource("standby set", "CO2", "project", reason="it stood still", document="log 7"),
    )
    design = Design("PDD", "1", date(2025, 1, 1), "a" * 64, sources=sources,
                    replaced_until=date(2030, 1, 1))  # fmt: skip
    rows = {row[1]: row for row in _declared(facts, Declared(design=design))}
    assert rows["source grid, CO2"][4:] == ("baseline", "generation")
    assert rows["source standby set, CO2"][4:] == ("project emissions", "it stood still (log 7)")
    assert (
        rows["day on which the equipment would have been replaced without the project"][2]
        == "2030-01-01"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_paper_and_console_show_the_same_table(facts, language):
    """Report or console would omit dated values that the other shows."""
    words = Words(language)
    shown = [b for b in dated(facts.subject, words) if b["kind"] == "table"]
    printed = [b for b in basis(facts, words) if b["kind"] == "table"]
    assert len(shown) == 1
    assert shown[0] in printed


def test_a_statement_without_dates_has_no_empty_table(facts):
    """A heading without a table would look as if data were missing."""
    case = sample.compost_case()
    bare = sample.draft(replace(case, plan=replace(case.plan, ratings={}, samples=())))
    subject = bare.subject
    rows = [r for r in dated_rows(subject, Words("en")) if "factor" not in r[1]]
    assert rows == []


def test_a_certificate_names_its_register_and_laboratory():
    """A reader would look for a register of another name, and not see who calibrated it."""
    shown = CalibrationShown(
        certificate="K-1", performed="2026-01-01", valid_until="2027-01-01", accuracy_class=None,
        max_error_percent="1", channel="biogas_total_nml", laboratory="Quatest 3",
        accreditation="VILAS 004",
    )  # fmt: skip
    assert certificate(shown, Words("en")) == "K-1 (biogas_total_nm3), Quatest 3, VILAS 004"
    gauge = structs.replace(shown, channel="ch4_percent", laboratory=UNSET, accreditation=UNSET)
    assert certificate(gauge, Words("en")) == "K-1 (ch4_percent)"


def test_measured_values_are_not_called_fixed():
    """
    Measured values are listed apart from parameters fixed ex ante.

    https://cdm.unfccc.int/IRCheck/iss_forms/RS3OM8K4C2DI7T0/viewPublic
    """
    measured = closed.facts_of(closed.names()["ams-iii-h"])
    words = Words("en")
    blocks = list(basis(measured, words))
    titles = [block.get("text") for block in blocks]
    heads = [words["page.parameters_measured"], words["page.fixed"]]
    at, fixed = (blocks[titles.index(head) + 1]["rows"] for head in heads)
    symbols = {"w_CH4", "COD_inflow"}
    assert symbols <= {row[1] for row in at}
    assert not symbols & {row[1] for row in fixed}
    book = load_workbook(BytesIO(make(measured, "xlsx", "en")))
    assert any(c.value == words["table_2_measured"] for c in book["Monitoring Report"]["A"])


def _measured():
    """Return facts of a wastewater plant whose parameters are means of measured days."""
    return next(
        facts
        for name, close in closed.given()[0].items()
        if name.startswith("2/ams-iii-h/") and "'Measured'" in str(close["besides"])
        for facts in [closed.facts_of(name)]
        if any(p.days for p in facts.subject.fixed_parameters)
    )


def _removed(entered, certified):
    """Return facts of a plant with an entered share of COD removed, and that share."""
    water = PAPERS if certified else {**PAPERS, "in": (paper(channel="flow_total_ml"),)}
    parameters = {
        "cod_in_kg_per_m3": 6, "eta_cod": Decimal(entered), "mcf_baseline": Decimal("0.8"),
        "tdl": Decimal("0.0615"), "design_flow_m3_per_d": 600, "design_cod_kg_per_d": 36_000,
    }  # fmt: skip
    treated = case(
        (1000.0, 2000.0), (100.0, 90.0), papers=water, entered=parameters, of=("ams-iii-i", "8.0")
    )
    papers = stating(parameters, *parameters)
    facts = sample.draft(replace(treated, plan=replace(treated.plan, documents=papers)))
    (share,) = (p for p in facts.subject.fixed_parameters if p.parameter == "eta_cod")
    assert {day.channel for day in share.days} == {"cod_in_mg_l", "cod_out_mg_l"}
    return facts, Decimal(share.value)


# entered and certified, and the share that counts: the lesser of entered and measured
SHARES = {
    "high": ("0.99", True, Decimal("0.947142857")), "bare": ("0.99", False, Decimal("0.935396825")),
    "low": ("0.5", True, Decimal("0.5")),
}  # fmt: skip
HOMES = Survey("share", 900, 80, Decimal("0.7"), "by lot", date(2026, 1, 4))
STRATA = Stratum("a", 500, 40, Decimal("0.6")), Stratum("b", 400, 40, Decimal("0.825"))
SURVEYS = (
    Survey("trip_km", 41_000, 20, Decimal("7.9"), "tickets", date(2026, 1, 3), Decimal("4.1")),
    HOMES,
    replace(HOMES, parameter="models", strata=STRATA),
    Survey("wells", 900, 60, Decimal("3.2"), "by well", date(2026, 1, 6), Decimal("0.9"),
           clusters=12),
    Survey("all", 300, 300, Decimal("2.5"), "all", date(2026, 1, 7), Decimal("0.4")),
)  # fmt: skip


@pytest.fixture(scope="module")
def books(facts, tmp_path_factory):
    """Return workbooks as written and as LibreOffice calculates them, by one start of it."""
    surveyed = replace(facts)
    claims = structs.replace(facts.subject, declared=Declared(surveys=SURVEYS))
    vars(surveyed)["stated"] = structs.replace(facts.stated, credential_subject=claims)
    made = {"mean": _measured(), "surveys": surveyed}
    for name, (entered, certified, share) in SHARES.items():
        made[name], counted = _removed(entered, certified)
        assert counted == share
    written = {name: make(one, "xlsx", "en") for name, one in made.items()}
    found = office.calculated(tmp_path_factory.mktemp("office"), written)
    return {
        name: (load_workbook(BytesIO(data)), load_workbook(BytesIO(found[name]), data_only=True))
        for name, data in written.items()
    }


def _formulas(book, said):
    """Return the cells of a report's values whose formula contains a text, by symbol."""
    rows = book["Monitoring Report"].iter_rows()
    return {
        str(row[8].value).split(",")[0]: row[4].coordinate
        for row in rows
        if said in str(row[4].value)
    }


def test_a_measured_mean_is_a_formula_of_its_days(books):
    """
    A mean of measured days is a formula over the days of its sheet.

    https://cdm.unfccc.int/IRCheck/iss_forms/FJ2C7L6BZD0EWTX/viewPublic
    """
    typed = {p.parameter: Fraction(p.value) for p in _measured().subject.fixed_parameters}
    book, values = books["mean"]
    at = _formulas(book, "SUMPRODUCT")
    assert at
    for name, cell in at.items():
        value = Fraction(str(values["Monitoring Report"][cell].value))
        assert abs(value - typed[name]) < Fraction(1, 10**9)


def test_a_removed_share_is_a_formula_of_inlet_and_outlet(books):
    """A workbook with a typed share of COD removed cannot be recalculated from its days."""
    for name, (_, _, share) in SHARES.items():
        book, values = books[name]
        (cell,) = _formulas(book, "/(SUMPRODUCT").values()
        value = values["Monitoring Report"][cell].value
        assert abs(Decimal(str(value)) - share) < Decimal("1e-9"), name


def test_the_precision_of_a_sample_is_a_formula(books, facts):
    """
    The precision of a sample is a formula in the workbook, at the required confidence.

    https://cdm.unfccc.int/IRCheck/poaiss_forms/PMEQ1H4FUDC628G/viewPublic
    """
    sheet = books["surveys"][1]["Dated values"]
    shown = [row[10].value for row in sheet.iter_rows(min_row=5) if row[10].value is not None]
    least = least_of(facts.subject)
    for value, survey in zip(shown, SURVEYS, strict=True):
        assert abs(value - float(of_survey(survey, least).percent)) < 1e-6
    # a large-scale methodology requires 95 % confidence, on paper as in the rules
    assert of_survey(SURVEYS[0], least).confidence == 95

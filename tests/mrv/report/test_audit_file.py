"""The auditor's file contains the entered texts, and names those that are missing."""

from dataclasses import replace
from fractions import Fraction
from io import BytesIO

import openpyxl
import pytest
import segno
from msgspec.structs import replace as changed
from pypdf import PdfReader

from mrv.documents.monitoring import Arrival
from mrv.documents.verification import PersonNamed, SiteVisit
from mrv.registry.monitoring_plan import Line
from mrv.report.audit_rows import combined, percent_of
from mrv.report.page import page
from mrv.report.page.verified import status
from mrv.report.sheets import workbook
from mrv.report.words import Words
from tests.mrv.report import sample

URL = "https://tonne.example.vn"
ARRIVAL = Arrival(
    readings="1000",
    late="38",
    late_percent="3.80",
    at_once_days="2",
    device_days="14",
    not_noted="7",
)


@pytest.fixture(scope="module")
def bare():
    """Return a verified statement without entries on its people and its plan."""
    return sample.issued(sample.pv_case())


@pytest.fixture(scope="module")
def told(bare):
    """Return the same, with all entries of registry and verifier."""
    line = Line("generation", None, None, "C", "continuous", "0.5S", "monthly by invoice", "Shift")
    version = replace(
        bare.plan.versions[0], lines=(line,), procedures={"Deviations": "meter 2 stood for a day"}
    )
    made = replace(bare, plan=replace(bare.plan, public_url=URL, versions=(version,)))
    opinion = changed(
        made.opinion.credential_subject,
        team=(PersonNamed(name="Tran Thi Lan", function="lead verifier"),),
        site_visits=(SiteVisit(day="2027-01-20", place="Nam Cau Kien", text="both meters read"),),
        signatory=PersonNamed(name="Le Van Minh", function="director"),
        accreditation="VN-ACC-017",
    )
    made.__dict__["opinion"] = changed(made.opinion, credential_subject=opinion)
    subject = changed(made.stated.credential_subject, arrival=ARRIVAL)
    made.__dict__["stated"] = changed(made.stated, credential_subject=subject)
    return made


def cells(data):
    """Return the texts of the sheet, row by row."""
    sheet = openpyxl.load_workbook(BytesIO(data))["Audit file"]
    return [[c.value for c in row if c.value is not None] for row in sheet.iter_rows()]


def text_of(data):
    """Return the selectable text, without white space."""
    return "".join("".join(p.extract_text() for p in PdfReader(BytesIO(data)).pages).split())


def test_page_and_workbook_say_what_was_written(told):
    """Report and workbook contain the verifier's entries."""
    said = text_of(page(told, Words("en")))
    assert "tonneverifypack--keysKEYS_YOU_TRUST.json--statusSTATUS_LIST.json" in said
    rows = cells(workbook(told, Words("en")))
    flat = "".join("".join("".join(map(str, row)) for row in rows).split())
    for wanted in (
        "Tran Thi Lan, lead verifier",
        "2027-01-20, Nam Cau Kien: both meters read",
        "Le Van Minh, director",
        "VN-ACC-017",
        "monthly by invoice",
        "Shift",
        "meter 2 stood for a day",
        "38; 3.80 %",
        "2 of 14",
        "7 more have no recorded arrival time",
        f"{URL}/statements/{told.name}",
        "1,000",
    ):
        assert "".join(wanted.split()) in said, wanted
        assert "".join(wanted.split()) in flat, wanted


def test_what_nobody_wrote_is_not_invented(bare):
    """A report would name a team that never met, and show a code that leads nowhere."""
    rows = {row[0]: row[1:] for row in cells(workbook(bare, Words("en"))) if row}
    for name in (
        "Verification team",
        "Site visits",
        "Accreditation",
        "Signatory",
        "Check here",
        "Stated by the operator",
        "Readings with a recorded arrival time",
    ):
        assert rows[name] == ["not stated"], name
    assert all(block["kind"] != "code_of_dots" for block in status(bare, Words("en")))


def test_the_code_is_of_the_address(told):
    """A reader's telephone would open another statement."""
    (code,) = (b for b in status(told, Words("en")) if b["kind"] == "code_of_dots")
    again = segno.make(f"{URL}/statements/{told.name}", error="m", micro=False)
    assert code["lines"] == ["".join("1" if dot else "0" for dot in row) for row in again.matrix]
    assert code["alt"].endswith(f"/statements/{told.name}")


def test_uncertainties_are_combined_as_the_ipcc_says(bare):
    """Uncertainties are combined by the IPCC's error propagation."""
    one, other = bare.parameters
    three = changed(one, side="baseline", emissions_t="300.000000")
    four = changed(other, side="baseline", emissions_t="400.000000")
    assert percent_of(three) == percent_of(four) == Fraction(1, 2)
    # sqrt((0.005 x 300)^2 + (0.005 x 400)^2) = 2.5 of 700
    assert combined([three, four]) == ("2.500000", "0.36")
    # on the project's side the error adds, and the sum is less
    assert combined([three, changed(four, side="project")]) == ("2.500000", "2.50")
    assert combined([three, changed(four, calibrations=())]) == (None, None)
    assert combined([changed(three, emissions_t="0")]) == ("0.000000", None)
    (certificate,) = one.calibrations
    worse = changed(certificate, max_error_percent=None, accuracy_class="1")
    assert percent_of(changed(one, calibrations=(certificate, worse))) == 1
    unknown = changed(certificate, max_error_percent=None, accuracy_class=None)
    assert percent_of(changed(one, calibrations=(certificate, unknown))) is None

"""
What a programme's checks would find, before it finds them.

Requests came back for it: https://cdm.unfccc.int/CCheck/poaiss_forms/1HFRNB78DXEICJA/viewPublic
(a form that is not complete), https://cdm.unfccc.int/IRCheck/iss_forms/2ODI5C9JMG8LP0S/viewPublic
(sheet and report that contradict each other).
"""

import json
from io import BytesIO

import pytest
from pypdf import PdfReader

from mrv.report import make
from mrv.report.words import LANGUAGES, Words
from services.issuer import transitions as life
from services.issuer.submission import submission
from tests import registering
from tests.invoked import tonne
from tests.opinions import concluded
from tests.planted import planted
from tests.services.issuer import logged

FULL = """
registrations:
  - project: pv
    programme: JCM
    project_id: VN900
    registered: 2025-12-01
    negative_impacts: none
    verifications: [{statement: TN-pv-20260302-20260303-1, id: V-1}]
    participants:
      - {name: A, side: JPN, share_percent: "50", account: J-1}
      - {name: B, side: VNM, share_percent: "50", account: V-1}
"""


@pytest.fixture
def issued(database_url, tmp_path):
    """Return the signers and the name of an issued statement."""
    return planted(logged.issued, database_url, tmp_path)


def _checks(url, name, language="en"):
    with logged.issuer(url) as conn:
        facts, lines = submission(conn, name, language)
        return facts, {one.check: one for one in lines}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_line_says_on_which_page_it_stands(database_url, issued, language):
    """An operator would look through seven pages for each line of the list."""
    facts, found = _checks(database_url, issued[1], language)
    pages = PdfReader(BytesIO(make(facts, "pdf", language))).pages
    for one in found.values():
        if one.page is not None:
            text = pages[one.page - 1].extract_text()
            assert "".join(one.chapter.split()) in "".join(text.split()), one.check
    without = {one.check for one in found.values() if one.page is None}
    assert without <= {"documented", "factors", "sampled"}
    assert Words(language)["submission.completeness"]


def test_what_is_there_holds_and_what_lacks_is_named(database_url, issued, tmp_path, monkeypatch):
    """A request would come back for what could have been seen before it was sent."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    done = tonne("submission", "check", issued[1], "--json", code=4)
    found = {one["check"]: one for one in json.loads(done.stdout)["checks"]}
    for check in ("signed", "verified", "closed", "approved", "described", "planned", "words"):
        assert found[check]["lacking"] == [], check
    assert found["identified"]["lacking"] == ["inv-1", "inv-2"]
    assert "registrations[pv].project_id" in found["form"]["lacking"]
    assert "LACKS" in tonne("submission", "check", issued[1], code=4).stdout
    registering.register(database_url, tmp_path, FULL)
    found = _checks(database_url, issued[1])[1]
    # what no registry file can say: whose the tonne is that rounding leaves
    assert [one.partition(":")[0] for one in found["form"].lacking] == ["allocation"]


def test_what_a_verifier_left_blank_or_open_is_named(database_url, issued):
    """An opinion without a word on a parameter would be sent to the programme."""
    who, _ = issued
    name = logged.submitted(database_url, who, "2026-03-01", "2026-03-02")
    lacking = _checks(database_url, name)[1]
    assert lacking["verified"].lacking
    with logged.issuer(database_url) as conn:
        life.verify(conn, name, who["verifier"], concluded("qualified"))
    found = _checks(database_url, name)[1]
    assert "generation (inv-1): no row" in found["words"].lacking
    assert len(found["closed"].lacking) > 0
    assert found["team"].lacking == ("Verification team", "Signatory", "Accreditation")

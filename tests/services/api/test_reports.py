"""Reports over HTTP: in the format and language that the caller accepts, for permitted users."""

from io import BytesIO

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from mrv.report import LANGUAGES, MEDIA_TYPES, make
from services.api.answers import ProblemError, language, media_type
from services.issuer.report import facts_of
from services.store.postgres.pool import connect
from tests.services.api.test_bad_requests import is_problem

OFFERED = ("application/json", "application/vc", "application/pdf")


def test_the_reports_are_those_of_the_command_line(served):
    """The city would download another report than the operator submits."""
    with connect(served.database_url, role="tonne_mrv", autocommit=True) as conn:
        facts = facts_of(conn, served.issued)
    path = f"/v1/statements/{served.issued}"
    pdf = served.ask(f"{path}.pdf", params={"lang": "vi"})
    assert pdf.content == make(facts, "pdf", "vi")
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.headers["content-language"] == "vi"
    assert pdf.headers["cache-control"] == "public, no-cache"
    xlsx = served.ask(f"{path}.xlsx", "scoped", headers={"Accept-Language": "ja-JP, en;q=0.5"})
    assert xlsx.content == make(facts, "xlsx", "ja")
    assert xlsx.headers["cache-control"] == "private, no-cache"
    assert f"{served.issued}.ja.xlsx" in xlsx.headers["content-disposition"]
    assert "モニタリング報告" in load_workbook(BytesIO(xlsx.content)).sheetnames


def test_a_caller_gets_the_form_that_it_accepts(served):
    """A program that asks for the signed document would get a page, or the other way."""
    path = f"/v1/statements/{served.issued}"
    signed = served.ask(f"{path}.json").content
    found = served.ask(path, headers={"Accept": "application/vc"})
    assert (found.headers["content-type"], found.content) == ("application/vc", signed)
    found = served.ask(f"{path}.json", headers={"Accept": "application/vc, */*;q=0.1"})
    assert (found.headers["content-type"], found.content) == ("application/vc", signed)
    found = served.ask(path, headers={"Accept": "application/pdf"})
    assert len(PdfReader(BytesIO(found.content)).pages) >= 3
    assert "Accept" in found.headers["vary"]
    found = served.ask(path, headers={"Accept": "text/html, */*;q=0.1"})
    assert found.json()["statement"] == served.issued
    sheet = served.ask(path, headers={"Accept": MEDIA_TYPES["xlsx"]})
    is_problem(sheet, 401)
    assert served.ask(path, "auditor", headers={"Accept": MEDIA_TYPES["xlsx"]}).status_code == 200


@pytest.mark.parametrize("suffix", ["", ".json", ".pdf"])
def test_a_form_or_language_that_is_not_there_is_refused(served, suffix):
    """A caller would read an error page, or a language that no one there reads, as the answer."""
    path = f"/v1/statements/{served.issued}{suffix}"
    if suffix != ".pdf":
        detail = is_problem(served.ask(path, headers={"Accept": "text/html"}), 406)
        assert "application/vc" in detail
    else:
        detail = is_problem(served.ask(path, headers={"Accept-Language": "fr, ko;q=0.8"}), 406)
        assert ", ".join(LANGUAGES) in detail
        is_problem(served.ask(path, params={"lang": "xx"}), 422)
        is_problem(served.ask(path, params={"lang": ""}), 422)
    assert served.ask(path, headers={"Accept": "*/*", "Accept-Language": "fr, *;q=0.1"}).is_success


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("bytes=99999999999-", 416), ("bytes=-0", 416), ("bytes=5-2", 400), ("bytes=x", 400),
        ("bytes=", 400), ("lines=1-2", 400), ("bytes=0-0," * 16 + "0-0", 400),
        ("bytes=--1", 400), ("bytes=0-0, 99999999999-", 416),
    ],
)  # fmt: skip
def test_ranges_out_of_order_are_refused(served, asked, status):
    """A broken download would go on with the wrong bytes."""
    for suffix, who in ((".pdf", None), ("/evidence", "auditor")):
        path = f"/v1/statements/{served.issued}{suffix}"
        found = served.ask(path, who, headers={"Range": asked})
        is_problem(found, status)
        if status == 416:
            assert found.headers["content-range"].startswith("bytes */")


def test_a_draft_is_reported_within_its_scope_alone(served):
    """A competitor would read figures that no one has verified."""
    path = f"/v1/statements/{served.draft}"
    found = served.ask(f"{path}.pdf", "scoped")
    assert found.headers["cache-control"] == "private, no-cache"
    assert "draft" in PdfReader(BytesIO(found.content)).pages[1].extract_text()
    for suffix in (".pdf", ".xlsx"):
        is_problem(served.ask(path + suffix, "stranger"), 404)
    is_problem(served.ask(f"{path}.pdf"), 404)
    is_problem(served.ask(f"{path}.xlsx"), 401)
    is_problem(served.ask(f"/v1/statements/{served.issued}.xlsx", "stranger"), 404)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, "application/json"), ("", "application/json"), ("*/*", "application/json"),
        ("application/*;q=0.5, application/pdf", "application/pdf"),
        ("application/json;q=0, */*", "application/vc"),
        ("application/pdf;q=0.4, application/vc;q=0.9", "application/vc"),
        ("APPLICATION/PDF", "application/pdf"), ("text/html, application/pdf;q=0.1",
                                                 "application/pdf"),
        ("text/html", None), ("application/pdf;q=nan", None), ("application/pdf;q=9", None),
        (";;;,,,", "application/json"), ("\x00", None), ("a" * 5_000, None),
    ],
)  # fmt: skip
def test_the_best_form_is_chosen(accept, wanted):
    """A caller would get a form that it cannot read, though one that it can is there."""
    if wanted is None:
        with pytest.raises(ProblemError, match="available: application/json") as found:
            media_type(accept, OFFERED)
        assert found.value.status == 406
    else:
        assert media_type(accept, OFFERED) == wanted


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, "en"), ("vi-VN,vi;q=0.9,en-US;q=0.8", "vi"), ("ja", "ja"), ("fr, *;q=0.1", "en"),
        ("en;q=0.1, ja;q=0.2", "ja"), ("ko", None), ("de-AT", "de"), ("vix", None), ("*;q=0", None),
    ],
)  # fmt: skip
def test_the_best_language_is_chosen(accept, wanted):
    """A Vietnamese reader would get English though it is there in Vietnamese."""
    if wanted is None:
        with pytest.raises(ProblemError, match=", ".join(LANGUAGES)):
            language(accept, LANGUAGES)
    else:
        assert language(accept, LANGUAGES) == wanted

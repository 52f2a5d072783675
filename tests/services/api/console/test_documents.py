"""Documents and invoices uploaded in the console: hashed there, stored whole, imported at once."""

import hashlib
import html

import pytest
from psycopg.errors import InsufficientPrivilege

from services.store.postgres.pool import connect
from tests.services.api import plain
from tests.services.api.console.languages import SHOWN
from tests.services.api.console.visiting import foreign_parts, get, session

PDF = b"%PDF-1.7\r\n--x\r\n\x00\xff a scan of paper \r\n\r\n%%EOF\r\n"
SHA256 = hashlib.sha256(PDF).hexdigest()
INVOICE = {
    "project": "pv", "id": "inv-console", "issuer": "City utility", "number": "R-1",
    "issued": "2026-04-02", "devices": "inv-1", "from": "2026-03-01", "to": "2026-04-01",
    "amount": "100", "unit": "kWh",
}  # fmt: skip


def _handed_in(served, what="", who="operator", data=PDF, name="scan.pdf", language="en", **fields):
    return plain.post(
        f"{served.url}/console/{language}/documents{what}",
        files={"file": (name, data, "application/pdf")},
        data=fields,
        cookies=session(served, who),
    )


@pytest.mark.parametrize("language", SHOWN)
def test_a_document_is_kept_and_its_row_is_given(served, language):
    """An officer would have to compute a hash, and the file would be on one desk alone."""
    answer = _handed_in(
        served, language=language, title="Plan no. 7", by="Office", issued="2026-01-02"
    )
    assert answer.status_code == 200, answer.text
    text = html.unescape(answer.text)
    assert f"sha256: {SHA256}" in text
    assert "document: Plan no. 7" in text
    assert "issued: 2026-01-02" in text or "issued: '2026-01-02'" in text
    assert foreign_parts(answer.text) == []
    back = plain.get(
        f"{served.url}/console/{language}/documents/{SHA256}", cookies=session(served, "auditor")
    )
    assert back.content == PDF
    assert back.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in back.headers["content-security-policy"]


def test_a_document_stays_as_it_was_handed_in(served):
    """An uploaded document cannot be changed afterwards."""
    _handed_in(served)
    _handed_in(served, name="other name.pdf")
    with connect(served.database_url) as conn:
        rows = conn.execute(
            "SELECT name, author FROM document_file WHERE sha256 = %s", [SHA256]
        ).fetchall()
    assert rows == [("scan.pdf", "the operator")]
    for change in ("UPDATE document_file SET name = 'x'", "DELETE FROM document_file"):
        with connect(served.database_url) as conn, pytest.raises(InsufficientPrivilege):
            conn.execute(change)


def test_an_invoice_is_taken_with_its_file(served):
    """An invoice would stand without its document, or a document without its invoice."""
    answer = _handed_in(served, "/invoice", data=PDF + b"invoice", **INVOICE)
    assert answer.status_code == 200, html.unescape(answer.text)
    sha256 = hashlib.sha256(PDF + b"invoice").hexdigest()
    kept = served.ask("/v1/invoices/inv-console", "operator").json()
    assert kept["sha256"] == sha256
    assert kept["author"] == "the operator"
    assert (
        get(served, f"/console/en/documents/{sha256}", session(served, "operator")).status_code
        == 200
    )


@pytest.mark.parametrize(("typed", "wh"), [("1.234,5", 1_234_500), ("0,25", 250)])
def test_an_amount_is_read_as_bills_write_it(served, typed, wh):
    """A German bill would be refused, or be entered as a thousandth of itself."""
    fields = {**INVOICE, "id": f"inv-{wh}", "number": f"R-{wh}", "amount": typed}
    answer = _handed_in(served, "/invoice", data=PDF + typed.encode(), **fields)
    assert answer.status_code == 200, html.unescape(answer.text)
    with connect(served.database_url) as conn:
        sql = "SELECT (document->>'value')::bigint FROM invoice WHERE id = %s"
        assert conn.execute(sql, [fields["id"]]).fetchone() == (wh,)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [({"amount": "24.583"}, "can mean two numbers"), ({"unit": ""}, "enter the unit")],
)
def test_an_amount_is_not_guessed(served, change, wrong):
    """An invoice of 24,583 kWh would count as 24.583, or 712 litres as cubic metres."""
    answer = _handed_in(served, "/invoice", **{**INVOICE, "id": "inv-guess", **change})
    assert answer.status_code == 422
    assert wrong in answer.text


def test_a_wrong_invoice_keeps_nothing(served):
    """Half of a delivery would be there, and the other half be submitted twice."""
    data = PDF + b"wrong"
    wrong = {**INVOICE, "id": "inv-wrong", "devices": "no-meter", "number": "<b>R</b>"}
    answer = _handed_in(served, "/invoice", data=data, **wrong)
    assert answer.status_code == 422
    text = html.unescape(answer.text)
    assert "no-meter does not serve project pv" in text
    assert "<b>R</b>" not in answer.text
    with connect(served.database_url) as conn:
        assert conn.execute(
            "SELECT FROM document_file WHERE sha256 = %s", [hashlib.sha256(data).hexdigest()]
        ).fetchone() is None  # fmt: skip
    assert served.ask("/v1/invoices/inv-wrong", "operator").status_code == 404


def test_documents_are_for_those_who_see_all_and_taken_from_operators(served):
    """Contracts and prices would be open to anyone, or a stranger fill the database."""
    page = "/console/en/documents"
    _handed_in(served)
    assert get(served, page).status_code == 401
    assert get(served, f"{page}/{SHA256}").status_code == 401
    assert get(served, page, session(served, "scoped")).status_code == 403
    assert get(served, f"{page}/{SHA256}", session(served, "scoped")).status_code == 403
    assert get(served, f"{page}/{'0' * 64}", session(served, "auditor")).status_code == 404
    for who in ("auditor", "verifier", "admin", "scoped"):
        assert _handed_in(served, who=who).status_code == 403
        assert _handed_in(served, "/invoice", who=who, **INVOICE).status_code == 403
    assert get(served, page, session(served, "auditor")).status_code == 200
    foreign = plain.post(
        f"{served.url}{page}",
        files={"file": ("a.pdf", PDF)},
        cookies=session(served, "operator"),
        headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"},
    )
    assert foreign.status_code == 403


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"no form", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\n--x--\r\n", "multipart/form-data"),
        (b"--x" * 200 + b"--", "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--x--',
            "multipart/form-data; boundary=x",
        ),
        (b"", "application/x-www-form-urlencoded"),
        (b"file=a", "text/plain"),
    ],
)
def test_what_is_no_form_is_refused(served, body, kind):
    """A broken upload would be a defect of the server, or keep an empty document."""
    answer = plain.post(
        f"{served.url}/console/en/documents",
        content=body,
        cookies=session(served, "operator"),
        headers={"Content-Type": kind},
    )
    assert answer.status_code == 422


def test_a_document_that_is_too_large_is_refused(served):
    """A film of some hundred megabytes would fill the database."""
    assert _handed_in(served, data=b"x" * ((8 << 20) + 1)).status_code == 413

"""Verifiers, thresholds and reasons: invalid ones are refused at every entry."""

from datetime import UTC, datetime

import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from mrv.errors import EnrolmentError, StatementStateError
from mrv.signatures.data_integrity import create_proof
from mrv.statement.credentials import conclusion_of, sign_verification
from services.issuer import documents as steps
from services.issuer import external_signatures as accept
from services.issuer import transitions as life
from services.store.statements import statements
from tests import holders
from tests.invoked import printed
from tests.opinions import concluded, filled
from tests.services.issuer import logged

TAX = {"operator": "0312345678", "verifier": "0312345678-001"}
SAID = {
    "of one entity": ("one organisation", lambda role: {"organisationId": TAX[role]}),
    "no organisation": ("names no organisation", lambda _: {"organisation": None}),
    "no accreditation": ("names no accreditation", lambda _: {"accreditation": None}),
}


def _each(name, **change):
    """Return functions that change each row of a part of a conclusion; None removes the key."""
    return lambda said: {
        name: [{k: v for k, v in {**one, **change}.items() if v is not None} for one in said[name]]
    }


WRONG = {
    "high": (lambda _: {"materiality_percent": "99"}, "0 to 10 %"),
    "just": (lambda _: {"materiality_percent": "10.01"}, "0 to 10 %"),
    "no reason": (_each("unmet", reason=None), "while findings are open"),
    "dot": (_each("unmet", reason="."), "at least 20 characters"),
    "dots": (_each("unmet", reason="." * 40), "with 10 letters"),
    "no words": (lambda _: {"parameters": []}, r"generation \(inv-1\): no row"),
    "a blank": (_each("parameters", means=""), r"generation \(inv-1\): means"),
    "no source": (_each("parameters", source=" "), r"generation \(inv-1\): source"),
    "no cross-check": (_each("parameters", crossChecked="-"), r"\(inv-1\): cross_checked"),
    "a word": (_each("requirements", opinion="ok"), "eligibility: opinion"),
    "another meter": (_each("parameters", device="inv-9"), "appears twice|none of the statement"),
}


def _bounds(conn, change):
    """Write what the keys state about their holders, as a database of 0.1.0 or its owner may."""
    for role in ("operator", "verifier"):
        said = holders.BOUNDS[role].to_json() | change(role)
        kept = {name: value for name, value in said.items() if value is not None}
        conn.execute(
            "UPDATE enrolled_key SET bounds = %s WHERE role = %s AND name LIKE 'the-%%'",
            (Jsonb(kept), role),
        )


@pytest.mark.parametrize("case", SAID)
def test_who_may_not_verify_is_refused_at_each_step(conn, submitted, case):
    """A statement would be issued on the word of the operator's own branch, or of no one known."""
    (who, name), (told, change) = submitted, SAID[case]
    key = who["verifier"]
    _bounds(conn, change)
    with pytest.raises(EnrolmentError, match=told):
        life.verify(conn, name, key, concluded("unmodified", of=(conn, name)))
    with pytest.raises(errors.CheckViolation, match=r"legal entity|have to name"):
        statements.step(conn, name, "verified", "v", multikey=key.holder.multikey, document=b"{}")
    # verified before the keys were read so
    _bounds(conn, lambda _: {})
    life.verify(conn, name, key, concluded("unmodified", of=(conn, name)))
    _bounds(conn, change)
    with pytest.raises(EnrolmentError, match=told):
        life.issue(conn, name, who["log"], "test")
    _bounds(conn, lambda _: {})
    life.issue(conn, name, who["log"], "test")


def test_a_statement_of_the_first_release_is_verified_by_the_keys_of_then(conn, submitted):
    """Keys of 0.1.0 name no organisation: its periods could not be verified any more."""
    (who, name) = submitted
    _bounds(conn, lambda role: dict.fromkeys(holders.BOUNDS[role].to_json()))
    conn.execute("SET ROLE tonne_owner")
    conn.execute("ALTER TABLE statement DISABLE TRIGGER append_only")
    conn.execute(
        "UPDATE statement SET document = document #- '{credentialSubject,metering}'"
        " #- '{credentialSubject,accounting}'"
    )
    conn.execute("RESET ROLE")
    key = who["verifier"].holder.multikey
    statements.step(conn, name, "verified", "v", multikey=key, document=b"{}")
    assert statements.find(conn, name).state == "verified"


@pytest.mark.parametrize("case", WRONG)
def test_a_conclusion_that_no_programme_takes_is_refused(conn, submitted, case):
    """An opinion that does not assess each parameter, or lacks a reason, is rejected."""
    (who, name), (change, told) = submitted, WRONG[case]
    have, signer = steps.documents(conn, name), who["verifier"]
    right = concluded("unmodified", of=have.claims)
    good = sign_verification(have.statement, right, *signer, datetime.now(UTC))
    said = {**good["credentialSubject"], **change(good["credentialSubject"])}
    with pytest.raises(StatementStateError, match=told):
        life.verify(conn, name, signer, conclusion_of({**good, "credentialSubject": said}))
    # by a client that checks nothing, as the API takes it
    body = {key: value for key, value in good.items() if key != "proof"}
    forged = create_proof({**body, "credentialSubject": said}, signer.key, datetime.now(UTC))
    with pytest.raises(StatementStateError, match=told):
        accept.verification(conn, name, forged)
    assert statements.find(conn, name).state == "submitted"
    assert accept.verification(conn, name, good) == "verified"


def test_the_command_says_what_it_wants(database_url, submitted, tmp_path, monkeypatch):
    """A verifier would learn of an error only from the auditor."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    (_, name) = submitted
    verify = ("statement", "verify", name, "--key", "the-verifier", "--opinion", "unqualified",
              "--assurance", "reasonable")  # fmt: skip
    report = tmp_path / "report.yaml"
    template = printed("statement", "template", name)
    report.write_text(template, "utf-8")
    for more, told in (
        (("--materiality", "99"), "--materiality '99'"),
        (("--materiality", "1e1"), "--materiality '1e1'"),
        ((), "while findings are open"),
        (("--report", report), "while findings are open"),
    ):
        assert told in printed(*verify, *more, code=2)
    for text, told in (
        (filled(template, "."), "at least 20 characters"),
        (filled(template).replace(name, "TN-other"), "is the report on 'TN-other'"),
        (filled(template).replace("reason: ", "because: "), "because"),
        (filled(template).replace("findings:", "findings: []\nothers:"), "others"),
        ("- a list", "not a verification report"),
    ):
        report.write_text(text, "utf-8")
        assert told in printed(*verify, "--report", report, code=2)
    report.write_text(filled(template), "utf-8")
    assert "certificate C-1 of 2025-12-20 to 2027-12-20" in template
    create = ("keys", "create", "--no-enroll", "--name", "x", "--role")
    assert "--organisation and --accreditation" in printed(*create, "verifier", code=2)
    assert "--organisation:" in printed(*create, "operator", code=2)
    file = tmp_path / "keys.json"
    file.write_text(
        '{"keys": [{"name": "x", "role": "verifier", "publicKeyMultibase": "'
        f'{logged.held(tmp_path)["verifier"].holder.multikey}"'
        "}]}"
    )
    assert "names no organisation and no accreditation" in printed("keys", "enroll", file, code=2)
    assert "verified" in printed(*verify, "--report", report)

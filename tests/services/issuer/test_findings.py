"""Findings of a verification: who raises, answers and closes them, and what an open one blocks."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from psycopg import errors

from mrv.documents.verification import About
from mrv.errors import CanonicalError, EnrolmentError, SignatureError, StatementStateError
from mrv.packs.reader import read_pack
from mrv.report.audit_rows import finding_rows
from mrv.report.words import Words
from mrv.signatures import canonical
from mrv.signatures.data_integrity import create_proof
from mrv.signatures.keys import read_keyring
from mrv.statement.conditions import unmet
from mrv.statement.credentials import Finding, sign_verification
from mrv.statement.findings import sign_event
from mrv.verify import verify
from mrv.verify.steps import findings
from mrv.verify.subject import Subject
from services.issuer import documents as steps
from services.issuer import external_signatures as accept
from services.issuer import keys
from services.issuer import transitions as life
from services.issuer.close import supersede
from services.issuer.documents import sign
from services.issuer.pack import export
from services.issuer.report import facts_of
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from services.store.statements import statements
from tests import holders, registering
from tests.opinions import concluded
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period

WORDS, ELSEWHERE = "seen in the files of the period", "claimed in another statement"


@pytest.fixture
def who(submitted):
    """Return the signers."""
    return submitted[0]


@pytest.fixture
def name(submitted):
    """Return the submitted statement."""
    return submitted[1]


def say(conn, name, signer, *said, principal=None):
    return accept.finding(conn, name, sign(conn, name, signer, said), principal)


def states(conn, name):
    return {one.name: one.state for one in steps.records(conn, steps.documents(conn, name))}


def test_an_open_request_stands_against_an_unqualified_opinion(conn, who, name):
    """An unqualified opinion is rejected while a request is open."""
    say(conn, name, who["verifier"], "raised", "CAR", "no certificate of inv-2", "0.001")
    assert statements.find(conn, name).state == "under_verification"
    unqualified = concluded("unqualified", of=(conn, name))
    with pytest.raises(StatementStateError, match="CAR-1 is open"):
        life.verify(conn, name, who["verifier"], unqualified)
    say(conn, name, who["operator"], "answered", "CAR-1", WORDS, None)
    with pytest.raises(StatementStateError, match="CAR-1 is open"):
        life.verify(conn, name, who["verifier"], concluded("unmodified", of=(conn, name)))
    say(conn, name, who["verifier"], "closed", "CAR-1", WORDS, "0")
    assert life.verify(conn, name, who["verifier"], unqualified) == "verified"
    said = steps.documents(conn, name).verification["credentialSubject"]
    (shown,) = said["findings"]
    assert (shown["finding"], shown["state"], shown["effect_t"]) == ("CAR-1", "closed", "0")
    assert [e["event"] for e in shown["events"]] == ["raised", "answered", "closed"]
    assert said["opinion"] == "unqualified"
    assert [e.state for e in statements.events(conn, name)] == [
        "draft",
        "submitted",
        "under_verification",
        "verified",
    ]


@pytest.fixture
def pack(conn, who, name, tmp_path):
    """Return a folder with the pack of an issued statement that had a finding."""
    say(conn, name, who["verifier"], "raised", "CL", "which meter is main?", None)
    say(conn, name, who["operator"], "answered", "CL-1", "the one with serial A1", None)
    say(conn, name, who["verifier"], "closed", "CL-1", WORDS, None)
    life.verify(conn, name, who["verifier"], concluded("unqualified", "limited", of=(conn, name)))
    life.issue(conn, name, who["log"], "test")
    return export(conn, name, tmp_path / "pack")


def test_findings_travel_in_the_pack(pack):
    """The evidence pack contains findings and answers."""
    report = verify(read_pack(pack))
    assert report.consistent, report.failure
    (step,) = [one for one in report.steps if one.name == "findings"]
    assert step.outcome == "ok"
    assert "1 raised, 0 open" in step.detail


@pytest.mark.parametrize("spoil", ["text", "order", "last", "all", "other"])
def test_a_spoiled_finding_is_named(pack, spoil):
    """The verifier's doubts could be softened or taken out on the way to the reader."""
    whole = read_pack(pack)
    listed = canonical.parse(whole.files["findings.json"])
    if spoil == "text":
        listed[1]["credentialSubject"]["text"] = "both"
    elif spoil == "order":
        listed.reverse()
    elif spoil == "last":
        listed.pop()
    elif spoil == "other":
        listed[2]["credentialSubject"]["effect_t"] = "1"
    left = {k: v for k, v in whole.files.items() if k != "findings.json"}
    files = left if spoil == "all" else {**left, "findings.json": canonical.legible(listed)}
    subject = Subject(replace(whole, files=files))
    subject.ring = read_keyring(whole.files["keys.json"])
    with pytest.raises((SignatureError, StatementStateError)):
        findings(subject)
    if spoil != "all":
        changed = (pack / "findings.json").write_bytes(files["findings.json"])
        assert changed
        assert not verify(read_pack(pack)).consistent


def test_observations_stand_against_nothing(conn, who, name):
    """A forward action request would block the present issue."""
    for kind in ("OBS", "FAR"):
        say(conn, name, who["verifier"], "raised", kind, WORDS, None)
    life.verify(conn, name, who["verifier"], concluded("unqualified", "limited", of=(conn, name)))
    assert states(conn, name) == {"OBS-1": "open", "FAR-1": "open"}


@pytest.mark.parametrize("effects", [("2",), ("0.4", "-0.4"), ("-2",)])
def test_misstatements_are_held_against_materiality_net_and_absolute(conn, who, name, effects):
    """Net and absolute misstatements are compared with the threshold."""
    for effect in effects:
        say(conn, name, who["verifier"], "raised", "OBS", WORDS, effect)
    with pytest.raises(StatementStateError, match="misstatements of"):
        life.verify(conn, name, who["verifier"], concluded("unqualified", of=(conn, name)))
    life.verify(conn, name, who["verifier"], Finding("qualified", "reasonable", "5"))
    found = steps.documents(conn, name).verification["credentialSubject"]["misstatements"]
    assert found["material"] is True
    assert float(found["absoluteMisstatement_t"]) == sum(abs(float(e)) for e in effects)


@pytest.mark.parametrize(
    ("role", "said", "match"),
    [
        ("operator", ("raised", "CAR", WORDS, None), "enrolled as operator"),
        ("operator", ("closed", "CAR-1", WORDS, None), "enrolled as operator"),
        ("verifier", ("answered", "CAR-1", WORDS, None), "enrolled as verifier"),
        ("verifier", ("closed", "CAR-1", WORDS, None), "no answer yet"),
        ("operator", ("answered", "CAR-2", WORDS, None), "no finding CAR-2"),
        ("operator", ("answered", "CAR-1", WORDS, "1"), "only the verifier states"),
        ("operator", ("answered", "CAR-1", "  ", None), "too short for a reader to assess"),
        ("verifier", ("raised", "CAR", WORDS, "lots"), "decimal number"),
    ],
)
def test_each_says_what_is_theirs_in_its_turn(conn, who, name, role, said, match):
    """An operator could close the verifier's own finding, or answer where nothing was asked."""
    say(conn, name, who["verifier"], "raised", "CAR", WORDS, None)
    with pytest.raises((EnrolmentError, StatementStateError, CanonicalError), match=match):
        say(conn, name, who[role], *said)
    assert states(conn, name) == {"CAR-1": "open"}


def test_a_closed_finding_and_a_verified_statement_are_left_alone(conn, who, name):
    """What was verified could get findings that the opinion does not know."""
    say(conn, name, who["verifier"], "raised", "OBS", WORDS, None)
    say(conn, name, who["verifier"], "closed", "OBS-1", WORDS, None)
    with pytest.raises(StatementStateError, match="is closed"):
        say(conn, name, who["verifier"], "closed", "OBS-1", WORDS, None)
    life.verify(conn, name, who["verifier"], concluded("unqualified", of=(conn, name)))
    with pytest.raises(StatementStateError, match="is verified"):
        say(conn, name, who["verifier"], "raised", "OBS", WORDS, None)


def test_what_was_signed_elsewhere_is_taken_as_it_was_signed(conn, who, name):
    """A server could put other words into the verifier's mouth, or take another statement's."""
    have = steps.documents(conn, name)
    now = datetime.now(UTC)
    made = sign_event(have.statement, (), ("raised", "CAR", WORDS, None), *who["verifier"], now)
    for spoiled in (
        {
            **made,
            "credentialSubject": {
                **made["credentialSubject"],
                "text": "another text than was signed",
            },
        },
        {**made, "issuer": {"id": "did:key:zX", "name": "x"}},
    ):
        with pytest.raises((SignatureError, EnrolmentError)):
            accept.finding(conn, name, spoiled)
    accept.finding(conn, name, made)
    with pytest.raises(StatementStateError, match="raised already"):
        accept.finding(conn, name, made)


def test_a_verification_signed_before_a_finding_does_not_pass_over_it(conn, who, name):
    """A verification signed before a later finding is not accepted."""
    have = steps.documents(conn, name)
    right = concluded("unqualified", of=have.claims)
    early = sign_verification(have.statement, right, *who["verifier"], datetime.now(UTC))
    say(conn, name, who["verifier"], "raised", "OBS", WORDS, None)
    with pytest.raises(CanonicalError, match="with its 1 findings"):
        accept.verification(conn, name, early)
    assert statements.find(conn, name).state == "under_verification"


def test_a_finding_names_devices_and_days_of_its_statement(conn, who, name, tmp_path):
    """A finding names devices and days of its statement."""
    raised = "raised", "CAR", "the register stood still in the sun", None
    for wrong, match in (
        (About(devices=("inv-9",)), "'inv-9' is not a device of"),
        (About(from_="2026-03-02", to="2026-03-03"), "2026-03-01 to 2026-03-02"),
        (About(from_="2026-02-28", to="2026-03-02"), "are not within"),
        (About(from_="2026-03-01"), "both `from` and `to`"),
        (About(from_="march", to="april"), "write 2026-01-31"),
        (About(from_="20260301", to="20260302"), "write 2026-01-31"),
    ):
        with pytest.raises(StatementStateError, match=match):
            accept.finding(conn, name, sign(conn, name, who["verifier"], raised, wrong))
    about = About(devices=("inv-1",), from_="2026-03-01", to="2026-03-02")
    accept.finding(conn, name, sign(conn, name, who["verifier"], raised, about))
    answered = "answered", "CAR-1", WORDS, None
    with pytest.raises(StatementStateError, match="when a finding is raised"):
        accept.finding(conn, name, sign(conn, name, who["operator"], answered, about))
    life.verify(conn, name, who["verifier"], Finding("qualified", "reasonable", "5"))
    said = steps.documents(conn, name).verification["credentialSubject"]["findings"][0]
    assert said["about"] == {"devices": ["inv-1"], "from": "2026-03-01", "to": "2026-03-02"}
    facts = facts_of(conn, name)
    (row,) = finding_rows(facts, Words("en"))
    assert row.text.startswith("inv-1; 2026-03-01: the register")
    pack = read_pack(export(conn, name, tmp_path / "pack"))
    assert verify(pack).consistent


def test_principals_of_the_api_are_two_as_well(conn, who, name):
    """One login cannot be both preparer and verifier."""
    say(conn, name, who["verifier"], "raised", "OBS", WORDS, None, principal="key:v")
    say(conn, name, who["operator"], "answered", "OBS-1", WORDS, None, principal="key:o")
    with pytest.raises(EnrolmentError, match="key:o prepared"):
        say(conn, name, who["verifier"], "closed", "OBS-1", WORDS, None, principal="key:o")


def test_the_database_refuses_what_the_code_would(conn, who, name, database_url, tmp_path):
    """Anyone who writes past the code could close findings with the operator's key."""
    say(conn, name, who["verifier"], "raised", "CAR", WORDS, None)
    operator = who["operator"].holder.multikey
    verifier = who["verifier"].holder.multikey
    insert = (
        "INSERT INTO finding_event (statement_id, finding, number, event, actor, multikey, reason,"
        " document) VALUES (%s, %s, %s, %s, 'x', %s, 'x', '')"
    )
    for finding, number, event, key in (
        ("CAR-1", 2, "closed", operator),
        ("CAR-1", 3, "closed", verifier),
        ("CAR-1", 2, "raised", verifier),
        ("CAR-2", 1, "answered", operator),
        ("CAR-2", 1, "raised", operator),
    ):
        with pytest.raises(errors.CheckViolation):
            conn.execute(insert, (name, finding, number, event, key))
    with pytest.raises(errors.InsufficientPrivilege):
        conn.execute("DELETE FROM finding_event")
    with (
        connect(database_url, autocommit=True) as owner,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        owner.execute("UPDATE finding_event SET reason = 'y'")


def test_an_issued_statement_is_revoked_for_good(conn, who, name):
    """A tonne that was sold elsewhere would count here permanently."""
    with pytest.raises(StatementStateError, match="is submitted and cannot become revoked"):
        life.revoke(conn, name, who["log"], "test", "revoked while it is verified")
    life.verify(conn, name, who["verifier"], concluded("unqualified", of=(conn, name)))
    life.issue(conn, name, who["log"], "test")
    life.revoke(conn, name, who["log"], who["operator"].holder, ELSEWHERE)
    last = statements.events(conn, name)[-1]
    assert (last.state, last.actor, last.reason) == ("revoked", "the-operator", ELSEWHERE)
    for step in (life.revoke, life.issue):
        more = (ELSEWHERE,) if step is life.revoke else ()
        with pytest.raises(StatementStateError, match="is revoked"):
            step(conn, name, who["log"], "test", *more)
    kind, body = conn.execute(
        "SELECT kind, convert_from(body, 'UTF8')::jsonb ->> 'reason' FROM log_entry"
        " ORDER BY index DESC LIMIT 1"
    ).fetchone()
    assert (kind, body) == ("revoked", ELSEWHERE)
    # its period is free again
    day = plant.us("2026-03-01"), plant.us("2026-03-02")
    again = close_period(conn, "pv", *day, "test")
    assert (again.new, again.statement) == (True, name[:-1] + "2")


def test_an_ended_key_raises_nothing(conn, who, name, tmp_path):
    """Findings signed with a stolen key of the verifier would still be accepted."""
    enrolled.enroll(conn, holders.create(tmp_path, "another", "verifier"))
    gone = steps.Signer(*keys.load(tmp_path, "another"))
    made = sign(conn, name, gone, ("raised", "CAR", WORDS, None))
    enrolled.revoke(conn, "another", datetime.now(UTC))
    with pytest.raises((EnrolmentError, SignatureError)):
        accept.finding(conn, name, made)


@pytest.mark.parametrize("words", ["", "because", "0123456789 0123456789 0123456789"])
def test_no_step_is_taken_for_a_reason_that_says_nothing(conn, who, name, words):
    """The log would say permanently that a statement was revoked "x"."""
    judged = pytest.raises(StatementStateError, match="too short for a reader to assess: describe")
    with judged:
        say(conn, name, who["verifier"], "raised", "CAR", words, None)
    with judged:
        life.revoke(conn, name, who["log"], "test", words)
    with judged:
        supersede(conn, name, "test", words)
    # by who signs elsewhere, with a program of its own
    made = sign(conn, name, who["verifier"], ("raised", "OBS", "kiểm tra tại hiện trường", None))
    made["credentialSubject"]["text"] = words or "-"
    del made["proof"]
    made = create_proof(made, who["verifier"].key, datetime.now(UTC))
    with pytest.raises(StatementStateError, match="too short for a reader"):
        accept.finding(conn, name, made)


FAR = "the seal of inv-2 is to be photographed at the next visit"
REGISTERED = """
registrations:
  - project: pv
    registered: 2025-12-01
    validation:
      forward_actions: [{id: FAR-3, text: the length of the cable to inv-1 is to be measured}]
"""


def _next(conn, who, name, opinion, reason="the photograph of the seal was seen on site"):
    """Verify and issue a submitted statement; return its open forward actions."""
    said = steps.documents(conn, name).claims
    found = [
        dict(one.values)["finding"]
        for each in unmet(said)
        for one in each.texts
        if one.code == "PLN-02.forward"
    ]
    life.verify(conn, name, who["verifier"], concluded(opinion, of=said, reason=reason))
    life.issue(conn, name, who["log"], "test")
    return found


def test_a_forward_action_is_a_finding_until_a_verifier_closed_it(
    conn, who, name, database_url, tmp_path
):
    """A forward action request is reported until a verifier closes it."""
    say(conn, name, who["verifier"], "raised", "FAR", FAR, None)
    say(conn, name, who["verifier"], "raised", "FAR", "closed within this verification", None)
    say(conn, name, who["verifier"], "closed", "FAR-2", WORDS, None)
    assert _next(conn, who, name, "unqualified") == []
    registering.register(database_url, tmp_path, REGISTERED)
    second = logged.submitted(database_url, who, "2026-03-02", "2026-03-03")
    with pytest.raises(StatementStateError, match="FAR-1 of TN-pv-20260301"):
        life.verify(conn, second, who["verifier"], concluded("unqualified"))
    # a qualified opinion that says nothing of them leaves them open
    assert _next(conn, who, second, "qualified", "") == ["FAR-3", "FAR-1"]
    third = logged.submitted(database_url, who, "2026-03-03", "2026-03-04")
    assert _next(conn, who, third, "unqualified") == ["FAR-3", "FAR-1"]
    fourth = logged.submitted(database_url, who, "2026-03-04", "2026-03-05")
    assert _next(conn, who, fourth, "unqualified") == []

"""The states of a statement over the API: keys stay with their holders, files are exchanged."""

import html
import json
import shutil
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from mrv.signatures import canonical
from mrv.statement.findings import sign_event
from services.api.client import Client, RefusedError
from services.api.console.translations import Words, texts
from services.issuer import keys
from services.store.postgres.pool import connect
from tests.invoked import printed, tonne
from tests.opinions import reported
from tests.services.api.console.languages import SHOWN
from tests.services.api.console.visiting import get, session
from tests.services.issuer import plant
from tests.services.issuer.sealed import close_period

_HOUR_US = 3_600_000_000
OPINION = ("--opinion", "unqualified", "--assurance", "reasonable")


@pytest.fixture
def holder(served, tmp_path, monkeypatch):
    """Return a runner for a key's holder on a machine without database."""
    monkeypatch.setenv("TONNE_HOME", str(served.home))
    monkeypatch.delenv("TONNE_DATABASE_URL", raising=False)

    def run(*args, code=0):
        return printed("statement", *args, code=code)

    return run


# two hours of their own for each draft: a period that is closed again is the same statement
_HOURS = iter(range(0, 48, 2))


def drafted(served):
    """Return a new draft."""
    begin = plant.us("2026-03-01") + next(_HOURS) * _HOUR_US
    with connect(served.database_url, role="tonne_mrv", autocommit=True) as conn:
        return close_period(conn, "pv", begin, begin + 2 * _HOUR_US, "test").statement


def unpacked(client, name, folder):
    """Return the folder of a downloaded pack."""
    shutil.rmtree(folder, ignore_errors=True)
    file = client.evidence(name, folder.with_suffix(".zip"))
    with zipfile.ZipFile(file) as pack:
        pack.extractall(folder)
    file.unlink()
    return folder / name


def submitted(served, holder, folder):
    """Return a statement whose operator signed its draft and submitted the signature."""
    name, draft, out = drafted(served), folder / "draft.json", folder / "signature.json"
    with Client(served.url, served.tokens["operator"]) as client:
        draft.write_bytes(client.document(name))
        holder("submit", draft, "--key", "the-operator", "--out", out)
        assert json.loads(out.read_bytes()).keys() == {"issuer", "proof"}
        assert client.submit(name, out.read_bytes()).state == "submitted"
        # the same step again is not taken again
        with pytest.raises(RefusedError, match="is submitted"):
            client.submit(name, out.read_bytes())
    return name


@pytest.fixture
def name(served, holder, tmp_path):
    """Return a statement that was submitted over the API."""
    return submitted(served, holder, tmp_path)


def say(holder, pack, out, *args):
    """Return an event as its holder signed it."""
    holder("finding", *args, "--out", out, "--text", "on\ntwo lines: ống đo")
    return out.read_bytes()


def test_from_draft_to_issued_with_keys_that_never_leave_their_holders(served, holder, tmp_path):
    """A third party would have to put its key on the operator's machine to verify anything."""
    name = submitted(served, holder, tmp_path)
    out, of = tmp_path / "out.json", (served.url, served.tokens["verifier"])
    with Client(served.url, served.tokens["operator"]) as operator, Client(*of) as verifier:
        pack = unpacked(verifier, name, tmp_path / "pack")
        raised = say(holder, pack, out, "add", pack, "--kind", "CAR", "--effect", "0.003",
                     "--device", "inv-1", "--key", "the-verifier")  # fmt: skip
        taken = verifier.take_finding(name, raised)
        assert (taken.finding.finding, taken.finding.state) == ("CAR-1", "open")
        assert canonical.parse(verifier.finding_events(name)) == [canonical.parse(raised)]
        # an opinion that does not know of the finding is refused, whoever signed it
        words = reported(holder, pack, tmp_path)
        holder("verify", pack, "--key", "the-verifier", *OPINION, *words, "--out", out)
        with pytest.raises(RefusedError, match="CAR-1 is open") as refused:
            verifier.verify(name, out.read_bytes())
        assert refused.value.problem.status == 409
        for client, args in (
            (operator, ("answer", pack, "CAR-1", "--key", "the-operator")),
            (verifier, ("close", pack, "CAR-1", "--effect", "0", "--key", "the-verifier")),
        ):
            (pack / "findings.json").write_bytes(verifier.finding_events(name))
            client.take_finding(name, say(holder, pack, out, *args))
        (found,) = verifier.findings(name).findings
        assert [e.event for e in found.events] == ["raised", "answered", "closed"]
        assert (found.state, found.effect_t, found.events[0].by) == ("closed", "0", "the-verifier")
        pack = unpacked(verifier, name, tmp_path / "again")
        words = reported(holder, pack, tmp_path)
        words = *words, "--reviewer", "Le Van Minh:technical reviewer"
        holder("verify", pack, "--key", "the-verifier", *OPINION, *words, "--out", out)
        assert verifier.verify(name, out.read_bytes()).state == "verified"
        assert verifier.verification(name) == out.read_bytes()
        assert operator.issue(name).state == "issued"
        with Client(served.url) as anybody:  # what was found is public with the statement
            assert anybody.findings(name).findings[0].finding == "CAR-1"
        holder_sees = unpacked(verifier, name, tmp_path / "issued")
    told = tonne("verify", holder_sees, code=4)  # no keys were given
    assert "1 raised, 0 open" in told.output


@pytest.mark.parametrize("language", SHOWN)
def test_a_statements_page_shows_what_was_found(served, holder, name, tmp_path, language):
    """A page would fail, or hide what the verifier doubts until it is too late to ask."""
    out, words = tmp_path / "e", texts(language)
    with Client(served.url, served.tokens["verifier"]) as client:
        pack = unpacked(client, name, tmp_path / "pack")
        client.take_finding(name, say(holder, pack, out, "add", pack, "--kind", "OBS",
                                      "--effect", "-0.25", "--key", "the-verifier"))  # fmt: skip
        page = f"/console/{language}/statements/{name}"
        assert "OBS-1" not in get(served, page).text
        own = session(served, "scoped")
        text = html.unescape(get(served, page, own).text)
        effect = words["finding.effect"].format(tonnes=f"{Words(language).number('-0.25')} t")
        for wanted in ("OBS-1", words["finding.open"], effect, "on two lines: ống đo"):
            assert wanted in text, wanted
        pack = unpacked(client, name, tmp_path / "again")
        holder("verify", pack, "--key", "the-verifier", "--opinion", "qualified",
               "--assurance", "limited", "--out", out,
               "--finding", "a remark beside")  # fmt: skip
        assert client.verify(name, out.read_bytes()).state == "verified"
    text = html.unescape(get(served, page, own).text)
    assert text.count("OBS-1") == 1
    assert "a remark beside" in text


def test_who_may_hand_in_what(served, holder, name, tmp_path):
    """An operator could close the verifier's findings, or a neighbour raise some."""
    with Client(served.url, served.tokens["verifier"]) as client:
        pack = unpacked(client, name, tmp_path / "pack")
    raised = say(holder, pack, tmp_path / "e", "add", pack, "--kind", "CL", "--key", "the-verifier")
    for who, status in {
        "operator": 403,
        "auditor": 403,
        "admin": 403,
        "elsewhere": 404,
        "rival": 404,
        None: 401,
    }.items():
        answer = served.hand_in(name, "findings", raised, who)
        assert answer.status_code == status, (who, answer.text)
    assert served.ask(f"/v1/statements/{name}/findings", "scoped").json()["findings"] == []
    for who in ("stranger", None):
        assert served.ask(f"/v1/statements/{name}/findings", who).status_code == 404
        assert served.ask(f"/v1/statements/{name}/findings.json", who).status_code == 404
    first = served.hand_in(name, "findings", raised, "verifier", **{"Idempotency-Key": "once"})
    again = served.hand_in(name, "findings", raised, "verifier", **{"Idempotency-Key": "once"})
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert served.hand_in(name, "findings", raised, "verifier").status_code == 409
    rows = served.ask("/v1/audit", "admin", params={"limit": 1000}).json()["items"]
    said = [r["status"] for r in rows if r["path"] == f"/v1/statements/{name}/findings"]
    assert {201, 403, 404, 409} <= set(said)
    assert said.count(201) == 1


def _spoilt(document, **change):
    return {**document, "credentialSubject": {**document["credentialSubject"], **change}}


def test_an_event_that_nobody_signed_so_is_refused(served, holder, name, tmp_path):
    """A server, or anyone who stands in between, could put words into a verifier's mouth."""
    with Client(served.url, served.tokens["verifier"]) as client:
        pack = unpacked(client, name, tmp_path / "pack")
    raised = json.loads(
        say(holder, pack, tmp_path / "e", "add", pack, "--kind", "CAR", "--key", "the-verifier")
    )
    statement = json.loads((pack / "statement.json").read_bytes())
    late = datetime.now(UTC) + timedelta(minutes=30)
    ahead = sign_event(
        statement,
        (),
        ("raised", "CAR", "seen in the files of the period", None),
        *keys.load(served.home, "the-verifier"),
        late,
    )
    by_operator = sign_event(
        statement,
        (),
        ("raised", "CAR", "seen in the files of the period", None),
        *keys.load(served.home, "the-operator"),
        datetime.now(UTC),
    )
    wrong = [
        (_spoilt(raised, text="another"), 422), (_spoilt(raised, text="a\x00b"), 422),
        (_spoilt(raised, text=""), 422), (_spoilt(raised, text="x" * 10_001), 422),
        (_spoilt(raised, effect_t="NaN"), 422), (_spoilt(raised, effect_t=1), 422),
        (_spoilt(raised, finding="CAR-0"), 422), (_spoilt(raised, finding="CAR-2"), 422),
        (_spoilt(raised, event="answered"), 403), (_spoilt(raised, event="closed"), 409),
        ({**raised, "extra": 1}, 422), ({**raised, "proof": {}}, 422),
        ({**raised, "relatedResource": []}, 422), ({**raised, "issuer": {}}, 422),
        (ahead, 422), (by_operator, 403), ({}, 422), ([], 422),
    ]  # fmt: skip
    for document, status in wrong:
        answer = served.hand_in(name, "findings", json.dumps(document), "verifier")
        assert answer.status_code == status, (document, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert served.ask(f"/v1/statements/{name}/status", "verifier").json()["state"] == "submitted"
    assert served.ask(f"/v1/statements/{name}/findings.json", "verifier").content.strip() == b"[]"


def test_a_signature_of_another_draft_or_hand_submits_nothing(served, holder, tmp_path):
    """A draft would become a statement that its operator never saw."""
    name, other, out = drafted(served), drafted(served), tmp_path / "s.json"
    with Client(served.url, served.tokens["operator"]) as client:
        draft = tmp_path / "draft.json"
        draft.write_bytes(client.document(other))
        holder("submit", draft, "--key", "the-verifier", *OPINION, "--out", out, code=2)
        holder("submit", draft, "--key", "the-operator", "--out", out)
        of_another = json.loads(out.read_bytes())
    for body, status in (
        (of_another, 422),
        ({**of_another, "proof": {}}, 422),
        ({"proof": {}}, 422),
        ({**of_another, "credentialSubject": {}}, 422),
    ):
        answer = served.hand_in(name, "submission", json.dumps(body), "operator")
        assert answer.status_code == status, answer.text
    assert served.ask(f"/v1/statements/{name}/status", "operator").json()["state"] == "draft"


def test_nothing_is_signed_over_evidence_that_does_not_hold(served, holder, name, tmp_path):
    """A verifier would sign a pack whose readings were changed on the way."""
    with Client(served.url, served.tokens["verifier"]) as client:
        pack = unpacked(client, name, tmp_path / "pack")
    out = tmp_path / "out.json"
    (pack / "factors.json").write_bytes(b"[]")
    words = reported(holder, pack, tmp_path)
    said = holder("verify", pack, "--key", "the-verifier", *OPINION, *words, "--out", out, code=1)
    assert "step" in said
    bare = pack / "statement.json"
    assert "without its evidence" in holder(
        "verify", bare, "--key", "the-verifier", *OPINION, "--out", out, code=2
    )
    assert "no file or folder" in holder(
        "verify", tmp_path / "none", "--key", "the-verifier", *OPINION, "--out", out, code=2
    )
    assert not out.exists()

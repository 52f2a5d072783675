"""The sampling list: its seed is not chosen by anyone, and every verifier can draw it again."""

import json

import pytest

from mrv.errors import CanonicalError, EnrolmentError, SignatureError, StatementStateError
from mrv.packs.reader import read_pack
from mrv.signatures import canonical
from mrv.statement.sampling import Size, check_sampling
from mrv.verify import verify
from mrv.verify.subject import Subject
from services.issuer import external_signatures as accept
from services.issuer import keys
from services.issuer import transitions as life
from services.issuer.pack import export
from tests.invoked import tonne
from tests.planted import planted
from tests.services.issuer import logged

SIZE = Size(2, 3)


def _submitted(url, home):
    who = logged.quarter_hours(url, home)
    return who, logged.submitted(url, who, "2026-03-01", "2026-03-04")


@pytest.fixture
def submitted(database_url, tmp_path):
    """Submit three days of two inverters; return the database, the signers and the name."""
    return database_url, *planted(_submitted, database_url, tmp_path)


def _sample(url, name, signer, size=SIZE):
    with logged.issuer(url) as conn:
        return life.sample(conn, name, signer, size)


def _pack(url, name, folder):
    with logged.issuer(url) as conn:
        return export(conn, name, folder)


def test_a_list_is_drawn_once_and_travels_in_the_pack(submitted, tmp_path):
    """The sampling list is drawn once and is in the pack."""
    url, who, name = submitted
    document = _sample(url, name, who["verifier"])
    said = document["credentialSubject"]
    assert (said["population"], said["random"], said["byRisk"]) == ("6", "2", "3")
    assert len({(i["device"], i["day"]) for i in said["items"]}) == 5
    with pytest.raises(StatementStateError, match="already drawn"):
        _sample(url, name, who["verifier"], Size(1, 1))
    with logged.issuer(url) as conn:
        assert life.documents(conn, name).stored.state == "under_verification"
    folder = _pack(url, name, tmp_path / "pack")
    steps = {s.name: s for s in verify(read_pack(folder)).steps}
    assert steps["sampling"].outcome == "ok"
    assert "2 of 6 device-days at random and 3 by risk" in steps["sampling"].detail


def test_risky_days_weigh_more(submitted):
    """Days with higher risk are more likely to be sampled."""
    url, who, name = submitted
    items = _sample(url, name, who["verifier"], Size(0, 6))["credentialSubject"]["items"]
    weights = {(i["device"], i["day"]): int(i["weight"]) for i in items}
    why = {(i["device"], i["day"]): i["reasons"] for i in items}
    assert "no valid certificate" in why["inv-2", "2026-03-03"]
    assert weights["inv-2", "2026-03-03"] > weights["inv-2", "2026-03-01"]


@pytest.mark.parametrize("what", ["seed", "draw", "items", "random", "statement"])
def test_a_list_that_was_not_drawn_is_refused(submitted, tmp_path, what):
    """A sampling list that was not drawn by the procedure is rejected."""
    url, who, name = submitted
    document = _sample(url, name, who["verifier"])
    subject = Subject(read_pack(_pack(url, name, tmp_path / "pack")))
    statement, holder = subject.statement, who["verifier"].holder
    assert check_sampling(document, statement, subject.case, holder) == (2, 3, 6)
    changed = json.loads(canonical.encode(document))
    said = changed["credentialSubject"]
    if what == "items":
        said["items"] = said["items"][1:]
    elif what == "random":
        said["random"] = "1"
    elif what == "statement":
        statement = {**statement, "validFrom": "2026-01-01T00:00:00Z"}
    elif what == "draw":
        said["draw"] = f"z{'2' * 87}"
    else:
        said["seed"] = "0" * 64
    with pytest.raises((CanonicalError, SignatureError)):
        check_sampling(changed, statement, subject.case, holder)


def test_only_a_verifier_who_is_not_the_operator_draws(submitted):
    """The operator would choose which of their days are looked at."""
    url, who, name = submitted
    with pytest.raises(EnrolmentError):
        _sample(url, name, who["operator"])
    with logged.issuer(url) as conn:
        assert life.documents(conn, name).stored.state == "submitted"


def test_a_verifier_draws_without_the_database(submitted, tmp_path, monkeypatch):
    """An auditor would have to bring the secret key to the operator's machine."""
    url, who, name = submitted
    folder = _pack(url, name, tmp_path / "pack")
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    monkeypatch.setenv("TONNE_DATABASE_URL", url)
    assert keys.load(tmp_path, "the-verifier")[1] == who["verifier"].holder
    out = str(tmp_path / "sampling.json")
    tonne("statement", "sample", folder, "--key", "the-verifier", "--out", out, code=0)
    assert tonne("statement", "sample", name).exit_code == 2
    tonne("statement", "sample", name, "--from", out, code=0)
    shown = tonne("statement", "sample", name, "--json").output
    assert json.loads(shown) == json.loads((tmp_path / "sampling.json").read_bytes())
    with logged.issuer(url) as conn, pytest.raises(StatementStateError):
        accept.sampling(conn, name, json.loads(shown))

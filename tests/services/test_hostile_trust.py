"""Attempts of a fraudulent operator or a hostile auditor with the public commands."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from mrv.signatures import canonical
from mrv.signatures.keys import write_keyring
from mrv.statement.states import sign_list
from tests import holders
from tests.invoked import tonne as invoke
from tests.mrv import packs

AT = ("--at", "2026-02-10T00:00:00Z")
MADE = datetime(2026, 2, 9, tzinfo=UTC)
LATER, PAST = "2999-01-01T00:00:00Z", "2020-01-01T00:00:00Z"


def tonne(*words):
    """Run a command; return its exit code and all output."""
    told = invoke(*words)
    assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
    return told.exit_code, told.output


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """Return a complete issued pack."""
    return packs.folder(tmp_path_factory.mktemp("pack"))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return a home with a keyring, a status list, and root keys of a programme; no database."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    monkeypatch.delenv("TONNE_DATABASE_URL", raising=False)
    (tmp_path / "ring.json").write_bytes(write_keyring(packs.HOLDERS.values()))
    signer = packs.SIGNERS["operator"], packs.HOLDERS["operator"]
    listed = canonical.encode(sign_list("pv", ["x"], [], *signer, MADE))
    (tmp_path / "status.json").write_bytes(listed)
    for name in ("first", "second"):
        assert tonne("keys", "create", "--role", "programme", "--name", name, "--no-enroll")[0] == 0
    return tmp_path


def root(home, *more, signers=("first",), expires=LATER, name="root.json", roots=("first",)):
    """Make and sign a trust root by the programme's commands."""
    file = home / name
    words = [word for one in roots for word in ("--root", one)]
    code, told = tonne("trust", "create", "--programme", "HP", "--keys", home / "ring.json", *words,
                       "--expires", expires, "--out", file, *more)  # fmt: skip
    assert code == 0, told
    for one in signers:
        assert tonne("trust", "sign", file, "--key", one)[0] == 0
    return file


def verified(home, pack, keys, *more, at=AT):
    """Verify by the reader's own command."""
    return tonne("verify", pack, "--keys", keys, "--status", home / "status.json", *at, *more)


def test_the_honest_way_ends_0(home, pack):
    """The other cases would be refused for another reason."""
    for keys in (home / "ring.json", root(home)):
        code, told = verified(home, pack, keys)
        assert code == 0, told


def test_a_time_to_come_is_no_time_to_ask_for(home, pack):
    """A status list valid for a month would decide on the validity in future."""
    soon = datetime.now(UTC) + timedelta(minutes=10)
    for at in (LATER, f"{soon:%Y-%m-%dT%H:%M:%SZ}"):
        code, told = verified(home, pack, home / "ring.json", at=("--at", at))
        assert (code, "pass a past time" in told) == (2, True), told


def test_a_root_that_its_programme_did_not_sign_is_nobodys_word(home, pack):
    """An operator would write the programme's file."""
    unsigned = root(home, signers=())
    assert verified(home, pack, unsigned)[0] == 2
    code, told = tonne("trust", "sign", unsigned, "--key", "second")
    assert (code, "not a root key" in told) == (2, True)
    two = root(home, "--threshold", 2, roots=("first", "second"))
    assert verified(home, pack, two)[0] == 2
    assert tonne("trust", "sign", two, "--key", "second")[0] == 0
    assert verified(home, pack, two)[0] == 0


def test_a_rule_cannot_be_taken_out_of_a_root(home, pack):
    """One person would issue what the programme wants two to approve."""
    file = root(home, "--issue-signatures", 2)
    code, told = verified(home, pack, file)
    assert (code, "missing: approval of the issue by 2 people" in told) == (4, True), told
    # no word of --accept does without it
    words = ("unmet-conditions", "unsealed-days", "ended-keys")
    accepted = [part for word in words for part in ("--accept", word)]
    assert verified(home, pack, file, *accepted)[0] == 4
    assert verified(home, pack, file, "--accept", "approvals")[0] == 2
    record = json.loads(file.read_text())
    for edit in ({"threshold": 1, "since": PAST}, {"threshold": 2, "since": LATER}, None):
        signed = {**record["signed"], "issue": edit}
        if edit is None:
            del signed["issue"]
        file.write_text(json.dumps({**record, "signed": signed}))
        assert verified(home, pack, file)[0] == 2, edit
    since = root(home, "--issue-signatures", 2, "--issue-since", "2026-03-01T00:00:00Z")
    assert verified(home, pack, since)[0] == 0


def test_a_rule_says_two_or_more_and_since_when(home):
    """A rule of one signature, which requires nothing, would look like a requirement."""
    create = ("trust", "create", "--programme", "HP", "--keys", home / "ring.json", "--root",
              "first", "--expires", LATER, "--out", home / "x.json")  # fmt: skip
    for more in (
        ("--issue-signatures", 1),
        ("--issue-signatures", 0),
        ("--issue-since", PAST),
        ("--issue-signatures", 2, "--issue-since", "soon"),
    ):
        assert tonne(*create, *more)[0] == 2, more
        assert not (home / "x.json").exists()


def test_a_pinned_root_is_not_followed_by_one_without_its_rule(home):
    """An operator would pin a root of their own over the programme's."""
    first = root(home, "--issue-signatures", 2)
    assert tonne("trust", "pin", first)[0] == 0
    assert "2 operators must approve an issue" in tonne("trust", "show", first)[1]
    mine = root(home, "--version", 2, signers=("second",), roots=("second",), name="mine.json")
    assert tonne("trust", "pin", mine)[0] == 2
    again = root(home, name="again.json")
    assert tonne("trust", "pin", again)[0] == 2  # version 1 once more, without the rule
    assert (home / "trust-root.json").read_bytes() == first.read_bytes()


def test_an_expired_root_is_refused_now(home, pack):
    """A root that the programme let end would count permanently."""
    old = root(home, expires="2026-03-01T00:00:00Z")
    assert verified(home, pack, old, at=())[0] == 2
    assert verified(home, pack, old)[0] == 0  # as of the time when it was valid, and said so


def test_a_spoiled_list_in_a_ring_is_named(home, pack):
    """A reader would not know which of their files is wrong."""
    good = json.loads((home / "status.json").read_text())
    ring = json.loads((home / "ring.json").read_text())
    for spoilt in ({}, {**good, "validFrom": "soon"}, {**good, "credentialSubject": 1}):
        (home / "mine.json").write_text(json.dumps({**ring, "statusLists": [good, spoilt]}))
        code, told = tonne("verify", pack, "--keys", home / "mine.json", *AT)
        assert (code, "statusLists[1]" in told) == (2, True), told
    # of the right form, and changed after it was signed
    (home / "mine.json").write_text(
        json.dumps({**ring, "statusLists": [{**good, "validFrom": "2026-02-08T00:00:00Z"}]})
    )
    code, told = tonne("verify", pack, "--keys", home / "mine.json", *AT)
    assert (code, "statusLists[0] of your keys" in told) == (1, True), told


def test_an_issued_or_foreign_pack_cannot_be_approved(home, pack):
    """An approval would be signed over what no one verified, or after the issue."""
    for role in ("verifier", "operator"):
        create = ("keys", "create", "--role", role, "--name", role[0], *holders.OPTIONS[role])
        assert tonne(*create, "--no-enroll")[0] == 0
    out = home / "approval.json"
    for what, key in ((pack, "o"), (pack, "v"), (pack / "statement.json", "o"), (home, "o")):
        assert tonne("statement", "approve", what, "--key", key, "--out", out)[0] == 2
        assert not out.exists()


def test_a_signer_is_asked_for_whole_or_not_at_all(home):
    """A key requested in a token would be created in a file."""
    create = (
        "keys",
        "create",
        "--role",
        "operator",
        "--name",
        "x",
        "--no-enroll",
        *holders.OPTIONS["operator"],
    )
    for more in (
        ("--make",),
        ("--token", "t"),
        ("--token-key", "k"),
        ("--public-key", home / "ring.json"),
        ("--signer", "/bin/true"),
        ("--signer", "/bin/true", "--public-key", home / "ring.json"),
    ):
        assert tonne(*create, *more)[0] == 2, more
        assert not (home / "keys" / "x.json").exists()


@pytest.mark.parametrize("words", [
    ("--team", "Lan"), ("--team", ":lead"), ("--signatory", "Minh:"),
    ("--site-visit", "2026-02-30:here:seen"), ("--site-visit", "2026-02-03:here"),
])  # fmt: skip
def test_what_a_verifier_says_of_people_is_read_or_refused(home, words):
    """A site visit on an impossible date would be signed."""
    create = ("keys", "create", "--role", "verifier", "--name", "v", *holders.OPTIONS["verifier"])
    assert tonne(*create, "--no-enroll")[0] == 0
    opinion = ("--opinion", "unqualified", "--assurance", "reasonable")
    code, told = tonne("statement", "verify", home, "--key", "v", *opinion, *words, "--out", "x")
    assert (code, words[0] in told) == (2, True), told

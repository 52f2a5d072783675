"""Two people approve an issue if the programme requires it: otherwise no pack ends with 0."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ingest.errors import InputError
from mrv.signatures import canonical
from mrv.signatures.data_integrity import create_proof
from mrv.signatures.key_bounds import LogPlace
from mrv.signatures.keys import SigningKey
from mrv.signatures.trust_root import (
    IssueRule,
    Trust,
    TrustRoot,
    read_trusted,
    sign_root,
    write_root,
)
from mrv.statement.states import sign_approval
from mrv.verify import verify
from tests.mrv import packs
from tests.mrv.forging import ASKED, HOLDERS, KEYS, RIGHT, RING, STATUS, VERIFIED, enrolled, forged

HOUR = timedelta(hours=1)
SECOND = SigningKey(bytes([60]) * 32)
THIRD = SigningKey(bytes([61]) * 32)
DIRECTOR = enrolled("operator", SECOND, name="the-director")
OUTSIDER = enrolled("operator", THIRD, name="other-plant", projects=("other",))
ROOT = SigningKey(bytes([62]) * 32)
OWN = (KEYS["operator"], HOLDERS["operator"], VERIFIED + HOUR)
OTHER = (SECOND, DIRECTOR, VERIFIED + HOUR)
ALL = (*RING, DIRECTOR, OUTSIDER)


def wanting(count=2):
    """Return the sample's case, whose programme requires a number of approvals."""
    made = packs.case()
    return replace(made, plan=replace(made.plan, issue_signatures=count))


TWO = wanting()


def outcome(pack, ring=ALL, rule=None, at=ASKED):
    """Verify with the keys of a programme that may require approvals."""
    trust = Trust(tuple(ring), "version 1 of the trust root of HP", (), rule)
    return verify(pack, trust, STATUS, at=at)


def test_two_people_approve_and_it_may_be_relied_on():
    """No statement of such a programme could be relied on."""
    report = outcome(forged(replace(RIGHT, approvers=(OWN, OTHER)), TWO))
    assert (report.exit_code, report.missing) == (0, ()), report
    (step,) = [one for one in report.steps if one.name == "approvals"]
    assert step.detail == "2 people approved: the-director, the-operator"


def spelt(name):
    """Return the director's key with another name."""
    held = replace(DIRECTOR, name=name)
    return (SECOND, held, VERIFIED + HOUR), held


def cases():
    """Yield faults in the approvals of a statement that requires two, and the trusted keys."""
    yield "none", replace(RIGHT, approvers=()), ALL
    yield "one", replace(RIGHT, approvers=(OWN,)), ALL
    yield "one twice", replace(RIGHT, approvers=(OWN, OWN)), ALL
    again, held = spelt("The Operator")
    yield "one person with two keys", replace(RIGHT, approvers=(OWN, again)), (*RING, held)
    early = (SECOND, DIRECTOR, VERIFIED - HOUR)
    yield "one before the verification", replace(RIGHT, approvers=(OWN, early)), ALL
    late = (SECOND, DIRECTOR, ASKED + HOUR)
    yield "one in a time to come", replace(RIGHT, approvers=(OWN, late)), ALL
    outside = (THIRD, OUTSIDER, VERIFIED + HOUR)
    yield "one of another project", replace(RIGHT, approvers=(OWN, outside)), ALL
    yield "one whom the reader does not know", replace(RIGHT, approvers=(OWN, OTHER)), RING
    checker = (KEYS["verifier"], HOLDERS["verifier"], VERIFIED + HOUR)
    yield "the verifier", replace(RIGHT, approvers=(OWN, checker)), ALL
    ended = replace(DIRECTOR, bounds=replace(DIRECTOR.bounds, ends_at=LogPlace("the-log", 1)))
    yield "one whose key ended before", replace(RIGHT, approvers=(OWN, OTHER)), (*RING, ended)
    told = replace(DIRECTOR, valid_until="2026-02-03T00:30:00Z")
    yield "one whose key was not valid then", replace(RIGHT, approvers=(OWN, OTHER)), (*RING, told)
    yield "not in the log", replace(RIGHT, approvers=(OWN, OTHER), logged_approvals=()), ALL


CASES = list(cases())


@pytest.mark.parametrize(("cast", "ring"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_too_few_approvals_fail(cast, ring):
    """One person could issue what two have to."""
    assert outcome(forged(cast, TWO), ring).exit_code == 1


def test_approvals_of_another_statement_count_for_nothing():
    """The approval of a small statement would carry a large one."""
    pack = forged(replace(RIGHT, approvers=(OWN, OTHER)), TWO)
    signed, opinion = (
        canonical.parse_object(pack.files[n]) for n in ("statement.json", "verification.json")
    )
    for edit in ("statement", "verification", "subject", "more"):
        one = {k: v for k, v in sign_approval(signed, opinion, *OTHER).items() if k != "proof"}
        if edit == "statement":
            one["relatedResource"] = [{**one["relatedResource"][0], "id": "urn:tonne:x"}]
        elif edit == "verification":
            one["credentialSubject"] = {**one["credentialSubject"], "verificationSha256": "0" * 64}
        elif edit == "subject":
            one["credentialSubject"] = {**one["credentialSubject"], "id": "urn:tonne:x"}
        else:
            one["credentialSubject"] = {**one["credentialSubject"], "x": 1}
        forged_one = create_proof(one, SECOND, VERIFIED + HOUR)
        listed = [canonical.parse(pack.files["approvals.json"])[0], forged_one]
        files = {**pack.files, "approvals.json": canonical.legible(listed)}
        kept = {n: d for n, d in files.items() if n not in _LAST}
        made = packs.logged(TWO, kept, signed, opinion, cast=RIGHT)
        assert outcome(packs.pack(made, TWO)).exit_code == 1, edit


_LAST = ("receipt.txt", "manifest.txt", "manifest.json", "seals.json")


def test_what_the_programme_asks_is_missing_and_nothing_waives_it():
    """An operator who sets the registry to one would get round the programme."""
    rule = IssueRule(2, "2026-01-01T00:00:00Z")
    alone = forged()
    for cast in (RIGHT, replace(RIGHT, approvers=(OWN,))):
        report = outcome(forged(cast), rule=rule)
        assert report.exit_code == 4
        assert [(one.code, one.waiver) for one in report.missing] == [("approvals", "")]
        assert "version 1 of the trust root" in report.missing[0].what
    assert outcome(forged(replace(RIGHT, approvers=(OWN, OTHER))), rule=rule).exit_code == 0
    assert outcome(alone, rule=IssueRule(2, "2026-06-01T00:00:00Z")).exit_code == 0
    assert outcome(alone, rule=IssueRule(3, "2026-01-02T17:00:00Z")).exit_code == 0
    assert outcome(forged(replace(RIGHT, approvers=(OWN, OTHER))),
                   rule=IssueRule(3, "2026-01-01T00:00:00Z")).exit_code == 4  # fmt: skip


def test_approvals_cannot_be_taken_out_or_slipped_in():
    """The people responsible for an issue could be changed after it."""
    pack = forged(replace(RIGHT, approvers=(OWN, OTHER)), TWO)
    files = {n: d for n, d in pack.files.items() if n != "approvals.json"}
    files["manifest.json"] = packs.manifest_of(packs.hashes_of(files))
    assert outcome(packs.with_files(pack, files)).exit_code == 1
    plain = forged()
    files = {**plain.files, "approvals.json": pack.files["approvals.json"]}
    files["manifest.json"] = packs.manifest_of(packs.hashes_of(files))
    assert outcome(packs.with_files(plain, files)).exit_code == 1
    for data in (b"", b"{}", b"[]", b"[1]", b"\xff"):
        files = {**pack.files, "approvals.json": data}
        files["manifest.json"] = packs.manifest_of(packs.hashes_of(files))
        assert outcome(packs.with_files(pack, files)).exit_code == 1


def root_file(issue, edit=lambda record: record):
    """Return a signed trust root with its requirements for issues."""
    root = TrustRoot("HP", 1, "2027-01-01T00:00:00Z", (ROOT.public_multikey,), 1, ALL, issue)
    record = edit(canonical.parse_object(write_root(root)))
    return sign_root(canonical.encode(record), ROOT)


def test_a_trust_root_carries_the_rule():
    """The programme could not state its rule in the trust root."""
    rule = IssueRule(2, "2026-01-01T00:00:00Z")
    assert read_trusted(root_file(rule), ASKED).issue == rule
    assert read_trusted(root_file(None), ASKED).issue is None
    since = "2026-01-01T00:00:00Z"
    for wrong in (
        {"threshold": 1, "since": since},
        {"threshold": 2},
        {"threshold": "2", "since": since},
        {"threshold": 2, "since": "x"},
        {"threshold": 2, "since": since, "x": 1},
        2,
        None,
    ):
        with pytest.raises(InputError):
            root_file(rule, lambda r, w=wrong: {**r, "signed": {**r["signed"], "issue": w}})

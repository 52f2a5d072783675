"""Consistently signed forgeries, with keys of every kind of trust: none ends with 0."""

from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest

from mrv.signatures import canonical
from mrv.signatures.keyfile import write_keyring
from mrv.signatures.trust_root import read_trusted
from mrv.statement.states import sign_list
from mrv.verify import verify
from tests.mrv.forgeries import KINDS, cases_of_materiality
from tests.mrv.forging import (
    ASKED,
    HOLDERS,
    KEYS,
    NAME,
    RIGHT,
    RING,
    STATUS,
    WHOLE,
    Attempt,
    enrolled,
    forged,
    status,
)
from tests.services.api.console.in_browser import (
    SHARED,
    TABLES,
    first_failure,
    in_a_browser,
    ring_bytes,
)
from tests.soak import SOAK, often


def asked(attempt):
    """Verify as a reader does."""
    return verify(attempt.pack, attempt.ring, attempt.status, at=attempt.at, accept=attempt.accept)


def test_the_right_pack_ends_0_and_says_on_whose_word():
    """An auditor could rely on nothing at all, or would not know on what."""
    report = asked(Attempt(WHOLE, status=STATUS))
    assert (report.exit_code, report.missing) == (0, ()), list(report.missing)
    outcomes = {step.name: step.outcome for step in report.steps}
    # the reader trusts no witness and no authority, and no meter of it signs
    for name in ("witnesses", "time stamps", "signed values"):
        assert outcomes.pop(name) == "not applicable"
    assert set(outcomes.values()) == {"ok"}
    said = "\n".join(report.relied)
    for part in ("the-operator", "Green Verify JSC", "VN-017", "log: the-log", "2026-02-10"):
        assert part in said, said
    assert "everything" not in "\n".join(map(str, report.relied + report.not_relied))


@cache
def attempts(kind):
    """Return the attempts of a kind of forgery: name and attempt."""
    return tuple(kind())


@cache
def tried(kind):
    """Return name, attempt and result of those that are verified: a third in the short form."""
    some = attempts(kind)[:: 1 if SOAK else 3]
    return tuple((name, attempt, asked(attempt)) for name, attempt in some)


@pytest.mark.parametrize("kind", KINDS)
def test_no_forgery_ends_0(kind):
    """An auditor would rely on a statement that no one whom they trust vouches for."""
    for name, _, report in tried(kind):
        assert report.exit_code in (1, 4), (name, list(report.relied))
        assert report.failure is not None or report.missing, name


def test_browser_and_command_agree_on_every_forgery():
    """The browser would show a pack as valid that `tonne verify` rejects."""
    both = [
        (where, one, report)
        for kind in KINDS
        for where, one, report in tried(kind)
        if one.at == ASKED
        and not one.accept
        and (one.ring is None or one.ring)
        # as the API gives it to anybody: the browser says that the evidence is missing
        and where != "documents without evidence"
    ]
    assert len(both) > often(80, 250)
    if not SOAK:
        both = both[::2]
    found = in_a_browser(
        [
            (
                one.pack.files | (TABLES if "manifest.json" in one.pack.files else {}),
                one.status,
                None if one.ring is None else ring_bytes(one.ring),
            )
            for _, one, _ in both
        ]
    )
    unlike = []
    for (where, _, report), browser in zip(both, found, strict=True):
        said = report.failure.name if report.failure else None
        mine = first_failure(browser)
        if said in SHARED or (said is None and mine is not None):
            if mine != said:
                unlike.append((where, said, mine))
        elif said is None:
            codes = {m.code for m in report.missing} - {"seals"}
            if codes != set(browser["missing"]):
                unlike.append((where, sorted(codes), browser["missing"]))
    assert not unlike, unlike


def test_there_are_enough_of_them():
    """Classes of forgeries could get lost without anyone seeing it."""
    names = [name for kind in KINDS for name, _ in attempts(kind)]
    assert len(names) >= 570
    assert len(set(names)) == len(names)


def kept(*lists):
    """Return the trust of a reader whose file contains these status lists beside the keys."""
    file = write_keyring(RING, [canonical.parse_object(one) for one in lists])
    return read_trusted(file, ASKED)


def test_a_status_list_beside_the_trusted_keys_counts():
    """Keys and status lists would need two files, and readers would omit the list."""
    for lists in ((STATUS,), (status(project="other"), STATUS)):
        report = verify(WHOLE, kept(*lists), at=ASKED)
        assert (report.exit_code, report.missing) == (0, ())


def test_a_kept_status_list_is_judged_like_one_that_is_given():
    """An outdated or foreign status list in the keyring would hide the end of a statement."""
    day = timedelta(days=1)
    old, new = status(made=ASKED - 2 * day), status(NAME, made=ASKED - day)
    assert verify(WHOLE, kept(old, new), at=ASKED).exit_code == 1
    assert verify(WHOLE, kept(status(project="other")), at=ASKED).exit_code == 4
    assert verify(WHOLE, kept(STATUS), at=ASKED + 40 * day).exit_code == 4
    assert verify(WHOLE, kept(status(role="verifier")), at=ASKED).exit_code == 1
    assert verify(WHOLE, kept(STATUS), status(NAME), at=ASKED).exit_code == 1


def test_an_end_outweighs_a_newer_list_that_names_none():
    """An owner would revoke, sell the tonnes elsewhere, and sign a list in which they count."""
    day = timedelta(days=1)
    ended, newer = status(NAME, made=ASKED - 3 * day), status(made=ASKED - day)
    for lists in ((ended, newer), (newer, ended), (newer, ended, newer)):
        assert verify(WHOLE, kept(*lists), at=ASKED).exit_code == 1
    assert verify(WHOLE, kept(ended), newer, at=ASKED).exit_code == 1
    assert verify(WHOLE, kept(newer), ended, at=ASKED).exit_code == 1


def test_a_given_list_does_not_hide_a_newer_one_that_is_kept():
    """A list without the end of a statement would replace a newer one that has it."""
    day = timedelta(days=1)
    old, new = status(made=ASKED - 3 * day), status(NAME, made=ASKED - day)
    assert verify(WHOLE, kept(new), old, at=ASKED).exit_code == 1
    late = kept(status(made=ASKED + 3 * day), STATUS)
    assert verify(WHOLE, late, at=ASKED).exit_code == 0


def test_no_list_is_believed_for_ever():
    """An owner would show a list from before the end, made to last a hundred years."""
    signer = KEYS["operator"], HOLDERS["operator"]
    made = ASKED - timedelta(days=1)
    lasting = canonical.encode(sign_list("pv", [NAME], (), *signer, made, days=36_500))
    assert asked(Attempt(WHOLE, RING, lasting)).exit_code == 0
    assert asked(Attempt(WHOLE, RING, lasting, ASKED + timedelta(days=40))).exit_code == 4


# numbers of two entities each
TWO = (
    ("0312345678", "0312345679"), ("0312345678-001", "0412345678-001"),
    ("1234567890123", "1234567890456"), ("DE123456789", "DE123456788"),
    ("HRB 12345 Hamburg", "HRB 12345 Kiel"), ("529900T8BM49AURSDO55", "529900T8BM49AURSDO56"),
    ("03-operator", "03-verifier"), ("12-345-6789", "12-345-6780"),
)  # fmt: skip


@pytest.mark.parametrize(("operator", "verifier"), TWO)
def test_two_legal_entities_may_verify_one_another(operator, verifier):
    """An honest verifier would be refused for a number that resembles the operator's."""
    ring = [
        HOLDERS["log"],
        *(
            enrolled(role, KEYS[role], organisation_id=said)
            for role, said in (("operator", operator), ("verifier", verifier))
        ),
    ]
    assert asked(Attempt(WHOLE, tuple(ring), STATUS)).exit_code == 0


@pytest.mark.parametrize("because", [
    "\u8a08\u753b\u66f8\u306e\u539f\u672c\u3092\u78ba\u8a8d\u3057\u3001\u7570\u5e38\u304c\u306a\u3044\u3053\u3068\u3092\u78ba\u304b\u3081\u305f\u3002",
    "\u0110\u00e3 xem k\u1ebf ho\u1ea1ch gi\u00e1m s\u00e1t n\u0103m 2025",
    "Plan seen: letter of 2026-01-05",
])  # fmt: skip
def test_a_reason_in_words_of_any_script_is_taken(because):
    """A verifier would have to write English."""
    cast = replace(RIGHT, because=because)
    assert asked(Attempt(forged(cast), RING, status(cast=cast))).exit_code == 0


def test_a_refused_threshold_is_said_with_what_is_taken():
    """A verifier would not know which materiality a programme takes."""
    ((_, _, report), *_) = tried(cases_of_materiality)
    (lack,) = report.missing
    assert (report.exit_code, lack.code) == (4, "materiality")
    assert "at most 10 %: this one has 99 %" in lack.what

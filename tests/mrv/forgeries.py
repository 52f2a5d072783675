"""Consistently signed forgeries, by kind: wrong keys, order, time, figures or log."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mrv.log.entries import Checkpoint, evidence_entry, make_receipt, sign_checkpoint
from mrv.packs.pack import Pack
from mrv.signatures import canonical
from mrv.signatures.data_integrity import create_proof
from mrv.signatures.key_bounds import Accreditation, LogPlace
from mrv.signatures.keys import EnrolledKey, write_keyring
from mrv.signatures.merkle_tree import inclusion_proof, leaf_hash
from mrv.statement.credentials import issued_entry
from tests.mrv import forgeries_of_two, packs
from tests.mrv.forging import (
    ASKED,
    HOLDERS,
    KEYS,
    NAME,
    OTHERS,
    RIGHT,
    RING,
    ROLES,
    SIGNED,
    STATUS,
    VERIFIED,
    WHOLE,
    Attempt,
    enrolled,
    forged,
    plays,
    resealed,
    ring_with,
    status,
    without,
)

LONG_AGO = "2025-12-01T00:00:00Z"
# how far a pack is: what a forger leaves out of it
STATES = {
    "issued": (),
    "verified": ("receipt.txt", "manifest.txt"),
    "submitted": ("receipt.txt", "manifest.txt", "verification.json", "sampling.json"),
}


def upto(pack, state):
    """Return the pack as it was before issue, or before verification."""
    gone = STATES[state]
    if not gone:
        return pack
    files = {n: d for n, d in pack.files.items() if n not in gone}
    ring = [HOLDERS["operator"], *([HOLDERS["verifier"]] if state == "verified" else [])]
    held = canonical.parse_object(pack.files["keys.json"])["keys"]
    roles = {key.role for key in ring}
    own = [EnrolledKey.from_json(one) for one in held if one["role"] in roles]
    return resealed(pack, {**files, "keys.json": write_keyring(own)})


def cases_of_keys():
    """Yield packs with different signing keys and trusted keys."""
    for state in STATES:
        whole = upto(WHOLE, state)
        yield f"{state}, no ring", Attempt(whole, None, STATUS)
        yield f"{state}, empty ring", Attempt(whole, (), STATUS)
        if state != "issued":
            yield f"{state}, right ring", Attempt(whole, RING, STATUS)
    for role in ROLES:
        yield f"ring without {role}", Attempt(WHOLE, without(role), STATUS)
        yield f"ring of {role} alone", Attempt(WHOLE, (HOLDERS[role],), STATUS)
        strange = enrolled(role, OTHERS[role])
        other = forged(plays(role, OTHERS[role], strange))
        yield f"{role} is a stranger of that name", Attempt(other, RING, STATUS)
        yield f"{role} is a stranger, empty ring", Attempt(other, (), STATUS)
        yield f"{role} is a stranger, no ring", Attempt(other, None, STATUS)
        yield f"{role} is not in the ring", Attempt(other, without(role), STATUS)
        for wrong in ("operator", "verifier", "log", "witness"):
            if wrong != role:
                held = replace(HOLDERS[role], role=wrong)
                yield f"{role} is trusted as {wrong}", Attempt(WHOLE, ring_with(role, held), STATUS)
                also = enrolled(role, OTHERS[role])
                trusted = (*ring_with(role, held), replace(also, name=f"real-{role}"))
                yield f"{role} as {wrong}, with a real one", Attempt(WHOLE, trusted, STATUS)
    for role in ("operator", "verifier"):
        for projects in ((), ("other",), ("pv2", "PV"), ("p", "v")):
            held = enrolled(role, KEYS[role], projects=projects)
            yield f"{role} may sign for {projects}", Attempt(WHOLE, ring_with(role, held), STATUS)
        named = enrolled(role, KEYS[role], name="somebody else")
        yield f"{role} under another name", Attempt(WHOLE, ring_with(role, named), STATUS)


def cases_of_ended_keys():
    """
    Yield packs signed by ended keys: before the end, after it by the
    log's order, and backdated.
    """
    for role in ("operator", "verifier"):
        for until in (LONG_AGO, "2026-01-15T00:00:00Z", "2026-01-31T23:59:59Z"):
            held = enrolled(role, KEYS[role], valid_until=until)
            yield f"{role} ended {until}", Attempt(WHOLE, ring_with(role, held), STATUS)
        later = enrolled(role, KEYS[role], valid_from="2026-02-05T00:00:00Z")
        yield f"{role} began later", Attempt(WHOLE, ring_with(role, later), STATUS)
        # signed before its end, as it says; nothing but its own word shows it
        told = enrolled(role, KEYS[role], valid_until="2026-02-04T00:00:00Z")
        yield f"{role} dated back", Attempt(WHOLE, ring_with(role, told), STATUS)
        for at in range(3):
            placed = enrolled(role, KEYS[role], ends_at=LogPlace("the-log", at))
            yield f"{role} ended at entry {at}", Attempt(WHOLE, ring_with(role, placed), STATUS)
            both = enrolled(
                role,
                KEYS[role],
                ends_at=LogPlace("the-log", at),
                valid_until="2026-02-04T00:00:00Z",
            )
            yield f"{role} ended at {at} and then", Attempt(WHOLE, ring_with(role, both), STATUS)
        elsewhere = enrolled(role, KEYS[role], ends_at=LogPlace("another-log", 99))
        yield f"{role} ended in another log", Attempt(WHOLE, ring_with(role, elsewhere), STATUS)
        for state in ("verified", "submitted"):
            if (state, role) != ("submitted", "verifier"):
                pack, ring = upto(WHOLE, state), ring_with(role, told)
                yield f"{role} ended, {state}", Attempt(pack, ring, STATUS, accept=(state,))
    body = Accreditation
    for name, accredited in {
        "another methodology": body("VN-1", ("ams-iii-c",)),
        "expired": body("VN-1", (), None, "2026-02-01T00:00:00Z"),
        "not yet": body("VN-1", (), "2026-02-09T00:00:00Z"),
        # verified before its end, as the verifier says
        "ended since": body("VN-1", (), None, "2026-02-09T00:00:00Z"),
        "ended a second later": body("VN-1", (), None, "2026-02-03T00:00:01Z"),
    }.items():
        held = enrolled("verifier", KEYS["verifier"], accreditation=accredited)
        yield f"accreditation {name}", Attempt(WHOLE, ring_with("verifier", held), STATUS)
    closed = enrolled("log", KEYS["log"], valid_until="2026-02-08T00:00:00Z")
    yield "log key ended, last head unknown", Attempt(WHOLE, ring_with("log", closed), STATUS)
    for size in (1, 2, 3, 4, 9):
        head = Checkpoint("the-log", size, bytes(32))
        final = enrolled("log", KEYS["log"], final_head=sign_checkpoint(head, KEYS["log"]))
        yield f"log closed at {size}", Attempt(WHOLE, ring_with("log", final), STATUS)
        other = enrolled("log", KEYS["log"], final_head=sign_checkpoint(head, OTHERS["log"]))
        yield f"last head {size} of a stranger", Attempt(WHOLE, ring_with("log", other), STATUS)


SPELLINGS = (
    "Plant", "Plant Co., Ltd.", "Plant J.S.C.", "Plant GmbH", "C\u00f4ng ty TNHH Plant",
    "\u682a\u5f0f\u4f1a\u793ePlant", "PIant Ltd.", "P1ant Ltd.", "\u0420l\u0430nt Ltd.",
    "Pl\u03b1nt Ltd.",
    "Plant Ltd", "plant ltd.", "PLANT LTD.", "Plant  Ltd.", "Plant, Ltd.", "Plant-Ltd",
    "Plant Limited", "plant limited.", "\uff30lant Ltd.", "Pl\u00e1nt Ltd.", " Plant Ltd. ",
    "Plant\u00a0Ltd.", "Plant\u200bLtd.",
)  # fmt: skip


# one legal entity each: its number, and that of a branch or another way to write it
ENTITIES = (
    *(("0312345678", f"{written}") for written in (
        "0312345678-001", "0312345678 001", "0312345678001", "0312345678.001", "MST 0312345678-002",
        "MST: 0312345678", "VN0312345678", "VN-0312345678-001", "Tax ID 0312345678", "312345678",
        "O312345678", "0312345678-OO1", "No. 0312345678",
        "\uff10\uff13\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18",
    )),
    ("0312345678-001", "0312345678-002"),
    ("DE123456789", "DE 123 456 789"), ("DE123456789", "DE123456789-00001"),
    ("732829320", "732 829 320 00074"), ("GB123456789", "GB 123 4567 89 001"),
    ("123456789", "D-U-N-S 12-345-6789"), ("T1234567890123", "1234567890123"),
    ("529900T8BM49AURSDO55", "LEI 5299 00t8 bm49 aurs do55"),
)  # fmt: skip


def cases_of_organisations():
    """Yield verifications by the preparer's own organisation, in several spellings."""
    for spelt in SPELLINGS:
        for named in ("organisation", "name"):
            more = {named: spelt} if named == "organisation" else {}
            key = KEYS["verifier"]
            name = spelt if named == "name" else None
            held = enrolled("verifier", key, name=name, organisation_id=None, **more)
            pack = forged(plays("verifier", key, held))
            ring = ring_with("verifier", held)
            yield f"verifier's {named} {spelt!r}", Attempt(pack, ring, STATUS)
    for spelt in ("08-operator", "03-OPERATOR", " 03-operator ", "03 oper.ator", "O3OPERATOR"):
        held = enrolled("verifier", KEYS["verifier"], organisation_id=spelt)
        said = "03-operator" if "3" in spelt else spelt
        own = enrolled("operator", KEYS["operator"], organisation_id=said)
        ring = (own, held, HOLDERS["log"])
        yield f"one id {spelt!r}", Attempt(WHOLE, ring, STATUS)
    for said, spelt in ENTITIES:
        held = enrolled("verifier", KEYS["verifier"], organisation_id=spelt)
        own = enrolled("operator", KEYS["operator"], organisation_id=said)
        yield f"{spelt!r} is {said!r}", Attempt(WHOLE, (own, held, HOLDERS["log"]), STATUS)
    cast = replace(
        RIGHT,
        signers={**KEYS, "verifier": KEYS["operator"]},
        holders={**HOLDERS, "verifier": HOLDERS["operator"]},
    )
    yield "operator verifies", Attempt(forged(cast), RING, STATUS)


def cases_of_time():
    """Yield packs signed before the signed content existed, or in the wrong order."""
    before = [
        datetime(2025, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 2, 12, tzinfo=UTC),
    ]
    for at in before:
        yield f"signed {at}", Attempt(forged(replace(RIGHT, signed=at)), RING, STATUS)
        early = forged(replace(RIGHT, signed=at, verified=at))
        yield f"signed and verified {at}", Attempt(early, RING, STATUS)
    for at in (SIGNED - timedelta(seconds=1), SIGNED - timedelta(days=400)):
        yield f"verified {at}", Attempt(forged(replace(RIGHT, verified=at)), RING, STATUS)
    late = forged(replace(RIGHT, verified=ASKED + timedelta(days=1)))
    yield "verified in time to come", Attempt(late, RING, STATUS)
    future = forged(
        replace(RIGHT, signed=ASKED + timedelta(hours=1), verified=ASKED + timedelta(hours=2))
    )
    yield "signed in time to come", Attempt(future, RING, STATUS)
    for at in (SIGNED, VERIFIED - timedelta(minutes=6), ASKED + timedelta(days=1)):
        yield f"issued {at}", Attempt(forged(replace(RIGHT, issued=at)), RING, STATUS)
    unlogged = {n: d for n, d in WHOLE.files.items() if n not in ("receipt.txt", "manifest.txt")}
    pack = packs.with_files(WHOLE, unlogged)
    yield "issued in no log", Attempt(pack, RING, STATUS, accept=("verified",))


def cases_of_status():
    """Yield packs without a current status list of their statement."""
    yield "no list", Attempt(WHOLE, RING, None)
    yield "superseded", Attempt(WHOLE, RING, status(NAME))
    made = {
        "of 2020": datetime(2020, 1, 1, tzinfo=UTC),
        "before it was signed": SIGNED - timedelta(days=1),
        "before it was verified": VERIFIED - timedelta(hours=1),
        "of time to come": ASKED + timedelta(days=1),
    }
    for name, at in made.items():
        yield f"list {name}", Attempt(WHOLE, RING, status(made=at))
    yield "list expired", Attempt(WHOLE, RING, STATUS, ASKED + timedelta(days=40))
    yield "list of a year ago", Attempt(WHOLE, RING, STATUS, ASKED + timedelta(days=365))
    yield "another project's", Attempt(WHOLE, RING, status(project="other"))
    for role in ("verifier", "log"):
        yield f"list by the {role}", Attempt(WHOLE, RING, status(role=role))
    strange = plays("operator", OTHERS["operator"], enrolled("operator", OTHERS["operator"]))
    yield "list by a stranger", Attempt(WHOLE, RING, status(cast=strange))
    second = enrolled("operator", OTHERS["operator"], name="other-plant", projects=("other",))
    cast = plays("operator", OTHERS["operator"], second)
    yield "list by another project's operator", Attempt(WHOLE, (*RING, second), status(cast=cast))
    for garbage in (b"", b"{}", b"[]", b"\xff", STATUS[:-1], STATUS.replace(b"revocation", b"x")):
        yield f"list {garbage[:9]!r} of {len(garbage)}", Attempt(WHOLE, RING, garbage)


def _figure(path, value):
    def change(body):
        holder = body["credentialSubject"]
        for name in path[:-1]:
            holder = holder[name]
        holder[path[-1]] = value
        return body

    return change


FIGURES = (
    (("credited", "t"), "108"),
    (("credited", "t"), "10836"),
    (("credited", "t"), "8" * 40),
    (("emissions", "reduction", "t"), "9.999999"),
    (("emissions", "reduction", "ug"), "9999999000000"),
    (("emissions", "baseline", "t"), "12.000000"),
    (("coverage",), "1.000001"),
    (("digests", "readings"), "0" * 64),
    (("digests", "intervals"), "f" * 64),
    (("monitoringPeriod", "to"), "2026-01-03T17:00:00Z"),
    (("monitoringPeriod", "from"), "2025-12-31T17:00:00Z"),
    (("methodology", "version"), "9.9"),
    (("project", "id"), "other"),
    (("applicability",), []),
)
EVERYBODY = replace(
    RIGHT, signers=OTHERS, holders={role: enrolled(role, OTHERS[role]) for role in ROLES}
)


def cases_of_figures():
    """Yield packs with wrong figures, signed by the right keys and by new ones."""
    for path, value in FIGURES:
        for whose, cast in (("right", RIGHT), ("fresh", EVERYBODY)):
            pack = forged(cast, change=_figure(path, value))
            for ring in (RING, None):
                trusted = "trusted" if ring else "no ring"
                yield (
                    f"{path[-1]} {value!r:.9} by {whose} keys, {trusted}",
                    Attempt(pack, ring, STATUS),
                )
    fresh = forged(EVERYBODY)
    own = status(cast=EVERYBODY)
    yield "all fresh keys, no ring", Attempt(fresh, None, own)
    yield "all fresh keys, empty ring", Attempt(fresh, (), own)
    yield "all fresh keys", Attempt(fresh, RING, own)
    yield "all fresh keys, accepted as verified", Attempt(fresh, None, own, accept=("verified",))
    yield "all fresh keys, accepted as submitted", Attempt(fresh, None, own, accept=("submitted",))


def cases_of_order():
    """Yield packs whose seals are of another tree, too late, or missing."""
    yield "no seals", Attempt(forged(replace(RIGHT, sealed=False)), RING, STATUS)
    for before in ((), (b"x",), (b"before", b"x"), (b"x", b"before"), (b"before",) * 3):
        fork = forged(replace(RIGHT, seals_before=before))
        yield f"seals of a tree after {before}", Attempt(fork, RING, STATUS)
    for name in ("receipt.txt", "manifest.txt", "seals.json"):
        yield (
            f"without {name}",
            Attempt(
                packs.with_files(WHOLE, {n: d for n, d in WHOLE.files.items() if n != name}),
                RING,
                STATUS,
            ),
        )
    other = forged(replace(RIGHT, before=(b"before", b"more")))
    for name in ("receipt.txt", "manifest.txt"):
        files = {**WHOLE.files, name: other.files[name]}
        yield f"{name} of a fork", Attempt(packs.with_files(WHOLE, files), RING, STATUS)
    yield "the receipt of a tree without seals", Attempt(_bare_tree(), RING, STATUS)
    yield "the seals after the statement", Attempt(_sealed_after(), RING, STATUS)


def _entry(files):
    signed, opinion = (
        canonical.parse_object(files[n]) for n in ("statement.json", "verification.json")
    )
    return issued_entry(signed, opinion)


def _receipts(files, first, last=()):
    """Enter statement and manifest after some leaves; the right key of the log signs the head."""
    entries = [_entry(files), evidence_entry(NAME, files["manifest.json"])]
    leaves = [*first, *map(leaf_hash, entries), *last]
    signed = packs.head(leaves, RIGHT)
    found = dict(files)
    for at, name in enumerate(("receipt.txt", "manifest.txt"), start=len(first)):
        found[name] = make_receipt(at, inclusion_proof(at, leaves), signed).encode()
    return found


def _bare_tree():
    return packs.with_files(WHOLE, _receipts(WHOLE.files, [leaf_hash(b"before")]))


def _sealed_after():
    """Return the same tree, with the day sealed after the statement was issued."""
    seals = canonical.parse_object(WHOLE.files["seals.json"])
    seal = leaf_hash(canonical.encode(seals["days"][0]["entry"]))
    return packs.with_files(WHOLE, _receipts(WHOLE.files, [leaf_hash(b"before")], [seal]))


def cases_of_conditions():
    """Yield packs with unmet conditions for which no one signed a justification."""
    yield (
        "a qualified opinion without reason",
        Attempt(forged(replace(RIGHT, because=None, opinion="qualified")), RING, STATUS),
    )
    files = dict(WHOLE.files)
    opinion = canonical.parse_object(files["verification.json"])
    del opinion["proof"]
    for name, edit in {
        "no reason": _reasons(opinion, None),
        "an empty reason": _reasons(opinion, "  "),
        "a dot for a reason": _reasons(opinion, "."),
        "dots for a reason": _reasons(opinion, "." * 40),
        "numbers for a reason": _reasons(opinion, "2026-01-05, 2026-01-06, 2026-01-07"),
        "a word for a reason": _reasons(opinion, "seen" + " " * 40),
        "no list": {"unmet": None},
        "no words of parameters": {"parameters": None},
        "no words of requirements": {"requirements": None},
        "an empty list": {"unmet": []},
        "fewer conditions": {"unmet": opinion["credentialSubject"]["unmet"][:1]},
        "another opinion's": {"opinion": "adverse"},
        "a disclaimer": {"opinion": "disclaimer"},
    }.items():
        said = {**opinion["credentialSubject"], **edit}
        said = {key: value for key, value in said.items() if value is not None}
        yield f"verifier signed {name}", Attempt(_concluded(opinion, said), RING, STATUS)


def _reasons(opinion, reason):
    """Change the justification of each finding."""
    said = opinion["credentialSubject"]["unmet"]
    more = {} if reason is None else {"reason": reason}
    return {"unmet": [{"rule": one["rule"], "texts": one["texts"], **more} for one in said]}


def cases_of_materiality():
    """Yield opinions that leave more uncorrected error than any programme accepts."""
    opinion = canonical.parse_object(WHOLE.files["verification.json"])
    del opinion["proof"]
    said = opinion["credentialSubject"]
    for percent in ("99", "10.000001", "100", "-5", "1" * 40):
        errors = {**said["misstatements"], "threshold_percent": f"{percent}.000000"}
        if "." in percent:
            errors["threshold_percent"] = percent
        changed = {**said, "materiality_percent": percent, "misstatements": errors}
        yield f"materiality {percent:.9}", Attempt(_concluded(opinion, changed), RING, STATUS)


def cases_of_unnamed_keys():
    """Yield keys that do not show separate operator and verifier, or the accreditation."""
    for role, lacks in (("operator", "organisation"), ("verifier", "organisation"),
                        ("verifier", "accreditation")):  # fmt: skip
        held = enrolled(role, KEYS[role], **{lacks: None})
        yield f"{role} without {lacks}", Attempt(WHOLE, ring_with(role, held), STATUS)


def cases_of_dates():
    """Yield opinions with another date (which reports print) than their proof."""
    opinion = canonical.parse_object(WHOLE.files["verification.json"])
    del opinion["proof"]
    for said in ("2026-02-02T23:59:59Z", "2025-12-31T00:00:00Z", "2030-01-01T00:00:00Z"):
        dated = {**opinion, "validFrom": said}
        yield (
            f"verified at {said}",
            Attempt(_concluded(dated, dated["credentialSubject"]), RING, STATUS),
        )


def _concluded(opinion, said):
    """Sign another conclusion, and enter it in the log as it is."""
    document = {**opinion, "credentialSubject": said}
    files = dict(WHOLE.files)
    files["verification.json"] = canonical.encode(
        create_proof(document, KEYS["verifier"], VERIFIED)
    )
    files["manifest.json"] = packs.manifest_of(packs.hashes_of(files))
    seals = canonical.parse_object(files["seals.json"])
    seal = leaf_hash(canonical.encode(seals["days"][0]["entry"]))
    return packs.with_files(WHOLE, _receipts(files, [leaf_hash(b"before"), seal]))


def cases_of_parts():
    """Yield parts of a valid pack, and garbage in their place."""
    yield (
        "the statement alone",
        Attempt(Pack({"statement.json": WHOLE.files["statement.json"]}), RING, STATUS),
    )
    four = ("statement.json", "verification.json", "receipt.txt", "keys.json")
    yield (
        "documents without evidence",
        Attempt(Pack({name: WHOLE.files[name] for name in four}), RING, STATUS),
    )
    for name in WHOLE.files:
        for data in (b"", b"{}", b"[]", b"\xff", b'{"a":1,"a":2}', b"1" * 400, b"1e999999"):
            spoilt = packs.with_files(WHOLE, {**WHOLE.files, name: data})
            yield f"{name} is {data[:8]!r}", Attempt(spoilt, RING, STATUS)
    for name in ("findings.json", "extra.json", "status.json", "README.txt"):
        added = packs.with_files(WHOLE, {**WHOLE.files, name: b"[]"})
        yield f"{name} added", Attempt(added, RING, STATUS)
    draft = {n: d for n, d in WHOLE.files.items() if n == "statement.json"}
    body = canonical.parse_object(draft["statement.json"])
    bare = {k: v for k, v in body.items() if k not in ("proof", "issuer")}
    yield "a draft", Attempt(Pack({"statement.json": canonical.encode(bare)}), RING, STATUS)


KINDS = (
    cases_of_keys, cases_of_ended_keys, cases_of_organisations, cases_of_time,
    cases_of_status, cases_of_figures, cases_of_order, cases_of_conditions, cases_of_dates,
    cases_of_materiality, cases_of_unnamed_keys,
    cases_of_parts,
    *forgeries_of_two.KINDS,
)  # fmt: skip

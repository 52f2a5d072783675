"""Forgeries that change two things at once, or hide one weakness behind the waiver of another."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations

from mrv.signatures import canonical
from mrv.signatures.key_bounds import LogPlace
from mrv.statement.compose import compose
from mrv.verify.reliance import WAIVERS
from tests.mrv import packs
from tests.mrv.forging import (
    ASKED,
    HOLDERS,
    KEYS,
    MADE,
    OTHERS,
    RIGHT,
    RING,
    ROLES,
    SIGNED,
    STATUS,
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

DAY = timedelta(days=1)
# the same evidence once more, with the next number: as a claim beside the first
SECOND = forged(change=lambda _: compose(MADE, replace(packs.LABEL, sequence=2)))
# keys of another operator, whom the reader trusts for another plant
NEIGHBOUR = enrolled(
    "operator",
    OTHERS["operator"],
    name="neighbour",
    organisation="Neighbour JSC",
    organisation_id="0777",
    projects=None,
)
UNBOUND = enrolled("operator", KEYS["operator"], projects=None)


def cases_of_parts_of_two():
    """Yield valid packs with one or two documents of another valid pack."""
    differ = sorted(name for name, data in WHOLE.files.items() if SECOND.files[name] != data)
    documents = [name for name in differ if name != "manifest.json"]
    for some in [*combinations(documents, 1), *combinations(documents, 2)]:
        other = {name: SECOND.files[name] for name in some}
        mixed = {**WHOLE.files, **other}
        yield (
            f"{' and '.join(some)} of another",
            Attempt(packs.with_files(WHOLE, mixed), RING, STATUS),
        )
        yield (
            f"{' and '.join(some)} of another, listed",
            Attempt(resealed(WHOLE, mixed), RING, STATUS),
        )


def cases_of_lists_by_ended_keys():
    """Yield status lists that a thief signs, or backdates, with an ended key."""
    # the statement itself counts: it entered the log before the key ended
    for until in (ASKED - timedelta(hours=6), ASKED - DAY / 2, ASKED):
        ended = enrolled(
            "operator",
            KEYS["operator"],
            ends_at=LogPlace("the-log", 9),
            valid_until=f"{until:%Y-%m-%dT%H:%M:%SZ}",
        )
        ring = ring_with("operator", ended)
        for made in (until - timedelta(seconds=1), ASKED - DAY, ASKED - 3 * DAY):
            where = f"list of {made:%dT%H:%M:%S} by a key that ended {until:%dT%H}"
            yield where, Attempt(WHOLE, ring, status(made=made))
    placed = enrolled("operator", KEYS["operator"], ends_at=LogPlace("the-log", 9))
    yield (
        "list by a key that ended at a place",
        Attempt(WHOLE, ring_with("operator", placed), STATUS),
    )


def cases_of_several_operators():
    """Yield packs that any trusted operator could have signed for any project."""
    strange = replace(
        RIGHT,
        signers={**KEYS, "operator": OTHERS["operator"]},
        holders={**HOLDERS, "operator": NEIGHBOUR},
    )
    ring = (NEIGHBOUR, *RING)
    yield "a neighbour signs", Attempt(forged(strange), ring, STATUS)
    yield "a neighbour signs, with its list", Attempt(forged(strange), ring, status(cast=strange))
    yield "a neighbour's list", Attempt(WHOLE, ring, status(cast=strange))
    both = (NEIGHBOUR, UNBOUND, HOLDERS["verifier"], HOLDERS["log"])
    yield "two operators, neither bound", Attempt(WHOLE, both, STATUS)


STRANGERS = {role: plays(role, OTHERS[role], enrolled(role, OTHERS[role])) for role in ROLES}
ENDED = enrolled("verifier", KEYS["verifier"], valid_until="2026-02-04T00:00:00Z")
ELSEWHERE = enrolled("operator", KEYS["operator"], projects=("other",))
# who signs and when, and what the reader has
FLAWS = {
    "signed by a stranger": (STRANGERS["operator"], {}),
    "verified by a stranger": (STRANGERS["verifier"], {}),
    "logged by a stranger": (STRANGERS["log"], {}),
    "signed too early": (replace(RIGHT, signed=datetime(2026, 1, 1, tzinfo=UTC)), {}),
    "verified too early": (replace(RIGHT, verified=SIGNED - DAY), {}),
    "no seals": (replace(RIGHT, sealed=False), {}),
    "seals of a fork": (replace(RIGHT, seals_before=(b"x",)), {}),
    "qualified without a reason": (replace(RIGHT, because=None, opinion="qualified"), {}),
    "ended key": (RIGHT, {"ring": ring_with("verifier", ENDED)}),
    "key of another project": (RIGHT, {"ring": ring_with("operator", ELSEWHERE)}),
    "no key of the log": (RIGHT, {"ring": without("log")}),
    "superseded": (RIGHT, {"status": "ended"}),
    "list of 2020": (RIGHT, {"status": "old"}),
    "no list": (RIGHT, {"status": "none"}),
    "asked long after": (RIGHT, {"at": ASKED + 90 * DAY}),
}
# the waiver that a flaw is there for; all others must leave it as it is
OWN = {
    "no seals": "unsealed-days",
    "qualified without a reason": "unmet-conditions",
    "ended key": "ended-keys",
}
_CAST = ("signers", "holders", "signed", "verified", "sealed", "seals_before", "because", "opinion")


def _attempt(names, accept=()):
    """Make one pack with several flaws."""
    cast, more = RIGHT, {}
    for name in names:
        one, said = FLAWS[name]
        more |= said
        for field in _CAST:
            mine, now = getattr(one, field), getattr(cast, field)
            if field in ("signers", "holders"):
                plain = getattr(RIGHT, field)
                mine = {r: mine[r] if mine[r] != plain[r] else now[r] for r in ROLES}
            elif mine == getattr(RIGHT, field):
                continue
            cast = replace(cast, **{field: mine})
    lists = {
        None: lambda: status(cast=cast),
        "ended": lambda: status(_name(), cast=cast),
        "old": lambda: status(cast=cast, made=datetime(2020, 1, 1, tzinfo=UTC)),
        "none": lambda: None,
    }
    given = lists[more.pop("status", None)]()
    return Attempt(forged(cast), **{"ring": RING, "status": given, "accept": tuple(accept), **more})


def _name():
    return canonical.parse_object(WHOLE.files["statement.json"])["credentialSubject"]["statement"]


def cases_of_two_flaws():
    """Yield packs with two flaws, one of which could hide the other."""
    for one, other in combinations(FLAWS, 2):
        yield f"{one}, {other}", _attempt((one, other))


def cases_of_waivers():
    """Yield packs with a flaw, for a reader who accepts every other weakness."""
    for name in FLAWS:
        others = tuple(word for word in WAIVERS if word != OWN.get(name))
        yield f"{name}, all else accepted", _attempt((name,), others)
        if name in OWN:
            for second in FLAWS:
                # a pack without seals has none of a fork
                if OWN.get(second) != OWN[name] and {name, second} != {
                    "no seals",
                    "seals of a fork",
                }:
                    yield f"{name} accepted, {second}", _attempt((name, second), (OWN[name],))


KINDS = (
    cases_of_parts_of_two,
    cases_of_lists_by_ended_keys,
    cases_of_several_operators,
    cases_of_two_flaws,
    cases_of_waivers,
)

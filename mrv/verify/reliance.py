"""Reliance on a statement: missing evidence, and the basis of the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from mrv.documents import UNSET
from mrv.program import program, same
from mrv.signatures.keys import EnrolledKey
from mrv.signatures.organisations import organisation_of, same_organisation
from mrv.statement.evidence import of_first_release
from mrv.statement.states import unnamed
from mrv.verify.report import Rules
from mrv.verify.subject import Subject, a

# values of `--accept` in addition to the states
WAIVERS = (
    "unmet-conditions",
    "unsealed-days",
    "ended-keys",
    "no-timestamps",
    "older-rules",
    "unbound-keys",
)
_KEYS = "pass your file of trusted keys with --keys FILE"
# state from which on a reader needs the key of a role
_ROLES = {"operator": "submitted", "verifier": "verified", "log": "issued"}
_STEPS = {
    "submitted": ("signature", "the operator's signature", "`tonne statement submit`"),
    "verified": (
        "verification",
        "a verification by another organisation",
        "`tonne statement verify`",
    ),
    "issued": (
        "issue",
        "a receipt of the log: the statement is not issued",
        "`tonne statement issue`",
    ),
}


def note_missing(subject: Subject) -> None:
    """Record missing evidence that no step could examine."""
    if subject.pack.bare:
        subject.lack("evidence", "draft", "the evidence", "pass the pack's folder or its zip file")
    order = ("draft", "submitted", "verified", "issued")
    reached = order.index(subject.state)
    for state in order[reached + 1 :]:
        code, what, command = _STEPS[state]
        subject.lack(
            code, state, what, f"the next step is {command}; or name the state with --accept"
        )
    _note_keys(subject)
    if subject.state != "draft" and not subject.lists:
        subject.lack(
            "status",
            "issued",
            "the project's status list: whether the statement was superseded or revoked since",
            "get the newest list from the operator and pass it with --status FILE",
        )


def _note_keys(subject: Subject) -> None:
    if subject.trusted is None:
        subject.lack("keys", "submitted", "trusted keys", _KEYS)
        return
    roles = {key.role for key in subject.trusted}
    for role, state in _ROLES.items():
        if role not in roles:
            what = f"a trusted key of {a(role)}"
            subject.lack(f"key-{role}", state, what, f"{_KEYS}; it has none of that role")
    _note_unnamed(subject)
    _note_unbound(subject)


def _note_unnamed(subject: Subject) -> None:
    """Record keys without an organisation or accreditation in the reader's key ring."""
    if of_first_release(subject.claims):
        return  # the keyrings of that version did not state organisations
    signed = {("operator", _issuer(subject.statement))}
    if subject.verification is not None:
        signed.add(("verifier", _issuer(subject.verification)))
    for key in subject.trusted or ():
        for value in unnamed(key.role, key.bounds) if (key.role, key.did) in signed else ():
            subject.lack(
                f"{key.role}-{value}",
                _ROLES[key.role],
                f"{value} of {key.name!r} ({key.role}) in your keys: operator and verifier must be "
                "two organisations, and the verifier accredited",
                f"pass keys that name it (`tonne keys create --{value}`, or a trust root), "
                "or accept this with --accept unbound-keys",
                "unbound-keys",
            )


def _note_unbound(subject: Subject) -> None:
    """Record operators' keys that do not state their projects, if there are several operators."""
    operators = [key for key in subject.trusted or () if key.role == "operator"]
    # the operators' keys state no organisation for a comparison
    if not any(key.bounds.organisation or key.bounds.organisation_id for key in operators):
        return
    if all(same_organisation(operators[0], other) for other in operators):
        return
    signers = _signers(subject)
    result = sorted(
        {key.name for key in operators if key.did in signers and key.bounds.projects is None}
    )
    if result:
        subject.lack(
            "unbound-key",
            "submitted",
            f"the projects for which {' and '.join(map(repr, result))} may sign: "
            "your keys are of several operators, and any of them could have signed "
            f"for project {subject.claims.project.id}",
            "pass keys that name the projects (`tonne keys create --project`, or "
            "a trust root), or accept this with --accept unbound-keys",
            "unbound-keys",
        )


def _signers(subject: Subject) -> set[object]:
    """Return the signers named in statement, approvals and status lists."""
    return set(map(_issuer, (subject.statement, *subject.approvals, *subject.lists)))


def _issuer(document: Mapping[str, Any]) -> object:
    result = document.get("issuer")
    return result.get("id") if isinstance(result, dict) else None


def relied_on(subject: Subject, rules: Rules | None) -> Iterator[str]:
    """Yield the keys, log, clock and rules on which the result is based."""
    if subject.trusted is not None:
        named = "; ".join(map(_key, subject.trusted)) or "none"
        yield f"keys, by {subject.source}: {named}"
    # the result does not rely on a log or list signed only by the pack's own keys
    head = None if subject.trusted is None else subject.head
    if head is not None:
        seen = [f"{w.witness.name} at {_moment(w.time_s)}" for w in subject.witnesses]
        yield f"log: {head.origin}, head of {head.size} entries" + (
            f", countersigned by {', '.join(seen)}" if seen else ""
        )
    stamped = subject.stamped
    if stamped is not None and stamped.stamps:
        by = ", ".join(f"{name} at {at}" for name, at in stamped.stamps)
        yield f"time stamps: the statement existed when stamped by {by}{_seals_seen(subject)}"
    if subject.trusted is not None and subject.lists:
        yield "status: stated by the operator in a signed list, valid for at most 31 days"
    if subject.trusted is not None and subject.arrived:
        yield (
            "arrival: hours recorded by the operator's server when it stored the "
            "readings, fixed by the log in the seal of each day"
        )
    every = all(missing.code != "meter-key" for missing in subject.lacking)
    if subject.meter_keys is not None and every and (signers := _value_signers(subject)):
        yield f"meters' keys, from your own list: {', '.join(signers)}"
    order = "the order of the log's entries, and " if head is not None else ""
    yield f"clock: {order}the time of your check, {subject.at:%Y-%m-%dT%H:%M:%SZ}"
    claims = subject.claims
    yield (
        f"rules: {claims.methodology.id} {claims.methodology.version}, closed by "
        f"{claims.code_version}; recalculated by {rules.then}, with "
        f"{'the same program' if same(claims.code_version) else program()}"
        if rules is not None
        else f"rules: none; {claims.methodology.id} was not recalculated"
    )


def _seals_seen(subject: Subject) -> str:
    seen = [
        stamped_day.stamped
        for stamped_day in subject.stamped_days
        if stamped_day.stamped is not None
    ]
    if not seen:
        return ""
    return f"; {len(seen)} of {len(subject.stamped_days)} days' seals, the last at {max(seen)}"


def _key(key: EnrolledKey) -> str:
    bounds, text = key.bounds, f"{key.name} ({key.role})"
    if bounds.organisation is not None:
        text += f" of {bounds.organisation}"
    if bounds.accreditation is not None:
        text += f", accreditation {bounds.accreditation.id}"
    return text


def _moment(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _dates(subject: Subject) -> Iterator[str]:
    stamped = subject.stamped
    if stamped is None or not stamped.stamps:
        yield "dates in signatures: stated by each signer"
        yield ("a clock independent of the operator: no trusted authority stamped the statement")
        return
    yield "dates in signatures: stated by each signer; only time stamps limit them (not later)"
    for name, end in stamped.ends:
        yield (
            f"{name} since its certificate expired at {end}: the stamp is earlier, "
            "but its key may have been stolen since"
        )


def not_relied_on(subject: Subject) -> Iterator[str]:
    """Yield texts on items that were not checked, or on which the result does not rely."""
    if subject.trusted is None:
        yield "the signers: the pack's own keys only show that its parts match"
    for key in subject.trusted or ():
        if key.role in ("operator", "verifier") and key.bounds.projects is None:
            yield f"projects of {key.name}: the keyring names none, so any project is allowed"
        if key.role in ("operator", "verifier") and key.bounds.organisation is None:
            yield f"organisation of {key.name}: the keyring names none, so only names were compared"
        if key.role == "verifier" and key.bounds.accreditation is None:
            yield f"accreditation of {key.name} ({organisation_of(key)}): the keyring names none"
    if subject.state != "draft":
        yield from _dates(subject)
        yield (
            "other statements: whether another statement claims the same energy, "
            "and the earlier statements in plan.json; their packs and the whole "
            "log are needed for this (`tonne log monitor`)"
        )
    if subject.head is not None and not subject.witnesses:
        yield (
            "a witness: no trusted witness signed the log's head, so only "
            "the log itself confirms it"
        )
    if subject.state == "issued" and not subject.arrived:
        yield "the hour in which readings arrived: a seal only shows that they had arrived by then"
    arrival = subject.claims.arrival
    if arrival is not UNSET and int(arrival.not_noted):
        number = arrival.not_noted
        yield f"the arrival of {number} readings: it was not recorded when they were stored"
    yield from _signing_keys(subject)
    yield "the meters: calibration and site visits have to show whether they measured correctly"


def _value_signers(subject: Subject) -> tuple[str, ...]:
    signed_energy = subject.claims.signed_energy
    return () if signed_energy is UNSET else signed_energy.signers


def _signing_keys(subject: Subject) -> Iterator[str]:
    signers = _value_signers(subject)
    if signers and subject.meter_keys is None:
        yield (
            f"keys of {', '.join(signers)}, used for signed values: taken from the "
            "operator's registry; pass those of the labels, or of the manufacturers' "
            "lists, with --meter-keys FILE"
        )

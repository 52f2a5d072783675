"""
States of a statement with their transitions, approvals of its issue, and its status list.

    draft -> submitted -> (under_verification) -> verified -> issued -> superseded
                                              `-> rejected          `-> revoked

The first finding puts a statement under verification; without findings that state is skipped.  A
database trigger enforces the same transitions; here the error texts state the remedy.

Each approving operator signs a credential over the signed statement and its verification.  The log
entry of the issue names all approvals, so that none can be removed or added later.

The validity of a statement is a bit of a status list (W3C Bitstring Status List v1.0).  The
operator signs one list per project, with one bit per statement, set permanently when it is
superseded or revoked.  A statement's index is derived from its name; a list in which two statements
share an index is rejected, which is very unlikely.  A bit states only the current state; the log
has the time.
"""

from __future__ import annotations

import gzip
import zlib
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from mrv.documents import UNSET, Issuer, RelatedResource, read, write
from mrv.documents.statement import StatusEntry
from mrv.documents.verification import Approved, IssueApproval, StatusBits, StatusList
from mrv.errors import CanonicalError, EnrolmentError, SignatureError, StatementStateError
from mrv.signatures import canonical
from mrv.signatures.data_integrity import create_proof, proofs_of, time_of
from mrv.signatures.ed25519 import sha256_multibase
from mrv.signatures.key_bounds import KeyBounds
from mrv.signatures.keys import EnrolledKey, Role, SigningKey
from mrv.signatures.organisations import normalised, organisation_of, same_organisation

# The second context defines terms that the first does not contain.
CONTEXT = (
    "https://www.w3.org/ns/credentials/v2",
    "https://www.w3.org/ns/credentials/undefined-terms/v2",
)
# A credential's id is a URL; this scheme needs no registered domain.
URN = "urn:tonne:"
MEDIA_TYPE = "application/vc"


def related(name: str, data: bytes) -> dict[str, Any]:
    """Return the reference to a document: id, and digests of its bytes."""
    return write(
        RelatedResource(
            id=name,
            digest_sri=f"sha256-{b64encode(canonical.sha256(data)).decode()}",
            digest_multibase=sha256_multibase(data),
            media_type=MEDIA_TYPE,
        )
    )


def issuer(holder: EnrolledKey) -> dict[str, Any]:
    """Return the holder of a key as the issuer of a credential."""
    return write(Issuer(id=holder.did, name=holder.name))


def valid_from(created: datetime) -> str:
    """Return `validFrom` of a credential from a time with zone: UTC, whole seconds."""
    return created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def about(
    statement: Mapping[str, Any],
    part: str,
    types: tuple[str, ...],
    signed: tuple[dict[str, Any], EnrolledKey, str],
) -> dict[str, Any]:
    """
    Return a credential about a signed statement, without its proof.

    `part`: suffix of its id, appended to the statement's id.
    `signed`: its subject, issuer and start of validity.
    """
    subject, holder, when = signed
    return {
        "@context": list(CONTEXT),
        "id": f"{statement['id']}:{part}",
        "type": list(types),
        "issuer": issuer(holder),
        "validFrom": when,
        "credentialSubject": subject,
        "relatedResource": [related(statement["id"], canonical.encode(statement))],
    }


State = Literal[
    "draft",
    "submitted",
    "under_verification",
    "verified",
    "rejected",
    "issued",
    "superseded",
    "revoked",
]

_NEXT: dict[str, tuple[State, ...]] = {
    "draft": ("submitted",),
    "submitted": ("under_verification", "verified", "rejected"),
    "under_verification": ("verified", "rejected"),
    "verified": ("issued",),
    "issued": ("superseded", "revoked"),
    "rejected": (),
    "superseded": (),
    "revoked": (),
}
_COMMANDS = {
    "submitted": "tonne statement submit",
    "under_verification": "tonne statement finding add",
    "verified": "tonne statement verify",
    "rejected": "tonne statement verify --opinion adverse",
    "issued": "tonne statement issue",
    "superseded": "tonne statement supersede",
    "revoked": "tonne statement revoke",
}


def check_step(statement: str, state: str, wanted: State) -> None:
    """
    Check that a transition is permitted in the current state.

    `wanted`: state after the transition.
    Raises StatementStateError that names the state and the permitted next states.
    """
    allowed = _NEXT[state]
    if wanted in allowed:
        return
    ways = "; ".join(f"`{_COMMANDS[step]} {statement}` makes it {step}" for step in allowed)
    raise StatementStateError(
        f"statement {statement} is {state} and cannot become {wanted}; "
        + (ways or "no step follows that state: close its period again")
    )


def check_role(key: EnrolledKey, role: Role, statement: str) -> None:
    """Check the role of a signer's key. Raises EnrolmentError that names both roles."""
    if key.role != role:
        raise EnrolmentError(
            f"key {key.name!r} is enrolled as {key.role}; statement {statement} needs the"
            f" signature of a key enrolled as {role}; choose one, `tonne keys list` shows them"
        )


def check_other(preparer: EnrolledKey, verifier: EnrolledKey) -> None:
    """
    Check that the verifier is neither the preparer nor of the preparer's organisation.

    Raises EnrolmentError otherwise.
    """
    if preparer.multikey == verifier.multikey or preparer.name == verifier.name:
        raise EnrolmentError(
            f"{verifier.name!r} prepared this statement and cannot verify it; have "
            "it verified by another enrolled key"
        )
    if same_organisation(preparer, verifier):
        raise EnrolmentError(
            f"{verifier.name!r} of {organisation_of(verifier)!r} cannot verify a "
            f"statement of {preparer.name!r} of {organisation_of(preparer)!r}: they "
            "are one organisation; have it verified by another organisation"
        )


def unnamed(role: Role, bounds: KeyBounds) -> tuple[str, ...]:
    """Return the missing organisation data of a signer's key, as options of `tonne keys create`."""
    if role not in ("operator", "verifier", "third-party"):
        return ()
    lacks = () if bounds.organisation else ("organisation",)
    unaccredited = role == "verifier" and bounds.accreditation is None
    return (*lacks, "accreditation") if unaccredited else lacks


def check_named(key: EnrolledKey) -> None:
    """
    Check that an operator's or verifier's key has organisation data.

    Raises EnrolmentError otherwise.
    """
    if lacks := unnamed(key.role, key.bounds):
        raise EnrolmentError(
            f"key {key.name!r} ({key.role}) names no {' and no '.join(lacks)}: operator and "
            "verifier must be two organisations, and the verifier accredited; add it to the key's "
            "entry in the file of `tonne keys public`, and pass that file to `tonne keys enroll`"
        )


def check_project(key: EnrolledKey, project: str, what: str) -> None:
    """
    Check that a key may sign for a project.

    `what`: the document to be signed, for the error.
    Raises EnrolmentError that names both.
    """
    allowed = key.bounds.projects
    if allowed is not None and project not in allowed:
        raise EnrolmentError(
            f"{what} is of project {project!r}, but key {key.name!r} ({key.role}) may sign for"
            f" {', '.join(allowed) or 'no project'} only; sign with a key of that project"
        )


def check_accreditation(key: EnrolledKey, methodology: str, created: str) -> None:
    """
    Check that a verifier's accreditation covers a methodology and is valid at a time.

    A key without an accreditation is not checked.
    `created`: time of the verification's signature, RFC 3339.
    Raises EnrolmentError otherwise.
    """
    body = key.bounds.accreditation
    if body is None:
        return
    if body.scope and methodology not in body.scope:
        raise EnrolmentError(
            f"accreditation {body.id!r} of {key.name!r} covers {', '.join(body.scope)},"
            f" not {methodology}; have the statement verified by a body accredited for it"
        )
    at = datetime.fromisoformat(created)
    early = body.valid_from is not None and at < datetime.fromisoformat(body.valid_from)
    if early or (body.valid_until is not None and at >= datetime.fromisoformat(body.valid_until)):
        edges = (("from", body.valid_from), ("until", body.valid_until))
        valid = " ".join(f"{word} {edge}" for word, edge in edges if edge is not None)
        raise EnrolmentError(
            f"accreditation {body.id!r} of {key.name!r} is valid {valid}, but the verification was "
            f"signed at {created}; have it verified by a body with a valid accreditation"
        )


TYPES = ("VerifiableCredential", "IssueApproval")


def sign_approval(
    statement: Mapping[str, Any],
    verification: Mapping[str, Any],
    key: SigningKey,
    holder: EnrolledKey,
    created: datetime,
) -> dict[str, Any]:
    """Return a signed approval of the issue of a verified statement."""
    approved = Approved(id=statement["id"], verification_sha256=_digest(verification))
    part = f"approval:{holder.multikey}"
    document = about(statement, part, TYPES, (write(approved), holder, valid_from(created)))
    return create_proof(document, key, created)


def check_approval(
    document: Mapping[str, Any],
    statement: Mapping[str, Any],
    verification: Mapping[str, Any],
    holder: EnrolledKey,
    project: str,
) -> None:
    """
    Check that an approval is of a statement and its verification; the caller checks its proof.

    Raises CanonicalError, SignatureError or EnrolmentError if it is in another form, of other
    documents, earlier than the verification, or not by an operator of the project.
    """
    name = str(document.get("id"))
    check_role(holder, "operator", statement["id"])
    check_project(holder, project, name)
    if (
        document.get("@context") != list(CONTEXT)
        or document.get("type") != list(TYPES)
        or document.get("id") != f"{statement['id']}:approval:{holder.multikey}"
        or document.get("issuer") != issuer(holder)
    ):
        raise CanonicalError(
            f"{name!r} is not an approval of {statement['id']} by {holder.name}; have the "
            "statement approved again"
        )
    approved = read(IssueApproval, document, f"approval {name!r}").credential_subject
    named = [related(statement["id"], canonical.encode(statement))]
    if (
        document["relatedResource"] != named
        or approved.id != statement["id"]
        or approved.verification_sha256 != _digest(verification)
    ):
        raise SignatureError(
            f"{name} approves another statement or another verification; have this one approved"
        )
    times = [proofs_of(credential)[0]["created"] for credential in (verification, document)]
    if time_of(times[1], "created") < time_of(times[0], "created"):
        raise SignatureError(
            f"{name} was signed at {times[1]}, before the verification; have the statement "
            "approved again"
        )


def people(holders: Iterable[EnrolledKey]) -> int:
    """Return the number of approving persons; two keys of one holder are one person."""
    return len({normalised(holder.name) for holder in holders})


def check_enough(result: int, wanted: int, statement: str) -> None:
    """
    Check that an issue has enough approvals.

    `result`, `wanted`: number of approving persons, and the required number.
    Raises EnrolmentError that states the next step.
    """
    if result < wanted:
        raise EnrolmentError(
            f"{wanted} approvals are required to issue {statement}; signed so far: {result}; "
            f"each person signs with `tonne statement approve {statement} --key NAME`"
        )


def digests(approvals: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the digests by which the log names approvals, sorted."""
    return sorted(map(_digest, approvals))


def _digest(document: Mapping[str, Any]) -> str:
    return canonical.sha256_hex(canonical.encode(document))


_LIST_CONTEXT = ("https://www.w3.org/ns/credentials/v2",)
_LIST_TYPES = ("VerifiableCredential", "BitstringStatusListCredential")
PURPOSE = "revocation"
# Maximum validity of a list, also if it states a later end or, as in tonne 0.1.0, none.  Otherwise
# an owner could present an old list after the statement was revoked.
LIFE_DAYS = 31
_BITS = 2**24
_URN = "urn:tonne:status:"


def place(statement: str) -> int:
    """Return the index of a statement in its project's status list."""
    return int.from_bytes(canonical.sha256(statement.encode())[:3], "big")


def list_id(project: str) -> str:
    """Return the name of a project's status list."""
    return f"{_URN}{project}"


def status_entry(project: str, statement: str) -> StatusEntry:
    """Return `credentialStatus` of a statement."""
    index = str(place(statement))
    return StatusEntry(
        id=f"{list_id(project)}#{index}",
        type="BitstringStatusListEntry",
        status_purpose=PURPOSE,
        status_list_index=index,
        status_list_credential=list_id(project),
    )


def sign_list(
    project: str,
    every: Iterable[str],
    ended: Iterable[str],
    key: SigningKey,
    holder: EnrolledKey,
    created: datetime,
    *,
    days: int = LIFE_DAYS,
) -> dict[str, Any]:
    """
    Return a project's signed status list of the statements that are no longer valid.

    `every`: all statements of the project.
    `ended`: those no longer valid.
    `days`: validity of the list.
    Raises StatementStateError if two statements share an index.
    """
    places: dict[int, str] = {}
    for name in every:
        other = places.setdefault(place(name), name)
        if other != name:
            raise StatementStateError(
                f"{name} and {other} have the same index in the status list; close the later "
                "one again"
            )
    bits = bytearray(_BITS // 8)
    for name in ended:
        index = place(name)
        bits[index // 8] |= 0x80 >> index % 8  # bit 0 is the leftmost bit of a byte
    document = {
        "@context": list(_LIST_CONTEXT),
        "id": list_id(project),
        "type": list(_LIST_TYPES),
        "issuer": issuer(holder),
        "validFrom": valid_from(created),
        "validUntil": valid_from(created + timedelta(days=days)),
        "credentialSubject": write(
            StatusBits(
                id=f"{list_id(project)}#list",
                type="BitstringStatusList",
                status_purpose=PURPOSE,
                encoded_list=_encode(bytes(bits)),
            )
        ),
    }
    return create_proof(document, key, created)


def counts(document: Mapping[str, Any], project: str, statement: str) -> bool:
    """
    Return whether a statement is valid by a status list; the caller checks the list's proof.

    Raises CanonicalError if it is the list of another project.
    """
    return statement not in ended(document, project, [statement])


def ended(document: Mapping[str, Any], project: str, statements: Iterable[str]) -> set[str]:
    """
    Return the ids of statements that are no longer valid by a status list; errors
    as `counts`.
    """
    if document.get("type") != list(_LIST_TYPES) or document.get("id") != list_id(project):
        raise CanonicalError(
            f"this is not the status list {list_id(project)}; get the project's own list"
        )
    bits_of = read(StatusList, document, f"status list {list_id(project)}").credential_subject
    if bits_of.status_purpose != PURPOSE:
        raise CanonicalError(
            f"this is not the status list {list_id(project)}; get the project's own list"
        )
    bits = _decode(bits_of.encoded_list)
    places = {name: place(name) for name in statements}
    return {name for name, at in places.items() if bits[at // 8] & 0x80 >> at % 8}


def lasts(document: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """
    Return start and end of a status list's validity, end excluded.

    Raises CanonicalError or SignatureError if it is not a list, or a time is invalid.
    """
    status_list = read(StatusList, document, f"status list {document.get('id')!r}")
    begin = time_of(status_list.valid_from, "validFrom of the status list")
    latest = begin + timedelta(days=LIFE_DAYS)
    if status_list.valid_until is UNSET:
        return begin, latest
    return begin, min(latest, time_of(status_list.valid_until, "validUntil of the status list"))


def _encode(bits: bytes) -> str:
    return "u" + urlsafe_b64encode(gzip.compress(bits, mtime=0)).decode().rstrip("=")


@lru_cache(maxsize=2)  # several statements use the same list, of 2 MB
def _decode(text: str) -> bytes:
    """Return the bits of an encoded list; data above its size are not decompressed."""
    if not text.startswith("u"):
        raise CanonicalError(
            f"encodedList begins with {text[:8]!r}, not with u; download the list again"
        )
    try:
        packed = urlsafe_b64decode(text[1:] + "=" * (-len(text[1:]) % 4))
        bits = zlib.decompressobj(wbits=31).decompress(packed, _BITS // 8 + 1)
    except (ValueError, zlib.error) as error:
        raise CanonicalError(
            f"encodedList cannot be unpacked: {error}; obtain the status list again from the issuer"
        ) from error
    if len(bits) != _BITS // 8:
        raise CanonicalError(
            f"the status list has {len(bits) * 8} bits instead of {_BITS}; obtain it again from "
            "the issuer"
        )
    return bits

"""
Validity of a statement: a bitstring status list (W3C Bitstring Status List v1.0).

The operator signs one list per project, with one bit per statement, set permanently when it is
superseded or revoked.  A statement's index is derived from its name; a list in which two statements
share an index is refused, which is very unlikely.  A bit shows only the present state; the log has
the time.
"""

from __future__ import annotations

import gzip
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from mrv.documents.form import UNSET, read, write
from mrv.documents.statement import StatusEntry
from mrv.documents.verification import StatusBits, StatusList
from mrv.errors import CanonicalError, StatementStateError
from mrv.signatures import canonical
from mrv.signatures.data_integrity import create_proof, time_of
from mrv.signatures.keys import EnrolledKey, SigningKey
from mrv.statement.states import issuer, valid_from

CONTEXT = ("https://www.w3.org/ns/credentials/v2",)
TYPES = ("VerifiableCredential", "BitstringStatusListCredential")
PURPOSE = "revocation"
# No list is believed for longer, whatever end it says, or none as tonne 0.1.0 wrote them:
# an owner could sign one for ever, and show that after the statement ended.
LIFE_DAYS = 31
_BITS = 2**24
_URN = "urn:tonne:status:"


def place(statement: str) -> int:
    """Return the index of a statement in its project's list."""
    return int.from_bytes(canonical.sha256(statement.encode())[:3], "big")


def list_id(project: str) -> str:
    """Return the name of a project's list."""
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
    Return a project's signed list.

    Parameters
    ----------
    every : iterable of str
        All statements of the project.
    ended : iterable of str
        Those no longer valid.
    days : int
        Validity of the list.

    Raises
    ------
    StatementStateError
        If two statements share an index.
    """
    places: dict[int, str] = {}
    for name in every:
        other = places.setdefault(place(name), name)
        if other != name:
            raise StatementStateError(
                f"{name} and {other} have the same place in the status list; close the later "
                "one again"
            )
    bits = bytearray(_BITS // 8)
    for name in ended:
        index = place(name)
        bits[index // 8] |= 0x80 >> index % 8  # bit 0 is the leftmost
    document = {
        "@context": list(CONTEXT),
        "id": list_id(project),
        "type": list(TYPES),
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
    Return whether a statement is still valid according to a list; the caller checks its proof.

    Raises
    ------
    CanonicalError
        If it is the list of another project.
    """
    return statement not in ended(document, project, [statement])


def ended(document: Mapping[str, Any], project: str, statements: Iterable[str]) -> set[str]:
    """Return the statements that have ended according to a list; errors as `counts`."""
    if document.get("type") != list(TYPES) or document.get("id") != list_id(project):
        raise CanonicalError(f"not the status list {list_id(project)}; get the project's own list")
    bits_of = read(StatusList, document, f"status list {list_id(project)}").credential_subject
    if bits_of.status_purpose != PURPOSE:
        raise CanonicalError(f"not the status list {list_id(project)}; get the project's own list")
    bits = _decode(bits_of.encoded_list)
    places = {name: place(name) for name in statements}
    return {name for name, at in places.items() if bits[at // 8] & 0x80 >> at % 8}


def lasts(document: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """
    Return start and end of a list's validity, end excluded.

    Raises
    ------
    CanonicalError, SignatureError
        If it is not a list, or a time is invalid.
    """
    status_list = read(StatusList, document, f"status list {document.get('id')!r}")
    begin = time_of(status_list.valid_from, "validFrom of the status list")
    latest = begin + timedelta(days=LIFE_DAYS)
    if status_list.valid_until is UNSET:
        return begin, latest
    return begin, min(latest, time_of(status_list.valid_until, "validUntil of the status list"))


def _encode(bits: bytes) -> str:
    return "u" + urlsafe_b64encode(gzip.compress(bits, mtime=0)).decode().rstrip("=")


@lru_cache(maxsize=2)  # whoever checks many statements asks the same list again; it has 2 MB
def _decode(text: str) -> bytes:
    """Return the bits of an encoded list; longer data are not decompressed."""
    if not text.startswith("u"):
        raise CanonicalError("encodedList is not multibase base64url; download the list again")
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

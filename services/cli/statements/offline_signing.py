"""
Signing without a database: a step of a statement is signed into a file for the API.

`POST /v1/statements/ID/submission|findings|verification` of the API accept these files.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.errors import InputError
from mrv.documents import UNSET, UnsetType
from mrv.documents.statement import Claims
from mrv.documents.verification import About
from mrv.errors import VerificationError
from mrv.packs.pack import FINDINGS
from mrv.signatures.keys import EnrolledKey, Role, SigningKey
from mrv.statement.conditions import unmet
from mrv.statement.credentials import Finding, sign_statement, sign_verification
from mrv.statement.findings import SIGNED_BY, Record, What, read_events, sign_event
from mrv.statement.states import check_role, sign_approval
from mrv.verify import Pack, verify
from mrv.verify.subject import Subject
from services.cli import pack_budget
from services.issuer import external_signatures as accept
from services.issuer import keys
from services.settings import Settings


def signature(path: str, key_name: str) -> tuple[dict[str, Any], list[str]]:
    """
    Return an operator's signature of a draft, and its requirements not met.

    Raises InputError if it is not a draft.
    Raises VerificationError if a pack is given and a step of its verification fails.

    Returns: issuer and proof only: the server has the draft already; requirements not met, as
    stated in the draft.
    """
    subject = _subject(path)
    name = _name(subject)
    if subject.state != "draft":
        raise InputError(f"{path}: {name} is {subject.state}, already signed; pass a draft")
    _walk(subject.pack)
    key, holder = _signer(key_name, "operator", name)
    accept.check_body(name, subject.statement, strict=Settings().require_accepted_factors)
    signed = sign_statement(subject.statement, key, holder, datetime.now(UTC))
    return {n: signed[n] for n in ("issuer", "proof")}, [
        str(condition) for condition in unmet(subject.claims)
    ]


def event(
    path: str,
    key_name: str,
    parts: tuple[What, str, str, str | None],
    about: About | UnsetType = UNSET,
) -> dict[str, Any]:
    """
    Return a signed event (raised, answered or closed) of a submitted statement's finding.

    `path`: a folder with `statement.json` and, after the first finding, `findings.json`.
    `parts`, `about`: `event` and `about_what` of `mrv.statement.findings.sign_event`.
    """
    subject = _submitted(path)
    key, holder = _signer(key_name, SIGNED_BY[parts[0]], _name(subject))
    return sign_event(
        subject.statement, _records(subject), parts, key, holder, datetime.now(UTC), about
    )


def claims(path: str) -> Claims:
    """Return the claims in a statement's file or pack."""
    return _subject(path).claims


def opinion(path: str, key_name: str, conclusion: Finding) -> dict[str, Any]:
    """
    Return the verifier's signed credential over a statement and its findings, after verifying the
    pack.

    Raises InputError if it is not a pack of a submitted statement.
    Raises VerificationError that names the first step that fails.
    """
    subject = _submitted(path)
    if subject.pack.bare:
        raise InputError(
            f"{path} is a statement without its evidence; download the pack and pass its folder"
        )
    _walk(subject.pack)
    key, holder = _signer(key_name, "verifier", _name(subject))
    return sign_verification(
        subject.statement, conclusion, key, holder, datetime.now(UTC), _records(subject)
    )


def approval(path: str, key_name: str) -> dict[str, Any]:
    """
    Return a signed approval to issue a verified statement, after verifying its pack.

    Raises InputError if it is not a pack of a verified statement.
    Raises VerificationError, naming the first step that fails.
    """
    subject = _subject(path)
    if subject.state != "verified" or subject.pack.bare or subject.verification is None:
        raise InputError(
            f"{path}: {_name(subject)} is {subject.state}, not verified; pass the "
            "pack of a verified statement"
        )
    _walk(subject.pack)
    key, holder = _signer(key_name, "operator", _name(subject))
    return sign_approval(subject.statement, subject.verification, key, holder, datetime.now(UTC))


def _subject(path: str) -> Subject:
    if not Path(path).exists():
        raise InputError(
            f"there is no file or folder {path}: --out signs a statement's file "
            "or pack; omit --out to sign in the database"
        )
    from mrv.packs.reader import read_pack  # noqa: PLC0415 - loads the Parquet reader

    return Subject(read_pack(Path(path), pack_budget()))


def _submitted(path: str) -> Subject:
    subject = _subject(path)
    if subject.state != "submitted":
        raise InputError(
            f"{path}: {_name(subject)} is {subject.state}, not submitted; pass the "
            "folder of a submitted statement"
        )
    return subject


def _records(subject: Subject) -> tuple[Record, ...]:
    data = subject.pack.files.get(FINDINGS)
    return () if data is None else read_events(data, subject.statement)


def _walk(pack: Pack) -> None:
    """Verify a pack before signing; a statement's file alone has no evidence to verify."""
    failure = None if pack.bare else verify(pack).failure
    if failure is not None:
        raise VerificationError(
            f"step {failure.number}, {failure.name}", failure.detail, failure.remedy
        )


def _signer(key_name: str, role: Role, statement: str) -> tuple[SigningKey, EnrolledKey]:
    key, holder = keys.load(Settings().home, key_name)
    check_role(holder, role, statement)
    return key, holder


def _name(subject: Subject) -> str:
    return subject.claims.statement

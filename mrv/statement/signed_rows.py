"""
Rows signed by supplier, laboratory or manufacturer: invoices, laboratory results, documents.

The signed bytes are the row's plan entry as canonical JSON (RFC 8785), with `type` `tonne-row`, its
kind as `row`, and its project.  The signature is detached text: a JWS in compact form (RFC 7515,
appendix F) or a COSE_Sign1 in base64 (RFC 9052, section 4.1), by an Ed25519 key named as a Multikey
(`kid`).

A signature gives grade A only with a key enrolled as `third-party` whose organisation is the row's
issuer and not the operator.  OCMF is for meter readings only.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

from ingest.errors import InputError
from mrv.documents import write
from mrv.documents.plan import RowSigner
from mrv.errors import EnrolmentError, SignatureError
from mrv.registry import Sample
from mrv.registry.project import Document, Invoice
from mrv.rounding import exact_text
from mrv.signatures import canonical, ed25519
from mrv.signatures.key_bounds import KeyBounds
from mrv.signatures.keys import EnrolledKey, SigningKey, decode_multikey
from mrv.signatures.organisations import affiliated
from mrv.statement.plan_writer import document_out, invoice_named, sample_out

TYPE = "tonne-row"
ROLE: Literal["third-party"] = "third-party"
_ALGORITHMS = "EdDSA", "Ed25519"  # RFC 8037, RFC 9864
_COSE_ALGORITHMS = -8, -19
_ALGORITHM, _KEY_ID = 1, 4
# fields that the issuer does not state: signature, and the registry's objection to the row
_NOT_STATED = "signed", "doubt"


AnyRow = Invoice | Sample | Document
Row = TypeVar("Row", Invoice, Sample, Document)


class SignedRow(NamedTuple):
    """
    Row with a signature.

    `name`: name used in messages.  `issuer`: its organisation.  `day`: its date, None if it has
    none.
    `message`: the signed bytes.
    """

    name: str
    issuer: str | None
    day: date | None
    project: str
    message: bytes
    signed: str


def message_of(project: str, item: AnyRow) -> bytes:
    """Return the bytes of a row that its issuer signs."""
    match item:
        case Invoice():
            kind, fields = "invoice", write(invoice_named(item))
            fields["tolerancePercent"] = exact_text(Fraction(item.percent))
        case Sample():
            kind, fields = "laboratory", write(sample_out(item))
            fields["value"] = exact_text(Fraction(item.value))
        case Document():
            kind, fields = "document", write(document_out(item))
    stated: dict[str, Any] = {k: v for k, v in fields.items() if k not in _NOT_STATED}
    return canonical.encode({"type": TYPE, "row": kind, "project": project, **stated})


def row_of(project: str, item: AnyRow) -> SignedRow:
    """Return the data of a row for its issuer's signature."""
    return SignedRow(*_whose(item), project, message_of(project, item), item.signed or "")


def signed_row(project: str, item: AnyRow) -> SignedRow | None:
    """Return a row with its signature; None without one."""
    return None if item.signed is None else row_of(project, item)


def _whose(item: AnyRow) -> tuple[str, str | None, date | None]:
    match item:
        case Invoice():
            return f"invoice {item.id}", item.issuer, item.issued
        case Sample():
            return f"sample {item.sample} of {item.parameter}", item.laboratory, item.taken
        case Document():
            return f"document of {item.parameter}", item.by, item.issued


# --- signatures ---------------------------------------------------------------------------


def sign(message: bytes, key: SigningKey, *, cose: bool = False) -> str:
    """Return a detached signature of a row, as a JWS or as a COSE_Sign1 in base64."""
    if cose:
        import cbor2  # noqa: PLC0415 - for this form alone

        from ingest.codecs import cose_sign1  # noqa: PLC0415 - loads cbor2

        head = cbor2.dumps({_ALGORITHM: cose_sign1.EDDSA, _KEY_ID: key.public_multikey.encode()})
        signature = key.sign(cose_sign1.to_be_signed(head, message))
        whole = cbor2.CBORTag(cose_sign1.TAG, [head, {}, None, signature])
        return b64encode(cbor2.dumps(whole)).decode()
    header = _text64(canonical.encode({"alg": _ALGORITHMS[0], "kid": key.public_multikey}))
    return f"{header}..{_text64(key.sign(_jws_input(header, message)))}"


class _Detached(NamedTuple):
    """Parts of a signature: the named signer, the signature, and the signed bytes."""

    key: str
    signature: bytes
    over: bytes


def key_of(signed: str) -> str:
    """
    Return the key named in a signature, as a Multikey.

    Raises SignatureError if it is neither a detached JWS nor a detached COSE_Sign1.
    """
    return _read(signed, b"").key


def holds(row: SignedRow) -> bool:
    """Return whether the key named in a row's signature signed this row."""
    detached = _read(row.signed, row.message)
    return ed25519.verifies(decode_multikey(detached.key), detached.signature, detached.over)


def _read(signed: str, message: bytes) -> _Detached:
    try:
        detached = _read_jws(signed, message) if ".." in signed else _read_cose(signed, message)
        decode_multikey(detached.key)
    except (InputError, binascii.Error, ValueError, KeyError, TypeError) as error:
        raise SignatureError(
            f"signed is neither a detached JWS of EdDSA nor a detached COSE_Sign1 in base64, with"
            f" the key as a Multikey in `kid` ({error}); have the row signed again with"
            " `tonne signed row`"
        ) from error
    return detached


def _read_jws(signed: str, message: bytes) -> _Detached:
    header, _, signature = signed.partition("..")
    head = canonical.parse_object(_bytes64(header))
    if head["alg"] not in _ALGORITHMS or {"crit", "b64"} & head.keys():
        raise ValueError(f"its header is {head}; it must have `alg` EdDSA and neither crit nor b64")
    return _Detached(head["kid"], _bytes64(signature), _jws_input(header, message))


def _read_cose(signed: str, message: bytes) -> _Detached:
    from ingest.codecs import cose_sign1  # noqa: PLC0415 - loads cbor2, for this form alone

    result = cose_sign1.read_sign1(b64decode(signed, validate=True), detached=message)
    if result.algorithm not in _COSE_ALGORITHMS:
        raise ValueError(f"its algorithm is {result.algorithm}; it must be EdDSA (-8 or -19)")
    return _Detached(result.protected[_KEY_ID].decode(), result.signature, result.signed)


def _jws_input(header: str, message: bytes) -> bytes:
    return f"{header}.{_text64(message)}".encode("ascii")


def _text64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _bytes64(text: str) -> bytes:
    result = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text64(result) != text:
        raise ValueError("it is not base64url without padding")
    return result


# --- accepted signatures ------------------------------------------------------------------


def check(row: SignedRow, keys: Sequence[EnrolledKey]) -> EnrolledKey:
    """
    Return the key of a signature that gives grade A.

    `keys`: keys of third parties, and of operators from whom the signer must be independent.
    Raises SignatureError if the row differs from the signed one.
    Raises EnrolmentError if the key is not a third party's, or not of the issuer of the row.
    """
    named = key_of(row.signed)
    key = next((key for key in keys if key.multikey == named and key.role == ROLE), None)
    if key is None:
        raise EnrolmentError(
            f"{row.name} is signed by {named}, which is not enrolled as {ROLE}; "
            f"enrol the key of {row.issuer or 'its issuer'} (`tonne keys enroll "
            "FILE`), or omit `signed`: an unsigned row has at most grade B"
        )
    if not holds(row):
        raise SignatureError(
            f"{row.name} differs from the row that {key.name!r} signed: the row "
            "was changed, or the signature belongs to another row; restore it, "
            f"or ask {row.issuer or key.name} to sign the row as it is"
        )
    _check_whose(row, key, keys)
    return key


def _check_whose(row: SignedRow, key: EnrolledKey, keys: Iterable[EnrolledKey]) -> None:
    whose = key.bounds.organisation or key.name
    if row.issuer is None or not affiliated(row.issuer, whose):
        raise EnrolmentError(
            f"{row.name} is by {row.issuer or 'an unnamed issuer'}, but signed by "
            f"the key {key.name!r} of {whose}; have its issuer sign it, or name "
            f"{whose} as its issuer"
        )
    operators = (
        key.bounds.organisation or key.name
        for key in keys
        if key.role == "operator"
        and (key.bounds.projects is None or row.project in key.bounds.projects)
    )
    if own := [operator for operator in operators if affiliated(operator, whose)]:
        raise EnrolmentError(
            f"{row.name} is signed by {whose}, which is the project's operator {own[0]} "
            "or its affiliate, so it is the operator's own statement: omit `signed`"
        )
    allowed = key.bounds.projects
    if allowed is not None and row.project not in allowed:
        raise EnrolmentError(
            f"{row.name} is of project {row.project}; key {key.name!r} signs for"
            f" {', '.join(allowed) or 'none'}"
        )
    ended = key.valid_until
    if ended is not None and (row.day is None or row.day.isoformat() >= ended[:10]):
        state, enter = (
            (f"{row.name} is dated {row.day}", "")
            if row.day is not None
            else (f"{row.name} has no date", "enter its date, or ")
        )
        raise EnrolmentError(
            f"{state}, and key {key.name!r} ended at {ended}; {enter}have it signed with a valid"
            " key"
        )


def unsigned(row: SignedRow, keys: Sequence[EnrolledKey]) -> list[str]:
    """Return why a new row is not accepted as signed; a key that has ended cannot sign new rows."""
    try:
        check(row, [key for key in keys if key.role != ROLE or key.valid_until is None])
    except (SignatureError, EnrolmentError) as error:
        return [f"signed: {error}"]
    return []


def counted(
    project: str, rows: Iterable[Row], keys: Sequence[EnrolledKey], signers: set[RowSigner]
) -> tuple[Row, ...]:
    """Return the rows, with accepted signatures only; their signers are added to `signers`."""
    invoices = list[Row]()
    for invoice in rows:
        row = signed_row(project, invoice)
        try:
            key = None if row is None else check(row, keys)
        except (SignatureError, EnrolmentError):
            key = None
        if key is not None:
            signers.add(_signer(key))
        invoices.append(invoice if key or row is None else replace(invoice, signed=None))
    return tuple(invoices)


def check_kept(
    project: str,
    rows: Iterable[AnyRow],
    signers: Sequence[RowSigner],
    operators: Sequence[EnrolledKey],
) -> Counter[str]:
    """
    Check that a plan's rows are signed by the named keys; return the number of rows by key.

    `operators`: signers of the statement.
    Raises SignatureError or EnrolmentError as `check`.
    """
    keys = [
        EnrolledKey(
            signer.name, ROLE, signer.key, bounds=KeyBounds(organisation=signer.organisation)
        )
        for signer in signers
    ]
    signed = filter(None, map(partial(signed_row, project), rows))
    return Counter(check(row, [*keys, *operators]).multikey for row in signed)


def check_named(project: str, rows: Iterable[AnyRow], keys: Sequence[EnrolledKey] | None) -> None:
    """
    Check the signed rows against the reader's own keys, if these include the signer.

    Raises SignatureError or EnrolmentError as `check`.
    """
    known = {key.multikey for key in keys or ()}
    for row in filter(None, map(partial(signed_row, project), rows)):
        if key_of(row.signed) in known:
            check(row, keys or ())


def _signer(key: EnrolledKey) -> RowSigner:
    whose = key.bounds.organisation or key.name
    return RowSigner(name=key.name, organisation=whose, key=key.multikey)

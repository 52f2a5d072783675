"""Steps about who said it: form, keys, proofs, the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mrv.errors import CanonicalError, EnrolmentError, LogError, PackFormatError, SignatureError
from mrv.log.cosignature import cosignatures
from mrv.log.note import NoteKey
from mrv.log.receipt import parse_receipt, verify_receipt
from mrv.packs.pack import (
    DOCUMENTS,
    FORMAT,
    GUIDE,
    INTERVALS,
    KEYS,
    MANIFEST,
    README,
    STATEMENT,
    UNLISTED,
)
from mrv.signatures import canonical
from mrv.signatures.data_integrity import proofs_of, verify_proof
from mrv.signatures.keyfile import read_keyring
from mrv.signatures.keys import EnrolledKey, multikey_of
from mrv.statement.compose import TYPES
from mrv.statement.credential_parts import CONTEXT, URN, related
from mrv.statement.credentials import VERIFICATION as VERIFICATION_TYPES
from mrv.statement.credentials import issued_entry
from mrv.statement.opinion import REJECTING
from mrv.statement.states import check_other
from mrv.statement.status import counts
from mrv.verify.subject import NotApplicableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mrv.signatures.keys import Role
    from mrv.verify.subject import Subject


def form(subject: Subject) -> str:
    """All documents are there, are JSON of one meaning, and are of their kind."""
    for name, why in sorted(subject.pack.damaged.items()):
        raise CanonicalError(f"{name} cannot be read: {why}")
    if not subject.pack.bare:
        _of_this_version(subject)
        missing = [name for name in DOCUMENTS if name not in subject.pack.files]
        if subject.pack.intervals is None:
            missing.append(f"{INTERVALS}.parquet")
        if missing:
            raise CanonicalError(f"the pack has no {', '.join(missing)}")
        _exactly_listed(subject)
    _credential(subject.statement, TYPES, STATEMENT)
    title = subject.claims.statement
    if subject.statement.get("id") != f"{URN}{title}":
        raise CanonicalError(f"statement {title!r} has the id {subject.statement.get('id')!r}")
    _signed_in_order(subject)
    return f"{title}, {subject.state}"


def _of_this_version(subject: Subject) -> None:
    """Refuse a pack that is as another version writes it, and say which."""
    pack, written = subject.pack, subject.stated.get("codeVersion")
    if README in pack.hashes and not {MANIFEST, GUIDE} & pack.files.keys():
        raise PackFormatError(
            f"the pack is of the form of tonne 0.1.0 ({README}, no {MANIFEST}), closed by"
            f" {written}: its digests are by UTC day and its account has fewer parts",
            "verify it with tonne 0.1.0, or ask the operator to close the period again in the"
            f" present form (`tonne statement supersede {subject.stated.get('statement')}`)",
        )
    if MANIFEST not in pack.files:
        return
    found = canonical.parse_object(pack.files[MANIFEST]).get("format")
    if found != FORMAT and type(found) is int:
        raise PackFormatError(
            f"the pack has format {found}, written by {written}; this version reads {FORMAT}",
            "get a newer tonne"
            if found > FORMAT
            else "verify it with the version that wrote it, or ask for it to be exported again",
        )


def _exactly_listed(subject: Subject) -> None:
    """No file of the manifest may be missing, and none may be added."""
    listed = canonical.parse_object(subject.pack.files[MANIFEST]).get("files")
    if not isinstance(listed, dict):
        raise CanonicalError(f"{MANIFEST} lists no files; get the pack again")
    there = subject.pack.hashes.keys() - set(UNLISTED)
    missing, added = sorted(listed.keys() - there), sorted(there - listed.keys())
    if missing:
        raise CanonicalError(f"the pack has no {', '.join(missing)}")
    if added:
        raise CanonicalError(f"{', '.join(map(repr, added))}: no file of this pack has that name")


def _credential(document: Mapping[str, Any], types: tuple[str, ...], name: str) -> None:
    if document.get("@context") != list(CONTEXT) or document.get("type") != list(types):
        raise CanonicalError(
            f"{name} has @context {document.get('@context')!r} and type {document.get('type')!r};"
            f" expected {list(CONTEXT)!r} and {list(types)!r}"
        )


def _signed_in_order(subject: Subject) -> None:
    """No document may have been taken out from below another."""
    if ("proof" in subject.statement) != ("issuer" in subject.statement):
        raise CanonicalError("statement.json has an issuer without a proof, or a proof without one")
    if subject.verification is not None:
        _credential(subject.verification, VERIFICATION_TYPES, "verification.json")
        subject.conclusion  # noqa: B018 - read once, so that its form is refused here
        if "proof" not in subject.statement:
            raise CanonicalError("verification.json is about a signed statement, this one is not")
    if subject.receipt is not None and subject.verification is None:
        raise CanonicalError("receipt.txt is of a verified statement, verification.json is missing")


def keys(subject: Subject) -> str:
    """Signers are keys of the right role, named as the documents name them, and not one person."""
    own = _own_keys(subject)
    if subject.state == "draft":
        raise NotApplicableError("a draft, nobody has signed it")
    if subject.receipt is None and any(key.role == "log" for key in own):
        raise CanonicalError("the statement was issued, and its receipt.txt was taken out")
    rings = [subject.trusted or own, own]
    for ring in rings:
        signers = [_signer(subject.statement, ring, "operator")]
        if subject.verification is not None:
            signers.append(_signer(subject.verification, ring, "verifier"))
            check_other(*signers)
        if subject.receipt is not None:
            log_key(ring)
    subject.ring = tuple(rings[0])
    return ", ".join(f"{key.name} ({key.role}) {key.multikey}" for key in signers)


def _own_keys(subject: Subject) -> tuple[EnrolledKey, ...]:
    """Keys that came with what is checked."""
    if KEYS in subject.pack.files:
        return read_keyring(subject.pack.files[KEYS])
    if subject.state == "draft":
        return ()
    return tuple(
        EnrolledKey(_issuer(d)["name"], role, multikey_of(proofs_of(d)[0]["verificationMethod"]))
        for d, role in _signed(subject)
    )


def _signed(subject: Subject) -> list[tuple[Mapping[str, Any], Role]]:
    found: list[tuple[Mapping[str, Any], Role]] = [(subject.statement, "operator")]
    if subject.verification is not None:
        found.append((subject.verification, "verifier"))
    return found


def _issuer(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found = document.get("issuer")
    if not isinstance(found, dict) or found.keys() != {"id", "name"}:
        raise CanonicalError(f"issuer of {document.get('id')} is {found!r}; expected id and name")
    return found


def _signer(document: Mapping[str, Any], ring: Iterable[EnrolledKey], role: Role) -> EnrolledKey:
    issuer = _issuer(document)
    for key in ring:
        if key.did != issuer["id"]:
            continue
        if key.role != role or key.name != issuer["name"]:
            raise EnrolmentError(
                f"{document['id']} is issued by {issuer['name']!r} as {role};"
                f" the trusted keys say {key.name!r}, {key.role}"
            )
        return key
    raise EnrolmentError(
        f"{document['id']} is issued by {issuer['name']!r}, {issuer['id']},"
        " which is not among the trusted keys"
    )


def log_key(ring: Iterable[EnrolledKey]) -> NoteKey:
    """Return the one key of a log among trusted keys, as notes name it."""
    found = [key for key in ring if key.role == "log"]
    if len(found) != 1:
        raise EnrolmentError(
            f"the trusted keys hold {len(found)} keys of a log; exactly one is needed"
        )
    return NoteKey(found[0].name, found[0].public)


def operator(subject: Subject) -> str:
    """The operator's proof is of this statement."""
    if subject.state == "draft":
        raise NotApplicableError("a draft, without proof")
    return f"signed by {_proven(subject, subject.statement).name}"


def verifier(subject: Subject) -> str:
    """The verifier's credential is proven, and is about exactly this signed statement."""
    document = subject.verification
    if document is None:
        raise NotApplicableError("not verified yet")
    key = _proven(subject, document)
    expected = related(subject.statement["id"], canonical.encode(subject.statement))
    if document.get("relatedResource") != [expected]:
        raise SignatureError(
            f"the verifier signed {document.get('relatedResource')!r}; this statement is"
            f" {expected['id']} with digest {expected['digestMultibase']}"
        )
    said = subject.conclusion
    if said is None or said.id != subject.statement["id"]:
        raise SignatureError(f"the verifier's opinion is about {said and said.id!r}")
    if said.opinion in REJECTING:
        raise SignatureError(
            f"the verifier {key.name} rejected this statement: opinion {said.opinion}"
        )
    return f"{said.opinion}, {said.level_of_assurance} assurance, by {key.name}"


def _proven(subject: Subject, document: Mapping[str, Any]) -> EnrolledKey:
    key = verify_proof(document, subject.ring)
    if key.did != _issuer(document)["id"]:
        raise SignatureError(f"{document['id']} is signed by {key.name}, who is not its issuer")
    return key


def log(subject: Subject) -> str:
    """The log's signed head contains this statement and this verification."""
    if subject.receipt is None or subject.verification is None:
        raise NotApplicableError("not issued yet")
    key = log_key(subject.ring)
    entry = issued_entry(subject.statement, subject.verification)
    try:
        head = verify_receipt(subject.receipt, entry, key)
        seen = _witnessed(subject, subject.receipt)
    except SignatureError as error:
        raise LogError(str(error)) from error
    return f"in {head.origin}, whose head has {head.size} entries{seen}"


def status(subject: Subject) -> str:
    """The statement was neither superseded nor revoked, as the operator's status list says."""
    if subject.state == "draft":
        raise NotApplicableError("a draft, which counts nowhere")
    if subject.status is None:
        raise NotApplicableError(
            "no status list at hand, so nobody can say here whether it was superseded or"
            " revoked since; get the newest from the operator and give it with --status"
        )
    document = canonical.parse_object(subject.status)
    signer = _proven(subject, document)
    if signer.role != "operator":
        raise EnrolmentError(f"the status list is signed by {signer.name}, a {signer.role}")
    project, name = subject.claims.project.id, subject.claims.statement
    if not counts(document, project, name):
        raise SignatureError(f"{name} counts no more: it was superseded or revoked")
    return f"counts, as of {document['validFrom']}"


def _witnessed(subject: Subject, receipt: str) -> str:
    """Witnesses of the head; where the reader trusts any, one of them must have signed."""
    trusted = [NoteKey(k.name, k.public) for k in subject.trusted if k.role == "witness"]
    found = [c.witness.name for c in cosignatures(parse_receipt(receipt).checkpoint, *trusted)]
    if trusted and not found:
        raise LogError(
            f"none of the witnesses that you trust ({', '.join(k.name for k in trusted)}) has"
            " countersigned this head; ask for a receipt that one of them saw"
        )
    return f", seen by {', '.join(found)}" if found else ""

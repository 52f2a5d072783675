"""Verification steps on form, keys, proofs and the log."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ingest.errors import InputError
from mrv.documents import UNSET
from mrv.documents.verification import Conclusion
from mrv.errors import CanonicalError, EnrolmentError, LogError, PackFormatError, SignatureError
from mrv.log import NoteKey, signature_lines
from mrv.log.entries import parse_receipt, verify_receipt
from mrv.packs import too_much
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
from mrv.signatures.data_integrity import proofs_of, time_of, verify_proof
from mrv.signatures.keys import EnrolledKey, Role, multikey_of, read_keyring
from mrv.statement.compose import TYPES
from mrv.statement.conditions import (
    MAX_PERCENT,
    USUAL_PERCENT,
    beyond,
    credential_conditions,
    first_of,
    unanswered,
    unmet,
)
from mrv.statement.credentials import VERIFICATION as VERIFICATION_TYPES
from mrv.statement.credentials import issued_entry
from mrv.statement.evidence import of_first_release
from mrv.statement.opinion import REJECTING, missing
from mrv.statement.states import (
    CONTEXT,
    URN,
    check_accreditation,
    check_other,
    check_project,
    counts,
    lasts,
    related,
)
from mrv.verify.subject import NotApplicableError, NotCheckedError, Subject, a
from mrv.verify.witness_step import counted

_KEY_ID_BYTES = 4
# maximum time by which another machine's clock may be ahead, as for readings
AHEAD = timedelta(minutes=5)


def form(subject: Subject) -> str:
    """Check that all documents are present, unambiguous JSON, of their kind; return a summary."""
    for name, why in sorted(subject.pack.damaged.items()):
        raise CanonicalError(f"{name} cannot be read: {why}")
    if not subject.pack.bare:
        _of_this_version(subject)
        missing = [name for name in DOCUMENTS if name not in subject.pack.files]
        if subject.pack.intervals is None:
            missing.append(f"{INTERVALS}.parquet")
        if missing:
            raise CanonicalError(f"the pack has no {', '.join(missing)}; get the pack again")
        _exactly_listed(subject)
    _credential(subject.statement, TYPES, STATEMENT)
    title = subject.claims.statement
    if subject.statement.get("id") != f"{URN}{title}":
        raise CanonicalError(
            f"statement {title!r} has the id {subject.statement.get('id')!r}; get the pack again"
        )
    _signed_in_order(subject)
    subject.period_us  # noqa: B018 - read once, so that one without end is refused here
    return f"{title}, {subject.state}"


def _of_this_version(subject: Subject) -> None:
    """Check that the pack has the format of this version. Raises PackFormatError otherwise."""
    pack, written = subject.pack, subject.stated.get("codeVersion")
    if README in pack.hashes and not {MANIFEST, GUIDE} & pack.files.keys():
        raise PackFormatError(
            f"the pack has the format of tonne 0.1.0 ({README}, no {MANIFEST}), closed by "
            f"{written}: its digests are by UTC day and its account has fewer parts; verify it "
            "with that version",
            "verify it with tonne 0.1.0, or ask the operator to close the period again in the "
            f"present format (`tonne statement supersede {subject.stated.get('statement')}`)",
        )
    if MANIFEST not in pack.files:
        return
    result = canonical.parse_object(pack.files[MANIFEST]).get("format")
    if result != FORMAT and type(result) is int:
        raise PackFormatError(
            f"the pack has format {result}, written by {written}, and this version reads "
            f"{FORMAT}; verify it with the version that wrote it",
            "install a newer version of tonne"
            if result > FORMAT
            else "verify it with the version that wrote it, or ask the operator to export it again",
        )


def _exactly_listed(subject: Subject) -> None:
    """Check that the pack has exactly the files of the manifest."""
    listed = canonical.parse_object(subject.pack.files[MANIFEST]).get("files")
    if not isinstance(listed, dict):
        raise CanonicalError(f"{MANIFEST} lists no files; get the pack again")
    there = subject.pack.hashes.keys() - set(UNLISTED)
    missing, added = sorted(listed.keys() - there), sorted(there - listed.keys())
    if missing:
        raise CanonicalError(f"the pack has no {', '.join(missing)}; get the pack again")
    if added:
        raise CanonicalError(
            f"{', '.join(map(repr, added))}: not a file of this pack; remove it, or get the "
            "pack again"
        )
    # tables are compared later, by device-day, so that the error can name it
    changed = [name for name in sorted(there & subject.pack.files.keys())
               if listed[name] != subject.pack.hashes[name]]  # fmt: skip
    if changed:
        differ = ", ".join(changed)
        raise CanonicalError(f"files differ from the manifest: {differ}; get the pack again")


def _credential(document: Mapping[str, Any], types: tuple[str, ...], name: str) -> None:
    if document.get("@context") != list(CONTEXT) or document.get("type") != list(types):
        raise CanonicalError(
            f"{name} has @context {document.get('@context')!r} and type {document.get('type')!r};"
            f" expected {list(CONTEXT)!r} and {list(types)!r}: get the pack again"
        )


def _signed_in_order(subject: Subject) -> None:
    """Check that the pack has each document on which a later one depends."""
    if ("proof" in subject.statement) != ("issuer" in subject.statement):
        raise CanonicalError(
            "statement.json has an issuer without a proof, or a proof without one; get the "
            "pack again"
        )
    if subject.verification is not None:
        _credential(subject.verification, VERIFICATION_TYPES, "verification.json")
        subject.conclusion  # noqa: B018 - read once, so that its form is refused here
        if "proof" not in subject.statement:
            raise CanonicalError("statement.json lost its proof; get the pack again")
    if subject.receipt is not None and subject.verification is None:
        raise CanonicalError(
            "receipt.txt is of a verified statement, but verification.json is missing; get the "
            "pack again"
        )


def keys(subject: Subject) -> str:
    """Check that signers' keys have the required roles and different owners; return a summary."""
    own = _own_keys(subject)
    if subject.state == "draft":
        raise NotApplicableError("the statement is a draft and not signed")
    if subject.receipt is None and any(key.role == "log" for key in own):
        raise CanonicalError(
            "keys.json has a log key, but receipt.txt is missing; get the pack again"
        )
    subject.ring = own
    if subject.trusted is None:
        signers = _signers(subject, _needed(subject))
    else:
        _signers(subject, [role for _, role in _signed(subject)])
        subject.ring = subject.trusted
        roles = {key.role for key in subject.ring}
        signers = _signers(subject, [role for role in _needed(subject) if role in roles])
        subject.needs_keys(*_needed(subject))
    return ", ".join(f"{key.name} ({key.role}) {key.multikey}" for key in signers)


def _needed(subject: Subject) -> list[Role]:
    needed: list[Role] = [role for _, role in _signed(subject)]
    return needed if subject.receipt is None else [*needed, "log"]


def _signers(subject: Subject, roles: Collection[Role]) -> list[EnrolledKey]:
    """
    Return the signers in these roles, each within its limits.

    Raises EnrolmentError if the key ring differs.
    """
    result = [_signer(d, subject.ring, role) for d, role in _signed(subject) if role in roles]
    for key in result:
        check_project(key, subject.claims.project.id, subject.claims.statement)
    if len(result) > 1:
        check_other(*result)
    if "log" in roles and subject.receipt is not None:
        log_key(subject.ring, parse_receipt(subject.receipt).checkpoint)
    return result


def _own_keys(subject: Subject) -> tuple[EnrolledKey, ...]:
    if KEYS in subject.pack.files:
        data, maximum = subject.pack.files[KEYS], subject.pack.budget.keys
        listed = canonical.parse_object(data).get("keys")
        if isinstance(listed, list) and len(listed) > maximum:
            raise too_much(f"keys of {KEYS}", len(listed), maximum)
        return read_keyring(data)
    if subject.state == "draft":
        return ()
    return tuple(
        EnrolledKey(_issuer(d)["name"], role, multikey_of(proofs_of(d)[0]["verificationMethod"]))
        for d, role in _signed(subject)
    )


def _signed(subject: Subject) -> list[tuple[Mapping[str, Any], Role]]:
    result: list[tuple[Mapping[str, Any], Role]] = [(subject.statement, "operator")]
    if subject.verification is not None:
        result.append((subject.verification, "verifier"))
    return result


def _issuer(document: Mapping[str, Any]) -> Mapping[str, Any]:
    result = document.get("issuer")
    if not isinstance(result, dict) or result.keys() != {"id", "name"}:
        raise CanonicalError(f"issuer of {document.get('id')} is {result!r}; get the pack again")
    return result


def _signer(document: Mapping[str, Any], ring: Iterable[EnrolledKey], role: Role) -> EnrolledKey:
    issuer = _issuer(document)
    for key in ring:
        if key.did != issuer["id"]:
            continue
        if key.role != role or key.name != issuer["name"]:
            raise EnrolmentError(
                f"{document['id']} is issued by {issuer['name']!r} as {role}; in the "
                f"trusted keys it is {key.name!r}, {key.role}"
            )
        return key
    raise EnrolmentError(
        f"{document['id']} is issued by {issuer['name']!r}, {issuer['id']}, which is not among "
        "the trusted keys; if you trust it, add its key"
    )


def log_key(ring: Iterable[EnrolledKey], note: str) -> NoteKey:
    """Return the key of the log that signed a note, among trusted keys."""
    return NoteKey(*_named(log_holder(ring, note)))


def _named(holder: EnrolledKey) -> tuple[str, bytes]:
    return holder.name, holder.public


def log_holder(ring: Iterable[EnrolledKey], note: str) -> EnrolledKey:
    """
    Return the trusted key of a log that signed a note.

    Raises NotCheckedError if no log of that name is among the trusted ones.
    Raises EnrolmentError if none of the trusted keys signed it.
    """
    text, signed = signature_lines(note)
    ids = {(name, raw[:_KEY_ID_BYTES]) for name, raw in signed}
    origin = text.split("\n")[0]
    logs = [key for key in ring if key.role == "log"]
    if all(key.name != origin for key in logs):
        raise NotCheckedError(
            f"your trusted keys include no key of log {origin!r}; add it to the file of --keys"
        )
    result = [key for key in logs if (key.name, NoteKey(*_named(key)).key_id) in ids]
    if len(result) != 1:
        raise EnrolmentError(
            f"the head of log {origin!r} is signed by {len(result)} of the {len(logs)} "
            "log keys among the trusted keys, not by exactly one; correct the file of --keys"
        )
    return result[0]


def operator(subject: Subject) -> str:
    """Check the operator's proof of this statement; return a summary."""
    if subject.state == "draft":
        raise NotApplicableError("the statement is a draft without a proof")
    subject.needs_keys("operator")
    return f"signed by {_proven(subject, subject.statement).name}"


def verifier(subject: Subject) -> str:
    """Check that the verifier's credential is valid and of this statement; return a summary."""
    document = subject.verification
    if document is None:
        raise NotApplicableError("the statement is not verified yet")
    subject.needs_keys("verifier")
    key = _proven(subject, document)
    check_accreditation(key, subject.claims.methodology.id, proofs_of(document)[0]["created"])
    expected = related(subject.statement["id"], canonical.encode(subject.statement))
    if document.get("relatedResource") != [expected]:
        raise SignatureError(
            f"the verifier signed {document.get('relatedResource')!r}; this statement is"
            f" {expected['id']} with digest {expected['digestMultibase']}: get the pack again"
        )
    conclusion = subject.conclusion
    if conclusion is None or conclusion.id != subject.statement["id"]:
        raise SignatureError(
            f"the verifier's opinion is on {conclusion and conclusion.id!r}, and not on this "
            "statement; get the pack again"
        )
    if conclusion.opinion in REJECTING:
        raise SignatureError(
            f"the verifier {key.name} rejected this statement (opinion {conclusion.opinion}); do "
            "not rely on it"
        )
    _listed_conditions(subject, conclusion)
    _threshold(subject, conclusion)
    stated = f"{conclusion.opinion}, {conclusion.level_of_assurance} assurance, by {key.name}"
    rows = len(conclusion.parameters or ()), len(conclusion.requirements or ())
    return stated + (
        f"; described: parameters {rows[0]}, requirements {rows[1]}" if any(rows) else ""
    )


def _listed_conditions(subject: Subject, conclusion: Conclusion) -> None:
    """Check that the verifier's credential lists the unmet conditions."""
    listed = [(condition.rule, condition.texts) for condition in conclusion.unmet or ()]
    result = [
        (condition.rule, condition.texts)
        for condition in credential_conditions(unmet(subject.claims))
    ]
    if conclusion.unmet is not UNSET and listed != result:
        raise SignatureError(
            "the unmet conditions in verification.json differ from those in statement.json; get "
            "the pack again"
        )
    for item in unanswered(subject.claims, conclusion):
        subject.lack(
            "conditions",
            "verified",
            f"the verifier's signed justification for a finding that is not met ({item})",
            "have it verified with a reason for the finding (`tonne statement template`), "
            "or accept this with --accept unmet-conditions",
            "unmet-conditions",
        )
    unqualified = conclusion.opinion == "unqualified" and not of_first_release(subject.claims)
    blank = missing(subject.claims, conclusion) if unqualified else ()
    if blank:
        subject.lack(
            "words",
            "verified",
            "the verifier's description of each parameter and requirement, which "
            f"an unqualified opinion requires; blank: {first_of(blank)}",
            "have it verified with the file of `tonne statement template`",
        )


def _threshold(subject: Subject, conclusion: Conclusion) -> None:
    """Check that the materiality threshold is at most the programme's; not for tonne 0.1.0."""
    if beyond(conclusion.materiality_percent) and not of_first_release(subject.claims):
        subject.lack(
            "materiality",
            "verified",
            f"a verification with a materiality of at most {MAX_PERCENT} %: this "
            f"one has {conclusion.materiality_percent} %",
            "have the period closed again and verified with `tonne statement verify --materiality"
            f" {USUAL_PERCENT}`",
        )


def _proven(subject: Subject, document: Mapping[str, Any]) -> EnrolledKey:
    key = verify_proof(document, subject.ring)
    if key.did != _issuer(document)["id"]:
        raise SignatureError(
            f"{document['id']} is signed by {key.name}, who is not its issuer; ask the issuer for "
            "the signed document"
        )
    return key


def log(subject: Subject) -> str:
    """Check that the log's signed head contains statement and verification; return a summary."""
    if subject.receipt is None or subject.verification is None:
        raise NotApplicableError("the statement is not issued yet")
    subject.needs_keys("log")
    entry = issued_entry(subject.statement, subject.verification, subject.approvals)
    try:
        key = log_key(subject.ring, parse_receipt(subject.receipt).checkpoint)
        subject.head = head = verify_receipt(subject.receipt, entry, key)
        subject.witnesses = counted(subject, parse_receipt(subject.receipt).checkpoint)
    except SignatureError as error:
        raise LogError(str(error)) from error
    except NotCheckedError as why:
        subject.lack(
            "log",
            "issued",
            f"the log's key: {why}",
            "pass a keyring that has it with --keys FILE; `tonne keys export` writes one",
        )
        raise
    return f"included in {head.origin} ({head.size} entries){_seen(subject)}"


def _seen(subject: Subject) -> str:
    names = ", ".join(witness.witness.name for witness in subject.witnesses)
    return f", seen by {names}" if names else ""


def status(subject: Subject) -> str:
    """Check by status list that the statement is not superseded or revoked; return a summary."""
    if subject.state == "draft":
        raise NotApplicableError("the statement is a draft, which is not valid")
    if not subject.lists:
        raise NotApplicableError(
            "no status list is given, so it is not known whether the statement was superseded or "
            "revoked; get the newest list from the operator and pass it with --status"
        )
    subject.needs_keys("operator")
    made = [_listed(subject, where, document) for where, document in subject.named_lists]
    # a list signed after the reader's time of verification is used only if there is no earlier one
    past = [item for item in made if item.at - AHEAD <= subject.at] or made
    project, name = subject.claims.project.id, subject.claims.statement
    # the end of a statement is permanent: a list that states it takes precedence over a newer one
    for item in past:
        if not counts(item.document, project, name):
            raise SignatureError(
                f"{name} is no longer valid: it was superseded or revoked, according to the list "
                f"of {item.at:%Y-%m-%dT%H:%M:%SZ}; ask the operator for the statement that "
                "replaced it"
            )
    good = [item for item in past if not item.signer.has_ended(subject.at)]
    newest = max(good or past, key=lambda item: item.at)
    if not good:
        _by_an_ended_key(subject, newest)
    _current(subject, newest.document)
    return f"valid as of {newest.document['validFrom']}"


class _List(NamedTuple):
    """A status list, its stated time, and its signer."""

    at: datetime
    document: Mapping[str, Any]
    signer: EnrolledKey


def _by_an_ended_key(subject: Subject, item: _List) -> None:
    """Check that a list's key has not ended, which would make the list's date unreliable."""
    subject.lack(
        "status-key",
        "issued",
        f"a status list with a key valid at {subject.at:%Y-%m-%dT%H:%M:%SZ}: "
        f"the list of {item.document['validFrom']} is by {item.signer.name!r}, "
        "whose key has ended",
        "get the newest list from the operator and pass it with --status, or "
        "accept this one with --accept ended-keys",
        "ended-keys",
    )


def _listed(subject: Subject, where: str, document: Mapping[str, Any]) -> _List:
    """Return a status list, verified as signed by an operator for this project."""
    try:
        signer = _proven(subject, document)
    except InputError as error:
        raise SignatureError(f"status list ({where}): {error}") from error
    if signer.role != "operator":
        raise EnrolmentError(
            f"the status list is signed by {signer.name}, {a(signer.role)}, but must be signed by "
            "an operator; get the list from the operator"
        )
    check_project(signer, subject.claims.project.id, "the status list")
    at = time_of(proofs_of(document)[0]["created"], "created of the status list").astimezone(UTC)
    return _List(at, document, signer)


def _current(subject: Subject, document: Mapping[str, Any]) -> None:
    """Check that a list is newer than the statement, and valid at the reader's time."""
    begin, end = lasts(document)
    signed = time_of(proofs_of(document)[0]["created"], "created of the status list")
    if not begin <= end or abs(signed - begin) > AHEAD:
        raise SignatureError(
            f"the status list is valid from {begin} to {end} and was signed at {signed}: "
            "it must begin within 5 minutes of its signature and end after it begins; "
            "get another list"
        )
    if signed - AHEAD > subject.at:
        raise SignatureError(
            f"the status list was signed at {signed}, after {subject.at}; pass the list of "
            "that time, or a later --at"
        )
    made = max(time_of(proofs_of(d)[0]["created"], "created") for d, _ in _signed(subject))
    if begin < made or not subject.at < end:
        subject.lack(
            "status-age",
            "issued",
            f"a status list for {subject.at:%Y-%m-%dT%H:%M:%SZ}: the list given "
            f"is of {document['validFrom']}, and valid until {end:%Y-%m-%dT%H:%M:%SZ}",
            "get the newest list from the operator and pass it with --status, or "
            "pass the time of the check with --at",
        )

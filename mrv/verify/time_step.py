"""
The step about time: what was signed when, and whether each key could sign then.

The time in a proof is its signer's own word.  The log's order is not: what the log holds
was made before what the log holds later.  So a key that ended counts for what stands in
the log before its end, and for nothing that only says that it is older.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mrv.errors import EnrolmentError, LogError, SignatureError
from mrv.log.note import NoteKey
from mrv.log.receipt import parse_receipt, verify_checkpoint
from mrv.packs.pack import FINDINGS, SAMPLING
from mrv.signatures import canonical
from mrv.signatures.data_integrity import proofs_of, time_of, verify_proof
from mrv.signatures.keys import EnrolledKey
from mrv.verify.signature_steps import AHEAD, log_holder
from mrv.verify.subject import NotApplicableError, Subject
from mrv.verify.witness_step import seen_before


def times(subject: Subject) -> str:
    """Signed after the period's end, verified after that, by keys that could sign then."""
    if subject.state == "draft":
        raise NotApplicableError("a draft, not signed")
    subject.needs_keys(*(("operator",) if subject.verification is None else _BOTH))
    signed = _signed_at(subject.statement)
    end = time_of(subject.claims.monitoring_period.to, "end of the period")
    if signed < end:
        raise SignatureError(f"the statement was signed at {signed}, before its period's end {end}")
    last = signed
    if subject.verification is not None:
        last = _signed_at(subject.verification)
        if last < signed:
            raise SignatureError(f"verified at {last}, before the statement was signed at {signed}")
        _within(subject, signed, last)
    if last - AHEAD > subject.at:
        raise SignatureError(f"signed at {last}, and the check is of {subject.at}")
    for document in (subject.verification, *_papers(subject), *subject.approvals):
        if document is not None:
            _dated_once(document)
    for key in _signers(subject):
        _key_counted(subject, key)
        _accreditation_counted(subject, key)
    _log_counted(subject)
    return f"signed {signed:%Y-%m-%dT%H:%M:%SZ}" + (
        f", verified {last:%Y-%m-%dT%H:%M:%SZ}" if subject.verification is not None else ""
    )


_BOTH = ("operator", "verifier")


def _signed_at(document: Mapping[str, Any]) -> datetime:
    created = proofs_of(document)[0]["created"]
    return time_of(created, f"created of {document.get('id')}").astimezone(UTC)


def _dated_once(document: Mapping[str, Any]) -> None:
    """A document says of itself when it is of as its proof does: reports show the one."""
    at, said = _signed_at(document), time_of(document["validFrom"], "validFrom")
    if said != at:
        raise SignatureError(
            f"{document.get('id')} says that it is of {document['validFrom']}, and was signed at"
            f" {at:%Y-%m-%dT%H:%M:%SZ}"
        )


def _within(subject: Subject, first: datetime, last: datetime) -> None:
    """Findings and sample were signed between the statement and its verification."""
    for document in _papers(subject):
        at = _signed_at(document)
        if not first <= at <= last:
            raise SignatureError(
                f"{document.get('id')} was signed at {at}, not between the statement ({first})"
                f" and its verification ({last})"
            )


def _papers(subject: Subject) -> list[dict[str, Any]]:
    files = subject.pack.files
    found = list(canonical.parse(files[FINDINGS])) if FINDINGS in files else []
    return [*found, canonical.parse_object(files[SAMPLING])] if SAMPLING in files else found


def _signers(subject: Subject) -> set[EnrolledKey]:
    signed = [subject.statement, *_papers(subject), *subject.approvals]
    if subject.verification is not None:
        signed.append(subject.verification)
    ring = {key.multikey: key for key in subject.ring}
    return {ring[verify_proof(document, subject.ring).multikey] for document in signed}


def _key_counted(subject: Subject, key: EnrolledKey) -> None:
    """Refuse what entered the log after a key's end; note where nothing shows the order."""
    place, until = key.bounds.ends_at, key.valid_until
    if place is None and not key.has_ended(subject.at):
        return
    head, receipt = subject.head, subject.receipt
    if head is not None and receipt is not None:
        index = parse_receipt(receipt).index
        if place is not None and place.log == head.origin:
            if index >= place.index:
                raise EnrolmentError(
                    f"key {key.name!r} ended with entry {place.index} of log {place.log}, and"
                    f" what it signed entered as entry {index}: the date in it proves nothing"
                )
            return
        if until is not None and _shown_before(subject, until):
            return
    subject.lack(
        "ended-key",
        "submitted",
        f"proof that {key.name!r} ({key.role}) signed before its key ended"
        f" ({until or place}): only the signature itself says so",
        "give with --keys a newer keyring, which says at which entry of the log the key ended,"
        " or take it as it is with --accept ended-keys",
        "ended-keys",
    )


def _accreditation_counted(subject: Subject, key: EnrolledKey) -> None:
    """Note where nothing but the verifier's own date says that the accreditation still held."""
    body = key.bounds.accreditation
    until = None if body is None else body.valid_until
    if until is None or datetime.fromisoformat(until) > subject.at or _shown_before(subject, until):
        return
    subject.lack(
        "ended-accreditation",
        "verified",
        f"proof that {key.name!r} ({key.role}) signed before the accreditation ended ({until}):"
        " only the signature itself says so",
        "get the pack with time stamps of authorities that you trust, or with witnesses' lines,"
        " from before that, or take it as it is with --accept ended-keys",
        "ended-keys",
    )


def _shown_before(subject: Subject, until: str) -> bool:
    """Whether witnesses or authorities that the reader trusts saw this issue before a time."""
    return seen_before(subject, datetime.fromisoformat(until)) or _stamped_before(subject, until)


def _stamped_before(subject: Subject, until: str) -> bool:
    """Whether trusted authorities saw the log with this issue before a key's end."""
    seen = None if subject.stamped is None else subject.stamped.issue_by
    return seen is not None and seen < datetime.fromisoformat(until)


def _log_counted(subject: Subject) -> None:
    """A log that was closed is believed as far as its last head, and under that head alone."""
    if subject.head is None or subject.receipt is None:
        return
    note = parse_receipt(subject.receipt).checkpoint
    key = log_holder(subject.ring, note)
    if key.bounds.final_head is None:
        until = key.valid_until
        if until is None or datetime.fromisoformat(until) > subject.at:
            return
        if not _stamped_before(subject, until):
            _ask_for_final(subject, f"the last head of log {key.name}, whose key has ended")
        return
    final = verify_checkpoint(key.bounds.final_head, NoteKey(key.name, key.public))
    if subject.head == final:
        return
    if subject.head.size >= final.size:
        raise LogError(
            f"log {key.name} was closed with {final.size} entries, and this head of it has"
            f" {subject.head.size}: its key was used after its end"
        )
    _ask_for_final(subject, f"a receipt under the last head of log {key.name}, which was closed")


def _ask_for_final(subject: Subject, what: str) -> None:
    subject.lack(
        "closed-log",
        "issued",
        what,
        "export the pack again: its receipt is then under a head of the log that goes on; and"
        " give a keyring with that log with --keys",
    )

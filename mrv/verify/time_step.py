"""
Verification step on time: times of signing, and validity of each key at that time; and further
steps.

The time in a proof is only stated by its signer, but the order of the log is proven: an entry was
made before those that follow it.  A key that has ended is therefore accepted for entries before its
end.

The other steps check that a pack is complete (exactly the files of its manifest, and the manifest
in the log), and verify again values signed by meters and gateways, and rows signed by suppliers,
laboratories and manufacturers.  `guide` returns VERIFY.md, the first page of an evidence pack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from msgspec.structs import replace

from ingest.errors import InputError
from mrv.documents import UNSET
from mrv.documents.statement import Claims
from mrv.errors import CanonicalError, EnrolmentError, LogError, PackTooLargeError, SignatureError
from mrv.log import NoteKey
from mrv.log.entries import (
    Checkpoint,
    evidence_entry,
    parse_receipt,
    verify_checkpoint,
    verify_receipt,
)
from mrv.packs.pack import (
    DEAD_LETTERS,
    FINDINGS,
    GUIDE,
    MANIFEST,
    MANIFEST_RECEIPT,
    SAMPLING,
    UNLISTED,
    issued_at,
    manifest_of,
)
from mrv.signatures import canonical
from mrv.signatures.data_integrity import proofs_of, time_of, verify_proof
from mrv.signatures.keys import EnrolledKey
from mrv.signed_values.meter_keys import OwnKeys, parse_key, same_key
from mrv.statement import signed_energy
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.signed_energy import COSE_GATEWAY, COSE_METER, ENDED, NONE, OCMF
from mrv.statement.signed_rows import ROLE, AnyRow, check_kept, check_named
from mrv.verify.signature_steps import AHEAD, log_holder, log_key
from mrv.verify.subject import NotApplicableError, NotCheckedError, Subject
from mrv.verify.witness_step import seen_before

# the current guide page, and that in packs of 0.1.0
_WORDINGS = ("guide.md", "guide_0_1_0.md")


def guide(claims: Claims, wording: str = _WORDINGS[0]) -> bytes:
    """
    Return the bytes of VERIFY.md for a statement.

    `wording`: file of the page's text; the current one by default.
    """
    period, method = claims.monitoring_period, claims.methodology
    return (
        _text(wording)
        .format(
            name=claims.statement,
            project=claims.project.id,
            project_name=claims.project.name,
            methodology=method.id,
            version=method.version,
            title=method.title,
            begin=period.local_from,
            end=period.local_to,
            zone=period.timezone,
            reduction=claims.emissions.reduction.t,
            credited=claims.credited.t,
        )
        .encode()
    )


def is_guide(data: bytes, claims: Claims) -> bool:
    """Return whether bytes are the guide page of this or an earlier version for a statement."""
    return any(data == guide(claims, wording) for wording in _WORDINGS)


@cache
def _text(wording: str) -> str:
    return resources.files(__package__).joinpath(wording).read_text(encoding="utf-8")


_NAMES = {
    OCMF: "by its meter or station (OCMF)",
    COSE_METER: "by its meter (COSE_Sign1)",
    COSE_GATEWAY: "by its gateway (COSE_Sign1)",
    NONE: "not signed",
}


def signed_values(subject: Subject) -> str:
    """Check signed rows and values by the keys of plan.json, and their share; return a summary."""
    subject.needs_evidence()
    plan, stated = subject.plan, subject.claims.signed_energy
    try:
        rows = _rows(subject)
        if plan.signed is None or stated is UNSET:
            if rows:
                return rows
            raise NotApplicableError("the statement does not state the share of signed energy")
        signed_energy.check_kept(plan.signed, plan.devices, plan.serials)
        if subject.meter_keys is not None:
            _verify_with_own_keys(subject, plan, subject.meter_keys)
    except ImportError as error:
        raise NotCheckedError(
            f"its COSE signatures need a library that is not installed ({error.name}); pip "
            "install cbor2"
        ) from error
    if {value.signer for value in plan.signed.values} != set(stated.signers):
        raise CanonicalError("plan.json names other signers than the statement; get the pack again")
    shares = ", ".join(
        f"{share.share_percent} % {_NAMES[share.kind]}"
        for share in stated.shares
        if share.energy_wh != "0" or share.kind == NONE
    )
    values = f"{len(plan.signed.values)} are valid; shares of {stated.energy_wh} Wh: {shares}"
    return f"{rows}; values: {values}" if rows else values


def _rows(subject: Subject) -> str:
    """
    Check rows signed by third parties, which must be independent of the signers; return a summary.

    The reader's own keys state the holder of a key; an unknown signer is recorded.
    """
    plan, project = subject.plan, subject.plan.project.id
    rows: tuple[AnyRow, ...] = (*plan.invoices, *plan.samples, *plan.documents)
    if not plan.row_signers and not any(row.signed for row in rows):
        return ""
    ring = subject.trusted or subject.ring
    issuer = subject.statement.get("issuer")
    operators = [
        key
        for key in ring
        if key.role == "operator" and isinstance(issuer, dict) and issuer.get("id") == key.did
    ]
    counts = check_kept(project, rows, plan.row_signers, operators)
    for signer in plan.row_signers:
        named = [key for key in subject.trusted or () if key.multikey == signer.key]
        if not any(key.role == ROLE for key in named) and subject.trusted is not None:
            subject.lack(
                "row-key",
                "draft",
                f"the key {signer.key} of {signer.organisation} as {ROLE} among the keys that you"
                f" trust: it signed {counts[signer.key]} rows of grade A",
                f"compare it with {signer.organisation}'s own publication, and have the "
                "programme name it in its trust root, or add it to your keys",
            )
    check_named(project, rows, subject.trusted)
    by_signer = ", ".join(f"{counts[s.key]} by {s.organisation}" for s in plan.row_signers)
    return f"signed rows are valid: {by_signer}"


def _verify_with_own_keys(subject: Subject, plan: MonitoringPlan, own: OwnKeys) -> None:
    """Verify values again with the reader's own keys; record signers without such a key."""
    extract = plan.signed
    if extract is None:
        return
    for signer in sorted({value.signer for value in extract.values}):
        serial = next((key.serial for key in extract.keys if key.device == signer), None)
        named = f"{signer} (serial {serial})" if serial else signer
        # a serial number is on the meter's label; the operator chooses the id, which may be
        # another meter's
        mine = own.get(serial or "") or own.get(signer, ())
        if not mine:
            subject.lack(
                "meter-key",
                "draft",
                f"a key of {named} among your --meter-keys: it signed values of this period",
                "add its line, from the label or the manufacturer's list, or omit --meter-keys",
            )
            continue
        theirs = [key for key in extract.keys if key.device == signer and key.key != ENDED]
        strange = [x for x in theirs if not any(same_key(parse_key(x.key), key) for key in mine)]
        if len(strange) == len(theirs):
            ends = ", ".join(f"..{key.key[-16:]} from {key.from_}" for key in strange)
            raise CanonicalError(
                f"plan.json has the key {ends} of {named}; your --meter-keys has another key for "
                "it: ask the holder of the meter which key is right"
            )
        extract = replace(extract, keys=tuple(key for key in extract.keys if key not in strange))
    try:
        signed_energy.check_kept(extract, plan.devices, plan.serials)
    except CanonicalError as error:
        raise CanonicalError(f"with the keys of --meter-keys only: {error}") from error


def manifest(subject: Subject) -> str:
    """Check every file against the manifest, and the manifest against the log; return a summary."""
    subject.needs_evidence()
    pack, data = subject.pack, subject.pack.files[MANIFEST]
    listed: dict[str, Any] = canonical.parse_object(data)["files"]
    changed = [name for name, digest in sorted(pack.hashes.items()) if _other(name, digest, listed)]
    if changed:
        raise CanonicalError(
            f"files differ from the manifest: {', '.join(changed)}; get the pack again"
        )
    if pack.letters is not None:
        _letters(pack.letters)
    issued = None if subject.receipt is None else issued_at(data)
    if data != manifest_of(pack.hashes, issued):
        raise CanonicalError(
            f"{MANIFEST} is not in the format that tonne writes; get the pack again"
        )
    if not is_guide(pack.files[GUIDE], subject.claims):
        raise CanonicalError(
            f"{GUIDE} differs from the page that tonne writes for this statement; get the "
            "pack again"
        )
    if subject.receipt is None:
        return f"{len(listed)} files; the manifest enters the log when the statement is issued"
    receipt = pack.files.get(MANIFEST_RECEIPT)
    if receipt is None:
        raise LogError(f"the pack has no {MANIFEST_RECEIPT}; get it from the log")
    subject.needs_keys("log")
    entry = evidence_entry(subject.claims.statement, data)
    try:
        text = receipt.decode()
    except UnicodeDecodeError as error:
        raise CanonicalError(
            f"{MANIFEST_RECEIPT} is not UTF-8; get it from the log again"
        ) from error
    head = verify_receipt(text, entry, log_key(subject.ring, parse_receipt(text).checkpoint))
    _same_tree(subject, head, parse_receipt(text).index)
    return f"{len(listed)} files, all in the log"


def _letters(check: Callable[[], None]) -> None:
    try:
        check()
    except PackTooLargeError:
        raise
    except InputError as error:
        raise CanonicalError(f"{DEAD_LETTERS}.parquet cannot be read: {error}") from error


def _same_tree(subject: Subject, head: Checkpoint, index: int) -> None:
    """Check that the manifest entered the log with the statement, under the same head."""
    if subject.head is None:
        raise NotCheckedError("the receipt of the statement was not checked (step log receipt)")
    issued = parse_receipt(subject.receipt or "").index
    if head != subject.head or index != issued + 1:
        raise LogError(
            f"{MANIFEST_RECEIPT} must be of entry {issued + 1} under the head of the statement's "
            f"receipt ({subject.head.size} entries); it is of entry {index} under a head of "
            f"{head.size} entries; get both receipts from the log again"
        )


def _other(name: str, digest: str, listed: dict[str, Any]) -> bool:
    return name not in UNLISTED and listed.get(name) != digest


def times(subject: Subject) -> str:
    """Check the order of signing times, and that keys were valid then; return a summary."""
    if subject.state == "draft":
        raise NotApplicableError("the statement is a draft and not signed")
    subject.needs_keys(*(("operator",) if subject.verification is None else _BOTH))
    signed = _signed_at(subject.statement)
    end = time_of(subject.claims.monitoring_period.to, "end of the period")
    if signed < end:
        raise SignatureError(
            f"the statement was signed at {signed}, before its period's end {end}; ask the "
            "operator to close the period again"
        )
    last = signed
    if subject.verification is not None:
        last = _signed_at(subject.verification)
        if last < signed:
            raise SignatureError(
                f"verified at {last}, before the statement was signed at {signed}; have it "
                "verified again"
            )
        _within(subject, signed, last)
    if last - AHEAD > subject.at:
        raise SignatureError(
            f"signed at {last}, but the check is for {subject.at}; pass a later --at"
        )
    for document in (subject.verification, *_papers(subject), *subject.approvals):
        if document is not None:
            _dated_once(document)
    for key in _signers(subject):
        _key_counted(subject, key)
        _accreditation_counted(subject, key)
    _log_counted(subject)
    _issued_last(subject, last)
    steps = (("signed", signed), ("verified", last if subject.verification else None),
             ("issued", subject.issued))  # fmt: skip
    return ", ".join(f"{name} {at:%Y-%m-%dT%H:%M:%SZ}" for name, at in steps if at is not None)


_BOTH = ("operator", "verifier")


def _signed_at(document: Mapping[str, Any]) -> datetime:
    created = proofs_of(document)[0]["created"]
    return time_of(created, f"created of {document.get('id')}").astimezone(UTC)


def _dated_once(document: Mapping[str, Any]) -> None:
    """Check that a document's own time is that of its proof."""
    at, time = _signed_at(document), time_of(document["validFrom"], "validFrom")
    if time != at:
        raise SignatureError(
            f"{document.get('id')} states the time {document['validFrom']}, but "
            f"was signed at {at:%Y-%m-%dT%H:%M:%SZ}; ask its signer which is right"
        )


def _issued_last(subject: Subject, verified: datetime) -> None:
    """Check that a statement was issued after all required signatures, and not in the future."""
    at = subject.issued
    if at is None:
        return
    last = max([verified, *map(_signed_at, subject.approvals)])
    if at + AHEAD < last:
        raise LogError(
            f"the log states the issue at {at}, before the last signature at {last}; ask the "
            "operator which time is right"
        )
    if at - AHEAD > subject.at:
        raise LogError(
            f"the log states the issue at {at}, but the check is for {subject.at}; pass a later "
            "--at"
        )


def _within(subject: Subject, first: datetime, last: datetime) -> None:
    """Check that findings and sample were signed between the statement and its verification."""
    for document in _papers(subject):
        at = _signed_at(document)
        if not first <= at <= last:
            raise SignatureError(
                f"{document.get('id')} was signed at {at}, not between the statement ({first})"
                f" and its verification ({last}); ask its signer which time is right"
            )


def _papers(subject: Subject) -> list[dict[str, Any]]:
    files = subject.pack.files
    result = list(canonical.parse(files[FINDINGS])) if FINDINGS in files else []
    return [*result, canonical.parse_object(files[SAMPLING])] if SAMPLING in files else result


def _signers(subject: Subject) -> set[EnrolledKey]:
    signed = [subject.statement, *_papers(subject), *subject.approvals]
    if subject.verification is not None:
        signed.append(subject.verification)
    ring = {key.multikey: key for key in subject.ring}
    return {ring[verify_proof(document, subject.ring).multikey] for document in signed}


def _key_counted(subject: Subject, key: EnrolledKey) -> None:
    """Check that no log entry is after its key's end; record entries whose order is not proven."""
    place, until = key.bounds.ends_at, key.valid_until
    if place is None and not key.has_ended(subject.at):
        return
    head, receipt = subject.head, subject.receipt
    if head is not None and receipt is not None:
        index = parse_receipt(receipt).index
        if place is not None and place.log == head.origin:
            if index >= place.index:
                raise EnrolmentError(
                    f"key {key.name!r} ended with entry {place.index} of log {place.log}, "
                    f"but its signature is in entry {index}: its date is not proven; have the "
                    "document signed by a valid key"
                )
            return
        if until is not None and _confirmed_before(subject, until):
            return
    subject.lack(
        "ended-key",
        "submitted",
        f"proof that {key.name!r} ({key.role}) signed before its key ended ({until or place}): "
        "only the signature itself states it",
        "pass with --keys a newer keyring, which states at which log entry "
        "the key ended, or accept this with --accept ended-keys",
        "ended-keys",
    )


def _accreditation_counted(subject: Subject, key: EnrolledKey) -> None:
    """Record a valid accreditation that depends on the verifier's own date only."""
    body = key.bounds.accreditation
    until = None if body is None else body.valid_until
    if (
        until is None
        or datetime.fromisoformat(until) > subject.at
        or _confirmed_before(subject, until)
    ):
        return
    subject.lack(
        "ended-accreditation",
        "verified",
        f"proof that {key.name!r} ({key.role}) signed before the accreditation "
        f"ended ({until}): only the signature itself states it",
        "get the pack with earlier time stamps of trusted authorities, "
        "or earlier cosignatures of witnesses, or accept this with --accept "
        "ended-keys",
        "ended-keys",
    )


def _confirmed_before(subject: Subject, until: str) -> bool:
    """Return whether trusted witnesses or authorities confirm that the issue was before a time."""
    return seen_before(subject, datetime.fromisoformat(until)) or _stamped_before(subject, until)


def _stamped_before(subject: Subject, until: str) -> bool:
    """Return whether trusted authorities stamped the log with this issue before a key's end."""
    seen = None if subject.stamped is None else subject.stamped.issue_by
    return seen is not None and seen < datetime.fromisoformat(until)


def _log_counted(subject: Subject) -> None:
    """Check that a closed log is used only up to its last head, and under that head."""
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
            f"log {key.name} was closed with {final.size} entries, but this head of it has "
            f"{subject.head.size}: its key was used after the log was closed; report this head to "
            "the programme"
        )
    _ask_for_final(subject, f"a receipt under the last head of log {key.name}, which was closed")


def _ask_for_final(subject: Subject, what: str) -> None:
    subject.lack(
        "closed-log",
        "issued",
        what,
        "export the pack again, with a receipt under a head of the current "
        "log; and pass a keyring with that log with --keys",
    )

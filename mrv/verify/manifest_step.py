"""Whether a pack is whole: exactly the files of its manifest, and the manifest in the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingest.errors import InputError
from mrv.errors import CanonicalError, LogError, PackTooLargeError
from mrv.log.entries import evidence_entry
from mrv.log.receipt import Checkpoint, parse_receipt, verify_receipt
from mrv.packs.pack import DEAD_LETTERS, GUIDE, MANIFEST, MANIFEST_RECEIPT, UNLISTED, manifest_of
from mrv.signatures import canonical
from mrv.verify.signature_steps import log_key
from mrv.verify.subject import NotCheckedError, Subject
from mrv.verify.verify_md import is_guide


def manifest(subject: Subject) -> str:
    """Every file is the one that the manifest lists, and the log holds that manifest."""
    subject.needs_evidence()
    pack, data = subject.pack, subject.pack.files[MANIFEST]
    listed: dict[str, Any] = canonical.parse_object(data)["files"]
    changed = [name for name, digest in sorted(pack.hashes.items()) if _other(name, digest, listed)]
    if changed:
        raise CanonicalError(f"{', '.join(changed)}: not the files that the manifest lists")
    if pack.letters is not None:
        _letters(pack.letters)
    if data != manifest_of(pack.hashes):
        raise CanonicalError(f"{MANIFEST} is not in the form that tonne writes")
    if not is_guide(pack.files[GUIDE], subject.claims):
        raise CanonicalError(f"{GUIDE} is not the page that tonne writes for this statement")
    if subject.receipt is None:
        return f"{len(listed)} files; the manifest enters the log when the statement is issued"
    receipt = pack.files.get(MANIFEST_RECEIPT)
    if receipt is None:
        raise LogError(f"the pack has no {MANIFEST_RECEIPT}; ask the log for it")
    subject.needs_keys("log")
    entry = evidence_entry(subject.claims.statement, data)
    try:
        text = receipt.decode()
    except UnicodeDecodeError as error:
        raise CanonicalError(f"{MANIFEST_RECEIPT} is not UTF-8; get the pack again") from error
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
    """The manifest entered the log with the statement, under the same head."""
    if subject.head is None:
        raise NotCheckedError("the receipt of the statement was not checked")
    issued = parse_receipt(subject.receipt or "").index
    if head != subject.head or index != issued + 1:
        raise LogError(
            f"{MANIFEST_RECEIPT} is entry {index} under a head of {head.size} entries, the"
            f" statement is entry {issued} under another head or not before it; ask the log for"
            " both receipts again"
        )


def _other(name: str, digest: str, listed: dict[str, Any]) -> bool:
    return name not in UNLISTED and listed.get(name) != digest

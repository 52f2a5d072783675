"""
Cosigning of a log's heads by an auditor on their own machine.

The last signed head of each log is stored in `TONNE_HOME/witness`: a log with a different history
is not signed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from psycopg import Connection

from ingest.errors import InputError
from mrv.errors import EnrolmentError
from mrv.log.entries import Checkpoint, verify_checkpoint
from mrv.log.note import NoteKey, signature_lines
from mrv.log.witness import check_request, cosign, cosignatures, parse_request
from mrv.signatures.keyfile import read_keyring
from services.issuer.documents import Signer
from services.store.registry import signing_keys as enrolled
from services.store.statements import transparency_log as log


def countersign(home: Path, request: str, keys: bytes, signer: Signer, now_s: int) -> str:
    """
    Return a checkpoint with the witness's signature over the head of a request.

    `request`: output of `tonne log request`.  `keys`: keyring with the log's key, obtained from the
    log's operator before.  Raises LogError, SignatureError or EnrolmentError if the head is not the
    log's or does not continue the last one.
    """
    if signer.holder.role != "witness":
        raise EnrolmentError(
            f"key {signer.holder.name!r} is a key of role {signer.holder.role}; make a witness key "
            "with `tonne keys create --role witness --name N`"
        )
    question = parse_request(request)
    log_key = _log_key(question.checkpoint, keys)
    path = home / "witness" / hashlib.sha256(log_key.vkey.encode()).hexdigest()[:16]
    last = verify_checkpoint(path.read_text("utf-8"), log_key) if path.exists() else None
    check_request(question, log_key, last)
    line = cosign(question.checkpoint, signer.holder.name, signer.key, now_s)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(question.checkpoint, encoding="utf-8")
    fresh.replace(path)
    return question.checkpoint + line


def _log_key(note: str, keys: bytes) -> NoteKey:
    names = {name for name, _ in signature_lines(note)[1]}
    result = [k for k in read_keyring(keys) if k.role == "log" and k.name in names]
    if len(result) != 1:
        raise EnrolmentError(
            f"the keyring has {len(result)} keys of log {', '.join(sorted(names))}; keep only "
            "the key that signs"
        )
    return NoteKey(result[0].name, result[0].public)


def keep(conn: Connection, note: str) -> list[str]:
    """
    Store the witnesses' signatures of a cosigned head; return the witnesses' names.

    Raises InputError if it is not a head of this log, or no enrolled witness signed it.
    """
    text, _ = signature_lines(note)
    size = Checkpoint.from_text(text).size
    own = log.checkpoint(conn, size)
    if own is None or signature_lines(own)[0] != text:
        raise InputError(
            f"this log has no head of {size} entries with that root; check both values"
        )
    keys = {
        (enrolment.key.name, enrolment.key.public): enrolment.key.multikey
        for enrolment in enrolled.load(conn)
        if enrolment.key.role == "witness"
    }
    result = cosignatures(note, *(NoteKey(*pair) for pair in keys))
    if not result:
        raise InputError(
            "no enrolled witness signed it; enrol the auditor's key with `tonne keys enroll FILE`"
        )
    for cosignature in result:
        log.add_cosignature(
            conn, size, keys[cosignature.witness.name, cosignature.witness.public], cosignature.line
        )
    return [answer.witness.name for answer in result]

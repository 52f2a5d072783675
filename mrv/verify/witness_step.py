"""
Verification step on witnesses: cosignatures of trusted ones on the log's head.

A witness signs only consistent heads of a log, so that two readers cannot be given different logs.
Its time is independent of the operator.  The reader's policy (c2sp.org/tlog-policy) states which
witnesses must have signed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from mrv.errors import LogError, MrvError, SignatureError
from mrv.log import NOTE, NoteKey, Vkey, signature_lines
from mrv.log.entries import Checkpoint, parse_receipt
from mrv.log.witness import Cosignature, cosignatures, strangers, witness_key
from mrv.packs.pack import SEALS
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey
from mrv.verify.subject import NotApplicableError, NotCheckedError, Subject

_AHEAD_S = 300
_CODE = "witnesses"


def known(subject: Subject) -> tuple[Vkey, ...]:
    """
    Return the witnesses that the reader trusts, from keys and policies.

    A witness whose key has ended is not trusted, since it could sign for any time before the end.
    """
    keys = [
        witness_key(NoteKey(key.name, key.public))
        for key in _enrolled(subject)
        if not key.has_ended(subject.at)
    ]
    keys += [witness.key for policy in subject.policies for witness in policy.witnesses.values()]
    return tuple(dict.fromkeys(keys))


def _enrolled(subject: Subject) -> list[EnrolledKey]:
    return [key for key in subject.trusted or () if key.role == "witness"]


def counted(subject: Subject, note: str) -> tuple[Cosignature, ...]:
    """Return valid cosignatures of trusted witnesses, not later than the reader's time."""
    return tuple(_timely(subject, _cosignatures(note, known(subject))[0]))


def seen_before(subject: Subject, moment: datetime) -> bool:
    """
    Return whether a witness, or the number that a policy requires, cosigned the head
    before a time.
    """
    keys = {
        witness.witness
        for witness in subject.witnesses
        if datetime.fromtimestamp(witness.time_s, UTC) < moment
    }
    return bool(keys) and all(policy.reached(keys) for policy in subject.policies)


def _cosignatures(note: str, keys: Iterable[Vkey]) -> tuple[list[Cosignature], list[str]]:
    """Return the valid cosignatures, and the names of witnesses with an invalid line."""
    good: list[Cosignature] = []
    false: list[str] = []
    for key in keys:
        try:
            good += cosignatures(note, key)
        except SignatureError as error:
            false.append(str(error))
    return good, false


def _timely(subject: Subject, result: Iterable[Cosignature]) -> list[Cosignature]:
    # a cosignature without a time (0) does not limit the time of the head
    last_s = subject.at.timestamp() + _AHEAD_S
    return [cosignature for cosignature in result if 0 < cosignature.time_s <= last_s]


def witnesses(subject: Subject) -> str:
    """Check that enough trusted witnesses cosigned the head of the receipt; return a summary."""
    if subject.receipt is None:
        raise NotApplicableError("the statement is not issued yet")
    subject.needs_keys("log")
    if subject.head is None:
        raise NotCheckedError("the receipt of the statement was not checked (step log receipt)")
    keys = known(subject)
    note = parse_receipt(subject.receipt).checkpoint
    if not keys and not _enrolled(subject) and all(p.reached(()) for p in subject.policies):
        _check_logs(subject, note)
        raise NotApplicableError(
            "your trusted keys include no witness" + _unknown(subject, note, keys)
        )
    result, false = _cosignatures(note, keys)
    sealed, false_seals = _of_seals(subject, keys)
    if false or false_seals:
        raise LogError("; ".join((*false, *false_seals)))
    good = _timely(subject, result)
    enough = _quorum(subject, good, len(result) - len(good))
    _check_logs(subject, note)
    names = [f"{c.witness.name} at {_moment(c.time_s)}" for c in good]
    message = f"{', '.join(names) or 'no trusted witness'} cosigned {subject.head.size} entries"
    message += "" if enough else ", too few"
    return message + _before(sealed) + _unknown(subject, note, keys)


def _of_seals(subject: Subject, keys: tuple[Vkey, ...]) -> tuple[list[Cosignature], list[str]]:
    """
    Return the cosignatures of the head under which the days were sealed, and texts
    on its faults.
    """
    if SEALS not in subject.pack.files:
        return [], []
    head = canonical.parse_object(subject.pack.files[SEALS]).get("head")
    if not isinstance(head, str):
        return [], []
    result, false = _cosignatures(head, keys)
    return _timely(subject, result), [f"seals.json: {name}" for name in false]


def _before(sealed: list[Cosignature]) -> str:
    if not sealed:
        return ""
    first = min(sealed, key=lambda cosignature: cosignature.time_s)
    return f"; the seals existed by {_moment(first.time_s)}, as {first.witness.name} saw"


def _quorum(subject: Subject, good: list[Cosignature], late: int) -> bool:
    """Return whether every policy is met; record missing cosignatures."""
    keys = {cosignature.witness for cosignature in good}
    lacks = [text for policy in subject.policies if (text := policy.lacks(keys)) is not None]
    if not subject.policies and not keys:
        lacks = [f"one of your trusted witnesses ({_names(subject)})"]
    more = f"; {late} cosigned after the time of your check" if late else ""
    for text in lacks:
        subject.lack(
            _CODE,
            "issued",
            f"cosignatures of the log's head: {text}{more}",
            "ask the operator for a receipt of a head that these witnesses cosigned: `tonne log"
            " witnesses` asks them, and the pack is exported again",
        )
    return not lacks


def _names(subject: Subject) -> str:
    ended = {key.name for key in _enrolled(subject) if key.has_ended(subject.at)}
    names = dict.fromkeys([*(key.name for key in known(subject)), *sorted(ended)])
    return ", ".join(f"{name}, whose key has ended" if name in ended else name for name in names)


def _check_logs(subject: Subject, note: str) -> None:
    """Check that this log is one of those that the policies name, if any."""
    origin = Checkpoint.from_text(signature_lines(note)[0]).origin
    holders = [key for key in subject.ring if key.role == "log" and key.name == origin]
    mine = {Vkey(key.name, NOTE, key.public) for key in holders}
    for policy in subject.policies:
        if policy.logs and not mine & {log.key for log in policy.logs}:
            subject.lack(
                "policy-log",
                "issued",
                f"log {origin} among those of the policy:"
                f" {', '.join(log.key.name for log in policy.logs)}",
                "ask the author of the policy whether this log is accepted",
            )


def _unknown(subject: Subject, note: str, keys: tuple[Vkey, ...]) -> str:
    """Return the text on cosignatures of witnesses that are not trusted."""
    logs = [NoteKey(key.name, key.public) for key in subject.ring if key.role == "log"]
    try:
        names = strangers(note, *keys, *logs)
    except MrvError:
        return ""
    return f"; not known to you, so not counted: {', '.join(names)}" if names else ""


def _moment(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

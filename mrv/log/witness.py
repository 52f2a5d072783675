"""
Witnesses of the log: cosignatures, requests for them, and the policy that requires them.

Cosignature of a checkpoint (c2sp.org/tlog-cosignature): a witness confirms that it received this
head at a time, and that it is consistent with every earlier head of the log.  So two readers whose
heads were cosigned by the same witness have the same log.

    — witness name base64(key id || time, 8 bytes big-endian || signature)

Ed25519 signs `cosignature/v1`, `time N` and the checkpoint's text; ML-DSA-44 signs a structure of
the witness's name, the time, and the log's origin, size and root.

Request of a log to a witness (c2sp.org/tlog-witness, add-checkpoint):

    old N
    base64 hashes: the consistency proof from N entries to the head's size
    (an empty line)
    the signed checkpoint

A witness signs only heads consistent with the last one that it signed.

Policy: accepted logs and required witnesses (c2sp.org/tlog-policy).  A group has cosigned a
checkpoint once K of its members have; a member is a witness, or a group defined earlier in the
file.  The log and its readers use one file: the log sends its requests to the URLs of the
witnesses, a reader counts their cosignatures.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mrv.errors import LogError, SignatureError, WitnessRefusedError
from mrv.log import (
    COSIGNATURE,
    DASH,
    ML_DSA_COSIGNATURE,
    NOTE,
    WITNESS_TYPES,
    MlDsaKey,
    NoteKey,
    Vkey,
    ml_dsa_verifies,
    signature_lines,
)
from mrv.log.entries import Checkpoint, decode_hash, read_head, verify_checkpoint
from mrv.signatures import ed25519
from mrv.signatures.ed25519 import encode_base64
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import EMPTY_ROOT, verify_consistency

_ID_BYTES, _TIME_BYTES = 4, 8
_LAST_TIME = 2**63
_LONGEST = 255
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_LONGEST_PROOF = 63


@dataclass(frozen=True, slots=True)
class Cosignature:
    """The cosignature of a witness: its key, time [s UTC] and line in the signed note."""

    witness: Vkey
    time_s: int
    line: str


def cosign(note: str, name: str, key: SigningKey | MlDsaKey, time_s: int) -> str:
    """
    Return the cosignature line of a witness for a signed checkpoint.

    `note`: the signed checkpoint; the caller has verified it, and its consistency with the last one
    that the witness signed.
    `name`: name of the witness's key.
    `time_s`: time of signature, seconds since 1970. [s UTC]
    """
    text, _ = signature_lines(note)
    kind = ML_DSA_COSIGNATURE if isinstance(key, MlDsaKey) else COSIGNATURE
    mine = Vkey(name, kind, key.public)
    signed = key.sign(_message(mine, text, time_s))
    packed = mine.key_id + time_s.to_bytes(_TIME_BYTES, "big") + signed
    return f"{DASH}{name} {encode_base64(packed)}\n"


def cosignatures(note: str, *witnesses: NoteKey | Vkey) -> list[Cosignature]:
    """
    Return the cosignatures of known witnesses on a signed checkpoint.

    Raises SignatureError if the note is malformed or a known witness's line is not of this
    checkpoint.
    """
    text, lines = signature_lines(note)
    keys = [witness_key(witness) for witness in witnesses]
    result = []
    for name, raw in lines:
        for key in keys:
            if (key.name, key.key_id) != (name, raw[:_ID_BYTES]):
                continue
            result.append(
                Cosignature(key, _time(key, text, raw), f"{DASH}{name} {encode_base64(raw)}\n")
            )
    return result


def witness_key(key: NoteKey | Vkey) -> Vkey:
    """Return the key with which a witness cosigns; a `NoteKey` becomes a vkey of that type."""
    return Vkey(key.name, COSIGNATURE, key.public) if isinstance(key, NoteKey) else key


def signed_by(note: str, keys: tuple[Vkey, ...]) -> list[Vkey]:
    """
    Return the keys of a log, of any type, that signed a checkpoint.

    Raises SignatureError if the note is malformed, or a line of a known key does not verify.
    """
    text, lines = signature_lines(note)
    vkeys = []
    for name, raw in lines:
        for key in keys:
            if (key.name, key.key_id) != (name, raw[:_ID_BYTES]):
                continue
            if key.kind != NOTE:
                _time(key, text, raw)
            elif not ed25519.verifies(key.public, raw[_ID_BYTES:], text.encode()):
                raise SignatureError(
                    f"signature of {name} does not match this note, which was changed; get the "
                    "note again"
                )
            vkeys.append(key)
    return vkeys


def strangers(note: str, *known: NoteKey | Vkey) -> list[str]:
    """Return the names in a checkpoint's signature lines whose keys are unknown, each once."""
    ids = {(key.name, key.key_id) for key in known}
    ids |= {(key.name, witness_key(key).key_id) for key in known}
    names = [name for name, raw in signature_lines(note)[1] if (name, raw[:4]) not in ids]
    return list(dict.fromkeys(names))


def _time(key: Vkey, text: str, raw: bytes) -> int:
    """
    Return the time stated in a cosignature line. [s UTC]

    Raises SignatureError if the line does not verify.
    """
    begin, end = _ID_BYTES, _ID_BYTES + _TIME_BYTES
    time_s, signature = int.from_bytes(raw[begin:end], "big"), raw[end:]
    check = ml_dsa_verifies if key.kind == ML_DSA_COSIGNATURE else ed25519.verifies
    if time_s >= _LAST_TIME or not check(key.public, signature, _message(key, text, time_s)):
        raise SignatureError(
            f"cosignature of {key.name} is not of this checkpoint; download the checkpoint again"
        )
    return time_s


def _message(key: Vkey, text: str, time_s: int) -> bytes:
    if key.kind != ML_DSA_COSIGNATURE:
        return f"cosignature/v1\ntime {time_s}\n{text}".encode()
    try:
        head = read_head(text)
    except LogError as error:
        raise SignatureError(
            f"the text cosigned by {key.name} is not a checkpoint: {error}"
        ) from error
    number = 8
    return b"".join((
        b"subtree/v1\n\0", _opaque(key.name), time_s.to_bytes(number, "big"),
        _opaque(head.origin), bytes(number), head.size.to_bytes(number, "big"), head.root,
    ))  # fmt: skip


def _opaque(text: str) -> bytes:
    data = text.encode()
    if not 1 <= len(data) <= _LONGEST:
        raise SignatureError(
            f"name {text[:40]!r} has {len(data)} bytes; names of 1 to {_LONGEST} bytes are signed"
        )
    return bytes([len(data)]) + data


@dataclass(frozen=True, slots=True)
class Request:
    """Parts of a request: size of the last head, consistency proof, signed checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: str


def make_request(old: int, proof: Sequence[bytes], checkpoint: str) -> str:
    """
    Return the text of a cosigning request; `old` is 0 for a witness that never signed this
    log.
    """
    return "\n".join([f"old {old}", *map(encode_base64, proof)]) + "\n\n" + checkpoint


def parse_request(text: str) -> Request:
    """
    Return the parts of a cosigning request; signatures and proofs are not checked.

    Raises LogError if it is not of the form above.
    """
    head, gap, checkpoint = text.partition("\n\n")
    first, *lines = head.split("\n")
    old = _OLD.fullmatch(first)
    if old is None or not gap or len(lines) > _LONGEST_PROOF:
        raise LogError(
            "this is not a request to a witness, which begins with `old N`; get a new one "
            "with `tonne log request`"
        )
    return Request(int(old[1]), tuple(decode_hash(line) for line in lines), checkpoint)


def check_request(request: Request, log_key: NoteKey, last: Checkpoint | None) -> Checkpoint:
    """
    Return the checkpoint of a request, verified as an extension of the last one cosigned.

    `last`: None if the witness never signed a head of this log.
    Raises LogError or SignatureError if it is no extension, or is not signed by the log.
    """
    head = verify_checkpoint(request.checkpoint, log_key)
    known = 0 if last is None else last.size
    if request.old != known:
        raise LogError(
            f"the request starts at {request.old} entries, but the last head signed here has "
            f"{known}; get a request with `tonne log request --since {known}`"
        )
    _is_consistent(request, head, last)
    return head


def judge_request(
    request: Request, keys: tuple[Vkey, ...], last: Checkpoint | None
) -> tuple[Checkpoint, list[Vkey]]:
    """
    Return the checkpoint that a witness may cosign, and the log's keys that signed it.

    `keys`: keys that the witness trusts for the log; empty for an unknown log.
    `last`: the last head of that log that the witness cosigned; None if there is none.
    Raises WitnessRefusedError with the HTTP status of the protocol.
    """
    head = _head(request)
    if not keys:
        raise WitnessRefusedError(
            404,
            f"log {head.origin!r} is not known to this witness; the witness's organisation "
            "adds it with `tonne witness add-log`",
        )
    try:
        signers = signed_by(request.checkpoint, keys)
    except SignatureError as error:
        raise WitnessRefusedError(403, str(error)) from error
    if not signers:
        raise WitnessRefusedError(
            403,
            f"no trusted key of log {head.origin!r} signed this head; add the log with "
            "`tonne witness add-log`",
        )
    if request.old > head.size:
        raise WitnessRefusedError(
            400,
            f"old is {request.old}, more than the {head.size} entries of the head; make a"
            f" new request with `tonne log request`",
        )
    known = 0 if last is None else last.size
    if request.old != known:
        what = f"old is {request.old}, but the last head cosigned here has {known} entries"
        raise WitnessRefusedError(409, what, known)
    if head.size == 0 and head.root != EMPTY_ROOT:
        raise WitnessRefusedError(
            422,
            "the head of an empty log must have the root of the empty tree; ask the log for"
            " a correct head",
        )
    try:
        _is_consistent(request, head, last if known else None)
    except LogError as error:
        raise WitnessRefusedError(422, str(error)) from error
    return head, signers


def _head(request: Request) -> Checkpoint:
    try:
        return read_head(signature_lines(request.checkpoint)[0])
    except (LogError, SignatureError) as error:
        raise WitnessRefusedError(400, str(error)) from error


def _is_consistent(request: Request, head: Checkpoint, last: Checkpoint | None) -> None:
    if last is None:
        if request.proof:
            raise LogError(
                "a request from 0 entries must have an empty proof; make a new request with"
                " `tonne log request`"
            )
        return
    verify_consistency(last.size, head.size, request.proof, last.root, head.root)


NONE = "none"
_LONGEST_POLICY = 262_144
_MAX_LINES = 64
_BLANKS = re.compile(r"[ \t]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_COUNT = re.compile(r"[1-9][0-9]{0,3}")
_MIN_WORDS = {"log": 2, "witness": 3, "group": 4, "quorum": 2}
_LARGEST = {"log": 3, "witness": 4, "quorum": 2}


class Member(NamedTuple):
    """A log or a witness: its key and its URL; None in a file for readers only."""

    key: Vkey
    url: str | None


class Group(NamedTuple):
    """Witnesses or groups, and the number of them that must cosign."""

    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """
    A policy from its file.

    `logs`: accepted logs; empty: any log.
    `witnesses`: witnesses by their names in the file.
    `quorum`: name of a witness or a group, or `none`.
    `text`: the file.
    """

    logs: tuple[Member, ...]
    witnesses: Mapping[str, Member]
    groups: Mapping[str, Group]
    quorum: str
    text: str = field(repr=False)

    def reached(self, keys: Collection[Vkey]) -> bool:
        """Return whether cosignatures by these keys are sufficient."""
        return self.quorum == NONE or self._has(self.quorum, set(keys))

    def lacks(self, keys: Collection[Vkey]) -> str | None:
        """Return the missing cosignatures in words; None if those by these keys are sufficient."""
        have = set(keys)
        return None if self.reached(have) else self._missing(self.quorum, have)

    def _has(self, name: str, keys: set[Vkey]) -> bool:
        if name in self.witnesses:
            return self.witnesses[name].key in keys
        group = self.groups[name]
        return sum(self._has(member, keys) for member in group.members) >= group.needed

    def _missing(self, name: str, keys: set[Vkey]) -> str:
        if name in self.witnesses:
            return f"witness {name} ({self.witnesses[name].key.name})"
        group = self.groups[name]
        have = sum(self._has(member, keys) for member in group.members)
        remaining = [
            self._missing(member, keys) for member in group.members if not self._has(member, keys)
        ]
        return (
            f"{group.needed - have} more of {name}, which has {have} of the {group.needed} "
            f"required: {', '.join(remaining)}"
        )


def read_policy(data: bytes) -> Policy:
    """
    Return a policy from its file.

    Raises LogError that names the line, if the file has another form, a repeated name or key, or no
    quorum.
    """
    if len(data) > _LONGEST_POLICY:
        raise LogError(
            f"the policy has {len(data)} bytes, and {_LONGEST_POLICY} is the maximum; shorten it"
        )
    text = data.decode("utf-8", "surrogateescape")
    made = _Reading()
    for number, line in enumerate(text.split("\n"), 1):
        try:
            made.line(line)
        except (LogError, SignatureError) as error:
            raise LogError(f"line {number} of the policy: {error}") from error
    logs = {log.key.public for log in made.logs}
    for name, member in made.witnesses.items():
        if member.key.public in logs:
            raise LogError(
                f"witness {name} of the policy has the key of a log; a log cannot witness itself"
            )
    if made.quorum is None:
        raise LogError("the policy has no line `quorum`; write `quorum NAME` or `quorum none`")
    return Policy(tuple(made.logs), made.witnesses, made.groups, made.quorum, text)


class _Reading:
    """State of the policy parser."""

    def __init__(self) -> None:
        self.logs: list[Member] = []
        self.witnesses: dict[str, Member] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._grouped: set[str] = set()

    def line(self, line: str) -> None:
        if _CONTROL.search(line):
            raise LogError("it contains a control character; only tabs are allowed in a policy")
        words = [word for word in _BLANKS.split(line) if word]
        if not words or words[0].startswith("#"):
            return
        kind, rest = words[0], words[1:]
        if kind not in _MIN_WORDS:
            raise LogError(
                f"{kind[:40]!r} is not a line of a policy; begin each line with log, "
                "witness, group or quorum"
            )
        if not _MIN_WORDS[kind] <= len(words) <= _LARGEST.get(kind, _MAX_LINES + 3):
            raise LogError(
                f"{kind} has {len(rest)} values, not as many as it needs; see docs/witnesses.md"
            )
        getattr(self, f"_{kind}")(*rest)

    def _log(self, text: str, url: str | None = None) -> None:
        key = Vkey.parse(text)
        if any(log.key.public == key.public for log in self.logs):
            raise LogError(f"the key of log {key.name} appears twice; name it once")
        if len(self.logs) >= _MAX_LINES:
            raise LogError(f"the policy has more than {_MAX_LINES} logs; remove some")
        self.logs.append(Member(key, url))

    def _witness(self, name: str, text: str, url: str | None = None) -> None:
        key = Vkey.parse(text)
        if key.kind not in WITNESS_TYPES:
            raise LogError(
                f"the key of witness {name} is of type {key.kind:#04x}; name a key of type 0x04"
                " (Ed25519) or 0x06 (ML-DSA-44), with which witnesses cosign"
            )
        if any(witness.key.public == key.public for witness in self.witnesses.values()):
            raise LogError(f"the key of witness {name} appears twice; name it once")
        self._new(name, len(self.witnesses))
        self.witnesses[name] = Member(key, url)

    def _group(self, name: str, count: str, *members: str) -> None:
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise LogError(
                    f"group {name} names {member!r}, which no earlier line defines; define it above"
                )
            if member in self._grouped:
                raise LogError(
                    f"{member!r} is already a member of a group; name a witness in one group only"
                )
            self._grouped.add(member)
        self._new(name, len(self.groups))
        needed = {"all": len(members), "any": 1}.get(count)
        if needed is None:
            needed = int(count) if _COUNT.fullmatch(count) else 0
        if not 1 <= needed <= len(members):
            raise LogError(
                f"group {name} requires {count!r} of {len(members)}; write all, any "
                "or a number from 1 to that"
            )
        self.groups[name] = Group(needed, members)

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise LogError("the policy has a second line `quorum`; remove one of them")
        if name != NONE and name not in self.witnesses and name not in self.groups:
            raise LogError(f"quorum names {name!r}, which no earlier line defines; define it above")
        self.quorum = name

    def _new(self, name: str, so_far: int) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise LogError(f"the name {name!r} is already used; choose another one")
        if so_far >= _MAX_LINES:
            raise LogError(f"the policy has more than {_MAX_LINES} lines of one kind; remove some")

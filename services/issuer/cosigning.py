"""
Cosignatures of the log's heads by witnesses (c2sp.org/tlog-witness, add-checkpoint).

The head is stored before the request, as a cosigned head must never be rolled back.  A witness that
does not answer is asked again with the newest head, which covers the earlier ones.  A witness that
last cosigned another size states that size, and the request is repeated from it.  If it has
cosigned more entries than the log has, or another root, it contradicts the log.

An auditor cosigns heads on their own machine.  The last head signed for each log is stored in
`TONNE_HOME/witness`; a head that does not continue it is not signed.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import psycopg
from psycopg import Connection

from ingest.errors import InputError, ServerError
from mrv.errors import EnrolmentError, MrvError
from mrv.log import NoteKey, Vkey, signature_lines
from mrv.log.entries import Checkpoint, verify_checkpoint
from mrv.log.witness import (
    Cosignature,
    Member,
    Policy,
    check_request,
    cosign,
    cosignatures,
    make_request,
    parse_request,
    read_policy,
)
from mrv.signatures.keys import read_keyring
from mrv.signatures.merkle_tree import consistency_proof
from services.clock import now_us
from services.issuer.documents import Signer
from services.scraping import Background
from services.settings import Settings
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from services.store.statements import transparency_log as log

if TYPE_CHECKING:
    import httpx
    from structlog.typing import FilteringBoundLogger

    from services.metrics import Metrics


State = Literal["cosigned", "away", "refused", "contradicts"]
_MAX_BYTES = 65_536
_MAX_REQUESTS = 3
_MAX_CLOCK_DIFFERENCE_S = 600
_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\n")
_OK, _CONFLICT, _UNKNOWN, _FALSE, _BUSY, _BROKEN = 200, 409, 404, 422, 429, 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    Answer of a witness on a head.

    `state`: `cosigned`; `away` without answer; `refused` for a reason that an operator can correct;
    `contradicts` if it knows another history.  `why`: a sentence; empty where it cosigned.
    `took_s`: time from request to answer. [s]
    """

    state: State
    why: str = ""
    cosignature: Cosignature | None = None
    took_s: float = 0.0


class HeadRequest(NamedTuple):
    """Signed head and the leaf hashes below it."""

    note: str
    leaves: Sequence[bytes]

    @property
    def head(self) -> Checkpoint:
        """Return the checkpoint of the head."""
        return Checkpoint.from_text(signature_lines(self.note)[0])


def ask(request_: HeadRequest, witness: Member, known: int, wait_s: float, now_s: float) -> Outcome:
    """
    Return a witness's answer to a request for a cosignature.

    `witness`: its key and base URL of `add-checkpoint`.
    `known`: number of entries of the last head known to be cosigned by it.
    `wait_s`: maximum waiting time. [s]
    `now_s`: current time; cosignatures with another time are refused. [s since 1970 UTC]
    """
    import httpx  # noqa: PLC0415 - an extra, needed only with witnesses

    began_s = time.monotonic()
    try:
        with httpx.Client(timeout=wait_s) as http:
            outcome = _request(http, request_, witness, known, (now_s, began_s + wait_s))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        outcome = Outcome("away", f"no answer received: {str(error) or type(error).__name__}")
    took_s = time.monotonic() - began_s
    return Outcome(outcome.state, outcome.why, outcome.cosignature, took_s)


def _request(
    http: httpx.Client,
    request_: HeadRequest,
    witness: Member,
    known: int,
    times: tuple[float, float],
) -> Outcome:
    size, old = request_.head.size, known
    for _ in range(_MAX_REQUESTS):
        proof = consistency_proof(old, request_.leaves) if old else []
        body = make_request(old, proof, request_.note)
        status, text = _post(http, f"{witness.url}".rstrip("/"), body, times[1])
        if status != _CONFLICT:
            return _read(request_, witness, (status, text), times[0])
        match = _SIZE.fullmatch(text)
        if match is None or int(match[1]) == old:
            return Outcome("refused", f"it answers 409 with {text[:40]!r}, which is not a size")
        old = int(match[1])
        if old > size:
            return Outcome(
                "contradicts",
                f"it cosigned {old} entries, and this log has {size}: was the database restored"
                " from an older copy?",
            )
    return Outcome("refused", "the witness states another size at each request")


def _post(http: httpx.Client, url: str, body: str, until_s: float) -> tuple[int, str]:
    """Return status and text of an answer; ReadError if it is too long or incomplete in time."""
    import httpx  # noqa: PLC0415 - an extra

    content = bytearray()
    with http.stream("POST", f"{url}/add-checkpoint", content=body.encode()) as answer:
        for part in answer.iter_bytes():
            content += part
            if len(content) > _MAX_BYTES:
                raise httpx.ReadError(
                    f"its answer has more than {_MAX_BYTES} bytes; check the URL of the witness"
                )
            if time.monotonic() > until_s:
                raise httpx.ReadError(
                    "its answer was not complete within the waiting time; check the witness, or "
                    "raise TONNE_WITNESS_WAIT_S"
                )
        return answer.status_code, content.decode("utf-8", "replace")


def _read(request_: HeadRequest, witness: Member, answer: tuple[int, str], now_s: float) -> Outcome:
    status, text = answer
    start = " ".join(text.split())[:200]
    if status == _OK:
        return _cosigned(request_, witness, text, now_s)
    if status == _FALSE:
        return Outcome("contradicts", f"the witness saw another history of this log: {start}")
    if status == _UNKNOWN:
        return Outcome(
            "refused",
            f"the witness does not know log {request_.head.origin}; send its operator the log's"
            " key, which `tonne log tiles` prints",
        )
    if status == _BUSY or status >= _BROKEN:
        return Outcome("away", f"it answers {status}: {start}")
    return Outcome("refused", f"it answers {status}: {start}")


def _cosigned(request_: HeadRequest, witness: Member, lines: str, now_s: float) -> Outcome:
    """Return the outcome of an answer; only the witness's own signature line is accepted."""
    try:
        result = cosignatures(request_.note + lines, witness.key)
    except MrvError as error:
        return Outcome("refused", f"its answer does not verify: {error}")
    timed = [cosignature for cosignature in result if cosignature.time_s]
    if not timed:
        return Outcome("refused", f"its answer contains no cosignature of {witness.key}"[:200])
    if abs(timed[0].time_s - now_s) > _MAX_CLOCK_DIFFERENCE_S:
        return Outcome(
            "refused", f"its clock is {timed[0].time_s - now_s:+.0f} s from this server's"
        )
    return Outcome("cosigned", cosignature=timed[0])


EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Round:
    """
    Result of requesting cosignatures for one head.

    `size`: number of entries; 0 for a log without a head.
    `outcomes`: outcomes by the names in the policy; witnesses that had cosigned it before are not
    asked.
    `names`: witnesses whose cosignatures are stored.
    `lacks`: missing part of the quorum; None if it is reached.
    """

    size: int
    outcomes: dict[str, Outcome]
    names: tuple[str, ...]
    lacks: str | None

    @property
    def contradicting(self) -> list[str]:
        """Return the witnesses that have seen another history of the log."""
        return [n for n, outcome in self.outcomes.items() if outcome.state == "contradicts"]

    def problems(self) -> list[str]:
        """Return a line for each witness that did not cosign: its name and the reason."""
        return [f"{name}: {o.why}" for name, o in self.outcomes.items() if o.why]


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Witnesses to ask: policy, waiting time, and whether an issue waits for the quorum."""

    policy: Policy
    wait_s: float
    waits: bool

    @staticmethod
    def by(settings: Settings) -> Witnesses | None:
        """
        Return the witnesses of the settings; None without any.

        Raises InputError if the policy cannot be read, or its quorum needs a witness without a URL.
        """
        if settings.witness_policy is None:
            return None
        policy = _policy(settings.witness_policy)
        return Witnesses(policy, settings.witness_wait_s, settings.witness_away == "wait")

    @property
    def with_url(self) -> dict[str, Member]:
        """Return the witnesses with a URL, by name."""
        return {name: member for name, member in self.policy.witnesses.items() if member.url}

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of the policy file."""
        return hashlib.sha256(self.policy.text.encode("utf-8", "surrogateescape")).digest()


def _policy(path: Path) -> Policy:
    try:
        policy = read_policy(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"TONNE_WITNESS_POLICY {path} cannot be read: {error.strerror}; name a readable file"
        ) from error
    except InputError as error:
        raise InputError(f"TONNE_WITNESS_POLICY {path}: {error}") from error
    for name, member in policy.witnesses.items():
        if member.url is not None and not member.url.startswith(("http://", "https://")):
            raise InputError(
                f"TONNE_WITNESS_POLICY {path}: witness {name} has {member.url!r}, which is not a "
                "URL; correct the line"
            )
    vkeys = [witness.key for witness in policy.witnesses.values() if witness.url]
    if lacks := policy.lacks(vkeys):
        raise InputError(
            f"TONNE_WITNESS_POLICY {path}: its quorum cannot be reached by the witnesses that "
            f"have a URL; missing: {lacks}; add their URLs"
        )
    return policy


def have_cosigned(conn: Connection, witnesses: Witnesses) -> Round:
    """
    Request cosignatures of the last head, and return the result; new ones are stored.

    `conn` is in autocommit, as `tonne_mrv`; no transaction is open while witnesses are asked.
    """
    done = _once(conn, witnesses)
    newest = log.newest(conn)
    # another process had a larger head cosigned meanwhile, which is no contradiction
    if done.contradicting and newest is not None and newest.size > done.size:
        return _once(conn, witnesses)
    return done


def _once(conn: Connection, witnesses: Witnesses) -> Round:
    head = log.newest(conn)
    if head is None:
        return Round(0, {}, (), None)
    kept = {line.vkey for line in log.of_head(conn, head.size)}
    members = {
        name: member for name, member in witnesses.with_url.items() if str(member.key) not in kept
    }
    outcomes = look(conn, witnesses, members) if members else {}
    for name, outcome in outcomes.items():
        if outcome.cosignature is not None:
            cosignature = outcome.cosignature
            line = log.Line(str(members[name].key), cosignature.time_s, cosignature.line)
            log.add(conn, head.size, line)
    kept = {line.vkey for line in log.of_head(conn, head.size)}
    keys = [Vkey.parse(vkey) for vkey in kept]
    lacks = witnesses.policy.lacks(keys)
    if lacks is None and (log.enough(conn) or 0) < head.size:
        log.mark(conn, head.size, witnesses.digest)
    names = tuple(n for n, member in witnesses.policy.witnesses.items() if str(member.key) in kept)
    return Round(head.size, outcomes, names, lacks)


def look(
    conn: Connection, witnesses: Witnesses, chosen: dict[str, Member] | None = None
) -> dict[str, Outcome]:
    """
    Return the witnesses' answers on the last head by name, without storing them.

    `chosen`: witnesses to ask, by name; all with a URL by default.
    """
    head = log.newest(conn)
    members = witnesses.with_url if chosen is None else chosen
    if head is None or not members:
        return {}
    request_ = HeadRequest(head.note, log.leaves(conn)[: head.size])
    origin = Checkpoint.from_text(signature_lines(head.note)[0]).origin
    known = {n: log.last_of(conn, str(member.key), origin) for n, member in members.items()}
    with ThreadPoolExecutor(len(members)) as pool:
        now_s = now_us() / 1e6
        going = {
            name: pool.submit(ask, request_, member, known[name], witnesses.wait_s, now_s)
            for name, member in members.items()
        }
        return {name: future.result() for name, future in going.items()}


def require(conn: Connection, witnesses: Witnesses) -> None:
    """Request cosignatures of the last head; ServerError if too few witnesses sign it now."""
    done = have_cosigned(conn, witnesses)
    if done.lacks is not None:
        why = "; ".join(done.problems())
        raise ServerError(
            f"no statement is issued while the log's head lacks {done.lacks}: "
            f"{why or 'no witness was asked'}; try again, or set TONNE_WITNESS_AWAY=proceed"
        )


def require_enough(conn: Connection) -> None:
    """
    Require enough stored cosignatures of the last head; ask no witness.

    Raises ServerError until another process has obtained them.
    """
    head = log.newest(conn)
    if head is not None and log.enough(conn) != head.size:
        raise ServerError(
            f"no statement is issued until enough witnesses cosign the log's head over {head.size} "
            "entries; `tonne run` requests this twice a minute: try again"
        )


class Cosigning(Background):
    """Requests cosignatures in its own thread every `every_s` seconds, until it is stopped."""

    def __init__(
        self,
        url: str,
        witnesses: Witnesses,
        metrics: Metrics,
        log: FilteringBoundLogger,
        every_s: float = EVERY_S,
    ) -> None:
        self._url, self._whom, self._log, self._every_s = url, witnesses, log, every_s
        self._logged: set[str] = set()
        super().__init__({"cosigning": self._run})
        self._metrics = metrics

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.once()
            self._stopping.wait(self._every_s)

    def once(self) -> None:
        """Request missing cosignatures of the last head; log each problem once."""
        try:
            with connect(
                self._url, role="tonne_mrv", name="tonne cosigning", autocommit=True
            ) as conn:
                done = have_cosigned(conn, self._whom)
        except (InputError, ServerError, psycopg.Error) as error:
            self._log.warning("witnesses not asked", reason=" ".join(str(error).split()))
            return
        self._publish(done)

    def _publish(self, done: Round) -> None:
        # witnesses that signed this head before are not asked, so they are neither away nor
        # contradicting
        states = [outcome.state for outcome in done.outcomes.values()]
        self._metrics.witnesses_away.set(sum(state != "cosigned" for state in states))
        self._metrics.witnesses_contradicting.set(states.count("contradicts"))
        problems = set()
        for name, item in done.outcomes.items():
            if item.state == "cosigned":
                self._metrics.cosigning_seconds.observe(item.took_s)
                self._log.info("head cosigned", witness=name, entries=done.size)
                continue
            problems.add(f"{name} {item.state}")
            if f"{name} {item.state}" in self._logged:
                continue
            loud = self._log.error if item.state == "contradicts" else self._log.warning
            loud(
                "witness did not cosign",
                witness=name,
                state=item.state,
                reason=item.why,
                lacks=done.lacks,
            )
        self._logged = problems


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
    request_ = parse_request(request)
    log_key = _log_key(request_.checkpoint, keys)
    path = home / "witness" / hashlib.sha256(log_key.vkey.encode()).hexdigest()[:16]
    last = verify_checkpoint(path.read_text("utf-8"), log_key) if path.exists() else None
    check_request(request_, log_key, last)
    line = cosign(request_.checkpoint, signer.holder.name, signer.key, now_s)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(request_.checkpoint, encoding="utf-8")
    fresh.replace(path)
    return request_.checkpoint + line


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
            f"this log has no head over {size} entries with that root hash; pass a head of this log"
        )
    keys = {
        (enrolment.key.name, enrolment.key.public): enrolment.key.multikey
        for enrolment in enrolled.load(conn)
        if enrolment.key.role == "witness"
    }
    result = cosignatures(note, *(NoteKey(*pair) for pair in keys))
    if not result:
        raise InputError(
            "no enrolled witness signed this head; enrol the auditor's key with `tonne keys enroll "
            "FILE`"
        )
    for cosignature in result:
        log.add_cosignature(
            conn, size, keys[cosignature.witness.name, cosignature.witness.public], cosignature.line
        )
    return [answer.witness.name for answer in result]

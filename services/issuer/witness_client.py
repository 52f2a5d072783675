"""
Ask a witness to cosign a head (c2sp.org/tlog-witness, add-checkpoint).

A witness that saw another size last says so, and is asked again from there.  One that saw more
entries than the log has, or another root, contradicts the log: one of the two was rewritten.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import httpx

from mrv.errors import MrvError
from mrv.log.merkle import consistency_proof
from mrv.log.note import signature_lines
from mrv.log.policy import Member
from mrv.log.receipt import Checkpoint
from mrv.log.witness import Cosignature, cosignatures, make_request

State = Literal["cosigned", "away", "refused", "contradicts"]
_LARGEST = 65_536
_TIMES = 3
_APART_S = 600
_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\n")
_OK, _CONFLICT, _UNKNOWN, _FALSE, _BUSY, _BROKEN = 200, 409, 404, 422, 429, 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a witness said of a head.

    Attributes
    ----------
    state : str
        `cosigned`; `away`, where it gave no answer; `refused`, where it does not sign for a
        reason that its operator or ours can mend; `contradicts`, where it saw another history.
    why : str
        In a sentence; empty where it cosigned.
    took_s : float
        From the question to the answer. [s]
    """

    state: State
    why: str = ""
    cosignature: Cosignature | None = None
    took_s: float = 0.0


class Question(NamedTuple):
    """A head, with the leaf hashes under it."""

    note: str
    leaves: Sequence[bytes]

    @property
    def head(self) -> Checkpoint:
        """Return what the head says."""
        return Checkpoint.from_text(signature_lines(self.note)[0])


def ask(question: Question, witness: Member, known: int, wait_s: float, now_s: float) -> Outcome:
    """
    Ask one witness.

    Parameters
    ----------
    witness : Member
        Its key, and the URL below which `add-checkpoint` is.
    known : int
        Entries under the last head that it cosigned, as far as is known here.
    wait_s : float
        How long it may take. [s]
    now_s : float
        The time, seconds since 1970: a cosignature of another time is not taken. [s UTC]
    """
    began_s = time.monotonic()
    try:
        with httpx.Client(timeout=wait_s) as http:
            outcome = _asked(http, question, witness, known, (now_s, began_s + wait_s))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        outcome = Outcome("away", f"it does not answer: {str(error) or type(error).__name__}")
    took_s = time.monotonic() - began_s
    return Outcome(outcome.state, outcome.why, outcome.cosignature, took_s)


def _asked(
    http: httpx.Client, question: Question, witness: Member, known: int, times: tuple[float, float]
) -> Outcome:
    size, old = question.head.size, known
    for _ in range(_TIMES):
        proof = consistency_proof(old, question.leaves) if old else []
        body = make_request(old, proof, question.note)
        status, text = _post(http, f"{witness.url}".rstrip("/"), body, times[1])
        if status != _CONFLICT:
            return _read(question, witness, (status, text), times[0])
        match = _SIZE.fullmatch(text)
        if match is None or int(match[1]) == old:
            return Outcome("refused", f"it answers 409 with {text[:40]!r}, which is no other size")
        old = int(match[1])
        if old > size:
            return Outcome(
                "contradicts",
                f"it cosigned {old} entries, and this log has {size}: was the database restored"
                " from an older copy?",
            )
    return Outcome("refused", "it names another size each time it is asked")


def _post(http: httpx.Client, url: str, body: str, until_s: float) -> tuple[int, str]:
    """Status and text of an answer; a long one, or one that comes too slowly, is not read."""
    content = bytearray()
    with http.stream("POST", f"{url}/add-checkpoint", content=body.encode()) as answer:
        for part in answer.iter_bytes():
            content += part
            if len(content) > _LARGEST or time.monotonic() > until_s:
                raise httpx.ReadError("the answer is too large or too slow")
        return answer.status_code, content.decode("utf-8", "replace")


def _read(question: Question, witness: Member, answer: tuple[int, str], now_s: float) -> Outcome:
    status, text = answer
    shown = " ".join(text.split())[:200]
    if status == _OK:
        return _cosigned(question, witness, text, now_s)
    if status == _FALSE:
        return Outcome("contradicts", f"it saw another history of this log: {shown}")
    if status == _UNKNOWN:
        return Outcome(
            "refused",
            f"it does not know log {question.head.origin}; give its operator the log's"
            " key, which `tonne log tiles` prints",
        )
    if status == _BUSY or status >= _BROKEN:
        return Outcome("away", f"it answers {status}: {shown}")
    return Outcome("refused", f"it answers {status}: {shown}")


def _cosigned(question: Question, witness: Member, lines: str, now_s: float) -> Outcome:
    """Take the witness's own line, and no other."""
    try:
        found = cosignatures(question.note + lines, witness.key)
    except MrvError as error:
        return Outcome("refused", f"its answer does not verify: {error}")
    timed = [one for one in found if one.time_s]
    if not timed:
        return Outcome("refused", f"its answer holds no cosignature of {witness.key}"[:200])
    if abs(timed[0].time_s - now_s) > _APART_S:
        return Outcome("refused", f"its clock is {timed[0].time_s - now_s:+.0f} s from ours")
    return Outcome("cosigned", cosignature=timed[0])

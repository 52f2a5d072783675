"""
Cosign heads (c2sp.org/tlog-witness, add-checkpoint), and refuse what does not lead on.

A rewritten or split log, a head that goes back, a log that is not known and a signature that
is not the log's are refused; two signed heads that contradict each other are kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from ingest.errors import InputError
from mrv.errors import LogError, SignatureError, WitnessRefusedError
from mrv.log.checkpoint import read_head
from mrv.log.cosignature import cosign
from mrv.log.note import DASH, signature_lines
from mrv.log.vkey import Vkey
from mrv.log.witness import Request, judge_request, parse_request
from mrv.signatures.multibase import encode_base64
from services.witness.state import Contradiction, State
from services.witness.witness_keys import WitnessKeys

_UNAVAILABLE, _CONFLICT, _MALFORMED, _FALSE = 503, 409, 400, 422


class Cosigner:
    """
    A witness: its keys, what it saw, and its clock.

    Parameters
    ----------
    now_s : callable
        The time, seconds since 1970. [s UTC]
    """

    def __init__(self, keys: WitnessKeys, state: State, now_s: Callable[[], int]) -> None:
        self.keys, self.state = keys, state
        self._now_s = now_s

    def add_checkpoint(self, body: bytes) -> tuple[str, int, str]:
        """
        Cosign the head of a request.

        Returns
        -------
        origin, size, lines : str, int, str
            The head, and the witness's lines under it.

        Raises
        ------
        WitnessRefusedError
            With the status of HTTP.
        """
        request, origin = _read(body)
        try:
            with self.state.changing():
                return self._cosigned(request, origin)
        except WitnessRefusedError as error:
            if error.status in (_FALSE, _CONFLICT):  # the log's signature held
                self._note(request, origin, error)
            raise
        except (sqlite3.Error, InputError) as error:
            raise WitnessRefusedError(_UNAVAILABLE, f"the witness's state: {error}") from error

    def _cosigned(self, request: Request, origin: str) -> tuple[str, int, str]:
        seen = self.state.seen(origin)
        last = None if seen is None else seen.head
        head, signers = judge_request(request, self.state.keys(origin), last)
        now_s = self._now_s()
        if seen is not None and now_s < seen.time_s:
            # a cosignature says that nothing larger was seen by its time
            raise WitnessRefusedError(
                _UNAVAILABLE,
                f"the witness's clock says {now_s}, before its last cosignature at {seen.time_s}",
            )
        note = request.checkpoint
        lines = "".join(
            cosign(note, self.keys.name, key, now_s)
            for key in (self.keys.ed25519, self.keys.ml_dsa)
        )
        self.state.keep(head, now_s, _signed_only(note, signers) + lines)
        return head.origin, head.size, lines

    def _note(self, request: Request, origin: str, error: WitnessRefusedError) -> None:
        """Keep the held and the shown head where the log signed both and shows no one history."""
        seen = self.state.seen(origin)
        if seen is None:
            return
        shown = read_head(signature_lines(request.checkpoint)[0])
        if shown.size == seen.head.size and shown.root != seen.head.root:
            why = f"two heads over {shown.size} entries"
        elif error.status == _FALSE:
            why = f"no proof that {seen.head.size} entries lead on to {shown.size}"
        else:
            return
        self.state.keep_contradiction(
            Contradiction(origin, self._now_s(), why, seen.note, request.checkpoint)
        )


def _read(body: bytes) -> tuple[Request, str]:
    try:
        request = parse_request(body.decode())
        return request, read_head(signature_lines(request.checkpoint)[0]).origin
    except (UnicodeDecodeError, LogError, SignatureError) as error:
        raise WitnessRefusedError(_MALFORMED, str(error)) from error


def _signed_only(note: str, signers: list[Vkey]) -> str:
    """Return a note with the lines of the log's trusted keys, and no stranger's."""
    text, lines = signature_lines(note)
    known = {(key.name, key.key_id) for key in signers}
    kept = [
        f"{DASH}{name} {encode_base64(raw)}\n" for name, raw in lines if (name, raw[:4]) in known
    ]
    return f"{text}\n" + "".join(kept)

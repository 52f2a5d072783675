"""
Send one message: to an address that was looked at, within a time, reading little of the answer.

The standard library's client rather than httpx: the connection goes to one address of those that
were checked while TLS asks for the name, redirects are not followed, and a clock beside it ends
a receiver that answers a byte at a time.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ingest.errors import InputError
from services.webhooks.addresses import Network, Target, addresses_of

DEADLINE_S = 15.0
_CONNECT_S = 5.0
_READ = 4096
# tried one after another
_ADDRESSES = 3
_LONGEST_WAIT_S = 86_400
_DONE, _MULTIPLE = 200, 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What came of an attempt.

    Attributes
    ----------
    status : int or None
        Of the answer; None where there was none.
    error : str
        Why it was not taken; empty where it was.
    wait_s : int
        How long the receiver asks to be left alone; 0 where it does not. [s]
    refused : bool
        The address may not be reached.
    """

    status: int | None
    error: str = ""
    wait_s: int = 0
    refused: bool = False

    @property
    def taken(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and _DONE <= self.status < _MULTIPLE


def post(
    target: Target,
    body: bytes,
    headers: Mapping[str, str],
    allowed: Sequence[Network] = (),
    deadline_s: float = DEADLINE_S,
) -> Outcome:
    """Send a message and say what came of it; it raises nothing."""
    try:
        addresses = addresses_of(target, allowed)
    except InputError as error:
        return Outcome(None, str(error)[:500], refused=True)
    except (OSError, UnicodeError) as error:
        return Outcome(None, f"{target.host} cannot be resolved: {error}"[:500])
    conn = _Pinned(target, addresses, deadline_s)
    clock = threading.Timer(deadline_s, conn.end)
    clock.daemon = True
    clock.start()
    try:
        return _sent(conn, target, body, headers)
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = f"no answer within {deadline_s:g} s" if conn.ended else ""
        said = f"{type(error).__name__}: {error}"
        return Outcome(None, (late or " ".join(said.split()))[:500])
    finally:
        clock.cancel()
        conn.close()


def _sent(conn: _Pinned, target: Target, body: bytes, headers: Mapping[str, str]) -> Outcome:
    conn.request(
        "POST", target.path, body, {"Host": target.authority, "Connection": "close", **headers}
    )
    answer = conn.getresponse()
    said = answer.read(_READ)
    if conn.ended:  # what came until then may end anywhere
        raise TimeoutError
    if _DONE <= answer.status < _MULTIPLE:
        return Outcome(answer.status)
    wait = (answer.getheader("Retry-After") or "").strip()
    wait_s = min(int(wait), _LONGEST_WAIT_S) if wait.isascii() and wait.isdigit() else 0
    text = " ".join(said.decode("utf-8", "replace").split())
    shown = "".join(c for c in text if c.isprintable())[:200]
    where = " (redirects are not followed)" if 300 <= answer.status < 400 else ""  # noqa: PLR2004
    return Outcome(answer.status, f"it answers {answer.status}{where}: {shown}"[:500], wait_s)


class _Pinned(http.client.HTTPConnection):
    """A connection to addresses that were looked at, whatever the name says by now."""

    def __init__(self, target: Target, addresses: Sequence[str], deadline_s: float) -> None:
        super().__init__(target.host, target.port)
        self._target, self._addresses, self._deadline_s = target, addresses, deadline_s
        self.ended = False

    def connect(self) -> None:
        """Connect to the first address that answers, and speak TLS with the name."""
        failed: OSError = OSError("no address")
        for address in self._addresses[:_ADDRESSES]:
            try:
                where = address, self._target.port
                self.sock = socket.create_connection(where, min(_CONNECT_S, self._deadline_s))
                break
            except OSError as error:
                failed = error
                if self.ended:
                    raise
        else:
            raise failed
        # the clock is what ends it; a pause of the receiver within its time is none of ours
        self.sock.settimeout(2 * self._deadline_s)
        if self.ended:
            raise TimeoutError
        if self._target.secure:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(
                self.sock, server_hostname=self._target.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()
        if self.ended:
            raise TimeoutError

    def end(self) -> None:
        """End it from outside: anyone who waits for it wakes up."""
        self.ended = True
        sock = self.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

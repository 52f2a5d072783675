"""
Sending of one webhook message to a checked address, with limits of time and answer size.

The standard library's client is used, as the connection goes to a checked address while TLS
verifies the name, redirects are not followed, and a timer ends slow receivers. Messages are signed
in the form of Standard Webhooks (standardwebhooks.com): HMAC-SHA256 over id, time and body, one
signature per valid secret, so that secrets can be replaced. Only public addresses are permitted,
and configured networks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import secrets
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from ingest.errors import InputError

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_LONGEST = 2000
# all assigned addresses of IPv6; site-local and IPv4-compatible addresses are outside of it
_GIVEN_OUT = ip_network("2000::/3")
# addresses that contain another one, which a gateway may unpack (6to4, Teredo), and special-purpose
# ones of IANA's registries that `is_global` of some Python versions does not know
_SPECIAL = tuple(
    map(ip_network, ("2002::/16", "2001::/32", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24"))
)


class Target(NamedTuple):
    """Parts of a URL."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Return host and port as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """
    Return the parts of a URL.

    Raises InputError if it is not a URL of http or https, or contains a login.
    """
    label = f"webhook url {url[:200]!r}"
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        port = parts.port
    except (ValueError, UnicodeError) as error:
        raise InputError(f"{label} is not a URL: {error}; enter https://host/path") from None
    if parts.scheme not in {"http", "https"} or not host or len(url) > _LONGEST:
        raise InputError(f"{label}: enter https://host/path, at most {_LONGEST} characters")
    if not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise InputError(f"{label} contains a character that must be percent-encoded; encode it")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InputError(
            f"{label}: remove login and fragment; messages are signed, see docs/webhooks.md"
        )
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(secure, host, port or (443 if secure else 80), path)


def networks(text: str) -> tuple[Network, ...]:
    """Return the networks allowed in addition to public addresses, separated by commas."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def addresses_of(target: Target, allowed: Sequence[Network]) -> list[str]:
    """
    Return the addresses of a target's host.

    Raises InputError if one of them is not permitted.
    Raises OSError if it cannot be resolved.
    """
    result = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(address[4][0]).partition("%")[0] for address in result))
    for address in addresses:
        check(target, ip_address(address), allowed)
    return addresses


def check(target: Target, address: Address, allowed: Sequence[Network]) -> None:
    """Refuse an address that is neither public nor allowed, and plain HTTP to public ones."""
    plain = getattr(address, "ipv4_mapped", None) or address
    if any(plain.version == net.version and plain in net for net in allowed):
        return
    special = any(plain.version == net.version and plain in net for net in _SPECIAL)
    if plain.version == _GIVEN_OUT.version and plain not in _GIVEN_OUT:
        special = True
    if not plain.is_global or plain.is_multicast or special:
        raise InputError(
            f"{target.host} is {address}, which is not a public address; if it is intended, add "
            "its network to TONNE_WEBHOOK_NETWORKS"
        )
    if not target.secure:
        raise InputError(
            f"{target.host} is public: enter https://, so that others cannot read events"
        )


PREFIX = "whsec_"
_LENGTH = 32


def new_secret() -> str:
    """Return a secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_LENGTH)).decode()


def headers(keys: Sequence[str], id_: str, at_s: int, body: bytes) -> dict[str, str]:
    """
    Return the headers that sign a message.

    `keys`: valid secrets, at least one.
    `id_`: id of the event; equal in each attempt.
    `at_s`: time of sending. [s since 1970]
    """
    signed = f"{id_}.{at_s}.".encode() + body
    signatures = (
        hmac.digest(base64.b64decode(value.removeprefix(PREFIX)), signed, hashlib.sha256)
        for value in keys
    )
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(s).decode()}" for s in signatures),
    }


DEADLINE_S = 15.0
_CONNECT_S = 5.0
_READ = 4096
# maximum number of addresses, tried one after another
_ADDRESSES = 3
_LONGEST_WAIT_S = 86_400
_DONE, _MULTIPLE = 200, 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    Result of a delivery attempt.

    `status`: HTTP status; None without an answer.
    `error`: reason of a failure; empty after success.
    `wait_s`: waiting time requested by the receiver; 0 without. [s]
    `refused`: the address is not permitted.
    """

    status: int | None
    error: str = ""
    wait_s: int = 0
    refused: bool = False

    @property
    def taken(self) -> bool:
        """Return whether the receiver accepted the message."""
        return self.status is not None and _DONE <= self.status < _MULTIPLE


def post(
    target: Target,
    body: bytes,
    headers: Mapping[str, str],
    allowed: Sequence[Network] = (),
    deadline_s: float = DEADLINE_S,
) -> Outcome:
    """Send a message and return the result; raises nothing."""
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
        message = f"{type(error).__name__}: {error}"
        return Outcome(None, (late or " ".join(message.split()))[:500])
    finally:
        clock.cancel()
        conn.close()


def _sent(conn: _Pinned, target: Target, body: bytes, headers: Mapping[str, str]) -> Outcome:
    conn.request(
        "POST", target.path, body, {"Host": target.authority, "Connection": "close", **headers}
    )
    answer = conn.getresponse()
    answer_bytes = answer.read(_READ)
    if conn.ended:  # the deadline has passed, so that the answer may be incomplete
        raise TimeoutError
    if _DONE <= answer.status < _MULTIPLE:
        return Outcome(answer.status)
    wait = (answer.getheader("Retry-After") or "").strip()
    wait_s = min(int(wait), _LONGEST_WAIT_S) if wait.isascii() and wait.isdigit() else 0
    text = " ".join(answer_bytes.decode("utf-8", "replace").split())
    label = "".join(c for c in text if c.isprintable())[:200]
    where = " (redirects are not followed)" if 300 <= answer.status < 400 else ""  # noqa: PLR2004
    return Outcome(answer.status, f"it answers {answer.status}{where}: {label}"[:500], wait_s)


class _Pinned(http.client.HTTPConnection):
    """HTTP connection to already checked addresses, without resolving the name again."""

    def __init__(self, target: Target, addresses: Sequence[str], deadline_s: float) -> None:
        super().__init__(target.host, target.port)
        self._target, self._addresses, self._deadline_s = target, addresses, deadline_s
        self.ended = False

    def connect(self) -> None:
        """Connect to the first address that answers, with TLS for the name."""
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
        # `end` enforces the deadline; a pause of the receiver within it is no error
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
        """Close the connection from another thread; callers that wait for it get an error."""
        self.ended = True
        sock = self.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

"""
Where webhooks may go: no server of ours is reached by an address that someone registered.

The name is resolved once, each of its addresses has to be public, and the connection is made to
the address that was looked at, not to the name again.  Networks that the operator names
(TONNE_WEBHOOK_NETWORKS) are allowed beside, and plain HTTP within these alone.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from ingest.errors import InputError

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_LONGEST = 2000
# all that is given out of IPv6; site-local and IPv4-compatible addresses are outside of it
_GIVEN_OUT = ip_network("2000::/3")
# addresses that carry another one, which a gateway may unwrap (6to4, Teredo), and what
# IANA's registries of special purposes have that not every Python's `is_global` knows
_SPECIAL = tuple(
    map(ip_network, ("2002::/16", "2001::/32", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24"))
)


class Target(NamedTuple):
    """A URL in its parts."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the Host header says them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """
    Read a URL.

    Raises
    ------
    InputError
        If it is none, is not of http or https, or holds a login.
    """
    shown = f"webhook url {url[:200]!r}"
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        port = parts.port
    except (ValueError, UnicodeError) as error:
        raise InputError(f"{shown} is not a URL: {error}; give https://host/path") from None
    if parts.scheme not in {"http", "https"} or not host or len(url) > _LONGEST:
        raise InputError(f"{shown}: give https://host/path, at most {_LONGEST} characters")
    if not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise InputError(f"{shown} holds a character that has to be percent-encoded")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InputError(
            f"{shown}: leave login and fragment out; messages are signed, see docs/webhooks.md"
        )
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(secure, host, port or (443 if secure else 80), path)


def networks(text: str) -> tuple[Network, ...]:
    """Read networks that are allowed beside public addresses, separated by commas."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def addresses_of(target: Target, allowed: Sequence[Network]) -> list[str]:
    """
    Resolve a target's host.

    Raises
    ------
    InputError
        If an address of it may not be reached.
    OSError
        If it cannot be resolved.
    """
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found))
    for address in addresses:
        check(target, ip_address(address), allowed)
    return addresses


def check(target: Target, address: Address, allowed: Sequence[Network]) -> None:
    """Refuse an address that is not public and not allowed, and plain HTTP to others."""
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
            f"{target.host} is public: give https://, so that others cannot read events"
        )

"""
Access of clients to servers: hosts and ports of URLs, TLS settings, and topic names of MQTT.

URLs are parsed identically by every Python version.  `urllib.parse.urlsplit` is not sufficient: it
silently drops line ends, and some releases refuse brackets that do not enclose the whole address,
as in a list with IPv6 hosts.  So the URL is split into hosts first, and each host is parsed
separately.

paho wakes its loop by a pair of sockets that only `Client.__del__` closes, not `disconnect` or
`loop_stop`.  With reference cycles the garbage collector may free the pair first, with a
ResourceWarning.  `close_sockets` uses a method of paho 2.1 to 2.2; pyproject limits the version.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from pathlib import Path
from typing import Any, NamedTuple

from ingest.errors import InputError

_LAST_PORT = 65_535
_PARTS = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)(.*)", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0]")
_HOST = re.compile(r"[^\s\[\]:,@/?#]+")


class Parts(NamedTuple):
    """
    URL whose host part is not parsed yet.

    `scheme`: scheme in lower case; empty if the text is not a URL.
    `login`: `user` or `user:password`, unchanged.
    `hosts`: each `host` or `host:port`, unchanged.
    `rest`: path, query and fragment.
    """

    scheme: str
    login: str | None
    hosts: list[str]
    rest: str


def parts_of(url: str) -> Parts:
    """
    Return the parts of a URL that may name several hosts, separated by commas.

    Raises ValueError for blanks, or a repeated scheme; the text never contains a password.
    """
    if _UNSEEN.search(url):
        raise ValueError("contains a blank or a line end; remove it, or write %20 in a password")
    if url.partition("?")[0].count("://") > 1:
        raise ValueError("has more than one scheme; write one scheme, at the beginning")
    match = _PARTS.fullmatch(url)
    if match is None:
        return Parts(url.partition(":")[0].lower() if ":" in url else "", None, [], "")
    scheme, authority, rest = match.groups()
    login, at, hosts = authority.rpartition("@")
    if not at and "@" in rest.partition("?")[0]:
        raise ValueError(
            "contains / or # before its @; in a user's name or password write %2F, %23"
        )
    return Parts(scheme.lower(), login if at else None, hosts.split(","), rest)


def host_and_port(text: str) -> tuple[str, int | None]:
    """
    Return host and port of `host`, `host:port`, `[v6]` or `[v6]:port`.

    Raises ValueError, with the correct form, for any other text and for port 0.
    """
    if text.startswith("["):
        host, closed, port = text[1:].partition("]")
        if not closed or not _is_v6(host) or (port and not port.startswith(":")):
            raise ValueError(f"names no host in {text!r}; write IPv6 as [2001:db8::1]:port")
        return host, _port(port[1:], text) if port else None
    host, colon, port = text.partition(":")
    if ":" in port:
        raise ValueError(
            f"has more than one colon in {text!r}; write IPv6 in brackets, [2001:db8::1]:port"
        )
    if not _HOST.fullmatch(host):
        raise ValueError(f"names no host in {text!r}; write host:port")
    return host, _port(port, text) if colon else None


def server_of(url: str, ports: Mapping[str, int]) -> tuple[str, int]:
    """
    Return host and port of a URL of one server.

    `ports`: default port of each permitted scheme.
    Raises ValueError if it is not such a URL; the text never contains a password.
    """
    schemes = " or ".join(f"{name}://host:port" for name in ports)
    scheme, _, hosts, _ = parts_of(url)
    if scheme not in ports:
        raise ValueError(f"begins with {scheme!r}; write {schemes}")
    if len(hosts) > 1:
        raise ValueError(f"names {len(hosts)} hosts; write one, {scheme}://host:port")
    if not hosts or not hosts[0]:
        raise ValueError(f"names no host; write {scheme}://host:port")
    host, port = host_and_port(hosts[0])
    return host, ports[scheme] if port is None else port


def _port(text: str, where: str) -> int:
    # int() accepts decimal digits of other scripts; no server does
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= _LAST_PORT):
        raise ValueError(f"names no port from 1 to {_LAST_PORT} in {where!r}; write host:port")
    return int(text)


def _is_v6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


PREFIX = "tonne/v1/"
PORTS = {"mqtt": 1883, "mqtts": 8883}


def receipt_topic(principal: str) -> str:
    """Return the topic of a principal's receipts."""
    return f"{PREFIX}{principal}/receipt"


def status_topic(principal: str) -> str:
    """Return the topic of a principal's birth and will."""
    return f"{PREFIX}{principal}/status"


CA, CERTIFICATE, KEY = "ca.crt", "client.crt", "client.key"  # files in a principal's folder


@dataclass(frozen=True, slots=True)
class Tls:
    """
    Files of one side of a TLS connection; all PEM.

    `ca` has the trusted authorities (None: the system's); `cert` and `key` are the own certificate,
    if any.  `server` names the settings in errors: MQTT or KAFKA.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server: str = "MQTT"

    @classmethod
    def of(cls, folder: Path) -> Tls:
        """Return the TLS files in a principal's folder; without a certificate, the CA only."""
        if not (folder / CERTIFICATE).exists():
            return cls(folder / CA)
        return cls(folder / CA, folder / CERTIFICATE, folder / KEY)

    def context(self) -> ssl.SSLContext:
        """
        Return a client's TLS context (1.2 or newer) that verifies the server's name.

        Raises InputError, naming the file that cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        except (OSError, ssl.SSLError) as error:
            raise InputError(
                f"{self.ca}: no certificate authority can be read from it: {error}; "
                f"set TONNE_{self.server}_CA_FILE to the broker's ca.crt"
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert is not None:
            try:
                context.load_cert_chain(self.cert, self.key)
            except (OSError, ssl.SSLError) as error:
                raise InputError(
                    f"{self.cert} with {self.key}: not a certificate with its key: {error}; "
                    f"set TONNE_{self.server}_CERT_FILE and TONNE_{self.server}_KEY_FILE "
                    "to a matching pair"
                ) from error
        return context


def close_sockets(client: Any) -> None:
    """
    Close every socket of a client whose loop has ended.

    `client`: disconnected, its thread stopped; it may connect again.
    """
    client._reset_sockets()  # noqa: SLF001

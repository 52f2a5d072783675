"""
Hosts and ports of server URLs, read in the same way by every Python version.

`urllib.parse.urlsplit` alone does not do.  What it takes differs between releases of one
Python version: since a security fix it refuses brackets that do not enclose the whole
address, as an IPv6 host in a list has them, and it drops line ends in silence.  So a URL is
parted here, and its list of hosts split, before each host is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

_LAST_PORT = 65_535
_PARTS = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)(.*)", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0]")
_HOST = re.compile(r"[^\s\[\]:,@/?#]+")


class Parts(NamedTuple):
    """
    A URL whose host part is not parsed yet.

    Attributes
    ----------
    scheme : str
        In small letters; empty where the text is not a URL.
    login : str or None
        `user` or `user:password`, as it stands there.
    hosts : list of str
        Each `host` or `host:port`, as it stands there.
    rest : str
        Path, query and fragment.
    """

    scheme: str
    login: str | None
    hosts: list[str]
    rest: str


def parts_of(url: str) -> Parts:
    """
    Split a URL that may name several hosts, separated by commas.

    Raises
    ------
    ValueError
        When it holds a blank, or its scheme twice; the text never holds a password.
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

    Raises
    ------
    ValueError
        When it has another form, with what to write; port 0 is none.
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

    Parameters
    ----------
    url : str
    ports : mapping
        The usual port of each scheme that may stand there.

    Raises
    ------
    ValueError
        When it is no such URL; the text never holds a password.
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
    # decimal digits of other scripts are numbers to int(), and to no server
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= _LAST_PORT):
        raise ValueError(f"names no port from 1 to {_LAST_PORT} in {where!r}; write host:port")
    return int(text)


def _is_v6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True

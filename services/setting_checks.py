"""
Validators of single settings; contradictions between settings are checked in `settings`.

Errors state the remedy and never the value of a secret.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from ingest.addresses import host_and_port, parts_of, server_of
from ingest.mqtt.names import PORTS
from services import environment
from services.environment import KafkaAccess, SettingsError, split_bind

SCHEMES = {
    "database_url": ("postgresql", "postgres"),
    "mqtt_url": ("mqtt", "mqtts"),
    "kafka_url": environment.SCHEMES,
}
# clear skies are made for the last five weeks, and would be made again
LEAST_DAYS = {"dead_letter_days": 30, "webhook_event_days": 30, "clear_sky_days": 60}


def _database(url: str) -> None:
    """Refuse a database URL without a server; an omitted host, or a folder, is a socket."""
    for host in parts_of(url).hosts:
        if host and not host.startswith((":", "%2F", "%2f")):
            host_and_port(host)


def server(url: str | None, info: Any) -> str | None:
    """Return a server's URL; refuse another scheme, or a URL without server."""
    if not url:
        return None
    schemes = SCHEMES[info.field_name]
    scheme = parts_of(url).scheme
    if scheme not in schemes:
        # never the value: it may hold a password
        raise ValueError(f"begins with {scheme!r}; it must be a {schemes[0]}:// URL")
    if scheme in environment.SCHEMES:
        KafkaAccess.of(url)
    elif scheme in PORTS:
        server_of(url, PORTS)
    else:
        _database(url)
    return url


def bind(address: str) -> str:
    """Return `host:port`; refuse other values."""
    try:
        split_bind(address or "localhost:0")
    except SettingsError as error:
        raise ValueError(str(error)) from error
    return address


def networks(text: str) -> str:
    """Return a list of addresses and networks as text; refuse other values."""
    for part_ in filter(None, (part.strip() for part in text.split(","))):
        try:
            ip_network(part_)
        except ValueError:
            raise ValueError(
                f"{part_!r} is not an address and no network; write for example 10.0.0.7 or "
                "10.0.0.0/24"
            ) from None
    return text


def device_classes(text: str) -> str:
    """Return a list of device classes as text; refuse unknown ones."""
    from ingest import classes  # noqa: PLC0415 - reads files

    for part_ in filter(None, (part.strip() for part in text.split(","))):
        if part_ not in classes.load():
            raise ValueError(f"{part_!r} is not a device class; see docs/devices.md")
    return text


def topic_level(name: str | None) -> str | None:
    """Return a name that can be one topic level; refuse others."""
    if name and set(name) & set("/+#"):
        raise ValueError(f"{name!r} cannot be part of a topic; it must not contain / + #")
    return name or None


def kept_days(days: int, info: Any) -> int:
    """Return a retention in days; refuse one below the minimum."""
    least = LEAST_DAYS[info.field_name]
    if 0 < days < least:
        raise ValueError(f"is {days}; set at least {least} days, or 0 for no limit")
    return days


def quota(most: int, info: Any) -> int:
    """Return a quota; refuse one that a normal meter would exceed."""
    # a message may have 256 KiB, and a meter may send each second
    least = 60 if info.field_name == "principal_messages_a_minute" else 1_000_000
    if 0 < most < least:
        raise ValueError(f"is {most}; set at least {least}, or 0 for no limit")
    return most


def page(url: str | None) -> str | None:
    """Return the URL of a page without trailing slash; refuse other values."""
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("must be an http:// or https:// URL")
    return url.rstrip("/") if url else None


def mail_server(url: str | None) -> str | None:
    """Return a mail server's URL; refuse other values."""
    parts = parts_of(url or "smtp://localhost")
    if parts.scheme not in ("smtp", "smtps") or not any(parts.hosts):
        # never the value: it may hold a password
        raise ValueError("must be smtp://HOST:PORT or smtps://HOST:PORT")
    return url or None


def authorities(text: str | None) -> str | None:
    """Return a list of URLs of time-stamp authorities as text; refuse other values."""
    urls = [part.strip() for part in (text or "").split(",") if part.strip()]
    for url in urls:
        parts = parts_of(url)
        if parts.scheme not in ("http", "https") or not any(parts.hosts):
            # never the value: it may hold a password
            raise ValueError("must be http:// or https:// URLs, separated by commas")
    if len(set(urls)) < len(urls):
        raise ValueError("names an authority twice; name each one once")
    return ",".join(urls) or None


def folder(home: object) -> object:
    """Return a folder's name; refuse an empty one."""
    if home == "":
        raise ValueError("is empty; name a folder, or remove the setting")
    return home

"""
Checks of single settings; contradictions of two settings are in `settings`.

Errors name the remedy and never the value of a secret.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from ingest.addresses import host_and_port, parts_of, server_of
from ingest.mqtt.names import PORTS
from services import kafka_access
from services.environment import SettingsError, split_bind
from services.kafka_access import KafkaAccess

SCHEMES = {
    "database_url": ("postgresql", "postgres"),
    "mqtt_url": ("mqtt", "mqtts"),
    "kafka_url": kafka_access.SCHEMES,
}
# clear skies are made for the last five weeks, and would be made again
LEAST_DAYS = {"dead_letter_days": 30, "webhook_event_days": 30, "clear_sky_days": 60}


def _database(url: str) -> None:
    """Refuse what names no server; a host that is left out, or is a folder, is a socket."""
    for host in parts_of(url).hosts:
        if host and not host.startswith((":", "%2F", "%2f")):
            host_and_port(host)


def server(url: str | None, info: Any) -> str | None:
    """Refuse a URL of a server that has another scheme or names no server."""
    if not url:
        return None
    schemes = SCHEMES[info.field_name]
    scheme = parts_of(url).scheme
    if scheme not in schemes:
        # never the value: it may hold a password
        raise ValueError(f"begins with {scheme!r}; it must be a {schemes[0]}:// URL")
    if scheme in kafka_access.SCHEMES:
        KafkaAccess.of(url)
    elif scheme in PORTS:
        server_of(url, PORTS)
    else:
        _database(url)
    return url


def bind(address: str) -> str:
    """Refuse a value that is not `host:port`."""
    try:
        split_bind(address or "localhost:0")
    except SettingsError as error:
        raise ValueError(str(error)) from error
    return address


def networks(text: str) -> str:
    """Refuse a value that is not a list of addresses and networks."""
    for one in filter(None, (part.strip() for part in text.split(","))):
        try:
            ip_network(one)
        except ValueError:
            raise ValueError(
                f"{one!r} is not an address and no network; write for example 10.0.0.7 or "
                "10.0.0.0/24"
            ) from None
    return text


def device_classes(text: str) -> str:
    """Refuse a value that is not a list of device classes."""
    from ingest import classes  # noqa: PLC0415 - reads files

    for one in filter(None, (part.strip() for part in text.split(","))):
        if one not in classes.load():
            raise ValueError(f"{one!r} is not a device class; see docs/devices.md")
    return text


def topic_level(name: str | None) -> str | None:
    """Refuse a name that cannot be one level of a topic."""
    if name and set(name) & set("/+#"):
        raise ValueError(f"{name!r} cannot be part of a topic; it must not contain / + #")
    return name or None


def kept_days(days: int, info: Any) -> int:
    """Refuse a retention below the minimum."""
    least = LEAST_DAYS[info.field_name]
    if 0 < days < least:
        raise ValueError(f"is {days}; give at least {least} days, or 0 for no limit")
    return days


def quota(most: int, info: Any) -> int:
    """Refuse a quota that one honest meter would exceed."""
    # a message may have 256 KiB, and a meter may send each second
    least = 60 if info.field_name == "principal_messages_a_minute" else 1_000_000
    if 0 < most < least:
        raise ValueError(f"is {most}; give at least {least}, or 0 for no limit")
    return most


def page(url: str | None) -> str | None:
    """Return the URL of a page without its last slash; refuse other values."""
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("must be an http:// or https:// URL")
    return url.rstrip("/") if url else None


def mail_server(url: str | None) -> str | None:
    """Refuse a value that is not a mail server."""
    parts = parts_of(url or "smtp://localhost")
    if parts.scheme not in ("smtp", "smtps") or not any(parts.hosts):
        # never the value: it may hold a password
        raise ValueError("must be smtp://HOST:PORT or smtps://HOST:PORT")
    return url or None


def authorities(text: str | None) -> str | None:
    """Refuse a value that is not a list of URLs of time-stamp authorities."""
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
    """Refuse an empty name of a folder."""
    if home == "":
        raise ValueError("is empty; name a folder or leave it out")
    return home

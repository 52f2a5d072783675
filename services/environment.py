"""
Settings read from the environment, checks of single settings, and access to Kafka.

An unknown name, or a secret given twice, is refused, as an ignored misspelt name could select the
wrong database.

It needs no Kafka client, so it can be used without the extra `kafka`.

Contradictions between settings are checked in `settings`.  Errors state the remedy and never the
value of a secret.
"""

from __future__ import annotations

import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from dotenv import dotenv_values

from ingest.addresses import PORTS, Tls, host_and_port, parts_of, server_of
from ingest.errors import InputError

PREFIX = "TONNE_"
METRICS_BIND = "127.0.0.1:9464"
_LAST_PORT = 65_535


class SettingsError(InputError):
    """A setting is unknown, contradictory or malformed."""


def split_bind(bind: str) -> tuple[str, int]:
    """
    Return host and port of `host:port` or `[v6]:port`.

    Raises SettingsError when `bind` has another form.
    """
    host, colon, port = bind.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise SettingsError(f"address {bind!r} must be host:port, such as 127.0.0.1:9464")
    return host.strip("[]"), int(port)


def read_setting(environ: Mapping[str, str], dotenv: Path, field: str) -> str | None:
    """
    Return one `TONNE_*` value, without loading all settings; None if not set.

    `dotenv`: a `.env` file, which may be absent; the environment has priority.
    `field`: name in the settings, such as `metrics_bind`.
    """
    name = PREFIX + field.upper()
    return environ[name] if name in environ else dotenv_values(dotenv).get(name)


def read_environment(
    environ: Mapping[str, str], dotenv: Path, fields: Collection[str], secrets: Collection[str]
) -> dict[str, str]:
    """
    Return `TONNE_*` values by field name; the environment takes precedence over the file.

    `environ`: the process environment.
    `dotenv`: a `.env` file; it may be absent and may hold other programs' names.
    `fields`, `secrets`: names of settings, and which of them may also be `<NAME>_FILE`.
    Raises SettingsError on an unknown name, or a secret given both directly and as a file.
    """
    file = {name: value or "" for name, value in dotenv_values(dotenv).items()}
    known = {PREFIX + field.upper() for field in fields}
    known |= {f"{PREFIX}{field.upper()}_FILE" for field in secrets}
    values: dict[str, str] = {}
    for origin, source in ((str(dotenv), file), ("the environment", environ)):
        ours = {name: source[name] for name in source if name.upper().startswith(PREFIX)}
        _refuse_unknown(ours, known, origin)
        values |= _with_files(ours, origin, secrets)
    return values


def _refuse_unknown(names: Mapping[str, str], known: set[str], origin: str) -> None:
    for name in names:
        if name not in known:
            near = get_close_matches(name.upper(), sorted(known), n=1)
            remedy = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
            raise SettingsError(f"{name} in {origin} is not a setting of tonne; {remedy}")


def _with_files(ours: Mapping[str, str], origin: str, secrets: Collection[str]) -> dict[str, str]:
    values = {}
    for name, value in ours.items():
        direct = name.removesuffix("_FILE")
        if direct == name or direct.removeprefix(PREFIX).lower() not in secrets:
            values[name.removeprefix(PREFIX).lower()] = value
            continue
        if direct in ours:
            raise SettingsError(f"{origin} sets both {direct} and {name}; remove one of them")
        try:
            content = Path(value).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{name}={value} in {origin} cannot be read: {error}; correct the value"
            ) from error
        values[direct.removeprefix(PREFIX).lower()] = content
    return values


PLAIN, SECURE = "kafka", "kafkas"
SCHEMES = (PLAIN, SECURE)
SCRAM_512, SCRAM_256, PASSWORD, TOKEN = "SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER"
MECHANISMS = (SCRAM_512, SCRAM_256, PASSWORD, TOKEN)
_PORTS = {PLAIN: 9_092, SECURE: 9_093}


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """
    Bootstrap brokers, and the security of connections to them.

    `servers`: host and port of each named broker.
    `secure`: whether TLS is used.
    `tls`: trusted authorities, and own certificate.
    `user`, `password`: SASL credentials; with OAUTHBEARER the client's id and secret.
    `mechanism`: one of `MECHANISMS`; has no effect without a user.
    `token_url`: token endpoint for OAUTHBEARER.
    """

    servers: tuple[tuple[str, int], ...]
    secure: bool = False
    tls: Tls = field(default_factory=Tls)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: str = SCRAM_512
    token_url: str | None = None

    @classmethod
    def of(
        cls,
        url: str,
        tls: Tls | None = None,
        mechanism: str | None = None,
        token_url: str | None = None,
    ) -> KafkaAccess:
        """
        Return the access data of a URL.

        Raises ValueError for another form; the text never contains a password.
        """
        parts = parts_of(url)
        if parts.scheme not in SCHEMES:
            raise ValueError(
                f"begins with {parts.scheme!r}; it must be a kafka:// or kafkas:// URL"
            )
        secure = parts.scheme == SECURE
        user, password = _login(parts.login, secure=secure)
        if parts.rest.strip("/"):
            raise ValueError(
                f"contains more than hosts; write {parts.scheme}://host:port,host:port"
            )
        hosts = [host_and_port(host) for host in parts.hosts]
        usual = _PORTS[parts.scheme]
        servers = tuple((host, usual if port is None else port) for host, port in hosts)
        return cls(
            servers,
            secure,
            tls or Tls(server="KAFKA"),
            user,
            password,
            mechanism or SCRAM_512,
            token_url,
        )

    @property
    def bootstrap(self) -> list[str]:
        """Return `host:port` of each named broker."""
        return [
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.servers
        ]

    @property
    def protocol(self) -> str:
        """Return Kafka's name of the security protocol."""
        return ("SASL_" if self.user is not None else "") + ("SSL" if self.secure else "PLAINTEXT")

    def context(self) -> ssl.SSLContext | None:
        """
        Return a client's context that checks the broker's name; None without TLS.

        Raises InputError, naming the file that cannot be used.
        """
        return self.tls.context() if self.secure else None


def _login(login: str | None, *, secure: bool) -> tuple[str | None, str | None]:
    if login is None:
        return None, None
    if not secure:
        raise ValueError(
            "names a user, whose password would be sent in plain text; write kafkas://, or leave "
            "the user out"
        )
    user, colon, password = login.partition(":")
    if not user or not colon or not password:
        raise ValueError("names a user without a password; write kafkas://user:password@host:port")
    return unquote(user), unquote(password)


URL_SCHEMES = {
    "database_url": ("postgresql", "postgres"),
    "mqtt_url": ("mqtt", "mqtts"),
    "kafka_url": SCHEMES,
}
# minimum days of retention; clear-sky data are calculated for the last five weeks, so deleted ones
# would be calculated again
LEAST_DAYS = {"dead_letter_days": 30, "webhook_event_days": 30, "clear_sky_days": 60}


def _database(url: str) -> None:
    """
    Refuse a database URL whose host is invalid; without host, or with a folder, it is a
    socket.
    """
    for host in parts_of(url).hosts:
        if host and not host.startswith((":", "%2F", "%2f")):
            host_and_port(host)


def check_server(url: str | None, info: Any) -> str | None:
    """Return a server's URL; refuse another scheme, or a URL without server."""
    if not url:
        return None
    schemes = URL_SCHEMES[info.field_name]
    scheme = parts_of(url).scheme
    if scheme not in schemes:
        # never print the value: it may contain a password
        raise ValueError(f"begins with {scheme!r}; it must be a {schemes[0]}:// URL")
    if scheme in SCHEMES:
        KafkaAccess.of(url)
    elif scheme in PORTS:
        server_of(url, PORTS)
    else:
        _database(url)
    return url


def check_bind(address: str) -> str:
    """Return `host:port`; refuse other values."""
    try:
        split_bind(address or "localhost:0")
    except SettingsError as error:
        raise ValueError(str(error)) from error
    return address


def check_networks(text: str) -> str:
    """Return a list of addresses and networks as text; refuse other values."""
    for part_ in filter(None, (part.strip() for part in text.split(","))):
        try:
            ip_network(part_)
        except ValueError:
            raise ValueError(
                f"{part_!r} is neither an address nor a network; write for example 10.0.0.7 or "
                "10.0.0.0/24"
            ) from None
    return text


def check_device_classes(text: str) -> str:
    """Return a list of device classes as text; refuse unknown ones."""
    from ingest import classes  # noqa: PLC0415 - reads files

    for part_ in filter(None, (part.strip() for part in text.split(","))):
        if part_ not in classes.load():
            raise ValueError(f"{part_!r} is not a device class; see docs/devices.md")
    return text


def check_topic_level(name: str | None) -> str | None:
    """Return a name that can be one topic level; refuse others."""
    if name and set(name) & set("/+#"):
        raise ValueError(f"{name!r} cannot be part of a topic; it must not contain / + #")
    return name or None


def check_kept_days(days: int, info: Any) -> int:
    """Return a retention in days; refuse one below the minimum."""
    least = LEAST_DAYS[info.field_name]
    if 0 < days < least:
        raise ValueError(f"is {days}; set at least {least} days, or 0 for no limit")
    return days


def check_quota(quota: int, info: Any) -> int:
    """Return a quota; refuse one that a normal meter would exceed."""
    # the minimum quota is that of a normal meter: one message of up to 256 KiB per second
    least = 60 if info.field_name == "principal_messages_a_minute" else 1_000_000
    if 0 < quota < least:
        raise ValueError(f"is {quota}; set at least {least}, or 0 for no limit")
    return quota


def check_page(url: str | None) -> str | None:
    """Return the URL of a page without trailing slash; refuse other values."""
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("must be an http:// or https:// URL")
    return url.rstrip("/") if url else None


def check_mail_server(url: str | None) -> str | None:
    """Return a mail server's URL; refuse other values."""
    parts = parts_of(url or "smtp://localhost")
    if parts.scheme not in ("smtp", "smtps") or not any(parts.hosts):
        # never print the value: it may contain a password
        raise ValueError("must be smtp://HOST:PORT or smtps://HOST:PORT")
    return url or None


def check_authorities(text: str | None) -> str | None:
    """Return a list of URLs of time-stamp authorities as text; refuse other values."""
    urls = [part.strip() for part in (text or "").split(",") if part.strip()]
    for url in urls:
        parts = parts_of(url)
        if parts.scheme not in ("http", "https") or not any(parts.hosts):
            # never print the value: it may contain a password
            raise ValueError("must be http:// or https:// URLs, separated by commas")
    if len(set(urls)) < len(urls):
        raise ValueError("names an authority twice; name each one once")
    return ",".join(urls) or None


def check_folder(home: object) -> object:
    """Return a folder's name; refuse an empty one."""
    if home == "":
        raise ValueError("is empty; name a folder, or remove the setting")
    return home

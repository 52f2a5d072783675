"""Configuration of a gateway, one YAML file; every error is reported with its position."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import yaml

from ingest import profiles
from ingest.addresses import PORTS, parts_of, server_of
from ingest.errors import InputError
from services.edge.outbox import WhenFull
from services.registry.fields import ID

_LEAST_MB = 4
_LONGEST_S = 3_600


class _Network(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """Device polled over TCP."""

    device: str
    host: str
    every_s: float = 60
    port: int = 502
    unit: int = 1
    timeout_s: float = 3


class _Serial(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """Device on a serial line, which several devices may share."""

    device: str
    line: str
    every_s: float = 60
    unit: int = 1
    baud: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    timeout_s: float = 1


class ModbusTcp(_Network, kw_only=True, tag="modbus-tcp"):
    """Modbus TCP device, read by its profile's register map."""

    class_: str = msgspec.field(name="class")
    profile: str


class ModbusRtu(_Serial, kw_only=True, tag="modbus-rtu"):
    """Modbus RTU device on a serial line, read by its profile's register map."""

    class_: str = msgspec.field(name="class")
    profile: str


class SunSpecTcp(_Network, kw_only=True, tag="sunspec-tcp"):
    """Inverter with SunSpec models over TCP; it needs no register map."""


class SunSpecRtu(_Serial, kw_only=True, tag="sunspec-rtu"):
    """Inverter with SunSpec models on a serial line."""


class LocalMqtt(msgspec.Struct, forbid_unknown_fields=True, tag="mqtt", tag_field="kind"):
    """
    Topics of an MQTT broker on the plant's network; `{device}` is the device's id.

    `values` and `time`: keys of values and time in a foreign message, such as `object` and `time`.
    `columns`: channel of each value, by the value's name; other values are ignored.
    `devices`: device id of each name in a topic.
    """

    url: str
    topics: list[str]
    values: str | None = None
    time: str | None = None
    columns: dict[str, str] = {}
    devices: dict[str, str] = {}


class CsvFolder(msgspec.Struct, forbid_unknown_fields=True, tag="csv", tag_field="kind"):
    """
    Folder into which another program writes CSV files.

    `last_newline` false: a last line without newline is complete.  The header is the first line
    with all columns; lines before it are ignored.  `time_format`: format of times (strptime), if
    not ISO 8601. `devices`: ids by the names in `device_column`.  If there is neither `device` nor
    `device_column`, the names are in a line above the header, each above the columns of its device.
    With `format: influx` the files are `*.lp` in line protocol, `device_column` is a tag and
    `columns` are fields.
    """

    folder: str
    columns: dict[str, str]
    time_column: str = "time"
    timezone: str | None = None
    device: str | None = None
    device_column: str | None = None
    devices: dict[str, str] = {}
    every_s: float = 5
    last_newline: bool = True
    time_format: str | None = None
    format: Literal["csv", "influx"] = "csv"


Polled = ModbusTcp | ModbusRtu | SunSpecTcp | SunSpecRtu
Source = Polled | LocalMqtt | CsvFolder


class Signing(msgspec.Struct, forbid_unknown_fields=True):
    """
    Path of the signing key, which is created if missing.

    A batch waits `gather_s` for further messages before it is signed.
    """

    key: str
    algorithm: Literal["EdDSA", "ES256"] = "EdDSA"
    gather_s: float = 0


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """
    Configuration of one gateway.

    `identity` is the folder of its certificate, written by `tonne registry issue-credentials` or
    fetched from the server `enrolment` (EST).  `limit_mb` and `when_full` limit the outbox.  With
    `signing` forwarded messages are signed (COSE_Sign1).
    """

    gateway: str
    broker: str
    sources: list[Source]
    identity: str | None = None
    enrolment: str | None = None
    signing: Signing | None = None
    outbox: str = "tonne-edge/outbox.db"
    limit_mb: int = 1_024
    when_full: WhenFull = "thin"


def read(path: Path) -> Config:
    """
    Return the configuration in a YAML file.

    Raises InputError, naming the file, the position and the correct value.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            f"{path} cannot be read: {' '.join(str(error).split())}; correct the file"
        ) from error
    try:
        config = msgspec.convert(document, Config)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}; see docs/edge.md") from error
    problems = list(_problems(config))
    if problems:
        raise InputError("\n".join(f"{path}: {problem}" for problem in problems))
    return config


def _problems(config: Config) -> Iterator[str]:
    yield from (f"broker: {text}" for text in _broker(config.broker))
    if _needs_identity(config.broker) and config.identity is None:
        yield "identity: is missing; enter the folder that issue-credentials made"
    if config.enrolment is not None:
        if config.identity is None:
            yield "enrolment: also enter identity, the folder of the certificate"
        if not config.enrolment.startswith("https://"):
            yield f"enrolment: {config.enrolment!r} is not an https:// URL; enter the EST server's"
    yield from _signing(config.signing)
    if config.limit_mb < _LEAST_MB:
        yield f"limit_mb: {config.limit_mb} is less than {_LEAST_MB}; enter at least that"
    if not config.sources:
        yield "sources: is empty; name at least one"
    for name in (config.gateway, *(name for s in config.sources for name in _devices(s))):
        if not ID.match(name):
            yield f"{name!r} is not an id; use 1 to 64 letters, digits, _ or -"
    for i, source in enumerate(config.sources):
        yield from (f"sources[{i}]: {text}" for text in _source(source))


def _signing(signing: Signing | None) -> Iterator[str]:
    if signing is not None and not 0 <= signing.gather_s <= _LONGEST_S:
        yield f"signing.gather_s: {signing.gather_s} must be 0 to {_LONGEST_S} seconds"


def _broker(url: str) -> Iterator[str]:
    try:
        server_of(url, PORTS)
    except ValueError as error:
        yield str(error)


def _needs_identity(url: str) -> bool:
    try:
        parts = parts_of(url)
    except ValueError:
        return False
    return parts.scheme == "mqtts" and not parts.login


def _devices(source: Source) -> Iterator[str]:
    if isinstance(source, LocalMqtt | CsvFolder):
        yield from source.devices.values()
    if not isinstance(source, LocalMqtt) and source.device is not None:
        yield source.device


def _source(source: Source) -> Iterator[str]:
    if isinstance(source, ModbusTcp | ModbusRtu):
        yield from _mapped(source)
    if isinstance(source, LocalMqtt):
        yield from (f"url: {text}" for text in _broker(source.url))
        for topic in source.topics:
            if topic.split("/").count("{device}") != 1:
                yield f"topics: {topic!r} must contain {{device}} once, as a whole level"
    elif source.every_s <= 0:
        yield f"every_s: {source.every_s} must be above zero"
    if isinstance(source, CsvFolder):
        ways = [source.device, source.device_column, source.devices or None]
        if ways == [None] * 3 or None not in ways[:2] or (source.device and source.devices):
            yield "enter either device or device_column, or devices alone"
        if source.timezone is not None:
            try:
                ZoneInfo(source.timezone)
            except (ZoneInfoNotFoundError, ValueError):
                yield f"timezone: {source.timezone!r} is unknown; use a name such as Europe/Berlin"


def _mapped(source: ModbusTcp | ModbusRtu) -> Iterator[str]:
    profile = profiles.load().get((source.class_, source.profile))
    if profile is None:
        known = ", ".join(p for c, p in profiles.load() if c == source.class_)
        yield (
            f"profile: {source.profile!r} is not a profile of {source.class_!r}; "
            f"known: {known or 'none'}"
        )
    elif not any(channel.register for channel in profile.channels.values()):
        yield f"profile: {source.profile!r} has no register map; name one that has"


def plain(config: Config) -> Any:
    """Return a configuration as JSON-compatible values."""
    return msgspec.to_builtins(config)

"""
Codec of Sparkplug B: protobuf messages of metrics, decoded with their birth certificate.

A birth gives each metric a name, a datatype and usually an alias; data messages have aliases only.
`ingest.sparkplug` finds the birth of a message.  This module decodes both into readings, one per
time.  Null is a missing value, never 0; transient metrics are not stored.  The properties `Quality`
and `engUnit` are used if present.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from ingest.errors import PayloadError
from ingest.formats import sparkplug as sparkplug_form
from ingest.formats import sparkplug_b_pb2
from ingest.formats.sparkplug import Birth, Tag, is_number, mismatch, name_of, number
from ingest.reading import Line

NAME = "sparkplug_b"
BD_SEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"
_CONTROL = ("Node Control/", "Device Control/")
_UNITS = ("engUnit", "Engineering Units", "unit", "units")
_GOOD = 192
_MAX_METRICS = 10_000
_SIGNED = 2**63
_parse: Any = sparkplug_b_pb2.Payload.FromString  # type: ignore[attr-defined]


@dataclass(slots=True)
class Message:
    """Parsed payload: time of sending [ms UTC], sequence number, and metrics."""

    timestamp: int | None
    seq: int | None
    metrics: Any

    @property
    def used(self) -> Iterator[int | str]:
        """Return the keys of the metrics: the name if present, else the alias."""
        return (m.name if m.HasField("name") else m.alias for m in self.metrics)

    def whole(self, name: str) -> int | None:
        """Return the integer value of a named metric, modulo 2**63; None if absent."""
        for metric in self.metrics:
            field = metric.WhichOneof("value")
            if metric.name == name and field in ("int_value", "long_value"):
                return int(getattr(metric, field)) % _SIGNED
        return None


@dataclass(frozen=True, slots=True)
class Read:
    """
    Readings of a message, and its unusable metrics.

    `refused` are (metric, reason, detail); the metric is empty if its name is unknown.
    """

    lines: Sequence[Line]
    refused: Sequence[tuple[str, str, str]] = ()


def decode(payload: bytes) -> Message:
    """
    Return the message of a payload.

    Raises PayloadError: `malformed_protobuf`, `wrong_shape`, `invalid_utf8`.
    """
    try:
        result = _parse(payload)
    except (DecodeError, RecursionError) as error:
        detail = f"{NAME}: {error!s:.200}; send a Sparkplug B payload"
        raise PayloadError("malformed_protobuf", detail) from None
    if len(result.metrics) > _MAX_METRICS:
        raise PayloadError(
            "wrong_shape", f"{NAME}: the message has more than {_MAX_METRICS} metrics; split it"
        )
    for i, metric in enumerate(result.metrics):
        if not isinstance(metric.name, str):  # the runtime returns invalid text as bytes
            raise _no_text(f"name of metric {i}", metric.name)
    return Message(
        result.timestamp if result.HasField("timestamp") else None,
        result.seq if result.HasField("seq") else None,
        result.metrics,
    )


def born(message: Message, *, requested: bool = False) -> Birth:
    """
    Return the metrics that a birth certificate declares.

    Raises PayloadError: `birth_invalid` where a metric has no name, or two share a name or an
    alias.
    """
    tags: list[Tag] = []
    taken: set[int | str] = set()
    for i, metric in enumerate(message.metrics):
        alias = metric.alias if metric.HasField("alias") else None
        if not metric.name:
            raise PayloadError(
                "birth_invalid",
                f"{NAME}: metric {i} has no name; a birth certificate names each metric",
            )
        for key in (metric.name, alias):
            if key is not None and key in taken:
                raise PayloadError(
                    "birth_invalid",
                    f"{NAME}: two metrics have the name {key!r:.80}; use a different name for each",
                )
            taken.add(key if key is not None else metric.name)
        tags.append(Tag(metric.name, alias, metric.datatype, _unit(metric)))
    return Birth(message.timestamp or 0, tuple(tags), requested)


def read_known_layout(payload: bytes, birth: Birth) -> sparkplug_form.Seen | None:
    """Return the content of a payload with a known layout of this birth; None for a new layout."""
    return sparkplug_form.read(payload, birth)


def read(message: Message, birth: Birth, payload: bytes | None = None) -> Read:
    """
    Return the readings of a message, one per time.

    `birth`: birth certificate that is valid for the message; if the message is a birth, its own.
    `payload`: the message's bytes, whose layout is stored with the birth.
    """
    drafts: dict[int, _Draft] = {}
    refused: list[tuple[str, str, str]] = []
    for metric in message.metrics:
        ts: int = metric.timestamp if metric.HasField("timestamp") else (message.timestamp or 0)
        draft = drafts.get(ts)
        if draft is None:
            draft = drafts[ts] = _Draft({}, [])
        try:
            draft.take(metric, birth)
        except PayloadError as error:
            refused.append((_named(metric, birth), error.reason, error.detail))
    lines = [
        Line(ts, birth.called(tuple(draft.values), tuple(draft.units)), draft.values.values())
        for ts, draft in drafts.items()
        if any(value is not None for value in draft.values.values())
    ]
    if payload is not None and len(lines) == 1 and not refused:
        sparkplug_form.learn(payload, lines[0], birth)
    return Read(lines, refused)


@dataclass(slots=True)
class _Draft:
    """Values of one time, while a message is decoded."""

    values: dict[str, float | None]
    units: list[str | None]

    def take(self, metric: Any, birth: Birth) -> None:
        """Add a metric if it is to be stored."""
        tag = _tag(metric, birth)
        if metric.is_transient or tag.name == BD_SEQ or tag.name.startswith(_CONTROL):
            return
        if not is_number(tag.datatype):
            detail = f"{tag.name!r:.80} is {name_of(tag.datatype)}; send a number"
            raise PayloadError("not_a_number", detail)
        if tag.name in self.values:
            raise PayloadError(
                "channel_twice", f"{tag.name!r:.80} appears twice at one time; send it once"
            )
        self.values[tag.name] = None if metric.is_null else _value(metric, tag)
        self.units.append(_unit(metric) or tag.unit)


def _named(metric: Any, birth: Birth) -> str:
    if metric.HasField("name"):
        return str(metric.name)
    tag = birth.by_alias.get(metric.alias)
    return "" if tag is None else tag.name


def _tag(metric: Any, birth: Birth) -> Tag:
    if metric.HasField("name"):
        tag = birth.by_name.get(metric.name)
    else:
        tag = birth.by_alias.get(metric.alias) if metric.HasField("alias") else None
    if tag is None:
        label = repr(metric.name)[:80] if metric.HasField("name") else f"alias {metric.alias}"
        raise PayloadError(
            "metric_unknown",
            f"{NAME}: {label} is not in the birth certificate; publish one that contains it",
        )
    return tag


def _value(metric: Any, tag: Tag) -> float:
    field = metric.WhichOneof("value")
    if metric.datatype not in (0, tag.datatype):
        sent_type, born_type = name_of(metric.datatype), name_of(tag.datatype)
        raise PayloadError(
            "datatype_mismatch",
            f"{tag.name!r:.80} is of type {sent_type}, but the birth certificate states "
            f"{born_type}; send that type",
        )
    if field is None:
        raise PayloadError("value_missing", f"{tag.name!r:.80} has no value; send null as null")
    if metric.HasField("properties"):
        _judge_quality(metric, tag)
    try:
        return number(tag.datatype, field, getattr(metric, field))
    except (PayloadError, TypeError, ValueError) as error:
        reason = error.reason if isinstance(error, PayloadError) else "datatype_mismatch"
        detail = error.detail if isinstance(error, PayloadError) else mismatch(tag.datatype, field)
        raise PayloadError(reason, f"{tag.name!r:.80}: {detail}") from None


def _judge_quality(metric: Any, tag: Tag) -> None:
    result = _property(metric, ("Quality",))
    if result is not None and result.WhichOneof("value") in ("int_value", "long_value"):
        quality = result.int_value or result.long_value
        if quality != _GOOD:
            raise PayloadError(
                "quality_bad",
                f"{tag.name!r:.80} has Quality {quality}, not {_GOOD}; check the sensor",
            )


def _unit(metric: Any) -> str | None:
    if not metric.HasField("properties"):
        return None
    result = _property(metric, _UNITS)
    if result is None:
        return None
    if not isinstance(result.string_value, str):
        raise _no_text("unit", result.string_value)
    return result.string_value.strip() or None


def _no_text(what: str, data: bytes) -> PayloadError:
    return PayloadError("invalid_utf8", f"{NAME}: {what} is {data!r:.80}; send UTF-8")


def _property(metric: Any, names: tuple[str, ...]) -> Any:
    properties = metric.properties
    for key, value in zip(properties.keys, properties.values, strict=False):
        if key in names and not value.is_null:
            return value
    return None

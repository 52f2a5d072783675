"""
Decoding of payloads to columns: one frame per device class.

Messages of one profile with the same channels in the same order share a bucket: units, unknown and
missing channels are resolved once per bucket, in columns.

Sparkplug messages are decoded earlier, and their readings are added to the buckets.  Such a message
reports changed metrics only, so it may have no known channel; a birth must have one.

The codec of a payload is chosen by its MQTT 5 content type, or else by its first bytes.  A content
type that names one encoding is binding.  The content types of plain JSON do not state the kind of
JSON; then the first bytes decide, as without a content type.  Codecs are the folders of
`ingest/codecs` with a `CODEC`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NoReturn

import numpy as np

from ingest import classes, codecs, columns, profiles
from ingest.codecs import json_object, senml_json, sparkplug_b
from ingest.codecs.json_object import CODEC as JSON
from ingest.codecs.json_object import Shape
from ingest.codecs.senml_json import CODEC as SENML_JSON
from ingest.codecs.senml_json import PACK
from ingest.columns import UNUSABLE, Bucket, Key, Rejected, convert
from ingest.errors import PayloadError
from ingest.model import NULL, Column, Device, Fleet, Frame
from ingest.reading import MAX_MS, Codec, Given, Names, Reading, Registers, Row, Stated, time_us

UNREAD = "unread"


def _codecs() -> tuple[Codec, ...]:
    names = (i.name for i in iter_modules(codecs.__path__) if i.ispkg)
    loaded = (import_module(f"{codecs.__name__}.{name}").CODEC for name in names)
    return tuple(sorted(loaded, key=lambda codec: codec.order))


CODECS = _codecs()
_BY_TYPE = {name: codec for codec in CODECS for name in codec.content_types}
_BY_START = {
    bytes([first]): tuple(codec for codec in CODECS if first in codec.starts)
    for first in {first for codec in CODECS for first in codec.starts}
}


def find(payload: bytes, content_type: str | None) -> Codec:
    """
    Return the codec of a payload.

    `content_type`: the MQTT 5 property; its parameters, such as a character set, are ignored.
    Raises PayloadError: `content_type_unknown`.
    """
    if not content_type:
        return by_first_bytes(payload)
    codec = _BY_TYPE.get(content_type.split(";", 1)[0].strip().lower())
    if codec is None:
        known = ", ".join(_BY_TYPE)
        raise PayloadError(
            "content_type_unknown",
            f"content type {content_type!r:.80} is not supported; send one of {known}",
        )
    return by_first_bytes(payload) if codec is JSON else codec


def by_first_bytes(payload: bytes) -> Codec:
    """Return the codec that matches the first bytes of a payload; plain JSON if none matches."""
    for codec in _BY_START.get(payload[:1], ()):
        if codec.recognises(payload):
            return codec
    return JSON


# the shape of each model's last plain message, by class and profile
_shapes: dict[tuple[str, str], Shape] = {}

_LAST = 1 << 60  # sorts after every other message of a batch
_UNKNOWN = Bucket("", "", ())


def place(
    fleet: Fleet,
    route: Callable[[str], int],
    values: Iterable[Given],
    buckets: dict[Key, Bucket],
    rejected: list[Rejected],
) -> None:
    """
    Put readings into buckets; reject unusable ones.

    `route`: topic to fleet index; raises PayloadError.
    """
    order = _LAST
    known: dict[tuple[int, Names], Bucket | None] = {}
    for item in values:
        try:
            index = route(item.topic)
        except PayloadError as error:
            rejected.append(Rejected(item.message, error.reason, error.detail))
            continue
        if item.refused or item.declares:
            _refuse(item, fleet.devices[index], rejected)
        for line in item.lines:
            where = index, line.of
            bucket = known.get(where, _UNKNOWN)
            if bucket is _UNKNOWN:
                bucket = known[where] = _bucket(fleet.devices[index], line.of, buckets)
            if bucket is None:
                continue
            ts = line.ts
            if not -MAX_MS < ts < MAX_MS:
                detail = f"timestamp {ts} is not in epoch milliseconds"
                rejected.append(Rejected(item.message, "time_invalid", detail))
                continue
            bucket.time.append(ts * 1000)
            bucket.device.append(index)
            bucket.message.append(item.message)
            bucket.order.append(order)
            bucket.add(line.numbers)
            order += 1


def _bucket(device: Device, of: Names, buckets: dict[Key, Bucket]) -> Bucket | None:
    """Return the bucket for readings with these names; None if the profile knows none of them."""
    if not holds(device.class_id, device.profile, of):
        return None
    key = columns.key(device.class_id, device.profile, of)
    bucket = buckets.get(key)
    if bucket is None:
        bucket = buckets[key] = Bucket(*key)
    return bucket


def _refuse(given: Given, device: Device, rejected: list[Rejected]) -> None:
    """Reject unusable known channels, and a birth without known channels."""
    where = device.class_id, device.profile
    for name, reason, detail in given.refused:
        if not name or holds(*where, Names("", (name,))):
            rejected.append(Rejected(given.message, reason, detail))
    if given.declares is not None and not holds(*where, given.declares):
        detail = f"{', '.join(given.declares.names)[:200] or 'no metric'}; see the profile"
        rejected.append(Rejected(given.message, "no_known_channel", detail))


@lru_cache(maxsize=16_384)
def holds(class_id: str, profile_id: str, of: Names) -> bool:
    """Return whether a profile knows any of these names."""
    known = columns.slots(class_id, profile_id)
    return any(path in known for path in columns.key(class_id, profile_id, of)[2])


__all__ = [
    "CODECS",
    "JSON",
    "MAX_PAYLOAD",
    "PACK",
    "SENML_JSON",
    "UNREAD",
    "Codec",
    "Decoded",
    "Rejected",
    "Seen",
    "by_first_bytes",
    "decode",
    "find",
]

MAX_PAYLOAD = 262_144
PLAIN = JSON.name
SPARKPLUG = sparkplug_b.NAME
_SENML = SENML_JSON.name
_HEAD, _OBJECT, _VALUES = 64, ord("{"), b'"values"'


@dataclass(slots=True)
class Seen:
    """Readings as columns: message, device, and the time and id that the payload states."""

    message: list[int] = field(default_factory=list)
    device: list[int] = field(default_factory=list)
    ts: list[int | str] = field(default_factory=list)
    id: list[int | str | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.message)

    def add(self, message: int, device: int, readings: Sequence[Reading]) -> None:
        """Add the readings of a message."""
        for reading in readings:
            self.message.append(message)
            self.device.append(device)
            self.ts.append(reading.ts)
            self.id.append(reading.id)


@dataclass(slots=True)
class Decoded:
    """
    Frames in arrival order, rejections, unknown channels, and the readings of each message.

    `codecs` names the codec of each message; it is `unread` if no codec decoded it.
    """

    frames: list[Frame]
    rejected: list[Rejected]
    ignored: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    seen: Seen = field(default_factory=Seen)
    codecs: list[str] = field(default_factory=list)


def decode(  # noqa: C901, PLR0912, PLR0915 (a loop of one page: a call for each of its turns costs a tenth)
    fleet: Fleet,
    route: Callable[[str], int],
    topics: Sequence[str],
    payloads: Sequence[bytes],
    content_types: Sequence[str | None],
    received_us: int,
    given: Sequence[Given] = (),
    unread: Sequence[Rejected] = (),
) -> Decoded:
    """
    Return a batch of messages as frames in base units, with rejections.

    Parameters
    ----------
    fleet : Fleet
    route : callable
        Topic to fleet index; raises PayloadError.
    topics, payloads, content_types : sequences, n
        The messages in arrival order.
    received_us : int
        Time of receipt, to which relative times refer. [us UTC]
    given : sequence of Given
        Content of the messages that `route` excludes (Sparkplug), already decoded; without it they
        are ignored.
    unread : sequence of Rejected
        Messages rejected before decoding.

    Returns
    -------
    Decoded
        Rejected are rows without a known channel, and registers that are negative or beyond 2**53
        base units; other values of such rows are kept.  Rows without any value are ignored.
    """
    out = Decoded([], [*unread], codecs=[PLAIN] * len(payloads))
    messages: Iterable[tuple[int, bytes]] = enumerate(payloads)
    if unread:
        shut = {rejected.message for rejected in unread}
        messages = [(k, payload) for k, payload in messages if k not in shut]
        for k in shut:
            out.codecs[k] = UNREAD
    buckets: dict[Key, Bucket] = {}
    alike: dict[tuple[int, Names], Bucket] = {}  # buckets of rows; each set of names is hashed once
    devices, seen, codecs = fleet.devices, out.seen, out.codecs
    shapes: dict[int, tuple[Callable[[bytes], Any], Bucket] | None] = {}
    plain, pack, numbers_of = json_object.decode, senml_json.decode, json_object.numbers
    order, remaining = 0, []
    for k, payload in messages:
        index = -1
        try:
            index = route(topics[k])
            if index < 0:
                remaining.append(k)
                continue
            content_type = content_types[k]
            if (
                content_type is None
                and payload.find(_VALUES, 1, _HEAD) > 0
                and payload[0] == _OBJECT
                and len(payload) <= MAX_PAYLOAD
            ):
                # most messages: no look-up of the codec, and usually a known shape
                if index in shapes:
                    known = shapes[index]
                else:
                    known = shapes[index] = _shaped(devices[index], buckets)
                if known is not None and payload.isascii():
                    try:
                        message = known[0](payload)
                    except json_object.DIFFERS:
                        shapes[index] = None  # the device may alternate between shapes
                    else:
                        ts, into = message.ts, known[1]
                        if type(ts) is int and -MAX_MS < ts < MAX_MS:
                            seen.message.append(k)
                            seen.device.append(index)
                            seen.ts.append(ts)
                            seen.id.append(message.id)
                            into.time.append(ts * 1000)
                            into.device.append(index)
                            into.message.append(k)
                            into.order.append(order)
                            into.add(numbers_of(message.values))
                            order += 1
                            continue
                readings = plain(payload)
            elif content_type is None and payload.startswith(PACK) and len(payload) <= MAX_PAYLOAD:
                codecs[k] = _SENML
                readings = pack(payload, received_us)
            else:
                codec = _codec(payload, content_type)
                codecs[k] = codec.name
                readings = codec.decode(payload, received_us)
            device = devices[index]
            class_id, profile = device.class_id, device.profile
            seen.add(k, index, readings or _nothing())
            for reading in readings:
                ts, values = reading.ts, reading.values
                whole: int | None = ts * 1000 if type(ts) is int and -MAX_MS < ts < MAX_MS else None
                us = _time(ts, k, out) if whole is None else whole
                key: Key
                numbers: Collection[float | None]
                if type(reading) is Row:
                    numbers, bucket = reading.numbers, alike.get((index, reading.of))
                    if bucket is None:
                        key = columns.key(class_id, profile, reading.of)
                        bucket = alike[index, reading.of] = buckets.setdefault(key, Bucket(*key))
                else:
                    if type(reading) is Reading:
                        numbers, key = values.values(), (class_id, profile, tuple(values), ())
                        _learn(key)
                    else:
                        numbers, key = _stated(reading, device, k, out)
                        us = us if numbers else None
                    bucket = buckets.get(key)
                    if bucket is None and us is not None:
                        bucket = buckets[key] = Bucket(*key)
                if us is None or bucket is None:
                    continue
                bucket.time.append(us)
                bucket.device.append(index)
                bucket.message.append(k)
                bucket.order.append(order)
                bucket.add(numbers)
                order += 1
        except PayloadError as error:
            out.rejected.append(Rejected(k, error.reason, error.detail))
            if index < 0:
                codecs[k] = UNREAD
    for k in remaining:
        codecs[k] = SPARKPLUG
    place(fleet, route, given, buckets, out.rejected)
    out.frames = _frames([bucket for bucket in buckets.values() if bucket.device], out)
    return out


def _shaped(
    device: Device, buckets: dict[Key, Bucket]
) -> tuple[Callable[[bytes], Any], Bucket] | None:
    """Return decoder and bucket for messages of the shape of this model's last message, if any."""
    shape = _shapes.get((device.class_id, device.profile))
    if shape is None:
        return None
    key = device.class_id, device.profile, shape.names, ()
    return shape.decode, buckets.setdefault(key, Bucket(*key))


def _learn(key: Key) -> None:
    """Store the shape of a model's message, if its profile knows every name."""
    class_id, profile, names, _ = key
    last = _shapes.get((class_id, profile))
    if (last is None or last.names != names) and columns.slots(class_id, profile).keys() >= {
        *names
    }:
        known_shape = json_object.shape(names)
        if known_shape is not None:
            _shapes[class_id, profile] = known_shape


def _nothing() -> NoReturn:
    raise PayloadError("empty_payload", "the message has no reading; send at least one")


def _codec(payload: bytes, content_type: str | None) -> Codec:
    if len(payload) > MAX_PAYLOAD:
        raise PayloadError(
            "payload_too_large",
            f"the message has {len(payload)} bytes; send at most {MAX_PAYLOAD} a message",
        )
    return find(payload, content_type)


def _time(ts: int | str, k: int, out: Decoded) -> int | None:
    """Return the time of a reading [us UTC]; an invalid time rejects this reading only."""
    try:
        return time_us(ts)
    except PayloadError as error:
        out.rejected.append(Rejected(k, error.reason, error.detail))
        return None


def _stated(
    reading: Reading, device: Device, k: int, out: Decoded
) -> tuple[Collection[float | None], Key]:
    """Return values and bucket of a reading that states units; add its rejected values to `out`."""
    if isinstance(reading, Registers):
        reading = profiles.read_registers(reading, profiles.load()[device.class_id, device.profile])
    units: tuple[str | None, ...] = ()
    if isinstance(reading, Stated):
        units = reading.units
        out.rejected.extend(Rejected(k, reason, detail) for reason, detail in reading.refused)
        if not (reading.values or reading.refused):
            out.rejected.append(Rejected(k, "no_known_channel", "no quantity; see the profile"))
    key = (device.class_id, device.profile, tuple(reading.values), units)
    return reading.values.values(), key


def _frames(buckets: list[Bucket], out: Decoded) -> list[Frame]:
    by_class: dict[str, list[tuple[Bucket, dict[str, Column]]]] = {}
    for bucket in buckets:
        converted = convert(bucket)
        out.ignored += converted.ignored
        out.rejected.extend(converted.rejected)
        if converted.columns:
            by_class.setdefault(bucket.class_id, []).append((bucket, converted.columns))
        elif not converted.rejected:
            detail = _unknown(bucket)
            out.rejected.extend(Rejected(k, "no_known_channel", detail) for k in bucket.message)
    return [_frame(class_id, parts, out) for class_id, parts in by_class.items()]


def _unknown(bucket: Bucket) -> str:
    """Return the error of a message without a known channel: its names, and the profile's."""
    channels = profiles.load()[bucket.class_id, bucket.profile].channels.values()
    return (
        f"{', '.join(bucket.shape)[:200] or 'no channel'}; profile {bucket.profile} of class "
        f"{bucket.class_id} reads {', '.join(sorted({c.path for c in channels}))[:400]}"
    )


def _frame(class_id: str, parts: list[tuple[Bucket, dict[str, Column]]], out: Decoded) -> Frame:
    whole: dict[str, Column] = {}
    for channel in classes.load()[class_id].channels.values():
        whole[channel.name] = np.concatenate(
            [c[channel.name] if channel.name in c else _absent(channel.kind, b) for b, c in parts]
        )
    device = np.concatenate([np.array(b.device, dtype=np.int32) for b, _ in parts])
    time = np.concatenate([np.array(b.time, dtype=np.int64) for b, _ in parts])
    message = np.concatenate([np.array(b.message, dtype=np.int32) for b, _ in parts])
    frame = Frame(class_id, device, time, message, whole)
    if len(parts) > 1:
        frame = frame.take(np.argsort(np.concatenate([b.order for b, _ in parts])))
    return _refuse_registers(frame, out)


def _absent(kind: str, bucket: Bucket) -> Column:
    n = len(bucket.device)
    return np.full(n, NULL, dtype=np.int64) if kind == "register" else np.full(n, np.nan)


def _refuse_registers(frame: Frame, out: Decoded) -> Frame:
    """Return the frame without registers below zero or beyond 2**53."""
    for channel in classes.load()[frame.class_id].registers:
        values = frame.columns[channel.name]
        wrong = values == UNUSABLE
        if not wrong.any():
            continue
        for row in np.flatnonzero(wrong):
            detail = f"{channel.name} is negative or beyond 2**53 {channel.unit}"
            out.rejected.append(Rejected(int(frame.message[row]), "out_of_range", detail))
            frame.flags.setdefault(int(row), {})[channel.name] = "out_of_range"
        frame.columns[channel.name] = np.where(wrong, NULL, values)
    return _drop_empty(frame, out)


def _drop_empty(frame: Frame, out: Decoded) -> Frame:
    """Return the frame without rows that have no value at all."""
    known = np.zeros(len(frame), dtype=np.bool_)
    for values in frame.columns.values():
        known |= values != NULL if values.dtype == np.int64 else ~np.isnan(values)
        if known.all():
            return frame
    lines = {rejected.message for rejected in out.rejected}
    for k in frame.message[~known].tolist():
        # a Sparkplug message may consist of null metrics only
        if k not in lines and out.codecs[k] != SPARKPLUG:
            out.rejected.append(
                Rejected(
                    k, "value_missing", "every value is null; send at least one measured value"
                )
            )
    return frame.take(known)

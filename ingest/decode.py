"""
Many payloads to columns: one frame a device class.

The loop over messages ends where bytes have become numbers.  Messages of one
profile with the same channels in the same order share a bucket, so units,
unknown channels and missing ones are settled once a bucket, in columns.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ingest import classes, profiles, units
from ingest.codecs import json_object
from ingest.errors import PayloadError
from ingest.model import NULL, Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.model import Column, Fleet, Float64

MAX_PAYLOAD = 262_144
_MAX_REGISTER = float(2**53)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message (or some readings of it) that became a dead letter."""

    message: int
    reason: str
    detail: str


@dataclass(slots=True)
class Decoded:
    """Frames in arrival order, refusals, channels nobody asked for, and what each message held."""

    frames: list[Frame]
    rejected: list[Rejected]
    ignored: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    seen: dict[int, Sequence[json_object.Reading]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Slot:
    column: str
    register: bool
    numerator: int
    denominator: int
    offset: float


@dataclass(slots=True)
class _Bucket:
    class_id: str
    profile: str
    shape: tuple[str, ...]
    device: list[int] = field(default_factory=list)
    time: list[int] = field(default_factory=list)
    message: list[int] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    flat: list[float | None] = field(default_factory=list)


@cache
def slots(class_id: str, profile_id: str) -> dict[str, _Slot]:
    """Wire name to column and conversion, for one profile."""
    device_class = classes.load()[class_id]
    profile = profiles.load()[class_id, profile_id]
    found = {}
    for path, source in profile.channels.items():
        channel = device_class.channels[source.channel]
        ratio = units.factor(source.unit, channel.unit)
        found[path] = _Slot(channel.name, channel.kind == "register", *ratio)
    return found


def decode(
    fleet: Fleet,
    route: Callable[[str], int],
    topics: Sequence[str],
    payloads: Sequence[bytes],
    content_types: Sequence[str | None],
) -> Decoded:
    """
    Turn a batch of messages into frames of base units.

    Parameters
    ----------
    fleet : Fleet
    route : callable
        Topic to fleet index; raises PayloadError.
    topics, payloads, content_types : sequences, n
        The messages in arrival order.

    Returns
    -------
    Decoded
        Rows that hold no known channel are refused, as are registers that are
        negative or beyond 2**53 base units.
    """
    rejected: list[Rejected] = []
    seen: dict[int, Sequence[json_object.Reading]] = {}
    buckets: dict[tuple[str, str, tuple[str, ...]], _Bucket] = {}
    devices = fleet.devices
    order = 0
    for k, payload in enumerate(payloads):
        try:
            index = route(topics[k])
            readings = _decode_one(payload, content_types[k])
            device = devices[index]
            seen[k] = readings
            for reading in readings:
                values = reading.values
                key = (device.class_id, device.profile, tuple(values))
                bucket = buckets.get(key)
                if bucket is None:
                    bucket = buckets[key] = _Bucket(*key)
                bucket.time.append(json_object.time_us(reading.ts))
                bucket.device.append(index)
                bucket.message.append(k)
                bucket.order.append(order)
                bucket.flat.extend(values.values())
                order += 1
        except PayloadError as error:
            rejected.append(Rejected(k, error.reason, error.detail))
    out = Decoded([], rejected, seen=seen)
    out.frames = _frames(list(buckets.values()), out)
    return out


def _decode_one(payload: bytes, content_type: str | None) -> Sequence[json_object.Reading]:
    if len(payload) > MAX_PAYLOAD:
        raise PayloadError(
            "payload_too_large", f"{len(payload)} bytes; send at most {MAX_PAYLOAD} a message"
        )
    if content_type and content_type.split(";")[0].strip() not in json_object.CONTENT_TYPES:
        raise PayloadError(
            "content_type_unknown", f"{content_type!r}; send {json_object.CONTENT_TYPES[0]}"
        )
    readings = json_object.decode(payload)
    if not readings:
        raise PayloadError("empty_payload", "an array without readings; send at least one")
    return readings


def _frames(buckets: list[_Bucket], out: Decoded) -> list[Frame]:
    by_class: dict[str, list[tuple[_Bucket, dict[str, Column]]]] = {}
    for bucket in buckets:
        columns = _columns(bucket, out)
        if columns:
            by_class.setdefault(bucket.class_id, []).append((bucket, columns))
        else:
            out.rejected.extend(
                Rejected(k, "no_known_channel", f"{', '.join(bucket.shape)[:200] or 'no channel'}")
                for k in bucket.message
            )
    return [_frame(class_id, parts, out) for class_id, parts in by_class.items()]


def _columns(bucket: _Bucket, out: Decoded) -> dict[str, Column]:
    """Convert a bucket's known channels; count the others once a bucket."""
    known = slots(bucket.class_id, bucket.profile)
    table: Float64 = np.array(bucket.flat, dtype=np.float64)
    table = table.reshape(len(bucket.device), len(bucket.shape))
    columns: dict[str, Column] = {}
    for j, path in enumerate(bucket.shape):
        slot = known.get(path)
        if slot is None:
            out.ignored[bucket.class_id, bucket.profile, path] += len(table)
            continue
        values = table[:, j] * slot.numerator / slot.denominator + slot.offset
        columns[slot.column] = _register(values) if slot.register else values
    return columns


def _register(values: Float64) -> Column:
    """Whole base units; absent or unusable values become NULL and below zero (see `_frame`)."""
    rounded = np.rint(values)
    usable = (rounded >= 0) & (rounded < _MAX_REGISTER)
    whole = np.where(usable, rounded, 0).astype(np.int64)
    whole[~usable] = np.where(np.isnan(values[~usable]), NULL, -1)
    return whole


def _frame(class_id: str, parts: list[tuple[_Bucket, dict[str, Column]]], out: Decoded) -> Frame:
    columns: dict[str, Column] = {}
    for channel in classes.load()[class_id].channels.values():
        columns[channel.name] = np.concatenate(
            [c[channel.name] if channel.name in c else _absent(channel.kind, b) for b, c in parts]
        )
    device = np.concatenate([np.array(b.device, dtype=np.int32) for b, _ in parts])
    time = np.concatenate([np.array(b.time, dtype=np.int64) for b, _ in parts])
    message = np.concatenate([np.array(b.message, dtype=np.int32) for b, _ in parts])
    frame = Frame(class_id, device, time, message, columns)
    if len(parts) > 1:
        frame = frame.take(np.argsort(np.concatenate([b.order for b, _ in parts])))
    return _refuse_registers(frame, out)


def _absent(kind: str, bucket: _Bucket) -> Column:
    n = len(bucket.device)
    return np.full(n, NULL, dtype=np.int64) if kind == "register" else np.full(n, np.nan)


def _refuse_registers(frame: Frame, out: Decoded) -> Frame:
    """A register below zero or beyond 2**53 is no reading: the row goes, its bytes stay."""
    bad = np.zeros(len(frame), dtype=np.bool_)
    for channel in classes.load()[frame.class_id].registers:
        wrong = frame.columns[channel.name] == -1
        for row in np.flatnonzero(wrong):
            detail = f"{channel.name} is negative or beyond 2**53 {channel.unit}"
            out.rejected.append(Rejected(int(frame.message[row]), "out_of_range", detail))
        bad |= wrong
    return frame.take(~bad) if bad.any() else frame

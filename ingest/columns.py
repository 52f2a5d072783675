"""
Conversion of buckets (readings with equal profile and channels) to columns in base units.

Names, units and missing channels are resolved once per bucket.  A unit stated in the payload takes
precedence over the profile's; a unit that cannot be converted to the channel's is rejected.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache

import numpy as np

from ingest import classes, profiles
from ingest.classes import factor
from ingest.errors import ProfileError
from ingest.model import NULL, Column, Float64
from ingest.reading import Names

Key = tuple[str, str, tuple[str, ...], tuple[str | None, ...]]

MAX_REGISTER = float(2**53)
UNUSABLE = -1


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rejected message; if `time_us` is set, only its reading of that time is rejected."""

    message: int
    reason: str
    detail: str
    time_us: int | None = field(default=None, compare=False)


@dataclass(slots=True)
class Bucket:
    """
    Readings of one profile with the same channels (and stated units) in the same order.

    `flat` has the numbers of each reading as doubles, row by row; as Python objects they would
    double the number of objects in memory.
    """

    class_id: str
    profile: str
    shape: tuple[str, ...]
    units: tuple[str | None, ...] = ()
    device: list[int] = field(default_factory=list)
    time: list[int] = field(default_factory=list)
    message: list[int] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    flat: bytearray = field(default_factory=bytearray)
    _pack: Callable[..., bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._pack = struct.Struct(f"{len(self.shape)}d").pack

    def add(self, numbers: Collection[float | None]) -> None:
        """Add the numbers of a reading; None where absent."""
        try:
            self.flat += self._pack(*numbers)
        except struct.error:
            self.flat += self._pack(*(math.nan if n is None else n for n in numbers))


@dataclass(slots=True)
class Converted:
    """Columns of a bucket by canonical channel, its unknown channels, and rejections."""

    columns: dict[str, Column] = field(default_factory=dict)
    ignored: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Slot:
    """
    Column of a payload name, and the conversion of its number to the channel's unit.

    `unless` is the profile's own name for the channel; if that name is present, this slot is
    ignored.
    """

    column: str
    register: bool
    unit: str
    base: str
    unless: str = ""


@cache
def slots(class_id: str, profile_id: str) -> dict[str, Slot]:
    """
    Return the column of each payload name of one profile.

    Raises ProfileError if the class lacks a channel of the profile, or a unit cannot be converted.
    """
    device_class = classes.load()[class_id]
    result: dict[str, Slot] = {}
    for source in profiles.load()[class_id, profile_id].channels.values():
        channel = device_class.channels.get(source.channel)
        where = f"profile {profile_id}, channel {source.channel}"
        if channel is None:
            raise ProfileError(f"{where}: class {class_id} has no such channel; correct its name")
        try:
            factor(source.unit, channel.unit)
        except ProfileError as error:
            raise ProfileError(f"{where}: {error}") from None
        slot = Slot(channel.name, channel.kind == "register", source.unit, channel.unit)
        result |= dict.fromkeys((source.path, *source.also), slot)
        if profile_id == profiles.OWN:  # the name in base units is accepted too
            result.setdefault(channel.name, replace(slot, unit=channel.unit, unless=source.path))
    return result


@lru_cache(maxsize=16_384)
def key(class_id: str, profile_id: str, of: Names) -> Key:
    """Return the key of the bucket for readings with these names; devices of a model share it."""
    known = slots(class_id, profile_id)
    paths = tuple(_known_as(known, of.base + name) for name in of.names)
    return class_id, profile_id, paths, of.units


def _known_as(known: dict[str, Slot], path: str) -> str:
    if path in known:
        return path
    return next((tail for tail in _tails(path) if tail in known), path)


def convert(bucket: Bucket) -> Converted:
    """Convert the known channels of a bucket; count unknown channels once per bucket."""
    known = slots(bucket.class_id, bucket.profile)
    table: Float64 = np.frombuffer(bucket.flat, dtype=np.float64)
    table = table.reshape(len(bucket.device), len(bucket.shape))
    out = Converted()
    twice = set()
    for j, path in enumerate(bucket.shape):
        slot = known.get(path) or (_within(known, path) if bucket.units else None)
        if slot is None or slot.unless in bucket.shape:
            out.ignored[bucket.class_id, bucket.profile, path] += len(table)
            continue
        stated = bucket.units[j] if bucket.units else None
        try:
            numerator, denominator, offset = factor(stated or slot.unit, slot.base)
        except ProfileError as error:
            out.rejected.extend(_refuse(bucket, "unit_mismatch", f"{path}: {error}"))
            continue
        if slot.column in out.columns:
            twice.add(slot.column)
        with np.errstate(over="ignore"):  # infinite is reported as out of range
            values = table[:, j] * numerator / denominator + offset
        out.columns[slot.column] = _register(values) if slot.register else values
    for column in twice:
        del out.columns[column]
        detail = f"two values for {column}; send the one that the profile names"
        out.rejected.extend(_refuse(bucket, "channel_twice", detail))
    return out


def _within(known: dict[str, Slot], path: str) -> Slot | None:
    """Return the channel of a name with a device prefix: `urn:dev:ow:10e2:power` means `power`."""
    return next((known[tail] for tail in _tails(path) if tail in known), None)


def _tails(path: str) -> Iterator[str]:
    return (path[at + 1 :] for at, letter in enumerate(path) if letter in ":/")


def _refuse(bucket: Bucket, reason: str, detail: str) -> Iterator[Rejected]:
    return (Rejected(k, reason, detail) for k in bucket.message)


def _register(values: Float64) -> Column:
    """Return registers in whole base units; NULL if absent, `UNUSABLE` if not a valid number."""
    rounded = np.rint(values)
    usable = (rounded >= 0) & (rounded < MAX_REGISTER)
    if usable.all():
        return rounded.astype(np.int64)
    whole = np.where(usable, rounded, 0).astype(np.int64)
    whole[~usable] = np.where(np.isnan(values[~usable]), NULL, UNUSABLE)
    return whole

"""
Buckets to columns: readings of one profile with the same channels, in base units.

Names, units and what is missing are settled once a bucket.  A unit that the
payload states wins over the profile's, so a meter set to Wh is as right as one
set to kWh; one that cannot become the channel's unit is refused, never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache

import numpy as np

from ingest import classes, profiles, units
from ingest.errors import ProfileError
from ingest.model import NULL, Column, Float64
from ingest.reading import Names

Key = tuple[str, str, tuple[str, ...], tuple[str | None, ...]]

MAX_REGISTER = float(2**53)
UNUSABLE = -1


@dataclass(frozen=True, slots=True)
class Rejected:
    """A refused message, or readings of it; `time_us` for one reading."""

    message: int
    reason: str
    detail: str
    time_us: int | None = field(default=None, compare=False)


@dataclass(slots=True)
class Bucket:
    """Readings of one profile with the same channels (and stated units) in the same order."""

    class_id: str
    profile: str
    shape: tuple[str, ...]
    units: tuple[str | None, ...] = ()
    device: list[int] = field(default_factory=list)
    time: list[int] = field(default_factory=list)
    message: list[int] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    flat: list[float | None] = field(default_factory=list)


@dataclass(slots=True)
class Converted:
    """Columns of a bucket by canonical channel, other content of it, and refusals."""

    columns: dict[str, Column] = field(default_factory=dict)
    ignored: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Slot:
    """
    Column of a name in the payload, and the conversion of its number to the channel's unit.

    `unless` is the profile's own name for the channel: beside it this one is ignored.
    """

    column: str
    register: bool
    unit: str
    base: str
    unless: str = ""


@cache
def slots(class_id: str, profile_id: str) -> dict[str, Slot]:
    """
    Return the column of each name in the payload, for one profile.

    Raises
    ------
    ProfileError
        If the class lacks a channel of the profile, or a unit cannot become its channel's.
    """
    device_class = classes.load()[class_id]
    result: dict[str, Slot] = {}
    for source in profiles.load()[class_id, profile_id].channels.values():
        channel = device_class.channels.get(source.channel)
        where = f"profile {profile_id}, channel {source.channel}"
        if channel is None:
            raise ProfileError(f"{where}: class {class_id} has no such channel; correct its name")
        try:
            units.factor(source.unit, channel.unit)
        except ProfileError as error:
            raise ProfileError(f"{where}: {error}") from None
        slot = Slot(channel.name, channel.kind == "register", source.unit, channel.unit)
        result |= dict.fromkeys((source.path, *source.also), slot)
        if profile_id == profiles.OWN:  # its name in base units is read too
            result.setdefault(channel.name, replace(slot, unit=channel.unit, unless=source.path))
    return result


@lru_cache(maxsize=16_384)
def key(class_id: str, profile_id: str, of: Names) -> Key:
    """Return the bucket of readings with the same names; devices of one model share it."""
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
    table: Float64 = np.array(bucket.flat, dtype=np.float64)
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
            numerator, denominator, offset = units.factor(stated or slot.unit, slot.base)
        except ProfileError as error:
            out.rejected.extend(_refuse(bucket, "unit_mismatch", f"{path}: {error}"))
            continue
        if slot.column in out.columns:
            twice.add(slot.column)
        with np.errstate(over="ignore"):  # infinite is out of range, and told as that
            values = table[:, j] * numerator / denominator + offset
        out.columns[slot.column] = _register(values) if slot.register else values
    for column in twice:
        del out.columns[column]
        detail = f"two values for {column}; send the one that the profile names"
        out.rejected.extend(_refuse(bucket, "channel_twice", detail))
    return out


def _within(known: dict[str, Slot], path: str) -> Slot | None:
    """Find a channel behind the name of its device: `urn:dev:ow:10e2:power` is `power`."""
    return next((known[tail] for tail in _tails(path) if tail in known), None)


def _tails(path: str) -> Iterator[str]:
    return (path[at + 1 :] for at, letter in enumerate(path) if letter in ":/")


def _refuse(bucket: Bucket, reason: str, detail: str) -> Iterator[Rejected]:
    return (Rejected(k, reason, detail) for k in bucket.message)


def _register(values: Float64) -> Column:
    """Return whole base units; NULL where absent, `UNUSABLE` for an invalid register."""
    rounded = np.rint(values)
    usable = (rounded >= 0) & (rounded < MAX_REGISTER)
    if usable.all():
        return rounded.astype(np.int64)
    whole = np.where(usable, rounded, 0).astype(np.int64)
    whole[~usable] = np.where(np.isnan(values[~usable]), NULL, UNUSABLE)
    return whole

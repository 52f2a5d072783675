"""
SenML packs to readings: RFC 8428, in any encoding.

Base fields apply from their record on.  A time below 2**28 s is relative to the receipt, an absent
time is the receipt.  A name with two units at one time becomes `name` and `name#unit`.  `s` is the
sum over time, in unit times seconds: a register. It takes the record's name if that has no value,
and `name#sum` otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import msgspec

from ingest.errors import PayloadError
from ingest.reading import Stated, wire_time

VERSION = 10
RELATIVE_S = 2**28
MAX_S = 10**11
_TIMES_SECONDS = {"W": "J", "kW": "kJ", "L/s": "L", "l/s": "L", "m3/s": "m3", "m/s": "m", "A": "C"}
Number = float | str | bool | None


class Record(msgspec.Struct, gc=False):
    """One record, with the labels of the JSON encoding."""

    bn: str | None = None
    bt: Number = None
    bu: str | None = None
    bv: Number = None
    bs: Number = None
    bver: Number = None
    n: str = ""
    u: str | None = None
    v: Number = None
    vs: str | None = None
    vb: bool | None = None
    vd: Any = None
    s: Number = None
    t: Number = None
    ut: Number = None


class _Pack:
    """State while resolving a pack: current base fields, and readings by time."""

    def __init__(self, received_us: int) -> None:
        self.received_us = received_us
        self.name, self.unit = "", None  # type: str, str | None
        self.time = self.value = self.sum = 0.0
        self.times: dict[float, _Draft] = {}

    def at(self, seconds: float) -> _Draft:
        draft = self.times.get(seconds)
        if draft is None:
            draft = self.times[seconds] = _Draft(_time_us(seconds, self.received_us))
        return draft


class _Draft:
    """Values of one time, while a pack is resolved."""

    __slots__ = ("refused", "time_us", "units", "values")

    def __init__(self, time_us: int) -> None:
        self.time_us = time_us
        self.values: dict[str, float | None] = {}
        self.units: dict[str, str | None] = {}
        self.refused: list[tuple[str, str]] = []

    def add(self, name: str, unit: str | None, value: float) -> None:
        if name in self.values and unit != self.units[name]:
            name = f"{name}#{unit}"  # one thing may be sent in several units: RFC 8428, 5.1.3
        if name in self.values:
            if self.values[name] != value:
                self.values[name] = None  # which of them is meant is a guess
                self.refuse(
                    "channel_twice", f"{name!r:.80} appears twice at one time; send it once"
                )
        elif not isfinite(value):
            self.refuse("not_finite", f"{name!r:.80} is {value}; omit the record")
        else:
            self.values[name] = value
            self.units[name] = unit

    def refuse(self, reason: str, detail: str) -> None:
        self.refused.append((reason, detail))


def resolve(records: Sequence[Record], received_us: int) -> list[Stated]:
    """
    Return the readings of a pack, one per time, in order of first occurrence.

    Parameters
    ----------
    records : sequence of Record
    received_us : int
        Time of receipt, to which relative times refer. [us UTC]

    Raises
    ------
    PayloadError
        `version_unknown`, `time_invalid` or `not_a_number` in a base field.
    """
    pack = _Pack(received_us)
    here: _Draft | None = None
    prefix, unit, offset = pack.name, pack.unit, pack.value
    for i, record in enumerate(records):
        based = (
            record.bn is not None
            or record.bt is not None
            or record.bu is not None
            or record.bv is not None
            or record.bs is not None
            or record.bver is not None
        )
        if based:
            here = None
            _base(pack, record, i)
            prefix, unit, offset = pack.name, pack.unit, pack.value
            if record.n == "" and _is_bare(record):
                continue
        value = record.v
        if type(value) is float and record.t is None and record.s is None:
            # nearly every record: a value at the base time
            here = here or pack.at(pack.time)
            name, value = prefix + record.n, offset + value
            if name in here.values or not isfinite(value):
                here.add(name, record.u or unit, value)
            else:
                here.values[name] = value
                here.units[name] = record.u or unit
        else:
            _add(pack, record, i)
    return [
        Stated(wire_time(d.time_us), d.values, None, tuple(d.units.values()), tuple(d.refused))
        for d in pack.times.values()
    ]


def _base(pack: _Pack, record: Record, i: int) -> None:
    """Take over base fields."""
    if record.bn is not None:
        pack.name = record.bn
    if record.bu is not None:
        pack.unit = record.bu
    if record.bt is not None:
        pack.time = _number(record.bt, "bt", i)
    if record.bv is not None:
        pack.value = _number(record.bv, "bv", i)
    if record.bs is not None:
        pack.sum = _number(record.bs, "bs", i)
    if record.bver is not None and _number(record.bver, "bver", i) > VERSION:
        raise PayloadError(
            "version_unknown", f"record {i}: bver is {record.bver}; send SenML version {VERSION}"
        )


def _is_bare(record: Record) -> bool:
    return (
        record.v is None
        and record.s is None
        and record.vs is None
        and record.vb is None
        and record.vd is None
    )


def _add(pack: _Pack, record: Record, i: int) -> None:
    t = record.t
    draft = pack.at(pack.time if t is None else pack.time + _number(t, "t", i))
    name, unit = pack.name + record.n, record.u or pack.unit
    value, total = record.v, record.s
    if type(value) is float:
        draft.add(name, unit, pack.value + value)
    elif value is not None:
        draft.refuse("not_a_number", f"record {i}: v of {name!r:.80} is {value!r:.40}")
    elif record.vb is not None:
        draft.add(name, unit, float(record.vb))
    elif record.vs is not None or record.vd is not None:
        draft.refuse("not_a_number", f"record {i}: {name!r:.80} is text or data, not a quantity")
    elif total is None:
        draft.refuse("value_missing", f"record {i}: {name!r:.80} has no value and no sum")
    if total is not None:
        own = name if _is_bare_value(record) else f"{name}#sum"
        draft.add(own, _integrated(unit), pack.sum + _number(total, "s", i))


def _is_bare_value(record: Record) -> bool:
    return record.v is None and record.vb is None and record.vs is None and record.vd is None


def _integrated(unit: str | None) -> str | None:
    return None if unit is None else _TIMES_SECONDS.get(unit, f"{unit}.s")


def _number(value: Number, label: str, i: int) -> float:
    if type(value) is float and isfinite(value):
        return value
    raise PayloadError("not_a_number", f"record {i}: {label} is {value!r:.40}; send a number")


def _time_us(seconds: float, received_us: int) -> int:
    if not -RELATIVE_S < seconds < MAX_S:
        raise PayloadError(
            "time_invalid", f"t {seconds!r} s is not a time; send seconds since 1970"
        )
    us = round(seconds * 1e6)
    return received_us + us if seconds < RELATIVE_S else us

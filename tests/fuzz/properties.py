"""Properties that must hold for every payload."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from ingest import classes, profiles
from ingest import decode as encodings
from ingest.decode import decode
from ingest.errors import PayloadError
from ingest.model import NULL, Device, Fleet
from ingest.reading import Reading, Registers, Row, Stated
from tests.fuzz import sparkplug, truth
from tests.ingest.codecs.cases import cases

RECEIVED_US = 1_767_225_600_000_000
BASE_S, BYTE_S = 0.1, 20e-6
CODECS = {codec.name: codec for codec in encodings.CODECS}
NAMES = (*CODECS, sparkplug.NAME)
PROFILES = {name: (held[0]["class"], held[0]["profile"]) for name, held in cases().items()}


class SlowError(AssertionError):
    """A payload took more processor time than its size allows."""


class WrongError(AssertionError):
    """A reading, or a column, violates a property."""


def judge(codec: str, payload: bytes) -> bool:
    """
    Decode one payload; return True if it was read, False if it was rejected.

    Any result other than readings or a `PayloadError` is raised, as it would have stopped the
    pipeline.
    """
    most = BASE_S + BYTE_S * len(payload)
    taken, found = _timed(codec, payload)
    if taken > most:  # once may be the collector's
        taken = min(_timed(codec, payload)[0] for _ in range(3))
        if taken > most:
            raise SlowError(f"{codec}: {taken:.3f} s for {len(payload)} bytes")
    if found is None or isinstance(found, bool):
        return bool(found)
    truth.check(codec, payload, [v for reading in found for v in _values(codec, reading)])
    return True


def _timed(codec: str, payload: bytes) -> tuple[float, Sequence[Reading] | bool | None]:
    """Return processor time and result of a decoding; None if it was rejected."""
    began = time.thread_time()
    found: Sequence[Reading] | bool | None = None
    with suppress(PayloadError):
        if codec == sparkplug.NAME:
            found = sparkplug.judge(payload)
        else:
            found = CODECS[codec].decode(payload, RECEIVED_US)
    return time.thread_time() - began, found


def _values(codec: str, reading: Reading) -> list[float]:
    if isinstance(reading, Row):
        reading = reading.stated()
    elif isinstance(reading, Registers):
        reading = profiles.read_registers(reading, profiles.load()[PROFILES[codec]])
        return [float(v) for v in reading.values.values() if v is not None]
    if isinstance(reading, Stated) and len(reading.units) not in (0, len(reading.values)):
        raise WrongError(f"{codec}: {len(reading.units)} units, {len(reading.values)} values")
    if any(type(v) is not float for v in reading.values.values() if v is not None):
        raise WrongError(f"{codec}: a value is not a plain float")
    return [v for v in reading.values.values() if v is not None]


def judge_together(codec: str, payloads: Sequence[bytes]) -> int:
    """
    Decode payloads as one batch into columns; return the number of rows.

    Sparkplug payloads are not combined, as their readings depend on a node's whole session.
    """
    if codec == sparkplug.NAME:
        return 0
    device_class, profile = PROFILES[codec]
    fleet = Fleet([Device("d", "s", device_class, profile=profile)])
    kinds = [CODECS[codec].content_types[0]] * len(payloads)
    out = decode(fleet, lambda _: 0, ["d"] * len(payloads), payloads, kinds, RECEIVED_US)
    for frame in out.frames:
        for channel in classes.load()[frame.class_id].registers:
            column = frame.columns[channel.name]
            if ((column != NULL) & ((column < 0) | (column >= 2**53))).any():
                raise WrongError(f"{codec}: {channel.name} is no register")
    return sum(map(len, out.frames))

"""
Signed batches (COSE_Sign1) as text, and the registers in their messages.

A batch is written as base64 where bytes cannot be sent; `ingest.codecs.cose_sign1` has its layout.
The device's profile names the registers of a message.  This file needs cbor2, so it is imported
only when a batch is read: statements without a batch are verified without that library.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterator
from decimal import Decimal

from ingest import classes, columns, profiles
from ingest.codecs import cose_sign1
from ingest.codecs.cose_sign1 import Batch
from ingest.columns import Bucket
from ingest.errors import InputError
from ingest.model import NULL, Device
from ingest.reading import Reading, Registers, Row, Stated, time_us
from mrv.errors import SignedValueError

_LONGEST = 1_000_000


def texts(data: bytes) -> list[str]:
    """
    Return the batches of a file of bytes, each as base64.

    Raises SignedValueError if it is not CBOR.
    """
    try:
        return [b64encode(part).decode() for part in cose_sign1.split(data)]
    except InputError as error:
        raise SignedValueError(f"{error}, or download the file again") from error


def read(text: str) -> Batch:
    """
    Return the batch from its base64; nothing is verified.

    Raises SignedValueError if it is incomplete, or a field has another form.
    """
    try:
        if len(text) > _LONGEST:
            raise SignedValueError(
                f"it has {len(text)} characters, at most {_LONGEST} are read; send smaller batches"
            )
        return cose_sign1.read(b64decode(text, validate=True))
    except (InputError, binascii.Error) as error:
        raise SignedValueError(
            f"not a whole signed batch: {error}, or download it again"
        ) from error


def registers(batch: Batch, device: Device) -> list[tuple[int, str, Decimal]]:
    """
    Return registers of a device in a batch: time [us UTC], channel, value [base unit].

    Raises SignedValueError if its messages cannot be read.
    """
    try:
        readings = cose_sign1.readings(batch, batch.at_ms * 1_000)
        return [register for reading in readings for register in _registers(reading, device)]
    except InputError as error:
        raise SignedValueError(
            f"its messages cannot be read: {error}; obtain the batch again from the gateway"
        ) from error


def _registers(reading: Reading, device: Device) -> Iterator[tuple[int, str, Decimal]]:
    class_id, profile = device.class_id, device.profile
    if isinstance(reading, Registers):
        reading = profiles.read_registers(reading, profiles.load()[class_id, profile])
    elif isinstance(reading, Row):
        reading = reading.stated()
    units = reading.units if isinstance(reading, Stated) else ()
    at = time_us(reading.ts)
    bucket = Bucket(class_id, profile, tuple(reading.values), units, [0], [at], [0], [0])
    bucket.add(reading.values.values())
    known = columns.convert(bucket).columns
    for channel in classes.load()[class_id].registers:
        if channel.name in known:
            value = int(known[channel.name][0])
            if value not in (NULL, columns.UNUSABLE):
                yield at, channel.name, Decimal(value)

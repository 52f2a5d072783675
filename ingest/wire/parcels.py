"""A Kafka record of any schema that we know, to a parcel."""

from __future__ import annotations

import struct

from ingest.model import Fleet
from ingest.wire import arrow_tables, packed_columns
from ingest.wire.frames import WireError, unseal
from ingest.wire.record_batch import Parcel

_READERS = {1: arrow_tables.decode, 2: packed_columns.decode}


def decode(record: bytes, fleet: Fleet) -> Parcel:
    """
    Read a record; rows of devices that `fleet` does not hold become refusals.

    Raises
    ------
    WireError
        When the record is no whole parcel of a schema that we know.
    """
    schema, content = unseal(record)
    try:
        return _READERS[schema](content, fleet)
    except WireError:
        raise
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        OSError,
        MemoryError,
        NotImplementedError,
        struct.error,
    ) as error:
        # the digest was right, so a foreign hand wrote it
        raise WireError("foreign_record", f"no parcel: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

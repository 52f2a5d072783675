"""
Parcels: messages of one Kafka partition from bridge to worker.

A parcel is what `admit` made of some messages, and the messages themselves: a
conflict is found only beside the stored rows, and its dead letter needs the
bytes.  Devices travel by name, since a worker may hold another version of the
registry than the bridge.
"""

from ingest.wire.frames import SCHEMA, WireError
from ingest.wire.packed_columns import encode
from ingest.wire.parcels import decode
from ingest.wire.record_batch import Parcel, join, partition_of, sort

__all__ = ["SCHEMA", "Parcel", "WireError", "decode", "encode", "join", "partition_of", "sort"]

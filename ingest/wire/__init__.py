"""
Parcels: messages of one Kafka partition from bridge to worker.

A parcel has accepted readings and the messages themselves, since a conflict is found only against
stored rows and its dead letter needs the bytes.  Devices are named by id, as the worker may have
another registry version.
"""

from ingest.wire.packed_columns import decode, encode
from ingest.wire.record_batch import SCHEMA, Parcel, WireError, join, partition_of, sort

__all__ = ["SCHEMA", "Parcel", "WireError", "decode", "encode", "join", "partition_of", "sort"]

"""Messages of a Sparkplug host: the rebirth command (NCMD), and STATE."""

from __future__ import annotations

import json
import time
from typing import Any

from ingest.codecs.sparkplug_b import REBIRTH
from ingest.formats import sparkplug_b_pb2
from ingest.formats.sparkplug_values import BOOLEAN

_payload: Any = sparkplug_b_pb2


def rebirth() -> bytes:
    """Return the payload of a command that asks a node for its births."""
    payload = _payload.Payload(timestamp=time.time_ns() // 1_000_000)
    payload.metrics.add(
        name=REBIRTH, timestamp=payload.timestamp, datatype=BOOLEAN, boolean_value=True
    )
    return bytes(payload.SerializeToString())


def host_state(*, online: bool, timestamp_ms: int) -> bytes:
    """Return the payload of a host's STATE message."""
    return json.dumps({"online": online, "timestamp": timestamp_ms}).encode()

"""
Simulated Sparkplug B edge node: births, data by alias, will, and rebirth on command.

JSON readings become NDATA or DDATA with the next sequence number; a repeated message gets a new
number, as on a real node.  Data are sent at QoS 1 instead of the specified QoS 0, so that no
message is lost.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ingest import profiles
from ingest.codecs.sparkplug_b import BD_SEQ, REBIRTH
from ingest.formats import sparkplug_b_pb2
from ingest.formats.sparkplug import BOOLEAN, DOUBLE, INT64, STRING
from ingest.sparkplug import PREFIX
from services.simulator import Device, Outgoing

_pb: Any = sparkplug_b_pb2
_SEQ = 256


class _Reading(msgspec.Struct):
    """Reading as encoded by `flow.py`."""

    ts: int
    values: dict[str, float]


_decode = msgspec.json.Decoder(_Reading | list[_Reading]).decode


class EdgeNode:
    """
    Sparkplug edge node and the devices behind it.

    `group`, `name`: group and edge node name in the topics.
    `devices`: all devices of this node, possibly including the node itself.
    """

    def __init__(self, group: str, name: str, devices: Sequence[Device]) -> None:
        self._group, self._name = group, name
        self._bd_seq, self._seq = -1, 0
        self._metrics: dict[str, dict[str, tuple[int, str]]] = {}
        alias = 0
        for device in devices:
            model = profiles.load()[device.device_class, device.profile].channels
            named = self._metrics.setdefault("" if device.id == name else device.id, {})
            for path, source in model.items():
                alias += 1
                named[path] = (alias, source.unit)
        self._last: dict[str, dict[str, float]] = {device: {} for device in self._metrics}

    def _topic(self, kind: str, device: str = "") -> str:
        return f"{PREFIX}{self._group}/{kind}/{self._name}" + (f"/{device}" if device else "")

    @property
    def command_topic(self) -> str:
        """Return the topic of the node's commands."""
        return self._topic("NCMD")

    def connecting(self) -> tuple[str, bytes]:
        """Return topic and payload of the will for a new connection."""
        self._bd_seq = (self._bd_seq + 1) % _SEQ
        payload = _pb.Payload()
        _add(payload, BD_SEQ, INT64, self._bd_seq)
        return self._topic("NDEATH"), payload.SerializeToString()

    def births(self) -> Iterator[tuple[str, bytes]]:
        """Yield topic and payload of the births of node and devices, with their latest values."""
        self._seq = 0
        payload = self._payload()
        _add(payload, BD_SEQ, INT64, self._bd_seq)
        _add(payload, REBIRTH, BOOLEAN, value=False)
        self._declare(payload, "")
        yield self._topic("NBIRTH"), payload.SerializeToString()
        for device in self._metrics:
            if device:
                payload = self._payload()
                self._declare(payload, device)
                yield self._topic("DBIRTH", device), payload.SerializeToString()

    def _declare(self, payload: Any, device: str) -> None:
        for name, (alias, unit) in self._metrics.get(device, {}).items():
            metric = _add(payload, name, DOUBLE, self._last[device].get(name))
            metric.alias = alias
            metric.properties.keys.append("engUnit")
            metric.properties.values.add(type=STRING, string_value=unit)

    def data(self, message: Outgoing) -> tuple[str, bytes]:
        """Return topic and payload of a reading as Sparkplug data; other messages are unchanged."""
        device = "" if message.device_id == self._name else message.device_id
        topic = self._topic("DDATA" if device else "NDATA", device)
        try:
            decoded = _decode(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return topic, message.payload
        payload = self._payload()
        several = decoded if isinstance(decoded, list) else [decoded]
        for reading in several:
            for name, value in reading.values.items():
                self._say(payload, device, name, value, reading.ts, late=len(several) > 1)
        return topic, payload.SerializeToString()

    def _say(
        self, payload: Any, device: str, name: str, value: float, ts: int, *, late: bool
    ) -> None:
        metric = payload.metrics.add(timestamp=ts, double_value=value)
        known = self._metrics[device].get(name)
        if known is None:
            metric.name = name
        else:
            metric.alias = known[0]
        if late:
            metric.is_historical = True
        else:
            self._last[device][name] = value

    def is_rebirth(self, payload: bytes) -> bool:
        """Return whether a command requests the births."""
        try:
            command = _pb.Payload.FromString(payload)
        except Exception:  # noqa: BLE001 (protobuf's own error; a stranger's bytes command nothing)
            return False
        return any(m.name == REBIRTH and m.boolean_value for m in command.metrics)

    def _payload(self) -> Any:
        payload = _pb.Payload(timestamp=time.time_ns() // 1_000_000, seq=self._seq)
        self._seq = (self._seq + 1) % _SEQ
        return payload


def _add(payload: Any, name: str, datatype: int, value: float | None) -> Any:
    metric = payload.metrics.add(name=name, datatype=datatype, timestamp=payload.timestamp)
    if value is None:
        metric.is_null = True
    elif datatype == BOOLEAN:
        metric.boolean_value = bool(value)
    elif datatype == INT64:
        metric.long_value = int(value)
    else:
        metric.double_value = value
    return metric

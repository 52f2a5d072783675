"""
MQTT client based on paho-mqtt, with buffered reads and PUBLISH packets parsed in bulk.

paho reads a few bytes per system call and creates an object per message.  Here one read fills a
buffer, a PUBLISH becomes a row of columns, and other packets are passed to paho unchanged.  The
overridden method and attributes are those of paho 2.1 to 2.2; pyproject limits the version. Packet
layout: OASIS MQTT 5.0, sections 2.1 and 3.3.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client, time_func
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


@dataclass(slots=True)
class Inbox:
    """
    Columns of messages of one connection epoch.

    A PUBACK is only valid on the connection that delivered the message, so an inbox can be
    acknowledged only during its epoch.  `size`: bytes of all payloads.
    """

    epoch: int
    topics: list[str] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    content_types: list[str | None] = field(default_factory=list)
    mids: list[int] = field(default_factory=list)
    repeated: list[bool] = field(default_factory=list)
    received_us: int = 0
    size: int = 0

    def __len__(self) -> int:
        return len(self.mids)

    def first(self, count: int, size: int) -> int:
        """
        Return the number of messages to take: at most `count`, at least one.

        Their payloads together have at most `size` bytes, unless a single one has more.
        """
        if self.size <= size:
            return min(count, len(self))
        total = 0
        for number, payload in enumerate(self.payloads[:count]):
            total += len(payload)
            if total > size:
                return max(number, 1)
        return min(count, len(self))

    def cut(self, count: int) -> Inbox:
        """Remove the first messages and return them as an inbox."""
        taken = Inbox(
            self.epoch,
            self.topics[:count],
            self.payloads[:count],
            self.content_types[:count],
            self.mids[:count],
            self.repeated[:count],
        )
        taken.size = sum(map(len, taken.payloads))
        self.size -= taken.size
        del self.topics[:count], self.payloads[:count], self.content_types[:count]
        del self.mids[:count], self.repeated[:count]
        return taken

    def part(self, rows: list[int]) -> Inbox:
        """Remove the messages of these rows and return them as an inbox."""
        columns = (self.topics, self.payloads, self.content_types, self.mids, self.repeated)
        taken = Inbox(self.epoch, *([column[i] for i in rows] for column in columns))  # type: ignore[arg-type]
        taken.received_us = self.received_us
        taken.size = sum(map(len, taken.payloads))
        self.size -= taken.size
        for column in columns:
            for i in reversed(rows):
                del column[i]
        return taken


READ_BYTES = 262_144
_PUBLISH, _PUBACK = 0x30, 0x40
_QOS = 0x06
_DUP = 0x08
_CACHED = 4_096
_DISCONNECT = b"\xe0\x00"


class BufferedClient(Client):
    """MQTT 5 client that puts its messages into an `Inbox`, unacknowledged."""

    def __init__(self, client_id: str, inbox: Inbox) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        self.inbox = inbox
        self._buffer = bytearray()
        self._content_types: dict[bytes, str | None] = {b"": None}

    def forget_partial(self) -> None:
        """Discard the incomplete packet of the last connection."""
        self._buffer.clear()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """
        Read the available bytes once, and process each complete packet.

        Returns: paho's result code.
        """
        del max_packets
        if self._sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        try:
            data = self._sock_recv(READ_BYTES)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        if not data:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        self._last_bytes_received = time_func()
        self._buffer += data
        rc = self._frames()
        return rc if rc == MQTTErrorCode.MQTT_ERR_SUCCESS else self._loop_rc_handle(rc)

    def _frames(self) -> MQTTErrorCode:
        """Process the complete packets in the buffer, and keep the rest."""
        data = bytes(self._buffer)
        at, end = 0, len(data)
        while end - at >= 2:  # noqa: PLR2004 (a command and one length byte)
            length = data[at + 1]
            if length < 0x80:  # noqa: PLR2004 (the continuation bit)
                body = at + 2
            elif end - at > 2 and data[at + 2] < 0x80:  # noqa: PLR2004 (nearly every message)
                body, length = at + 3, length & 0x7F | data[at + 2] << 7
            else:
                body, length = _remaining(data, at + 1, end)
            if body < 0:
                break
            if body == 0:
                return MQTTErrorCode.MQTT_ERR_PROTOCOL
            if body + length > end:
                break
            command = data[at]
            at = body + length
            if command & 0xF0 == _PUBLISH:
                self._publish(command, data, body, at)
                continue
            rc = self._other(command, data[body:at])
            if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return rc
            if self._sock is None:
                return MQTTErrorCode.MQTT_ERR_NO_CONN
        del self._buffer[:at]
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _publish(self, command: int, data: bytes, body: int, end: int) -> None:
        at = body + 2 + (data[body] << 8 | data[body + 1])
        topic = data[body + 2 : at].decode("utf-8", "replace")
        mid = 0
        if command & _QOS:
            mid = data[at] << 8 | data[at + 1]
            at += 2
        start, length = at + 1, data[at]
        if length & 0x80:
            start, length = _remaining(data, at, end)
        payload = start + length
        inbox = self.inbox
        inbox.topics.append(topic)
        inbox.payloads.append(data[payload:end])
        inbox.size += end - payload
        inbox.mids.append(mid)
        inbox.repeated.append(command & _DUP != 0)
        inbox.content_types.append(self._content_type(data[at:payload]) if length else None)

    def _content_type(self, packed: bytes) -> str | None:
        known = self._content_types.get(packed)
        if known is None and packed not in self._content_types:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.unpack(packed)  # type: ignore[no-untyped-call]
            known = getattr(properties, "ContentType", None)
            if len(self._content_types) < _CACHED:
                self._content_types[packed] = known
        return known

    def _other(self, command: int, body: bytes) -> MQTTErrorCode:
        self._in_packet = {
            "command": command,
            "have_remaining": 1,
            "remaining_count": [],
            "remaining_mult": 1,
            "remaining_length": len(body),
            "packet": bytearray(body),
            "to_process": 0,
            "pos": 0,
        }
        rc = self._packet_handle()
        self._in_packet["command"] = 0
        return rc

    def leave(self, patience_s: float) -> bool:
        """
        Disconnect, and read until the broker closes the connection.

        Closing with unread data would reset the connection, and the broker would lose
        acknowledgements in transit.

        Returns: whether the broker closed the connection and so has read every acknowledgement;
        otherwise it may deliver acknowledged messages again.
        """
        sock: Any = self._sock  # paho's type has no settimeout
        if sock is None:
            return False
        closed = False
        with contextlib.suppress(OSError):
            sock.settimeout(patience_s)
            sock.send(_DISCONNECT)
            while sock.recv(READ_BYTES):
                pass
            closed = True
        self._sock_close()
        return closed

    def puback(self, mids: list[int]) -> None:
        """Acknowledge messages of this connection in one write; QoS 0 (mid 0) needs none."""
        mids = [mid for mid in mids if mid]
        if not mids:
            return
        packet = bytearray(4 * len(mids))
        packet[0::4] = bytes([_PUBACK]) * len(mids)
        packet[1::4] = b"\x02" * len(mids)
        packet[2::4] = bytes([mid >> 8 for mid in mids])
        packet[3::4] = bytes([mid & 0xFF for mid in mids])
        self._packet_queue(_PUBACK, packet, mids[-1], 1)

    def publish_many(self, messages: list[tuple[str, bytes]]) -> None:
        """Publish at QoS 0, in one write."""
        packets = bytearray()
        for topic, payload in messages:
            name = topic.encode()
            length = 2 + len(name) + 1 + len(payload)
            packets += bytes([_PUBLISH]) + _packed(length)
            packets += len(name).to_bytes(2, "big") + name + b"\x00" + payload
        # paho uses the command only after sending, and not for a PUBACK
        self._packet_queue(_PUBACK, packets, 0, 0)


def _remaining(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return start and length of a packet's content; start -1 if incomplete, 0 if invalid."""
    length, shift = 0, 0
    for i in range(at, min(at + 4, end)):
        length |= (data[i] & 0x7F) << shift
        if data[i] < 0x80:  # noqa: PLR2004 (the continuation bit)
            return i + 1, length
        shift += 7
    return (0, 0) if end - at >= 4 else (-1, 0)  # noqa: PLR2004 (at most four bytes)


def _packed(length: int) -> bytes:
    out = bytearray()
    while True:
        length, digit = divmod(length, 128)
        out.append(digit | 0x80 if length else digit)
        if not length:
            return bytes(out)

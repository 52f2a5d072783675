"""MQTT 5 in as few steps as will do: one principal's connection, and what it sends."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

CONNACK, PUBLISH, PUBACK, SUBACK = 0x20, 0x30, 0x40, 0x90
_KEEP_ALIVE = 300


class Principal:
    """
    One principal's connection.

    `waiting` holds when each reading was sent that has no receipt; `unsent` what the
    socket did not take yet, `held` what came of a packet that is not whole.
    """

    __slots__ = ("held", "name", "ready", "safe", "socket", "topic", "unsent", "waiting")

    def __init__(self, name: str, found: ssl.SSLSocket) -> None:
        self.name, self.socket = name, found
        self.topic = f"tonne/v1/{name}/telemetry"
        self.held, self.unsent = b"", b""
        self.safe = self.ready = False
        self.waiting: dict[int, float] = {}

    def send(self, packet: bytes) -> bool:
        """Send, as far as the socket takes it; False where it is gone."""
        self.unsent += packet
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError:
            return False
        return True

    def packets(self) -> Iterator[tuple[int, bytes]]:
        """Yield what came: the kind of each packet and its body; OSError where it is gone."""
        try:
            while True:
                data = self.socket.recv(16_384)
                if not data:
                    raise ConnectionError("closed")
                self.held += data
        except ssl.SSLWantReadError:
            pass
        while len(self.held) > 1:
            length, at = 0, 1
            while True:
                if at >= len(self.held):
                    return
                byte = self.held[at]
                length |= (byte & 127) << 7 * (at - 1)
                at += 1
                if byte < 128:
                    break
            if len(self.held) < at + length:
                return
            kind, body = self.held[0] & 0xF0, self.held[at : at + length]
            self.held = self.held[at + length :]
            yield kind, body


def reading(k: int, ts: int, phase: int = 0) -> bytes:
    """
    Twelve channels, as an inverter sends them that counts whole kilowatt-hours.

    Its register rises with each tenth reading; `phase` says with which, for those of a
    fleet do not all rise at one moment.
    """
    kw = 20 + k % 60
    return (
        b'{"ts":%d,"id":%d,"values":{"energy_export_kwh":%d.125,"energy_import_kwh":10.5,'
        b'"active_power_kw":%d.125,"irradiance_w_m2":801.5,"module_temperature_c":45.25,'
        b'"dc_power_kw":%d.5,"dc_voltage_v":712.5,"dc_current_a":61.25,"voltage_v":401.5,'
        b'"frequency_hz":50.01,"inverter_temperature_c":51.5,"state":4}}'
        % (ts, k, 1_000 + (k + phase) // 10, kw, kw + 1)
    )


def connecting(name: str) -> bytes:
    """Return CONNECT, clean, under a name."""
    return _packet(
        0x10, _text("MQTT") + b"\x05\x02" + _KEEP_ALIVE.to_bytes(2, "big") + b"\x00" + _text(name)
    )


def subscribing(topic: str) -> bytes:
    """Return SUBSCRIBE at QoS 0."""
    return _packet(0x82, b"\x00\x01\x00" + _text(topic) + b"\x00")


def publishing(topic: str, number: int, payload: bytes) -> bytes:
    """Return PUBLISH at QoS 1."""
    return _packet(0x32, _text(topic) + number.to_bytes(2, "big") + b"\x00" + payload)


def _packet(kind: int, body: bytes) -> bytes:
    length, head = len(body), bytearray([kind])
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def _text(word: str) -> bytes:
    return len(word).to_bytes(2, "big") + word.encode()

"""
Thousands of principals in one process: each its own TLS connection, certificate and name.

Lean on purpose, because it shares two cores with what it measures: raw MQTT 5 packets
over non-blocking sockets, one selector, no thread.  Each principal hears its receipts.
"""

from __future__ import annotations

import gc
import re
import selectors
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from ingest.mqtt.tls import CA, CERTIFICATE, KEY

FORGED_ID = 65_535
FORGED_MS = 1_735_689_600_000  # 2025-01-01: no true reading of a run is of then
NOT_AUTHORIZED = 0x87
_SHAKING = 24  # handshakes at a time
_PATIENCE_S = 60.0
_KEEP_ALIVE = 300
_IDS = re.compile(rb'"ids":\[([0-9,]*)\]')
_CONNACK, _PUBLISH, _PUBACK, _SUBACK = 0x20, 0x30, 0x40, 0x90


@dataclass(frozen=True, slots=True)
class Task:
    """
    What one process does.

    `others` names whom each forges; `every_s` is its cadence, `rounds` how many
    readings each sends.
    """

    port: int
    devices: Path
    names: tuple[str, ...]
    others: tuple[str, ...]
    every_s: float
    rounds: int
    forged: int


@dataclass(slots=True)
class Told:
    """What came of it."""

    connected: int = 0
    connect_s: float = 0.0
    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    receipted: int = 0
    forged: int = 0
    forged_refused: int = 0
    forged_taken: int = 0
    lost_connections: int = 0
    receipt_s: list[float] = field(default_factory=list)
    processor_s: float = 0.0


class _Principal:
    """One connection."""

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


class Crowd:
    """The principals of one process."""

    def __init__(self, task: Task) -> None:
        self._task, self.told = task, Told()
        self._selector = selectors.EpollSelector()
        self._context = ssl.create_default_context(cafile=str(task.devices / task.names[0] / CA))
        self._all: list[_Principal] = []

    def connect(self) -> None:
        """Bring all in, a few handshakes at a time; each subscribes to its receipts."""
        began = time.monotonic()
        shaking: set[_Principal] = set()
        names = iter(self._task.names)
        while len(self._all) < len(self._task.names) or any(not p.ready for p in shaking):
            while len(shaking) < _SHAKING and (name := next(names, None)) is not None:
                shaking.add(self._new(name))
            for key, _ in self._selector.select(1.0):
                self._shake(key.data)
            shaking = {p for p in shaking if not p.ready}
            if time.monotonic() - began > 10 + len(self._task.names) / 20:
                raise TimeoutError(f"{self.told.connected} of {len(self._task.names)} connected")
        self.told.connect_s = time.monotonic() - began

    def _new(self, name: str) -> _Principal:
        folder = self._task.devices / name
        self._context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
        plain = socket.create_connection(("127.0.0.1", self._task.port), timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setblocking(False)
        safe = self._context.wrap_socket(
            plain, server_hostname="127.0.0.1", do_handshake_on_connect=False
        )
        found = _Principal(name, safe)
        self._all.append(found)
        self._selector.register(safe, selectors.EVENT_READ, found)
        self._shake(found)
        return found

    def _shake(self, one: _Principal) -> None:
        """Go on with a handshake; once it is done connect, then subscribe."""
        if not one.safe:
            try:
                one.socket.do_handshake()
            except ssl.SSLWantReadError:
                return
            one.safe = True
            one.send(_connect(one.name))
        for kind, body in one.packets():
            if kind == _CONNACK:
                if body[1]:
                    raise ConnectionError(f"{one.name}: refused at connection, {body[1]:#x}")
                one.send(_subscribe(f"tonne/v1/{one.name}/receipt"))
            elif kind == _SUBACK:
                if body[-1] > 2:
                    raise ConnectionError(f"{one.name}: its receipts are refused")
                one.ready = True
                self.told.connected += 1

    def speak(self, start: float) -> None:
        """Send every principal's readings, spread over the cadence; forge on the way."""
        task, count = self._task, len(self._all)
        began = time.process_time()
        step, total = task.every_s / count, count * task.rounds
        forge_at = set(range(total // 2, total // 2 + task.forged))
        for n in range(total):
            due = start + n * step
            while (now := time.monotonic()) < due:
                self._hear(min(due - now, 0.02))
            one, k = self._all[n % count], n // count
            self._say(one, k, now)
            if n in forge_at:
                self._forge(one, task.others[n % count])
            if n % 32 == 0:
                self._hear(0.0)
        self._settle()
        self.told.processor_s = time.process_time() - began

    def _settle(self) -> None:
        end = time.monotonic() + _PATIENCE_S
        told = self.told
        while time.monotonic() < end and (
            told.receipted < told.sent or told.forged_refused + told.forged_taken < told.forged
        ):
            self._hear(0.05)

    def _say(self, one: _Principal, k: int, now: float) -> None:
        one.waiting[k] = now
        self.told.sent += 1
        self._send(
            one, _publish(one.topic, 1 + k % 60_000, reading(k, time.time_ns() // 1_000_000))
        )

    def _forge(self, one: _Principal, other: str) -> None:
        self.told.forged += 1
        self._send(one, _publish(f"tonne/v1/{other}/telemetry", FORGED_ID, reading(0, FORGED_MS)))

    def _send(self, one: _Principal, packet: bytes) -> None:
        if not one.send(packet):
            self._drop(one)
        elif one.unsent:
            self._selector.modify(one.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, one)

    def _drop(self, one: _Principal) -> None:
        self.told.lost_connections += 1
        try:
            self._selector.unregister(one.socket)
        except KeyError:
            return
        one.socket.close()

    def _hear(self, wait_s: float) -> None:
        for key, events in self._selector.select(wait_s):
            one = key.data
            if events & selectors.EVENT_WRITE and one.send(b"") and not one.unsent:
                self._selector.modify(one.socket, selectors.EVENT_READ, one)
            try:
                for kind, body in one.packets():
                    self._take(one, kind, body)
            except OSError:
                self._drop(one)

    def _take(self, one: _Principal, kind: int, body: bytes) -> None:
        told = self.told
        if kind == _PUBACK:
            reason = body[2] if len(body) > 2 else 0
            if body[:2] == b"\xff\xff":
                told.forged_refused += reason == NOT_AUTHORIZED
                told.forged_taken += reason != NOT_AUTHORIZED
            else:
                told.acknowledged += reason < 0x80
                told.refused += reason >= 0x80
        elif kind == _PUBLISH and (found := _IDS.search(body)):
            now = time.monotonic()
            for word in found[1].split(b","):
                since = one.waiting.pop(int(word), None) if word else None
                if since is not None:
                    told.receipted += 1
                    told.receipt_s.append(now - since)

    def leave(self) -> None:
        """Disconnect."""
        for one in self._all:
            one.send(b"\xe0\x00")
            one.socket.close()


def reading(k: int, ts: int) -> bytes:
    """Twelve channels, as an inverter sends them."""
    kw = 20 + k % 60
    return (
        b'{"ts":%d,"id":%d,"values":{"energy_export_kwh":%d.125,"energy_import_kwh":10.5,'
        b'"active_power_kw":%d.125,"irradiance_w_m2":801.5,"module_temperature_c":45.25,'
        b'"dc_power_kw":%d.5,"dc_voltage_v":712.5,"dc_current_a":61.25,"voltage_v":401.5,'
        b'"frequency_hz":50.01,"inverter_temperature_c":51.5,"state":4}}'
        % (ts, k, 1_000 + k // 10, kw, kw + 1)
    )


def work(task: Task, pipe: Pipe) -> None:
    """Run in a process of its own: connect, wait for the word to begin, tell what came of it."""
    crowd = Crowd(task)
    crowd.connect()
    gc.collect()
    gc.freeze()
    gc.disable()
    pipe.send(crowd.told.connected)
    crowd.speak(pipe.recv())
    pipe.send(crowd.told)
    pipe.recv()
    crowd.leave()


def _packet(kind: int, body: bytes) -> bytes:
    length, head = len(body), bytearray([kind])
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def _text(word: str) -> bytes:
    return len(word).to_bytes(2, "big") + word.encode()


def _connect(name: str) -> bytes:
    return _packet(
        0x10, _text("MQTT") + b"\x05\x02" + _KEEP_ALIVE.to_bytes(2, "big") + b"\x00" + _text(name)
    )


def _subscribe(topic: str) -> bytes:
    return _packet(0x82, b"\x00\x01\x00" + _text(topic) + b"\x00")


def _publish(topic: str, number: int, payload: bytes) -> bytes:
    return _packet(0x32, _text(topic) + number.to_bytes(2, "big") + b"\x00" + payload)

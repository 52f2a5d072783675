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
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from ingest.mqtt.tls import CA, CERTIFICATE, KEY
from tests.bench.crowd_packets import (
    CONNACK,
    PUBACK,
    PUBLISH,
    SUBACK,
    Principal,
    connecting,
    publishing,
    reading,
    subscribing,
)

FORGED_ID = 65_535
FORGED_MS = 1_735_689_600_000  # 2025-01-01: no true reading of a run is of then
NOT_AUTHORIZED = 0x87
_SHAKING = 24  # handshakes at a time
_PATIENCE_S = 60.0
_IDS = re.compile(rb'"ids":\[([0-9,]*)\]')


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
    receipt_at_s: list[float] = field(default_factory=list)
    processor_s: float = 0.0


class Crowd:
    """The principals of one process."""

    def __init__(self, task: Task) -> None:
        self._task, self.told = task, Told()
        self._selector = selectors.EpollSelector()
        self._context = ssl.create_default_context(cafile=str(task.devices / task.names[0] / CA))
        self._all: list[Principal] = []
        self._start = 0.0

    def connect(self) -> None:
        """Bring all in, a few handshakes at a time; each subscribes to its receipts."""
        began = time.monotonic()
        shaking: set[Principal] = set()
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

    def _new(self, name: str) -> Principal:
        folder = self._task.devices / name
        self._context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
        plain = socket.create_connection(("127.0.0.1", self._task.port), timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setblocking(False)
        safe = self._context.wrap_socket(
            plain, server_hostname="127.0.0.1", do_handshake_on_connect=False
        )
        found = Principal(name, safe)
        self._all.append(found)
        self._selector.register(safe, selectors.EVENT_READ, found)
        self._shake(found)
        return found

    def _shake(self, one: Principal) -> None:
        """Go on with a handshake; once it is done connect, then subscribe."""
        if not one.safe:
            try:
                one.socket.do_handshake()
            except ssl.SSLWantReadError:
                return
            one.safe = True
            one.send(connecting(one.name))
        for kind, body in one.packets():
            if kind == CONNACK:
                if body[1]:
                    raise ConnectionError(f"{one.name}: refused at connection, {body[1]:#x}")
                one.send(subscribing(f"tonne/v1/{one.name}/receipt"))
            elif kind == SUBACK:
                if body[-1] > 2:
                    raise ConnectionError(f"{one.name}: its receipts are refused")
                one.ready = True
                self.told.connected += 1

    def speak(self, start: float) -> None:
        """Send every principal's readings, spread over the cadence; forge on the way."""
        task, count = self._task, len(self._all)
        began, self._start = time.process_time(), start
        step, total = task.every_s / count, count * task.rounds
        forge_at = set(range(total // 2, total // 2 + task.forged))
        for n in range(total):
            due = start + n * step
            while (now := time.monotonic()) < due:
                self._hear(min(due - now, 0.02))
            one, k = self._all[n % count], n // count
            self._say(one, k, now, n % count)
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

    def _say(self, one: Principal, k: int, now: float, phase: int) -> None:
        one.waiting[k] = now
        self.told.sent += 1
        said = reading(k, time.time_ns() // 1_000_000, phase % 10)
        self._send(one, publishing(one.topic, 1 + k % 60_000, said))

    def _forge(self, one: Principal, other: str) -> None:
        self.told.forged += 1
        self._send(one, publishing(f"tonne/v1/{other}/telemetry", FORGED_ID, reading(0, FORGED_MS)))

    def _send(self, one: Principal, packet: bytes) -> None:
        if not one.send(packet):
            self._drop(one)
        elif one.unsent:
            self._selector.modify(one.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, one)

    def _drop(self, one: Principal) -> None:
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

    def _take(self, one: Principal, kind: int, body: bytes) -> None:
        told = self.told
        if kind == PUBACK:
            reason = body[2] if len(body) > 2 else 0
            if body[:2] == b"\xff\xff":
                told.forged_refused += reason == NOT_AUTHORIZED
                told.forged_taken += reason != NOT_AUTHORIZED
            else:
                told.acknowledged += reason < 0x80
                told.refused += reason >= 0x80
        elif kind == PUBLISH and (found := _IDS.search(body)):
            now = time.monotonic()
            for word in found[1].split(b","):
                since = one.waiting.pop(int(word), None) if word else None
                if since is not None:
                    told.receipted += 1
                    told.receipt_s.append(now - since)
                    told.receipt_at_s.append(now - self._start)

    def leave(self) -> None:
        """Disconnect."""
        for one in self._all:
            one.send(b"\xe0\x00")
            one.socket.close()


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

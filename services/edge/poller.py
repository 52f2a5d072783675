"""One thread per bus, which polls each of its devices at its interval."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

from ingest.formats.sunspec import MARK, models
from services.edge import modbus
from services.edge.config import ModbusRtu, ModbusTcp, Polled, SunSpecRtu, SunSpecTcp
from services.edge.modbus import AddressError, Bus, ReadError, Span
from services.edge.outbox import Record
from services.edge.recorder import Recorder

_LONGEST_S = 600.0
# a reading's time is in milliseconds: two of one millisecond would contradict each other
_APART_S = 0.002
CONTENT_TYPE = "application/vnd.tonne.sunspec+json"
_BASES = (40_000, 50_000, 0)
_END = 0xFFFF
_MODELS = 100
MOST = 124  # registers a request


class _PolledDevice:
    """One device and when it is asked next; one that is away is asked more rarely."""

    def __init__(self, source: Polled) -> None:
        self.source = source
        mapped = isinstance(source, ModbusTcp | ModbusRtu)
        self.content_type = modbus.CONTENT_TYPE if mapped else CONTENT_TYPE
        self._reader = (
            modbus.Registers(source)
            if isinstance(source, ModbusTcp | ModbusRtu)
            else Models(source)
        )
        self.due_s = time.monotonic()
        self._failed = 0

    def ask(self, bus: modbus.Bus, recorder: Recorder) -> None:
        """Read once and record."""
        device, every_s = self.source.device, self.source.every_s
        asked_s = time.monotonic()
        try:
            moment = recorder.clock.now()
            body = self._reader.read(bus)
        except modbus.ReadError as error:
            self._failed += 1
            recorder.fault(device, str(error))
        else:
            self._failed = 0
            recorder.put(device, [Record(device, body, self.content_type, moment)])
        wait_s = min(every_s * 2 ** min(self._failed, 10), max(every_s, _LONGEST_S))
        # from when it was due, so that the cadence does not drift; not in the past
        self.due_s = max(self.due_s + wait_s, time.monotonic(), asked_s + _APART_S)


class Poller(threading.Thread):
    """The devices of one bus."""

    def __init__(
        self, sources: Sequence[Polled], recorder: Recorder, stopping: threading.Event
    ) -> None:
        super().__init__(name=f"poll-{modbus.key(sources[0])[0]}", daemon=True)
        self._asked = [_PolledDevice(source) for source in sources]
        self._bus = modbus.Bus(sources[0])
        self._recorder, self._stopping = recorder, stopping

    def run(self) -> None:
        """Poll until `stop` is set."""
        while not self._stopping.is_set():
            following = min(self._asked, key=lambda one: one.due_s)
            wait_s = following.due_s - time.monotonic()
            if wait_s > 0 and self._stopping.wait(wait_s):
                break
            following.ask(self._bus, self._recorder)
        self._bus.close()


def pollers(
    sources: Iterable[Polled], recorder: Recorder, stopping: threading.Event
) -> list[Poller]:
    """Return a poller for each bus."""
    buses: dict[tuple[str, int], list[Polled]] = {}
    for source in sources:
        buses.setdefault(modbus.key(source), []).append(source)
    return [Poller(members, recorder, stopping) for members in buses.values()]


class Models:
    """The models of one inverter."""

    def __init__(self, source: SunSpecTcp | SunSpecRtu) -> None:
        self._unit = source.unit
        self._found: list[Span] = []

    def read(self, bus: Bus) -> dict[str, object]:
        """
        Return a message's body: the supported models, in order.

        Raises
        ------
        ReadError
            When it does not answer, or has no such model.
        """
        if not self._found:
            self._found = self._walk(bus)
        try:
            data = b"".join(self._whole(bus, span) for span in self._found)
        except AddressError:
            self._found = []  # the map moved: look for it anew next time
            raise
        return {"sunspec": {"hex": data.hex()}}

    def _whole(self, bus: Bus, span: Span) -> bytes:
        """Read one model; those longer than a request have all points in its first part."""
        return b"".join(
            bus.read(Span("holding", span.address + at, min(MOST, span.length - at)), self._unit)
            for at in range(0, span.length, MOST)
        )

    def _walk(self, bus: Bus) -> list[Span]:
        at = self._base(bus) + 2
        found = []
        for _ in range(_MODELS):
            head = bus.read(Span("holding", at, 2), self._unit)
            model, length = int.from_bytes(head[:2], "big"), int.from_bytes(head[2:], "big")
            if model == _END:
                break
            if model in models():
                found.append(Span("holding", at, length + 2))
            at += length + 2
        if not found:
            raise ReadError("it has none of the SunSpec models that tonne reads")
        return found

    def _base(self, bus: Bus) -> int:
        for base in _BASES:
            try:
                if bus.read(Span("holding", base, 2), self._unit) == MARK:
                    return base
            except AddressError:
                continue
        raise ReadError(f"no SunSpec map at {', '.join(map(str, _BASES))}")

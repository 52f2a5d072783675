"""One thread a bus: asks each of its devices when its time has come."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

from services.edge import modbus, sunspec
from services.edge.config import ModbusRtu, ModbusTcp, Polled
from services.edge.outbox import Record
from services.edge.recorder import Recorder

_LONGEST_S = 600.0
# a reading's time is in milliseconds: two of one millisecond would contradict each other
_APART_S = 0.002


class _Asked:
    """One device and when it is asked next; one that is away is asked more rarely."""

    def __init__(self, source: Polled) -> None:
        self.source = source
        mapped = isinstance(source, ModbusTcp | ModbusRtu)
        self.content_type = modbus.CONTENT_TYPE if mapped else sunspec.CONTENT_TYPE
        self._reader = (
            modbus.Registers(source)
            if isinstance(source, ModbusTcp | ModbusRtu)
            else sunspec.Models(source)
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
        self._asked = [_Asked(source) for source in sources]
        self._bus = modbus.Bus(sources[0])
        self._recorder, self._stopping = recorder, stopping

    def run(self) -> None:
        """Ask, until told to stop."""
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

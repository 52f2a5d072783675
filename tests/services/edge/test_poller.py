"""Polling of devices on a bus: one that answers at once is not asked twice within a millisecond."""

import threading

from services.edge import modbus
from services.edge.config import ModbusTcp
from services.edge.modbus import Poller
from services.edge.outbox import Clock

COUNT = 300


class AtOnce(modbus.Bus):
    """A device that answers within microseconds."""

    def read(self, span, unit):
        """Return zeros."""
        return bytes(2 * span.length)


class Kept:
    """Records values, and ends the polling after a while."""

    def __init__(self, stopping):
        self.clock, self.times, self._stopping = Clock(), [], stopping

    def put(self, _source, records):
        """Record the time of measurement."""
        self.times += [record.moment.uptime_ms for record in records]
        if len(self.times) >= COUNT:
            self._stopping.set()


def test_no_two_readings_are_of_one_millisecond(monkeypatch):
    """A second reading with the same time and other values would be refused."""
    monkeypatch.setattr(modbus, "Bus", AtOnce)
    source = ModbusTcp(
        device="m-1",
        class_="energy_meter",
        profile="eastron-sdm630",
        host="127.0.0.1",
        port=1,
        every_s=0.0001,
    )
    stopping = threading.Event()
    kept = Kept(stopping)
    Poller([source], kept, stopping).run()
    assert len(kept.times) == COUNT
    assert len(set(kept.times)) == COUNT

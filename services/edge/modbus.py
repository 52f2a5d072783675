"""
Modbus source (pymodbus): forwards blocks of registers unchanged; tonne applies the profile.

As raw registers are forwarded, a corrected profile also corrects earlier readings.  One client per
address or line serves all its devices, one request at a time, in one polling thread per bus.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusException

from ingest import profiles
from ingest.formats.sunspec import MARK, SIZES, models
from services.edge.config import ModbusRtu, ModbusTcp, Polled, SunSpecRtu, SunSpecTcp
from services.edge.outbox import Record
from services.edge.uplink import Recorder

CONTENT_TYPE = "application/vnd.tonne.modbus+json"
_MAX = 120  # maximum registers per request
_GAP = 8  # maximum unneeded registers read in place of a further request
_ILLEGAL_ADDRESS = 2


class ReadError(Exception):
    """A device gave no answer or a wrong one."""


class Span(NamedTuple):
    """Consecutive registers read in one request."""

    table: str
    address: int
    length: int


class Bus:
    """A TCP address or serial line with its devices."""

    def __init__(self, source: Polled) -> None:
        if isinstance(source, ModbusTcp | SunSpecTcp):
            self._client: ModbusTcpClient | ModbusSerialClient = ModbusTcpClient(
                source.host, port=source.port, timeout=source.timeout_s, retries=1
            )
        else:
            self._client = ModbusSerialClient(
                source.line,
                baudrate=source.baud,
                parity=source.parity,
                stopbits=source.stop_bits,
                timeout=source.timeout_s,
                retries=1,
            )

    def read(self, span: Span, unit: int) -> bytes:
        """
        Return the bytes of registers, high byte first.

        Raises ReadError when the device does not answer, or answers with an exception.
        Raises AddressError when it has no register at that address.
        """
        ask = (
            self._client.read_input_registers
            if span.table == "input"
            else self._client.read_holding_registers
        )
        try:
            if not self._client.connected and not self._client.connect():
                raise ReadError("the device cannot be reached; check its address and its power")
            answer = ask(span.address, count=span.length, device_id=unit)
        except (ModbusException, OSError) as error:
            self._client.close()  # type: ignore[no-untyped-call]
            raise ReadError(str(error)) from error
        if answer.isError():
            if getattr(answer, "exception_code", 0) == _ILLEGAL_ADDRESS:
                raise AddressError(
                    f"no {span.table} register {span.address}; correct the register map"
                )
            raise ReadError(str(answer))
        if len(answer.registers) != span.length:
            raise ReadError(
                f"{len(answer.registers)} registers were received, not {span.length}; check "
                "the register map"
            )
        return b"".join(value.to_bytes(2, "big") for value in answer.registers)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()  # type: ignore[no-untyped-call]


class AddressError(ReadError):
    """The device has no register at an address."""


def key(source: Polled) -> tuple[str, int]:
    """Return (host, port) or (serial line, 0) of a source; sources with equal keys share a bus."""
    if isinstance(source, ModbusTcp | SunSpecTcp):
        return source.host, source.port
    if isinstance(source, ModbusRtu | SunSpecRtu):
        return source.line, 0
    raise TypeError(source)


class Registers:
    """The registers of one device that its profile needs."""

    def __init__(self, source: ModbusTcp | ModbusRtu) -> None:
        self._source = source
        profile = profiles.load()[source.class_, source.profile]
        wanted = [c.register for c in profile.channels.values() if c.register is not None]
        self._exact = sorted(
            {
                Span("input" if r.table == "input" else "holding", r.address, SIZES[r.type])
                for r in wanted
            }
        )
        self._spans = joined(self._exact, _GAP)

    def read(self, bus: Bus) -> dict[str, object]:
        """
        Return the registers of one reading as a JSON message body.

        Raises ReadError when a block cannot be read: an incomplete reading is never forwarded.
        """
        try:
            blocks = [self._block(bus, span) for span in self._spans]
        except AddressError:
            if self._spans == (exact := joined(self._exact, 0)):
                raise
            self._spans = exact  # the device refuses requests that contain registers it lacks
            blocks = [self._block(bus, span) for span in self._spans]
        return {"blocks": blocks}

    def _block(self, bus: Bus, span: Span) -> dict[str, object]:
        data = bus.read(span, self._source.unit)
        return {"table": span.table, "address": span.address, "hex": data.hex()}


def joined(spans: Iterable[Span], gap: int) -> list[Span]:
    """Return spans joined into the fewest requests, bridging gaps of up to `gap` registers."""
    result: list[Span] = []
    for span in sorted(spans):
        last = result[-1] if result else None
        end = span.address + span.length
        near = (
            last is not None
            and last.table == span.table
            and span.address - (last.address + last.length) <= gap
            and end - last.address <= _MAX
        )
        if last is not None and near:
            result[-1] = last._replace(length=max(last.length, end - last.address))
        else:
            result.append(span)
    return result


_LONGEST_S = 600.0
# times are in milliseconds: two readings of one millisecond would contradict each other
_APART_S = 0.002
_SUNSPEC_TYPE = "application/vnd.tonne.sunspec+json"
_BASES = (40_000, 50_000, 0)
_END = 0xFFFF
_MODELS = 100
MAX_REGISTERS = 124  # maximum registers per request


class _PolledDevice:
    """A device and its next polling time; a device without answer is polled less often."""

    def __init__(self, source: Polled) -> None:
        self.source = source
        mapped = isinstance(source, ModbusTcp | ModbusRtu)
        self.content_type = CONTENT_TYPE if mapped else _SUNSPEC_TYPE
        self._reader = (
            Registers(source) if isinstance(source, ModbusTcp | ModbusRtu) else Models(source)
        )
        self.due_s = time.monotonic()
        self._failed = 0

    def ask(self, bus: Bus, recorder: Recorder) -> None:
        """Read the device once and record the reading."""
        device, every_s = self.source.device, self.source.every_s
        started_s = time.monotonic()
        try:
            moment = recorder.clock.now()
            body = self._reader.read(bus)
        except ReadError as error:
            self._failed += 1
            recorder.fault(device, str(error))
        else:
            self._failed = 0
            recorder.put(device, [Record(device, body, self.content_type, moment)])
        wait_s = min(every_s * 2 ** min(self._failed, 10), max(every_s, _LONGEST_S))
        # counted from the due time, so that the cadence does not drift; never in the past
        self.due_s = max(self.due_s + wait_s, time.monotonic(), started_s + _APART_S)


class Poller(threading.Thread):
    """Thread that polls the devices of one bus."""

    def __init__(
        self, sources: Sequence[Polled], recorder: Recorder, stopping: threading.Event
    ) -> None:
        super().__init__(name=f"poll-{key(sources[0])[0]}", daemon=True)
        self._devices = [_PolledDevice(source) for source in sources]
        self._bus = Bus(sources[0])
        self._recorder, self._stopping = recorder, stopping

    def run(self) -> None:
        """Poll until `stopping` is set."""
        while not self._stopping.is_set():
            following = min(self._devices, key=lambda polled_device: polled_device.due_s)
            wait_s = following.due_s - time.monotonic()
            if wait_s > 0 and self._stopping.wait(wait_s):
                break
            following.ask(self._bus, self._recorder)
        self._bus.close()


def pollers(
    sources: Iterable[Polled], recorder: Recorder, stopping: threading.Event
) -> list[Poller]:
    """Return one poller per bus."""
    buses: dict[tuple[str, int], list[Polled]] = {}
    for source in sources:
        buses.setdefault(key(source), []).append(source)
    return [Poller(members, recorder, stopping) for members in buses.values()]


class Models:
    """The SunSpec models of one inverter."""

    def __init__(self, source: SunSpecTcp | SunSpecRtu) -> None:
        self._unit = source.unit
        self._model_spans: list[Span] = []

    def read(self, bus: Bus) -> dict[str, object]:
        """
        Return the registers of the supported models in order, as a JSON message body.

        Raises ReadError when the inverter does not answer, or has no such model.
        """
        if not self._model_spans:
            self._model_spans = self._walk(bus)
        try:
            data = b"".join(self._whole(bus, span) for span in self._model_spans)
        except AddressError:
            self._model_spans = []  # the device's register map has changed: search its models again
            raise
        return {"sunspec": {"hex": data.hex()}}

    def _whole(self, bus: Bus, span: Span) -> bytes:
        """Return the bytes of one model, read in as many requests as its length needs."""
        return b"".join(
            bus.read(
                Span("holding", span.address + at, min(MAX_REGISTERS, span.length - at)), self._unit
            )
            for at in range(0, span.length, MAX_REGISTERS)
        )

    def _walk(self, bus: Bus) -> list[Span]:
        at = self._base(bus) + 2
        spans = []
        for _ in range(_MODELS):
            head = bus.read(Span("holding", at, 2), self._unit)
            model, length = int.from_bytes(head[:2], "big"), int.from_bytes(head[2:], "big")
            if model == _END:
                break
            if model in models():
                spans.append(Span("holding", at, length + 2))
            at += length + 2
        if not spans:
            raise ReadError(
                "the device has none of the SunSpec models that tonne reads; list its "
                "registers in the configuration"
            )
        return spans

    def _base(self, bus: Bus) -> int:
        for base in _BASES:
            try:
                if bus.read(Span("holding", base, 2), self._unit) == MARK:
                    return base
            except AddressError:
                continue
        raise ReadError(
            f"the device has no SunSpec map at {', '.join(map(str, _BASES))}; check host and unit"
        )

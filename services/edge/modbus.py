"""
Modbus with pymodbus: unchanged blocks of registers; tonne applies the profile.

The gateway needs no formula: what it forwards are registers, so a profile that is
corrected later corrects what was recorded before.  One client serves all devices
behind one address or line, one request at a time, as Modbus wants it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusException

from ingest import profiles
from ingest.formats.register_words import SIZES
from services.edge.config import ModbusRtu, ModbusTcp, Polled, SunSpecRtu, SunSpecTcp

CONTENT_TYPE = "application/vnd.tonne.modbus+json"
_MOST = 120  # registers a request
_GAP = 8  # unneeded registers, rather than another request
_ILLEGAL_ADDRESS = 2


class ReadError(Exception):
    """A device did not answer, or gave a wrong answer."""


class Span(NamedTuple):
    """Registers read in one request."""

    table: str
    address: int
    length: int


class Bus:
    """One TCP address or serial line."""

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
        Return registers as bytes, high byte first.

        Raises
        ------
        ReadError
            When the device is away, or answers with an exception.
        AddressError
            When it has no register there.
        """
        ask = (
            self._client.read_input_registers
            if span.table == "input"
            else self._client.read_holding_registers
        )
        try:
            if not self._client.connected and not self._client.connect():
                raise ReadError("the device cannot be reached")
            answer = ask(span.address, count=span.length, device_id=unit)
        except (ModbusException, OSError) as error:
            self._client.close()  # type: ignore[no-untyped-call]
            raise ReadError(str(error)) from error
        if answer.isError():
            if getattr(answer, "exception_code", 0) == _ILLEGAL_ADDRESS:
                raise AddressError(f"no {span.table} register {span.address}")
            raise ReadError(str(answer))
        if len(answer.registers) != span.length:
            raise ReadError(f"{len(answer.registers)} registers were received, not {span.length}")
        return b"".join(value.to_bytes(2, "big") for value in answer.registers)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()  # type: ignore[no-untyped-call]


class AddressError(ReadError):
    """The device has no register at an address."""


def key(source: Polled) -> tuple[str, int]:
    """Return the key of a bus: sources with the same key share it."""
    if isinstance(source, ModbusTcp | SunSpecTcp):
        return source.host, source.port
    if isinstance(source, ModbusRtu | SunSpecRtu):
        return source.line, 0
    raise TypeError(source)


class Registers:
    """The registers that a profile reads of one device."""

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
        Return a message's body: the blocks of one reading.

        Raises
        ------
        ReadError
            When a block cannot be read: half a reading would be an unseen gap.
        """
        try:
            blocks = [self._block(bus, span) for span in self._spans]
        except AddressError:
            if self._spans == (exact := joined(self._exact, 0)):
                raise
            self._spans = exact  # it minds registers in between that it does not have
            blocks = [self._block(bus, span) for span in self._spans]
        return {"blocks": blocks}

    def _block(self, bus: Bus, span: Span) -> dict[str, object]:
        data = bus.read(span, self._source.unit)
        return {"table": span.table, "address": span.address, "hex": data.hex()}


def joined(spans: Iterable[Span], gap: int) -> list[Span]:
    """Return registers joined into the fewest requests."""
    found: list[Span] = []
    for span in sorted(spans):
        last = found[-1] if found else None
        end = span.address + span.length
        near = (
            last is not None
            and last.table == span.table
            and span.address - (last.address + last.length) <= gap
            and end - last.address <= _MOST
        )
        if last is not None and near:
            found[-1] = last._replace(length=max(last.length, end - last.address))
        else:
            found.append(span)
    return found

"""
SunSpec: find the map, walk its models, forward those that tonne reads, whole.

By the same Modbus client as everything else, so that devices on one line take turns;
pysunspec2's own client would be a second one.  Some inverters change a scale factor at
dusk, so a value and its factor are always of one request.
"""

from __future__ import annotations

from ingest.formats.sunspec import MARK, models
from services.edge.config import SunSpecRtu, SunSpecTcp
from services.edge.modbus import AddressError, Bus, ReadError, Span

CONTENT_TYPE = "application/vnd.tonne.sunspec+json"
_BASES = (40_000, 50_000, 0)
_END = 0xFFFF
_MODELS = 100
MOST = 124  # registers a request


class Models:
    """The models of one inverter."""

    def __init__(self, source: SunSpecTcp | SunSpecRtu) -> None:
        self._unit = source.unit
        self._found: list[Span] = []

    def read(self, bus: Bus) -> dict[str, object]:
        """
        Return a message's body: the models that tonne reads, in their order.

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

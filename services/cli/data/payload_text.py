"""Bytes of a refused message as far as a codec can read them."""

from __future__ import annotations

from collections.abc import Iterator

from ingest import codec_detection as encodings
from ingest.codecs import sparkplug_b
from ingest.errors import PayloadError
from ingest.reading import Reading, Registers, Row, Stated

_SHOWN = 20


def legible(payload: bytes, content_type: str | None, received_us: int) -> list[str]:
    """
    Say what stands in a payload, a line a reading, or where its codec gave up.

    Parameters
    ----------
    payload : bytes
    content_type : str, optional
        The MQTT 5 property that it came with.
    received_us : int
        When it was received, which relative times count from. [us UTC]
    """
    codec = encodings.UNREAD
    try:
        found = encodings.find(payload, content_type)
        codec = found.name
        readings = found.decode(payload, received_us)
    except PayloadError as error:
        return [_gave_up(codec, error)]
    lines = [f"{codec}: {line}" for one in readings[:_SHOWN] for line in _lines(one)]
    more = len(readings) - _SHOWN
    return [*lines, f"{codec}: and {more} readings more"] if more > 0 else lines


def _gave_up(codec: str, error: PayloadError) -> str:
    """Name the codec once: its details begin with it, for lists in which they stand alone."""
    return f"{codec}: {error.reason}: {error.detail.removeprefix(f'{codec}: ')}"


def _lines(reading: Reading) -> Iterator[str]:
    reading = reading.stated() if isinstance(reading, Row) else reading
    units = reading.units if isinstance(reading, Stated) else ()
    named = zip(reading.values.items(), units or (None,) * len(reading.values), strict=True)
    values = [f"{name}={value}{f' {unit}' if unit else ''}" for (name, value), unit in named]
    if isinstance(reading, Registers):
        values = [f"{b.table} {b.address}={b.data.hex()}" for b in reading.blocks]
    yield f"ts={reading.ts} " + ", ".join(values)
    if isinstance(reading, Stated):
        yield from (f"ts={reading.ts} {reason}: {detail}" for reason, detail in reading.refused)


def metrics(payload: bytes) -> list[str]:
    """Say what stands in a Sparkplug payload, a line a metric: its birth would name the aliases."""
    try:
        found = sparkplug_b.decode(payload)
    except PayloadError as error:
        return [_gave_up(sparkplug_b.NAME, error)]
    lines = [f"timestamp={found.timestamp} seq={found.seq} metrics={len(found.metrics)}"]
    for metric in found.metrics[:_SHOWN]:
        field = metric.WhichOneof("value")
        name = metric.name if metric.HasField("name") else f"alias {metric.alias}"
        value = "null" if metric.is_null or field is None else repr(getattr(metric, field))
        at = f" ts={metric.timestamp}" if metric.HasField("timestamp") else ""
        lines.append(f"{name}={value[:80]}{at}")
    return [f"{sparkplug_b.NAME}: {line}" for line in lines]

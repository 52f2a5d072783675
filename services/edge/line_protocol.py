"""
Points in InfluxDB's line protocol, from a file of `influx export-lp` or a query.

`measurement,tag=value field=1.5,other=2i 1556813561098000000`: the last word is the time in
nanoseconds, without which a point is of no known time and is refused.
https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from services.edge.config import CsvFolder
from services.edge.outbox import Record
from services.registry.fields import ID

# words of a line are parted by spaces that no backslash precedes and no quotes hold
_LINE = re.compile(
    r"(?P<key>(?:\\.|[^ \\])+) "
    r"(?P<fields>(?:\"(?:\\.|[^\"\\])*\"|\\.|[^ \"\\])+)(?: (?P<ns>-?\d+))?"
)
_PAIR = re.compile(r"((?:\\.|[^,=\\])+)=(\"(?:\\.|[^\"\\])*\"|(?:\\.|[^,\\])*)(?:,|$)")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_ESCAPED = re.compile(r"\\(.)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def records(text: str, source: CsvFolder) -> Iterator[Record]:
    """
    Return points as records; those without a configured field are omitted.

    Raises
    ------
    ValueError
        Naming the line, and what is wrong with it.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"line {number} is not a point of line protocol: {line[:80]!r}")
        fields = dict(_PAIR.findall(match["fields"]))
        values = {
            channel: _value(fields[name], name, number)
            for name, channel in source.columns.items()
            if name in fields
        }
        if not values:
            continue
        if match["ns"] is None:
            raise ValueError(f"line {number} has no time in nanoseconds; export it with its time")
        ts = _EPOCH + timedelta(microseconds=int(match["ns"]) // 1000)
        device = _device(match["key"], source, number)
        yield Record(device, {"ts": ts.isoformat(), "values": values})


def _device(key: str, source: CsvFolder, number: int) -> str:
    if source.device is not None:
        return source.device
    tags = {_plain(k): _plain(v) for k, v in _PAIR.findall(key.partition(",")[2])}
    device = tags.get(source.device_column or "", "")
    if not ID.match(device):
        raise ValueError(
            f"line {number}: tag {source.device_column!r} is {device!r}, which is not a device id"
        )
    return device


def _value(text: str, name: str, number: int) -> float:
    plain = text[:-1] if text[-1:] in ("i", "u") else text
    if not _NUMBER.fullmatch(plain):
        raise ValueError(f"line {number}, {name}: {text!r} is not a number")
    return float(plain)


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)

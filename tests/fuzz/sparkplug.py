"""Fuzzing of Sparkplug B: a modified payload as data after a valid birth, and as the birth."""

from __future__ import annotations

import math
from functools import cache

from ingest.formats import sparkplug_b_pb2 as pb
from ingest.sparkplug import Host, Node, Outcome, Rules
from tests.fuzz.truth import NotSaidError
from tests.sparkplug_edge import DOUBLE, FLOAT, INT16, STRING, UINT64, EdgeNode, Metric, payload

NAME = "sparkplug_b"
RECEIVED_US = 1_767_225_660_000_000
_WIDTHS = (8, 16, 32, 64)


@cache
def _node() -> tuple[EdgeNode, list[tuple[str, bytes]]]:
    edge = EdgeNode("n")
    return edge, [edge.connect(), edge.birth("d")]


def seeds() -> list[bytes]:
    """Return births, data by alias and by name, null, late and bad-quality values, and deaths."""
    edge, born = _node()
    ts, seq = edge.ts + 1000, 2
    metrics = [
        [Metric(1.5, alias=1), Metric(-2.0, alias=2)],
        [Metric(1.5, "energy_export_kwh", datatype=DOUBLE, unit="Wh", quality=192)],
        [Metric(None, alias=1), Metric(7.25, alias=2, ts=ts - 5, historical=True)],
        [Metric(1.5, alias=1, quality=0), Metric(3.5, alias=2, transient=True)],
        [Metric(65_535, "x", 3, INT16, field="int_value"), Metric("text", "y", 4, STRING)],
        [Metric(2**63, "z", 5, UINT64), Metric(0.5, "w", 6, FLOAT), Metric(1.0, alias=99)],
        [],
    ]
    return [*(payload(held, ts, seq) for held in metrics), *(data for _, data in born)]


def judge(data: bytes) -> bool:
    """
    Decode a payload in both roles; return True if any part was read.

    Raises
    ------
    NotSaidError
        When a number is read that does not stand in the payload.
    """
    edge, born = _node()
    read = _take(data, edge.topic("DDATA", "d"), born)
    return _take(data, edge.topic("DBIRTH", "d"), born[:1]) or read


def _take(data: bytes, topic: str, born: list[tuple[str, bytes]]) -> bool:
    nodes, out = {"n": Node("n")}, Outcome(2)
    host = Host(nodes.__getitem__, Rules(), out, nodes)
    for before, birth in born:
        host.take(0, before, birth, RECEIVED_US)
    host.take(1, topic, data, RECEIVED_US)
    values = [
        number
        for given in out.given
        if given.message == 1
        for line in given.lines
        for number in line.numbers
        if number is not None
    ]
    wrong = [v for v in values if not math.isfinite(v) or v not in _said(data)] if values else []
    if wrong:
        raise NotSaidError(f"{NAME}: {wrong[:3]} stand nowhere in the payload")
    return bool(values)


def _said(data: bytes) -> set[float]:
    """Return every number of the metrics; integers also as two's complements."""
    found: set[float] = set()
    for metric in pb.Payload.FromString(data).metrics:
        name = metric.WhichOneof("value")
        if name in ("int_value", "long_value"):
            whole = getattr(metric, name)
            found |= {float(whole), *(float(whole - 2**width) for width in _WIDTHS)}
        elif name in ("float_value", "double_value", "boolean_value"):
            found.add(float(getattr(metric, name)))
    return found

"""Sparkplug B payloads, made by protobuf's runtime."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codecs import sparkplug_b
from ingest.errors import PayloadError
from ingest.formats import sparkplug as sparkplug_form
from ingest.formats import sparkplug_b_pb2 as pb
from ingest.formats.sparkplug import number
from tests.soak import often
from tests.sparkplug_edge import (
    BOOLEAN,
    DOUBLE,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    T0_MS,
    UINT8,
    UINT32,
    UINT64,
    Metric,
    payload,
)


def _born(*metrics):
    return sparkplug_b.born(sparkplug_b.decode(payload(metrics)))


def _read(birth, *metrics, ts=T0_MS):
    read = sparkplug_b.read(sparkplug_b.decode(payload(metrics, ts, 1)), birth)
    lines = {line.ts: dict(zip(line.of.names, line.numbers, strict=True)) for line in read.lines}
    return lines, [(name, reason) for name, reason, _ in read.refused]


@pytest.mark.parametrize(
    ("datatype", "field", "raw", "value"),
    [
        (INT8, "int_value", 0xFF, -1),
        (INT8, "int_value", 0xFFFFFF80, -128),
        (INT8, "int_value", 127, 127),
        (INT16, "int_value", 0x8000, -32_768),
        (INT16, "int_value", 0xFFFFFFFF, -1),
        (INT32, "int_value", 0xFFFFFFFE, -2),
        (INT32, "long_value", 0xFFFFFFFFFFFFFFFE, -2),
        (INT64, "long_value", 2**64 - 5, -5),
        (INT64, "long_value", 2**53 - 1, 2**53 - 1),
        (UINT8, "int_value", 255, 255),
        (UINT32, "int_value", 2**32 - 1, 2**32 - 1),
        (UINT64, "long_value", 2**52, 2**52),
        (BOOLEAN, "boolean_value", True, 1),
        (FLOAT, "float_value", 0.5, 0.5),
        (DOUBLE, "double_value", -2.25, -2.25),
    ],
)
def test_every_number_has_its_sign(datatype, field, raw, value):
    """A feed-in of -2 W would be stored as 4 GW."""
    birth = _born(Metric(None, "x", 1, datatype))
    assert _read(birth, Metric(raw, alias=1, field=field)) == ({T0_MS: {"x": value}}, [])


@pytest.mark.parametrize(
    ("datatype", "field", "raw", "reason"),
    [
        (INT8, "int_value", 300, "datatype_mismatch"),
        (INT8, "int_value", 0xFFFFFF00, "datatype_mismatch"),
        (UINT8, "int_value", 256, "datatype_mismatch"),
        (INT32, "double_value", 1.0, "datatype_mismatch"),
        (DOUBLE, "int_value", 1, "datatype_mismatch"),
        (BOOLEAN, "int_value", 1, "datatype_mismatch"),
        (DOUBLE, "double_value", float("nan"), "not_finite"),
        (FLOAT, "float_value", float("inf"), "not_finite"),
        (STRING, "string_value", "7", "not_a_number"),
        (17, "bytes_value", b"7", "not_a_number"),
    ],
)
def test_what_is_no_such_number_is_refused_and_the_rest_kept(datatype, field, raw, reason):
    """A wrong number would be stored as if it were a measurement, or a good one lost beside it."""
    birth = _born(Metric(None, "x", 1, datatype), Metric(None, "y", 2, DOUBLE))
    found = _read(birth, Metric(raw, alias=1, field=field), Metric(2.0, alias=2))
    assert found == ({T0_MS: {"y": 2.0}}, [("x", reason)])


def test_null_is_missing_and_never_zero():
    """A sensor that failed would be stored as one that measured 0."""
    birth = _born(Metric(None, "x", 1, DOUBLE), Metric(None, "y", 2, DOUBLE))
    lines, refused = _read(birth, Metric(None, alias=1), Metric(0.0, alias=2))
    assert (lines, refused) == ({T0_MS: {"x": None, "y": 0.0}}, [])
    assert _read(birth, Metric(None, alias=1)) == ({}, [])


def test_times_of_metrics_count_before_the_message_s():
    """What a node has kept while it was offline would all be stored at the time of sending."""
    birth = _born(Metric(None, "x", 1, DOUBLE))
    lines, _ = _read(
        birth,
        Metric(1.0, alias=1, ts=T0_MS - 60_000, historical=True),
        Metric(2.0, alias=1, ts=T0_MS - 30_000, historical=True),
        Metric(3.0, alias=1),
    )
    assert lines == {T0_MS - 60_000: {"x": 1.0}, T0_MS - 30_000: {"x": 2.0}, T0_MS: {"x": 3.0}}


def test_transient_metrics_and_commands_are_no_readings():
    """Switches of the node itself would turn up as channels."""
    names = ["x", "Node Control/Rebirth", "Device Control/Reboot", "bdSeq"]
    birth = _born(*(Metric(None, n, k, DOUBLE) for k, n in enumerate(names)))
    sent = [Metric(1.0, alias=k, transient=k == 0) for k in range(4)]
    assert _read(birth, *sent) == ({}, [])


def test_quality_and_unit_of_the_properties():
    """A value that the node calls bad would count; a meter set to Wh would be off by 1000."""
    birth = _born(Metric(None, "x", 1, DOUBLE, unit="Wh"), Metric(None, "y", 2, DOUBLE))
    sent = payload([Metric(5.0, alias=1, quality=192), Metric(6.0, alias=2, quality=500)], T0_MS, 1)
    read = sparkplug_b.read(sparkplug_b.decode(sent), birth)
    assert [(line.of.names, line.of.units) for line in read.lines] == [(("x",), ("Wh",))]
    assert [(name, reason) for name, reason, _ in read.refused] == [("y", "quality_bad")]


def test_names_do_instead_of_aliases_and_unknown_ones_are_told():
    """A node without aliases would be refused, or a metric that no one declared be guessed."""
    birth = _born(Metric(None, "x", None, INT16))
    found = _read(birth, Metric(0xFFFF, "x", field="int_value"), Metric(1.0, alias=9))
    assert found == ({T0_MS: {"x": -1.0}}, [("", "metric_unknown")])


def test_a_birth_that_contradicts_itself_is_refused():
    """One of two metrics with the same alias would be stored as the other."""
    for metrics in (
        [Metric(1.0, "x", 1, DOUBLE), Metric(1.0, "y", 1, DOUBLE)],
        [Metric(1.0, "x", 1, DOUBLE), Metric(1.0, "x", 2, DOUBLE)],
        [Metric(1.0, None, 1, DOUBLE)],
    ):
        with pytest.raises(PayloadError) as refused:
            _born(*metrics)
        assert refused.value.reason == "birth_invalid"


def test_a_datatype_that_changed_since_the_birth_is_refused():
    """A new firmware's integers would be read as the old one's."""
    birth = _born(Metric(None, "x", 1, INT8))
    found = _read(birth, Metric(200, alias=1, datatype=UINT8, field="int_value"))
    assert found == ({}, [("x", "datatype_mismatch")])


KINDS = {
    INT16: st.integers(-(2**15), 2**15 - 1).map(lambda v: v & 0xFFFFFFFF),
    INT64: st.integers(-(2**40), 2**40).map(lambda v: v & 0xFFFFFFFFFFFFFFFF),
    UINT32: st.integers(0, 2**32 - 1),
    FLOAT: st.floats(width=32, allow_nan=False, allow_infinity=False),
    DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
    BOOLEAN: st.booleans(),
}
FIELDS = {INT16: "int_value"}


@given(data=st.data())
@settings(max_examples=often(20, 80), deadline=None)
def test_what_is_read_by_a_known_layout_is_what_the_runtime_reads(data):
    """The fast decoder would store other numbers than the payload contains."""
    kinds = data.draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=6))
    birth = _born(*(Metric(None, f"c{k}", k, kind) for k, kind in enumerate(kinds)))
    same, own = data.draw(st.booleans()), data.draw(st.booleans())
    for i in range(6):
        ts = T0_MS + data.draw(st.integers(0, 10**9))
        at = None if not own else ts if same else ts - 17
        metrics = [
            Metric(data.draw(KINDS[kind]), alias=k, ts=at, datatype=kind, field=FIELDS.get(kind))
            for k, kind in enumerate(kinds)
        ]
        body = payload(metrics, ts, data.draw(st.integers(0, 255)))
        _compare(body, birth)
        if i % 2:
            cut = bytearray(body)
            cut[data.draw(st.integers(0, len(cut) - 1))] = data.draw(st.integers(0, 255))
            _compare(bytes(cut), birth, learn=False)


def _compare(body, birth, *, learn=True):
    seen = sparkplug_b.read_known_layout(body, birth)
    try:
        message = sparkplug_b.decode(body)
        read = sparkplug_b.read(message, birth, body if learn and seen is None else None)
    except PayloadError:
        assert seen is None
        return
    if seen is not None:
        assert (seen.sent_ms, seen.seq) == (message.timestamp, message.seq)
        (line,) = read.lines
        assert not read.refused
        assert (seen.line.ts, seen.line.of.names) == (line.ts, line.of.names)
        exact = [struct.pack("d", v) for v in line.numbers]
        assert [struct.pack("d", v) for v in seen.line.numbers] == exact


def test_most_messages_are_read_by_a_known_layout():
    """The fast decoder would never be used."""
    birth = _born(*(Metric(None, f"c{k}", k, DOUBLE) for k in range(12)))
    known_layouts = 0
    for i in range(100):
        metrics = [Metric(1.5 * k + i, alias=k, ts=T0_MS + i) for k in range(12)]
        body = payload(metrics, T0_MS + i, i)
        if sparkplug_form.read(body, birth) is None:
            sparkplug_b.read(sparkplug_b.decode(body), birth, body)
        else:
            known_layouts += 1
    assert known_layouts == 99


WHOLE = payload(
    [
        Metric(1.5, "x", 1, DOUBLE, ts=T0_MS, unit="kWh", quality=192),
        Metric(7, "y", 2, INT64),
        Metric("text", "z", 3, STRING),
        Metric(None, "w", 4, FLOAT),
    ]
)


def test_the_schema_is_the_published_one():
    """A field number of our own would read other nodes' payloads wrong."""
    fields = {f.name: f.number for f in pb.Payload.Metric.DESCRIPTOR.fields}
    assert fields["alias"] == 2
    assert fields["double_value"] == 13
    with pytest.raises(PayloadError):
        number(DOUBLE, "string_value", 1.0)

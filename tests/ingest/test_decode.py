"""
Payloads to checked readings: any message is stored or rejected, and the stream continues.

An error in a JSON text has the same message under every Python version.
"""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import classes
from ingest import decode as encodings
from ingest.decode import MAX_PAYLOAD
from ingest.errors import TOO_DEEP, describe_fault
from ingest.model import NULL, Device, Fleet
from ingest.mqtt.topics import Router
from ingest.pipeline.admit import Admitted, admit
from ingest.quality.gauges import AHEAD_US, Y2000_US
from tests.soak import often


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a":12.5,}', "Illegal trailing comma before end of object: line 1 column 10 (char 9)"),
        ('{"a":1 ,\n }', "Illegal trailing comma before end of object: line 1 column 8 (char 7)"),
        ("[1, ]", "Illegal trailing comma before end of array: line 1 column 3 (char 2)"),
        (
            '[{"a":[1,2,]}]',
            "Illegal trailing comma before end of array: line 1 column 11 (char 10)",
        ),
        ("[1,}", "Expecting value: line 1 column 4 (char 3)"),
        ("[,]", "Expecting value: line 1 column 2 (char 1)"),
        ('{"a":}', "Expecting value: line 1 column 6 (char 5)"),
        ("{,}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ('{"a":1,', "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)"),
        ('{"a":1 "b":2}', "Expecting ',' delimiter: line 1 column 8 (char 7)"),
        ("", "Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_the_place_and_the_words_do_not_depend_on_the_interpreter(text, words):
    """One dead letter would read differently on two servers, and its mark stand elsewhere."""
    with pytest.raises(json.JSONDecodeError) as wrong:
        json.loads(text)
    assert describe_fault(wrong.value) == words


def test_what_is_nested_too_deeply_is_told_in_our_own_words():
    """A technician would read of an interpreter's stack instead of the payload."""
    with pytest.raises(RecursionError) as wrong:
        json.loads("[" * 200_000)
    assert describe_fault(wrong.value) == TOO_DEEP


NOW_US = 1_767_225_600_000_000
NOW_MS = NOW_US // 1000
FLEET = Fleet(
    [
        Device("pv", "s", "pv_inverter", rated_power_w=100_000),
        Device("bare", "s", "pv_inverter"),
        Device("plant", "s", "wastewater_plant"),
        Device("gateway", "s", "energy_meter"),
        Device("behind", "s", "ev_charger", gateway="gateway"),
    ]
)
TOPICS = (
    "tonne/v1/pv/telemetry",
    "tonne/v1/bare/telemetry",
    "tonne/v1/plant/telemetry",
    "tonne/v1/gateway/behind/telemetry",
)


def judge(*payloads, topic=TOPICS[0], content_type=None) -> Admitted:
    n = len(payloads)
    return admit(
        FLEET, Router(FLEET).route, [topic] * n, list(payloads), [content_type] * n, NOW_US
    )


def text(ts=NOW_MS, **values) -> bytes:
    return json.dumps({"ts": ts, "values": values}).encode()


def check(payloads, found: Admitted) -> None:
    """Check that every message is stored or rejected, and that no stored value is invalid."""
    stored = {int(k) for frame in found.frames for k in frame.message}
    refused = {r.message for r in found.rejected}
    assert stored | refused == set(range(len(payloads)))
    for refusal in found.rejected:
        assert refusal.reason.isidentifier()
        assert refusal.detail
    for frame in found.frames:
        assert (frame.time_us >= Y2000_US).all()
        assert (frame.time_us <= NOW_US + AHEAD_US).all()
        for channel in classes.load()[frame.class_id].channels.values():
            values = frame.columns[channel.name]
            if channel.kind == "register":
                assert ((values == NULL) | ((values >= 0) & (values < 2**53))).all()
            else:
                assert not np.isinf(values).any()


CONTENT_TYPES = [None, "", "text/plain", *(n for c in encodings.CODECS for n in c.content_types)]
NUMBERS = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -1, 1e308, 2**53, 10**400, NOW_MS]),
)
NAMES = st.one_of(
    st.sampled_from(
        ["energy_export_kwh", "energy_import_kwh", "active_power_kw", "state", "flow_total_m3"]
    ),
    st.text(max_size=8),
)
SCALARS = st.one_of(NUMBERS, st.none(), st.booleans(), st.text(max_size=8))
TIMES = st.one_of(
    st.just(NOW_MS),
    st.integers(NOW_MS - 10**9, NOW_MS + 10**6),
    SCALARS,
    st.datetimes(timezones=st.timezones()).map(lambda t: t.isoformat()),
    st.datetimes().map(lambda t: t.isoformat()),
)
READINGS = st.fixed_dictionaries(
    {},
    optional={
        "ts": TIMES,
        "values": st.dictionaries(NAMES, st.one_of(NUMBERS, st.none()), max_size=4)
        | st.dictionaries(NAMES, SCALARS, max_size=3)
        | SCALARS,
        "id": SCALARS,
    },
)
SENML = st.lists(
    st.dictionaries(
        st.sampled_from(["bn", "bt", "bu", "bv", "n", "u", "v", "t", "vs", "vb", "s", "ut"]),
        SCALARS,
        max_size=5,
    ),
    max_size=4,
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["ts", "values", "meterValue", "sampledValue", "timestamp", "value", "unit", "sunspec",
             "blocks", "address", "data", "dateObserved", "type", "evseId", "TimeInstant", "id"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
PAYLOADS = st.one_of(
    st.binary(max_size=200),
    st.one_of(READINGS, st.lists(READINGS, max_size=4), SENML, ANYTHING).map(
        lambda found: json.dumps(found).encode()
    ),
    st.tuples(
        READINGS.map(lambda r: json.dumps(r).encode()), st.binary(max_size=3), st.integers(0)
    ).map(lambda p: p[0][: p[2] % len(p[0])] + p[1] + p[0][p[2] % len(p[0]) :]),
)


@settings(max_examples=often(40, 400), deadline=None)
@given(
    st.lists(
        st.tuples(PAYLOADS, st.sampled_from(CONTENT_TYPES), st.sampled_from(TOPICS)), max_size=6
    )
)
def test_nothing_breaks_the_stream(messages):
    """One bad device must not stop the others, and no message may be lost silently."""
    payloads = [payload for payload, _, _ in messages]
    content_types = [content_type for _, content_type, _ in messages]
    topics = [topic for _, _, topic in messages]
    check(payloads, admit(FLEET, Router(FLEET).route, topics, payloads, content_types, NOW_US))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "empty_payload"),
        (b"[]", "empty_payload"),
        (b'{"ts": 1', "malformed_json"),
        (b'{"ts": 1767225600000, "values": {"active_power_kw": NaN}}', "not_finite"),
        (b'{"ts": 1767225600000, "values": {"active_power_kw": "1.5"}}', "not_a_number"),
        (b'{"ts": 1767225600000, "values": {"active_power_kw": true}}', "not_a_number"),
        (b'{"values": {"active_power_kw": 1}}', "time_missing"),
        (b'{"ts": 1767225600000, "values": [1]}', "wrong_shape"),
        (b'{"ts": "yesterday", "values": {"active_power_kw": 1}}', "time_invalid"),
        (b'{"ts": "2026-01-01T00:00:00", "values": {"active_power_kw": 1}}', "time_invalid"),
        (b'{"ts": 99999999999999999, "values": {"active_power_kw": 1}}', "time_invalid"),
        (b'{"ts": ' + b"9" * 5_000 + b', "values": {"active_power_kw": 1}}', "malformed_json"),
        (b'{"ts": 1767225600000, "values": {"active_power_kw\xff": 1}}', "invalid_utf8"),
        (text(nobody_knows=1), "no_known_channel"),
        (text(), "no_known_channel"),
        (text(0, active_power_kw=1), "time_too_old"),
        (text(NOW_MS // 1000, active_power_kw=1), "time_in_seconds"),
        (text(NOW_MS + 300_001, active_power_kw=1), "time_future"),
        (text(2_098_000_000_000, active_power_kw=1), "time_future"),
        (text(energy_export_kwh=-1), "out_of_range"),
        (text(energy_export_kwh=1e300), "out_of_range"),
        (text(active_power_kw=20_000), "out_of_range"),
        (text(energy_export_kwh=12_345_678_900), "implausible_register"),
        (b" " * (MAX_PAYLOAD + 1), "payload_too_large"),
    ],
)
def test_each_fault_has_its_own_reason(payload, reason):
    """A technician must read from the dead letter what to repair."""
    found = judge(payload)
    assert {r.reason for r in found.rejected} == {reason}
    assert not any(len(frame) for frame in found.frames)


def test_what_is_far_above_a_rating_asks_for_its_unit():
    """A technician would look for a fault of the meter where the registry has kW instead of W."""
    for far in (text(active_power_kw=20_000), text(energy_export_kwh=12_345_678_900)):
        assert judge(far).rejected[0].detail.endswith("whether rated_power_w is in W")
    (near,) = judge(text(active_power_kw=200)).rejected
    assert near.detail.endswith("check its unit")


def test_a_bad_reading_costs_only_itself():
    """An array with one wrong clock must not lose the ninety-nine readings beside it."""
    good = [{"ts": NOW_MS - 1000 * k, "values": {"active_power_kw": k}} for k in range(4)]
    for wrong in ("no time", "2026-01-01T00:00:00", 10**15, 0, NOW_MS + 10**7):
        bad = {"ts": wrong, "values": {"active_power_kw": 1}}
        found = judge(json.dumps([*good[:2], bad, *good[2:]]).encode())
        assert len(found.frames[0]) == 4
        assert [r.message for r in found.rejected] == [0]


def test_a_bad_gauge_leaves_the_register_beside_it():
    """The register is what is paid for; a broken thermometer must not cost it."""
    found = judge(text(energy_export_kwh=12.5, module_temperature_c=900))
    frame = found.frames[0]
    assert frame.columns["energy_export_wh"].tolist() == [12_500]
    assert np.isnan(frame.columns["module_temperature_c"][0])
    assert frame.flags == {0: {"module_temperature_c": "out_of_range"}}
    assert [r.reason for r in found.rejected] == ["out_of_range"]


def test_a_bad_register_leaves_what_stands_beside_it():
    """A meter whose export register is broken would lose its import too."""
    found = judge(text(energy_export_kwh=-1, energy_import_kwh=12.5, active_power_kw=3))
    frame = found.frames[0]
    assert frame.columns["energy_export_wh"].tolist() == [NULL]
    assert frame.columns["energy_import_wh"].tolist() == [12_500]
    assert frame.columns["active_power_w"].tolist() == [3_000]
    assert frame.flags == {0: {"energy_export_wh": "out_of_range"}}
    assert [r.reason for r in found.rejected] == ["out_of_range"]


@pytest.mark.parametrize("more", [{}, {"energy_export_wh": 12_501, "active_power_w": 3}])
def test_a_name_in_base_units_is_read_where_the_profile_s_own_is_not_there(more):
    """A meter that sends both names would lose its register: two values for one."""
    alone = judge(text(energy_export_wh=12_500))
    assert alone.frames[0].columns["energy_export_wh"].tolist() == [12_500]
    both = judge(text(**more, energy_export_kwh=12.5, active_power_kw=3))
    assert both.frames[0].columns["energy_export_wh"].tolist() == [12_500]
    assert both.frames[0].columns["active_power_w"].tolist() == [3_000]
    assert not both.rejected
    assert {name for *_, name in both.ignored} == {*more}


def test_a_reading_of_nulls_is_none():
    """A dead meter that goes on sending nulls would be online, and its day complete."""
    found = judge(text(energy_export_kwh=None, active_power_kw=None), text(active_power_kw=1))
    assert [len(frame) for frame in found.frames] == [1]
    assert [(r.message, r.reason) for r in found.rejected] == [(0, "value_missing")]


def test_unknown_channels_are_counted_and_the_rest_is_taken():
    """A firmware update that adds a channel must not stop the old ones."""
    found = judge(*[text(active_power_kw=1, brand_new=2)] * 3)
    assert found.ignored == {("pv_inverter", "generic", "brand_new"): 3}
    assert len(found.frames[0]) == 3


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("tonne/v1/nobody/telemetry", "unknown_device"),
        ("tonne/v1/pv/bare/telemetry", "not_your_device"),
        ("tonne/v1/behind/telemetry", "not_your_device"),
        ("tonne/v1/pv/status", "unknown_topic"),
    ],
)
def test_nobody_speaks_for_another(topic, reason):
    """A stolen device must not write the readings of its neighbour."""
    assert [r.reason for r in judge(text(active_power_kw=1), topic=topic).rejected] == [reason]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_rows_keep_the_order_of_arrival(kinds):
    """Which of two contradicting readings came first decides which one counts."""
    shapes = [
        {"active_power_kw": 1.0},
        {"energy_export_kwh": 5.0},
        {"energy_export_kwh": 5.0, "active_power_kw": 1.0},
        {"active_power_kw": 1.0, "energy_export_kwh": 5.0},
    ]
    found = judge(*[text(**shapes[k]) for k in kinds])
    assert found.frames[0].message.tolist() == list(range(len(kinds)))

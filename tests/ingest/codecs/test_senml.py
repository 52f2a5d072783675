"""SenML in both encodings: the RFC's examples, and common errors of devices."""

import json

import cbor2
import pytest

from ingest.codecs import senml_cbor, senml_json
from ingest.errors import PayloadError
from ingest.reading import Row, time_us
from tests.ingest.metering import RECEIVED_US, read, reasons, rows

LABELS = {
    "bs": -6, "bv": -5, "bu": -4, "bt": -3, "bn": -2, "bver": -1,
    "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8,
}  # fmt: skip
OW = "urn:dev:ow:10e2073a01080063"

# RFC 8428, section 5.1: (pack, resolved as (name, unit, seconds or None for the receipt, value))
EXAMPLES = {
    "single datapoint": (
        [{"n": OW, "u": "Cel", "v": 23.1}],
        [(OW, "Cel", None, 23.1)],
    ),
    "several datapoints": (
        [
            {"bn": f"{OW}:", "n": "voltage", "u": "V", "v": 120.1},
            {"n": "current", "u": "A", "v": 1.2},
        ],
        [(f"{OW}:voltage", "V", None, 120.1), (f"{OW}:current", "A", None, 1.2)],
    ),
    "base time and relative times": (
        [
            {"bn": "urn:dev:ow:10e2073a0108006:", "bt": 1.276020076001e9, "bu": "A", "bver": 5,
             "n": "voltage", "u": "V", "v": 120.1},
            *({"n": "current", "t": t, "v": 1.7 + t / 10} for t in range(-5, 0)),
            {"n": "current", "v": 1.7},
        ],
        [
            ("urn:dev:ow:10e2073a0108006:voltage", "V", 1276020076.001, 120.1),
            ("urn:dev:ow:10e2073a0108006:current", "A", 1276020076.001, 1.7),
            *(
                ("urn:dev:ow:10e2073a0108006:current", "A", 1276020076.001 + t, 1.7 + t / 10)
                for t in range(-5, 0)
            ),
        ],
    ),
    "a moving thing": (
        [
            {"bn": OW, "bt": 1.320067464e9, "bu": "%RH", "v": 20},
            {"u": "lon", "v": 24.30621}, {"u": "lat", "v": 60.07965}, {"t": 60, "v": 20.3},
            {"u": "lon", "t": 60, "v": 24.30622}, {"u": "lat", "t": 60, "v": 60.07965},
            {"t": 120, "v": 20.7}, {"u": "lon", "t": 120, "v": 24.30623},
            {"u": "lat", "t": 120, "v": 60.07966}, {"u": "%EL", "t": 150, "v": 98},
            {"t": 180, "v": 21.2}, {"u": "lon", "t": 180, "v": 24.30628},
            {"u": "lat", "t": 180, "v": 60.07967},
        ],
        [
            (OW, "%RH", 1320067464, 20.0), (f"{OW}#lon", "lon", 1320067464, 24.30621),
            (f"{OW}#lat", "lat", 1320067464, 60.07965), (OW, "%RH", 1320067524, 20.3),
            (f"{OW}#lon", "lon", 1320067524, 24.30622), (f"{OW}#lat", "lat", 1320067524, 60.07965),
            (OW, "%RH", 1320067584, 20.7), (f"{OW}#lon", "lon", 1320067584, 24.30623),
            (f"{OW}#lat", "lat", 1320067584, 60.07966), (OW, "%EL", 1320067614, 98.0),
            (OW, "%RH", 1320067644, 21.2), (f"{OW}#lon", "lon", 1320067644, 24.30628),
            (f"{OW}#lat", "lat", 1320067644, 60.07967),
        ],
    ),
    "several things": (
        [
            {"bn": "2001:db8::2/", "bt": 1.320078429e9, "n": "temperature", "u": "Cel", "v": 25.2},
            {"n": "humidity", "u": "%RH", "v": 30},
            {"bn": "2001:db8::1/", "n": "temperature", "u": "Cel", "v": 12.3},
            {"n": "humidity", "u": "%RH", "v": 67},
        ],
        [
            ("2001:db8::2/temperature", "Cel", 1320078429, 25.2),
            ("2001:db8::2/humidity", "%RH", 1320078429, 30.0),
            ("2001:db8::1/temperature", "Cel", 1320078429, 12.3),
            ("2001:db8::1/humidity", "%RH", 1320078429, 67.0),
        ],
    ),
}  # fmt: skip


def _cbor(pack):
    return cbor2.dumps([{LABELS[k]: v for k, v in record.items()} for record in pack])


def _resolved(readings):
    readings = [r.stated() if isinstance(r, Row) else r for r in readings]
    return [
        (name, unit, time_us(reading.ts), value)
        for reading in readings
        for (name, value), unit in zip(reading.values.items(), reading.units, strict=True)
    ]


def _expected(points):
    return [(n, u, RECEIVED_US if t is None else round(t * 1e6), v) for n, u, t, v in points]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_standards_examples_resolve_as_printed(name):
    """A pack that every SenML library reads would be read otherwise here."""
    pack, points = EXAMPLES[name]
    text = json.dumps(pack).encode()
    assert _resolved(senml_json.decode(text, RECEIVED_US)) == _expected(points)
    assert _resolved(senml_cbor.decode(_cbor(pack), RECEIVED_US)) == _expected(points)


def test_values_that_are_no_quantities_leave_the_others():
    """
    A device that also reports its label and its card reader's bytes
    would lose its temperature.
    """
    pack = [
        {"bn": f"{OW}:", "n": "temp", "u": "Cel", "v": 23.1},
        {"n": "label", "vs": "Machine Room"},
        {"n": "open", "vb": False},
        {"n": "nfc-reader", "vd": "aGkgCg"},
    ]
    (reading,) = senml_json.decode(json.dumps(pack).encode(), RECEIVED_US)
    assert _resolved([reading]) == _expected(
        [(f"{OW}:temp", "Cel", None, 23.1), (f"{OW}:open", None, None, 0.0)]
    )
    assert [reason for reason, _ in reading.refused] == ["not_a_number"] * 2
    setting = [
        {"bn": "urn:dev:ow:10e2073a01080063:"},
        {"n": "temp", "u": "Cel", "v": 23.1},
        {"n": "heat", "u": "/", "v": 1},
        {"n": "fan", "u": "/", "v": 0},
    ]
    found = senml_json.decode(json.dumps(setting).encode(), RECEIVED_US)
    assert [v for _, _, _, v in _resolved(found)] == [23.1, 1.0, 0.0]


def test_the_standards_cbor_bytes_are_read():
    """The bytes printed in RFC 8428, section 6, would be refused."""
    data = bytes.fromhex(
        "82a72178 1b75726e3a6465763a6f773a31306532303733613031303830303 63a22fb41d303a15b00106223"
        "614120050067766f6c7461676501615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333".replace(
            " ", ""
        )
    )
    points = _resolved(senml_cbor.decode(data, RECEIVED_US))
    assert points == [
        ("urn:dev:ow:10e2073a0108006:voltage", "V", 1276020076001000, 120.1),
        ("urn:dev:ow:10e2073a0108006:current", "A", 1276020071001000, 1.2),
    ]


def test_the_name_of_the_device_may_stand_before_the_channel():
    """A fleet that names its things by URN would have to name every channel of every device."""
    pack = [
        {"bn": "urn:dev:mac:0024befffe804ff1/", "bt": 1767225600, "n": "active_power_kw", "v": 2}
    ]
    decoded = read(json.dumps(pack), device_class="pv_inverter")
    assert rows(decoded) == [{"time_us": RECEIVED_US, "active_power_w": 2000.0}]
    assert decoded.codecs == ["senml_json"]


def test_a_sum_is_a_register():
    """Energy counted by the sender would be lost, and power taken for energy."""
    pack = [
        {"bt": 1767225600, "n": "energy_export_kwh", "u": "W", "bs": 3_600_000, "s": 3_600_000},
        {"n": "active_power_kw", "u": "W", "v": 1500, "s": 99},
    ]
    decoded = read(json.dumps(pack), device_class="pv_inverter")
    assert rows(decoded) == [
        {"time_us": RECEIVED_US, "energy_export_wh": 2000, "active_power_w": 1500.0}
    ]
    assert list(decoded.ignored) == [("pv_inverter", "generic", "active_power_kw#sum")]


@pytest.mark.parametrize(
    ("unit", "wh"), [("Wh", 7), ("kWh", 7_000), ("MWh", 7_000_000), ("J", 0), (None, 7_000)]
)
def test_the_stated_unit_decides(unit, wh):
    """A meter that says Wh would be counted a thousandfold because its profile says kWh."""
    pack = [{"t": 1767225600, "n": "energy_import_kwh", "v": 7} | ({"u": unit} if unit else {})]
    assert rows(read(json.dumps(pack), device_class="energy_meter"))[0]["energy_import_wh"] == wh


def test_one_bad_record_keeps_the_others():
    """One sensor's fault text would cost the energy reading beside it."""
    pack = [
        {"bt": 1767225600, "n": "energy_import_kwh", "u": "kWh", "v": 7},
        {"n": "voltage_v", "vs": "fault"},
        {"n": "frequency_hz", "u": "V", "v": 50},
        {"n": "active_power_kw"},
    ]
    decoded = read(json.dumps(pack), device_class="energy_meter")
    assert rows(decoded) == [{"time_us": RECEIVED_US, "energy_import_wh": 7000}]
    assert reasons(decoded) == ["not_a_number", "value_missing", "unit_mismatch"]


@pytest.mark.parametrize(
    ("pack", "reason"),
    [
        ([{"bver": 11, "n": "a", "v": 1}], "version_unknown"),
        ([{"n": "a", "v": 1, "b_": 2}], "label_unknown"),
        ([{"n": "a", "v": 1, "t": 1e15}], "time_invalid"),
        ([{"n": "a", "v": 1, "t": -1e9}], "time_invalid"),
        ([{"bt": "now", "n": "a", "v": 1}], "not_a_number"),
        ([{"n": 5, "v": 1}], "wrong_shape"),
        ({"n": "a", "v": 1}, "wrong_shape"),
    ],
)
def test_a_pack_that_cannot_be_trusted_is_refused_whole(pack, reason):
    """A pack of a later version would be half understood, and counted."""
    with pytest.raises(PayloadError) as caught:
        senml_json.decode(json.dumps(pack).encode(), RECEIVED_US)
    assert caught.value.reason == reason


def test_a_label_of_an_extension_is_passed_over():
    """A sensor with a newer library would be refused for a label that changes nothing."""
    (reading,) = senml_json.decode(b'[{"n":"a","v":1,"x":{"y_z":2}}]', RECEIVED_US)
    assert reading.values == {"a": 1.0}
    with pytest.raises(PayloadError, match="malformed_json"):
        senml_json.decode(b'[{"n":"a","v":1,"x":2}, {', RECEIVED_US)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x81", "malformed_cbor"),
        (b"\xa0", "wrong_shape"),
        (b"\x81\x00", "wrong_shape"),
        (cbor2.dumps([{0: "a", 2: 1, "x_": 1}]), "label_unknown"),
        (cbor2.dumps([{0: 5, 2: 1}]), "wrong_shape"),
        (b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", "malformed_cbor"),
        (b"\x81" * 5_000, "malformed_cbor"),
    ],
)
def test_cbor_that_is_no_pack_is_refused(data, reason):
    """Bytes of another protocol on the topic would stop the stream."""
    with pytest.raises(PayloadError) as caught:
        senml_cbor.decode(data, RECEIVED_US)
    assert caught.value.reason == reason


def test_numbers_that_are_none_are_refused_by_name():
    """A NaN in a register would be stored as nothing, without a message."""
    data = cbor2.dumps(
        [{0: "a", 2: float("nan")}, {0: "b", 2: 2**2000}, {0: "c", 2: True}, {0: "d", 2: 4}]
    )
    (reading,) = senml_cbor.decode(data, RECEIVED_US)
    assert reading.values == {"d": 4.0}
    assert [reason for reason, _ in reading.refused] == ["not_finite", *["not_a_number"] * 2]


def test_two_values_of_one_time_are_none():
    """Of two different register values one would be guessed; equal ones are accepted."""
    t, name = 1_767_225_600, "energy_import_kwh"
    first, second = ({"n": name, "u": "kWh", "v": v, "t": t} for v in (5, 6))
    power = {"n": "active_power_kw", "u": "W", "v": 3, "t": t}
    for pack in ([first, second, power], [first, power, second, first]):
        found = read(
            json.dumps(pack), device_class="energy_meter", content_type="application/senml+json"
        )
        assert [row.keys() for row in rows(found)] == [{"time_us", "active_power_w"}]
        assert set(reasons(found)) == {"channel_twice"}
    found = read(
        json.dumps([first, first]),
        device_class="energy_meter",
        content_type="application/senml+json",
    )
    assert (rows(found)[0]["energy_import_wh"], reasons(found)) == (5_000, [])

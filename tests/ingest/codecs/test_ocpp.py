"""OCPP meter values of both versions: defaults, preferences, and common errors of chargers."""

import json
from importlib import resources
from pathlib import Path

import jsonschema_rs
import pytest

from ingest.codecs import ocpp16, ocpp201
from ingest.errors import PayloadError
from ingest.reading import SIGNED_VALUE

T = "2026-01-01T00:00:00Z"
MS = 1_767_225_600_000
REGISTER = "Energy.Active.Import.Register"


def _body(*samples, at=T):
    return {"connectorId": 1, "meterValue": [{"timestamp": at, "sampledValue": list(samples)}]}


def _read(codec, body):
    return codec.decode(json.dumps(body).encode())


def _said(reading):
    return {n: (v, u) for (n, v), u in zip(reading.values.items(), reading.units, strict=True)}


def test_a_bare_value_is_the_import_register_in_wh():
    """The commonest message of all chargers would have no meaning."""
    (reading,) = _read(ocpp16, _body({"value": "12345"}))
    assert (reading.ts, _said(reading)) == (MS, {REGISTER: (12345.0, "Wh")})
    (reading,) = _read(ocpp201, _body({"value": 12345.5}))
    assert _said(reading) == {REGISTER: (12345.5, "Wh")}


@pytest.mark.parametrize("codec", [ocpp16, ocpp201])
def test_a_call_carries_its_message_id(codec):
    """A charger could not tell from the receipt which of its calls is stored."""
    value = "1" if codec is ocpp16 else 1
    (reading,) = _read(codec, [2, "19223201", "MeterValues", _body({"value": value})])
    assert reading.id == "19223201"


def test_units_phases_and_places():
    """A reading of one phase or of the vehicle would be taken for the outlet's."""
    (reading,) = _read(
        ocpp16,
        _body(
            {"value": "7.2", "unit": "kWh", "measurand": REGISTER},
            {"value": "3600", "measurand": "Power.Active.Import", "unit": "W"},
            {"value": "230.1", "measurand": "Voltage", "phase": "L1-N", "unit": "V"},
            {"value": "55", "measurand": "SoC", "unit": "Percent", "location": "EV"},
            {"value": "31", "measurand": "Temperature", "unit": "Celcius", "location": "Body"},
            {"value": "16", "measurand": "Current.Offered"},
        ),
    )
    assert _said(reading) == {
        REGISTER: (7.2, "kWh"),
        "Power.Active.Import": (3600.0, "W"),
        "Voltage/L1-N": (230.1, "V"),
        "SoC": (55.0, "%"),
        "Temperature@Body": (31.0, "Cel"),
        "Current.Offered": (16.0, None),
    }


def test_the_multiplier_of_the_newer_version():
    """A charger that counts in units of 100 Wh would be stored with a hundredth of its energy."""
    unit = {"unit": "Wh", "multiplier": 2}
    (reading,) = _read(
        ocpp201,
        _body(
            {"value": 123, "unitOfMeasure": unit},
            {
                "value": 2305,
                "measurand": "Voltage",
                "unitOfMeasure": {"unit": "V", "multiplier": -1},
            },
        ),
    )
    assert _said(reading) == {REGISTER: (12300.0, "Wh"), "Voltage": (230.5, "V")}


@pytest.mark.parametrize("first", [0, 1])
def test_the_clock_aligned_sample_counts(first):
    """Two samples of one moment would appear in the order in which the charger wrote them."""
    samples = [
        {"value": "100", "context": "Sample.Clock"},
        {"value": "101", "context": "Transaction.Begin"},
    ]
    (reading,) = _read(ocpp16, _body(samples[first], samples[1 - first]))
    assert _said(reading) == {REGISTER: (100.0, "Wh")}


def test_times_apart_are_readings_apart():
    """All samples of an hourly batch would be stored with one time."""
    body = _body({"value": "1"})
    body["meterValue"] += _body({"value": "2"}, at="2026-01-01T07:15:00+07:00")["meterValue"]
    assert [(r.ts, r.values[REGISTER]) for r in _read(ocpp16, body)] == [
        (MS, 1.0),
        (MS + 900_000, 2.0),
    ]


def test_one_bad_sample_keeps_the_others():
    """A charger's odd text for one phase would cost its energy."""
    (reading,) = _read(
        ocpp16,
        _body(
            {"value": "5"},
            {"value": "n/a", "measurand": "Voltage"},
            {"value": "1e999", "measurand": "SoC"},
            {"value": "AQID", "format": "SignedData", "measurand": "Power.Offered"},
        ),
    )
    assert reading.values == {REGISTER: 5.0}
    assert [reason for reason, _ in reading.refused] == ["not_a_number", "not_finite", SIGNED_VALUE]


SCHEMAS = resources.files("ocpp")
GOLDEN = Path(__file__).parents[2] / "golden_profiles/cases.jsonl"
CASES = [
    case
    for case in map(json.loads, GOLDEN.read_text(encoding="utf-8").splitlines())
    if case["class"] == "ev_charger" and case["profile"].startswith("ocpp")
]


def _schema(payload):
    """Return the schema of the Open Charge Alliance for a call or a bare MeterValues body."""
    action, body = payload[2:] if isinstance(payload, list) else ("MeterValues", payload)
    text = json.dumps(payload)
    newer = any(word in text for word in ('"evseId"', '"transactionInfo"'))
    folder, name = ("v201", f"{action}Request") if newer else ("v16", action)
    path = SCHEMAS.joinpath(folder, "schemas", f"{name}.json")
    return json.loads(path.read_text(encoding="utf-8-sig")), body


@pytest.mark.parametrize("payload", [case["payload"] for case in CASES])
def test_the_golden_messages_are_what_the_schemas_allow(payload):
    """The test's charger message would be one that no charger sends."""
    schema, body = _schema(payload)
    jsonschema_rs.validate(schema, body)


def test_a_signed_value_is_noted_as_it_came():
    """A driver who doubts the bill could not be shown what the meter signed."""
    signed = {"value": "0A1B", "format": "SignedData", "context": "Transaction.End"}
    (reading,) = _read(ocpp16, _body({"value": "5"}, signed))
    ((reason, detail),) = reading.refused
    assert reason == SIGNED_VALUE
    assert json.loads(detail) == {
        "ts": T,
        "channel": REGISTER,
        "context": "Transaction.End",
        "data": "0A1B",
        "method": "",
        "encoding": "",
        "public_key": "",
    }


def test_two_registers_of_one_moment_are_none():
    """
    Of two meters in one message one would be guessed, and the
    higher one would overstate tonnes.
    """
    for samples in (
        ({"value": "500"}, {"value": "900"}),
        ({"value": "500"}, {"value": "500", "unit": "kWh"}),
        ({"value": "1", "context": "Trigger"}, {"value": "2", "context": "Other"}),
    ):
        (reading,) = _read(ocpp16, _body(*samples, {"value": "7", "measurand": "SoC"}))
        assert list(reading.values) == ["SoC"]
        assert [reason for reason, _ in reading.refused] == ["channel_twice"]
    for samples in (
        ({"value": "500"}, {"value": "500", "unit": "Wh"}),
        ({"value": "1234", "unit": "Wh"}, {"value": "1.234", "unit": "kWh"}),
    ):
        (reading,) = _read(ocpp16, _body(*samples))
        assert (len(reading.values), reading.refused) == (1, ())


def test_a_sample_says_more_than_the_whole_watt_hours_of_its_call():
    """Each session's end would be refused for the half watt-hour that the call rounds away."""
    data = [
        {
            "timestamp": T,
            "sampledValue": [{"value": "1.0004", "unit": "kWh", "context": "Transaction.End"}],
        }
    ]
    body = {"meterStop": 1000, "timestamp": T, "transactionId": 1, "transactionData": data}
    (reading,) = _read(ocpp16, [2, "1", "StopTransaction", body])
    assert (_said(reading), reading.refused) == ({REGISTER: (1.0004, "kWh")}, ())


@pytest.mark.parametrize("action", ["StartTransaction", "StopTransaction"])
def test_a_transaction_without_its_register_or_time_is_refused(action):
    """A session's energy would be lost without a message, or stored at no time."""
    register = "meterStart" if action == "StartTransaction" else "meterStop"
    for body, reason in (({"timestamp": T}, "wrong_shape"), ({register: 5}, "time_missing")):
        with pytest.raises(PayloadError) as caught:
            _read(ocpp16, [2, "1", action, body])
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ('[2,"1","Heartbeat",{}]', "ocpp_action"),
        ('[3,"1",{}]', "wrong_shape"),
        ('[3,"1","MeterValues",{}]', "wrong_shape"),
        ("[2", "malformed_json"),
        ('{"meterValue":[{"sampledValue":[]}]}', "time_missing"),
        ('{"meterValue":[{"timestamp":"2026-01-01T00:00:00","sampledValue":[]}]}', "time_invalid"),
        ('{"meterValue":5}', "wrong_shape"),
    ],
)
@pytest.mark.parametrize("codec", [ocpp16, ocpp201])
def test_what_is_no_meter_values_is_refused(codec, payload, reason):
    """A charge point's other calls on the topic would fail without a message."""
    with pytest.raises(PayloadError) as caught:
        codec.decode(payload.encode())
    assert caught.value.reason == reason

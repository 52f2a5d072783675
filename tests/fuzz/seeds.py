"""
Starting payloads of the fuzzing, by codec: golden cases, those of the
benchmark, and rejected ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import cbor2

from ingest import decode as encodings
from tests.bench.codecs import KINDS
from tests.fuzz import sparkplug
from tests.ingest.codecs.cases import cases

GOLDEN = Path(__file__).parents[1] / "golden_profiles/cases.jsonl"
_PACK = [
    {"bn": "urn:dev:ow:10e2073a0108006:", "bt": 1.276020076001e9, "bu": "A", "bver": 5,
     "n": "voltage", "u": "V", "v": 120.1},
    {"n": "current", "t": -5, "v": 1.2},
    {"n": "energy", "u": "W", "bs": 10, "s": 3600.5, "bv": 2},
    {"n": "open", "vb": False},
    {"n": "label", "vs": "Machine Room"},
]  # fmt: skip
_LABELS = {
    "bs": -6, "bv": -5, "bu": -4, "bt": -3, "bn": -2, "bver": -1,
    "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6,
}  # fmt: skip
_SAMPLE = {"value": "1", "context": "Sample.Clock", "unit": "Wh", "format": "Raw", "phase": "L1"}
_SIGNED = {"value": "AQID", "format": "SignedData", "context": "Transaction.End"}
_SIGNED_201 = {
    "value": 7.5,
    "signedMeterValue": {
        "signedMeterData": "AQID",
        "signingMethod": "",
        "encodingMethod": "OCMF",
        "publicKey": "",
    },
}
_T = "2026-01-01T00:00:00.5+07:00"
MORE: dict[str, list[object]] = {
    "json": [
        {"ts": _T, "id": "a", "values": {"energy_export_kwh": 1.5, "active_power_kw": -2}},
        [{"ts": 1, "values": {}}, {"ts": 2, "values": {"state": "5", "x": None}}],
        {"values": {"x": 1}}, {"ts": 1, "values": {"x": {"y": 1}}},
    ],
    "senml_json": [_PACK, [{"n": "x"}], [{"v": 1, "x_": 1}], [{"bver": 11, "v": 1}]],
    "senml_cbor": [
        [{_LABELS[k]: v for k, v in record.items()} for record in _PACK],
        [{0: "x", 2: 10**30, "x_": 1}], [{0: "x", 2: "1"}],
    ],
    "ocpp16": [
        [2, "1", "MeterValues", {"connectorId": 1, "meterValue": [
            {"timestamp": _T, "sampledValue": [_SAMPLE, _SIGNED, {"value": "1e3x"}]}]}],
        [2, "1", "Heartbeat", {}],
    ],
    "ocpp201": [
        [2, "1", "MeterValues", {"evseId": 1, "meterValue": [
            {"timestamp": _T, "sampledValue": [_SIGNED_201, {
                "value": -1, "unitOfMeasure": {"unit": "Wh", "multiplier": 3}}]}]}],
    ],
    "sunspec": [{"ts": 1, "sunspec": {"registers": [0x5375, 0x6E53, 103, 50, *range(50), 65535]}}],
    "modbus": [
        {"ts": 1, "byte_order": "little", "blocks": [{"address": 7, "base64": "AAECAw=="}]},
        {"ts": 1, "blocks": [{"table": "input", "address": 65535, "registers": [1, 65536]}]},
    ],
    "ngsi": [{"id": "x", "type": "AirQualityObserved", "dateObserved": _T, "pm25": "12"}],
}  # fmt: skip


def gather() -> dict[str, list[bytes]]:
    """Return seeds by codec."""
    found = {name: [case["bytes"] for case in held] for name, held in cases().items()}
    for case in map(json.loads, GOLDEN.read_text(encoding="utf-8").splitlines()):
        payload = json.dumps(case["payload"]).encode()
        name = encodings.find(payload, case.get("content_type")).name
        found[name].append(payload)
    for name, (_, _, make) in KINDS.items():
        found[name].append(make(7))
    for name, documents in MORE.items():
        write = cbor2.dumps if name == "senml_cbor" else _compact
        found[name].extend(write(document) for document in documents)
    found[sparkplug.NAME] = sparkplug.seeds()
    return {name: seeds for name, seeds in found.items() if seeds}


def _compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def large(size: int) -> list[bytes]:
    """Return large payloads, whose processing could take disproportionately long."""
    return [
        b"[" * size, b'{"values":' * (size // 10), b'[{"n":"' + b'\\"' * (size // 2) + b'","x":1}]',
        b'{"ts":1,"values":{"x":' + b"1" * size + b"}}", b"\x81" * size, b"\x9f" * size,
        b'[{"n":"x","v":1,"' + b'"_' * (size // 2), b'[{"x_y":"' + b"_" * size + b'","v":1}]',
        b'{"meterValue":[{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[{"value":"'
        + b"1" * size + b'x"}]}]}',
        b'{"meterValue":[{"timestamp":"' + b"2" * size + b'","sampledValue":[]}]}',
        b'{"ts":1,"blocks":[' + b'{"address":1,"hex":"0001"},' * (size // 27) + b'{"address":1}]}',
        b'{"ts":1,"sunspec":{"hex":"' + b"0" * size + b'"}}',
        b'{"type":"x","dateObserved":"' + b" " * size + b'"}', b'"dateObserved"' + b" " * size,
        b'[{"bn":"b","bt":1767225600,"n":"x","v":1}' + b',{"n":"x","v":1}' * (size // 16) + b"]",
        b'[{"n":"a","v":1}' + b',{"t":1,"v":1,"u":"a"},{"t":1,"v":1,"u":"b"}' * (size // 44) + b"]",
        b"\x9b\x00\x00\x00\x00\x7f\xff\xff\xff",
        b"\x81\xa1\x00\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x81\xa1\x02\xd8\x1e\x82\xc2\x5a" + size.to_bytes(4, "big") + b"\x7f" * size + b"\x03",
        b"\x81\xa1\x02\xc2\x5a" + size.to_bytes(4, "big") + b"\x7f" * size,
        b"\x81\xa1\x02\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
    ]  # fmt: skip

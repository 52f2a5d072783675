"""Processor time from payload bytes to columns, a reading of each codec's usual width."""

import json
import struct
import time

import cbor2

from ingest.decode import decode
from ingest.model import Device, Fleet
from ingest.mqtt import Router
from ingest.sparkplug import Host, Node, Outcome, Rules
from tests.bench import load
from tests.running import Pipeline
from tests.sparkplug_edge import EdgeNode

MESSAGES, ROUNDS = 5_000, 5
CHANNELS = (
    "energy_export_kwh", "energy_import_kwh", "active_power_kw", "irradiance_w_m2",
    "module_temperature_c", "dc_power_kw", "dc_voltage_v", "dc_current_a", "voltage_v",
    "frequency_hz", "inverter_temperature_c", "state",
)  # fmt: skip
_SENML = {"bn": -2, "bt": -3, "n": 0, "v": 2}


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Return microseconds per reading, the best of some rounds; plain JSON is the reference."""
    del pipeline  # no server takes part
    figures = {}
    for codec, (device_class, profile, make) in KINDS.items():
        fleet = Fleet([Device("d", "s", device_class, profile=profile)])
        payloads = [make(i) for i in range(MESSAGES)]
        figures[f"decode_{codec}_us"] = cost = _best(fleet, payloads, codec)
        figures[f"decode_{codec}_readings_per_s"] = 1e6 / cost
    figures["decode_sparkplug_b_us"] = cost = _best_sparkplug()
    figures["decode_sparkplug_b_readings_per_s"] = 1e6 / cost
    plain = figures["decode_json_us"]
    for name, cost in figures.items():
        if name.endswith("_us"):
            print(f"{name:<24} {cost:6.2f} us a reading, {cost / plain:5.2f} times plain JSON")
    return figures


def _best(fleet: Fleet, payloads: list[bytes], codec: str) -> float:
    topics, types = ["d"] * MESSAGES, [None] * MESSAGES
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        out = decode(fleet, lambda _: 0, topics, payloads, types, load.START_MS * 1000)
        best = min(best, time.process_time() - began)
    if set(out.codecs) != {codec} or out.rejected or sum(map(len, out.frames)) != MESSAGES:
        raise AssertionError(f"{codec}: read as {set(out.codecs)}, refused {out.rejected[:1]}")
    return best / MESSAGES * 1e6


def _best_sparkplug() -> float:
    """Return the time of host rules and decoding, for messages of one node's device by alias."""
    edge = EdgeNode("n", names=CHANNELS, ts=load.START_MS)
    born = [edge.connect(), edge.birth("d")]
    sent = [edge.data("d", _values(i), ts=edge.ts + 1000) for i in range(MESSAGES)]
    topics, payloads = [topic for topic, _ in sent], [payload for _, payload in sent]
    received_us = edge.ts * 1000
    fleet = Fleet([Device("d", "s", "pv_inverter", gateway="n"), Device("n", "s", "energy_meter")])
    router, types = Router(fleet), [None] * MESSAGES
    best = float("inf")
    for _ in range(ROUNDS):
        nodes, out = {"n": Node("n")}, Outcome(MESSAGES)
        host = Host(nodes.__getitem__, Rules(), out, nodes)
        for topic, payload in born:
            host.take(0, topic, payload, received_us)
        began = time.process_time()
        for k, payload in enumerate(payloads):
            host.take(k, topics[k], payload, received_us)
        found = decode(fleet, router.route, topics, payloads, types, received_us, out.given)
        best = min(best, time.process_time() - began)
        if out.rejected or found.rejected or sum(map(len, found.frames)) != MESSAGES:
            raise AssertionError(f"sparkplug_b: refused {[*out.rejected, *found.rejected][:1]}")
    return best / MESSAGES * 1e6


def _values(i: int) -> dict[str, float]:
    return {name: 1.5 + k + i * 0.01 for k, name in enumerate(CHANNELS)}


def _ms(i: int) -> int:
    return load.START_MS + 1000 * i


def _json(i: int) -> bytes:
    body = {"ts": _ms(i), "id": i, "values": _values(i)}
    return json.dumps(body, separators=(",", ":")).encode()


def _pack(i: int) -> list[dict[str, object]]:
    first = {"bn": "urn:dev:mac:0024befffe804ff1/", "bt": _ms(i) / 1000}
    records: list[dict[str, object]] = [{"n": n, "v": v} for n, v in _values(i).items()]
    return [first | records[0], *records[1:]]


def _senml_json(i: int) -> bytes:
    return json.dumps(_pack(i), separators=(",", ":")).encode()


def _senml_cbor(i: int) -> bytes:
    return cbor2.dumps([{_SENML[k]: v for k, v in record.items()} for record in _pack(i)])


def _ocpp(i: int) -> bytes:
    samples = [
        {"value": str(1000 + i), "context": "Sample.Clock"},
        {"value": "7200.0", "measurand": "Power.Active.Import", "unit": "W"},
        {"value": "55", "measurand": "SoC", "unit": "Percent", "location": "EV"},
    ]
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(_ms(i) / 1000))
    values = [{"timestamp": at, "sampledValue": samples}]
    return json.dumps([2, str(i), "MeterValues", {"connectorId": 1, "meterValue": values}]).encode()


def _ocpp201(i: int) -> bytes:
    samples = [
        {"value": 1000 + i, "context": "Sample.Clock", "unitOfMeasure": {"unit": "Wh"}},
        {"value": 7200.0, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W"}},
        {"value": 55, "measurand": "SoC", "location": "EV", "unitOfMeasure": {"unit": "Percent"}},
    ]
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(_ms(i) / 1000))
    values = [{"timestamp": at, "sampledValue": samples}]
    return json.dumps([2, str(i), "MeterValues", {"evseId": 1, "meterValue": values}]).encode()


def _ngsi(i: int) -> bytes:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(_ms(i) / 1000))
    entity = {"id": f"air-{i}", "type": "AirQualityObserved", "dateObserved": at}
    measured = {
        "pm25": 12.5, "pm10": 20.0, "so2": 3.0, "no2": 17.0 + i * 0.01, "co": 500.0,
        "o3": 40.0, "temperature": 27.5, "relativeHumidity": 0.78, "windSpeed": 2.1,
    }  # fmt: skip
    return json.dumps(entity | measured).encode()


def _sunspec(i: int) -> bytes:
    words = [113, 60, *[0x7FC0, 0] * 23, 4, *[0] * 13]
    for at, value in ((20, 9876.5), (22, 50.0), (30, 1000.0 + i), (36, 10_000.0)):
        words[at + 2 : at + 4] = struct.unpack(">2H", struct.pack(">f", value))
    held = struct.pack(f">{len(words)}H", *words).hex()
    return json.dumps({"ts": _ms(i), "id": i, "sunspec": {"hex": held}}).encode()


def _modbus(i: int) -> bytes:
    held = struct.pack(">38f", *(float(k + i) for k in range(38))).hex()
    block = {"table": "input", "address": 0, "hex": held}
    return json.dumps({"ts": _ms(i), "id": i, "blocks": [block]}).encode()


KINDS = {
    "json": ("pv_inverter", "generic", _json),
    "senml_json": ("pv_inverter", "generic", _senml_json),
    "senml_cbor": ("pv_inverter", "generic", _senml_cbor),
    "ocpp16": ("ev_charger", "ocpp", _ocpp),
    "ocpp201": ("ev_charger", "ocpp", _ocpp201),
    "ngsi": ("air_station", "fiware", _ngsi),
    "sunspec": ("pv_inverter", "sunspec-103", _sunspec),
    "modbus": ("energy_meter", "eastron-sdm630", _modbus),
}

"""A fleet and its messages for the bench, and a publisher that is faster than the pipeline.

Messages at a given rate, each with the moment at which it was sent.
"""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

import msgspec

SITE = {
    "id": "bench",
    "name": "Bench",
    "latitude": 20.94,
    "longitude": 106.6,
    "timezone": "Asia/Ho_Chi_Minh",
}
START_MS = 1_767_225_600_000
RATED_W = 100_000
Messages = list[tuple[str, bytes]]
_PER_PROJECT = 100
_WINDOW = 2_000


def registry(devices: int) -> dict:
    """Return a registry of PV inverters in projects of a hundred, as a YAML-able document."""
    installed = datetime(2025, 1, 1, tzinfo=UTC).isoformat()
    rows = [
        {
            "id": f"bench-{i:05d}",
            "site": "bench",
            "class": "pv_inverter",
            "profile": "generic",
            "rated_power_w": RATED_W,
            "installed": installed,
        }
        for i in range(devices)
    ]
    projects = [
        {
            "id": f"bench-{at // _PER_PROJECT:03d}",
            "name": "Bench",
            "methodology": "jcm-vn-am007",
            "version": "1.0",
            "crediting_period": {"from": "2026-01-01", "to": "2036-01-01"},
            "devices": [
                {"device": row["id"], "role": "generation", "case": 1}
                for row in rows[at : at + _PER_PROJECT]
            ],
            "expected": {"energy_kwh_per_year": 120_000 * min(_PER_PROJECT, devices - at)},
        }
        for at in range(0, devices, _PER_PROJECT)
    ]
    return {"sites": [SITE], "devices": rows, "projects": projects}


def messages(devices: int, each: int, cadence_s: int = 60) -> Iterator[tuple[str, bytes]]:
    """Yield topic and payload of 12-channel readings, minute by minute over the whole fleet."""
    encode = msgspec.json.encode
    for k in range(each):
        ts = START_MS + k * cadence_s * 1000
        for i in range(devices):
            kw = 20 + (i * 7 + k * 3) % 60
            yield (
                f"tonne/v1/bench-{i:05d}/telemetry",
                encode(
                    {
                        "ts": ts,
                        "id": k,
                        "values": {
                            "energy_export_kwh": round(1000 + i + k * cadence_s * 50 / 3600, 3),
                            "energy_import_kwh": round(10 + k * 0.001, 3),
                            "active_power_kw": kw + 0.125,
                            "irradiance_w_m2": 801.5,
                            "module_temperature_c": 45.25,
                            "dc_power_kw": kw + 1.5,
                            "dc_voltage_v": 712.5,
                            "dc_current_a": 61.25,
                            "voltage_v": 401.5,
                            "frequency_hz": 50.01,
                            "inverter_temperature_c": 51.5,
                            "state": 4,
                        },
                    }
                ),
            )


class Publisher:
    """
    MQTT 3.1.1 publisher at QoS 1 over one socket, with many messages per
    write, paced by PUBACKs.
    """

    def __init__(self, port: int, client_id: str = "bench-publisher") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = client_id.encode()
        body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(name).to_bytes(2, "big") + name
        self._socket.sendall(b"\x10" + bytes([len(body)]) + body)
        if self._socket.recv(4) != b"\x20\x02\x00\x00":
            raise ConnectionError("the broker refused the bench's publisher")

    def send(self, batch: list[tuple[str, bytes]]) -> None:
        """Publish a batch and wait until the broker has acknowledged it."""
        for at in range(0, len(batch), _WINDOW):
            part = batch[at : at + _WINDOW]
            out = bytearray()
            for mid, (topic, payload) in enumerate(part, 1):
                name = topic.encode()
                length = 4 + len(name) + len(payload)
                out.append(0x32)
                while length > 127:
                    out.append(length & 127 | 128)
                    length >>= 7
                out.append(length)
                out += len(name).to_bytes(2, "big") + name + mid.to_bytes(2, "big") + payload
            self._socket.sendall(out)
            missing = 4 * len(part)
            while missing:
                got = len(self._socket.recv(missing))
                if not got:
                    raise ConnectionError("the broker closed the bench's connection")
                missing -= got

    def close(self) -> None:
        """Disconnect."""
        self._socket.sendall(b"\xe0\x00")
        self._socket.close()


TICK_S = 0.005  # many devices leave no silence between their messages


class Paced(threading.Thread):
    """
    Publishes at a rate until it is stopped or has no more messages.

    Parameters
    ----------
    port : int
        Of the MQTT broker.
    messages : iterator of (topic, payload)
    per_s : float
        Messages a second.

    `sent` counts them; `moments` holds the time of each tick's publish and how many
    messages there were by then.
    """

    def __init__(self, port: int, messages: Iterator[tuple[str, bytes]], per_s: float) -> None:
        super().__init__(name="paced", daemon=True)
        self._publisher = Publisher(port)
        self._messages = messages
        self._per_s = per_s
        self._stopping = threading.Event()
        self.sent = 0
        self.moments: list[tuple[float, int]] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Send the due messages at every tick; a late tick sends more."""
        began = time.monotonic()
        try:
            while not self._stopping.wait(TICK_S):
                now = time.monotonic()
                due = int((now - began) * self._per_s) - self.sent
                batch = list(islice(self._messages, due))
                if due and not batch:
                    break
                if batch:
                    self.moments.append((now, self.sent + len(batch)))
                    self._publisher.send(batch)
                    self.sent += len(batch)
            self._publisher.close()
        except BaseException as error:  # noqa: BLE001 - told by `finish`
            self.failure = error

    def finish(self) -> int:
        """Stop; return the number of messages sent, or raise the error of the thread."""
        self._stopping.set()
        self.join(30)
        if self.failure is not None:
            raise self.failure
        return self.sent

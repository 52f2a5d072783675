"""
Simulated and recorded field devices, with faults: model of a device, its messages and
registers; Sparkplug B edge node.

A `Source` yields the readings of one device as blocks of columns; faults and encoding are applied
afterwards, to simulated and recorded readings alike.

Each random number belongs to a named stream of seed, device and day.  Streams are independent, so
that a longer run repeats a shorter one and adding a device changes no other.

A register is counted exactly.  Rates are integers in thousandths of the base unit per hour (mW for
Wh, uL/h for mL, mm/h for m) and linear between samples, so a step is the trapezoid.  The remainder
is carried on, so results do not depend on the division into blocks.

A simulated edge node turns JSON readings into NDATA or DDATA with the next sequence number; a
repeated message gets a new number, as on a real node.  Data are sent at QoS 1 instead of the
specified QoS 0, so that no message is lost.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple, Protocol, TypeAlias
from zlib import crc32

import msgspec
import numpy as np
import numpy.typing as npt

from ingest import profiles
from ingest.codecs.sparkplug_b import BD_SEQ, REBIRTH
from ingest.errors import InputError
from ingest.formats import sparkplug_b_pb2
from ingest.formats.sparkplug import BOOLEAN, DOUBLE, INT64, STRING
from ingest.sparkplug import PREFIX

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

MS_PER_DAY = 86_400_000

# base units (Wh, mL, m, g, s, K s) per payload unit, by the last part of a channel's name
BASE_PER_UNIT = {
    "kwh": 1_000, "m3": 1_000_000, "nm3": 1_000_000, "km": 1_000, "l": 1_000, "kg": 1_000,
    "t": 1_000_000, "h": 3_600, "kd": 86_400, "count": 1,
}  # fmt: skip
_MS_PER_HOUR = 3_600_000


class SimulatorError(InputError):
    """A fleet, fault list or recording cannot be simulated; the message says why."""


@dataclass(frozen=True, slots=True)
class Device:
    """
    Simulated field device.

    `principal` is its MQTT name, or that of its gateway. `rated_power_w` [W], `cadence_s` [s],
    coordinates in degrees north and east; `per_day` is the quantity on a working day, in the
    payload's unit; `generates` is true of the meter of a solar plant.
    """

    id: str
    device_class: str
    principal: str
    latitude: float
    longitude: float
    rated_power_w: int
    cadence_s: int
    profile: str = "generic"
    per_day: float = 0.0
    generates: bool = False

    @property
    def topic(self) -> str:
        """Return the telemetry topic of the device, direct or through its gateway."""
        if self.principal == self.id:
            return f"tonne/v1/{self.id}/telemetry"
        return f"tonne/v1/{self.principal}/{self.id}/telemetry"


@dataclass(slots=True)
class Block:
    """
    Readings of one device in time order.

    `time_ms` [ms since 1970 UTC], `number` message numbers, `registers` in whole base units [Wh,
    mL, m], `gauges` in the unit in their name.
    """

    time_ms: Ints
    number: Ints
    registers: dict[str, Ints]
    gauges: dict[str, Floats]


class Source(Protocol):
    """Readings of one device as a sequence of blocks."""

    @property
    def device(self) -> Device:
        """Return the device of these readings."""

    def blocks(self) -> Iterator[Block]:
        """Yield the readings from the beginning, in time order."""


class Outgoing(NamedTuple):
    """
    Message of a device that is to be published.

    `ids` are the message numbers that a receipt must name before the device may forget it; empty
    for a message without receipt (garbage).
    """

    device_id: str
    topic: str
    payload: bytes
    ts_us: int
    send_us: int
    ids: tuple[int, ...]


def base_per_unit(channel: str) -> int:
    """Return the base units per payload unit of a register channel: `energy_export_kwh` -> 1000."""
    return BASE_PER_UNIT[channel.rsplit("_", 1)[1]]


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the independent random generator of a seed and names."""
    words = [crc32(str(name).encode()) for name in names]
    return np.random.Generator(np.random.SFC64([seed, *words]))


def wander(rng: np.random.Generator, count: int, step_s: float, memory_s: float) -> Floats:
    """
    Return a first-order autoregressive series of mean 0 and standard deviation 1.

    `count`: number of samples.
    `step_s`, `memory_s`: time between samples and the time in which the correlation falls to 1/e.
    [s]
    """
    if count == 0:
        return np.empty(0)
    keep = math.exp(-step_s / memory_s)
    pushes = rng.standard_normal(count)
    pushes[1:] *= math.sqrt(1 - keep * keep)
    return np.array(list(accumulate(pushes.tolist(), lambda last, push: keep * last + push)))


def zone_ms(longitude: float) -> int:
    """Return the time zone offset by longitude alone, in whole hours from UTC. [ms]"""
    return round(longitude / 15) * _MS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Day:
    """
    Part of one local day in which a device reads.

    `number` counts local days since 1970; `time_ms` is an even grid in it.
    """

    device: Device
    seed: int
    number: int
    time_ms: Ints

    @property
    def hour(self) -> Floats:
        """Return the local hours of the readings by longitude, 0 <= hour < 24. [h]"""
        local = (self.time_ms + zone_ms(self.device.longitude)) % MS_PER_DAY
        hours: Floats = local / _MS_PER_HOUR
        return hours

    @property
    def weekend(self) -> bool:
        """Return whether the local day is a Saturday or Sunday; 1970-01-01 was a Thursday."""
        return (self.number + 3) % 7 >= 5  # noqa: PLR2004

    def rng(self, name: str) -> np.random.Generator:
        """Return the random generator of this device, day and name."""
        return stream(self.seed, self.device.id, self.number, name)

    def wander(self, name: str, memory_s: float) -> Floats:
        """Return correlated noise of standard deviation 1 along the day."""
        return wander(self.rng(name), len(self.time_ms), self.device.cadence_s, memory_s)


def bump(hour: Floats, centre: float, width: float) -> Floats:
    """Return a bell curve of height 1 around an hour of the day, continued across midnight. [h]"""
    apart = np.abs((hour - centre + 12) % 24 - 12)
    bell: Floats = np.exp(-((apart / width) ** 2))
    return bell


# number of doubled thousandths times milliseconds per base unit (the trapezoid's mean is doubled)
_PER_BASE_UNIT = 2 * 1_000 * 3_600_000


class Register:
    """
    Cumulative register of a meter; it never decreases.

    `start`: reading before the first sample. [Wh, mL or m]
    """

    def __init__(self, start: int) -> None:
        self._reading = start
        self._remainder = 0
        self._last: tuple[int, int] | None = None

    def advance(self, time_ms: Ints, rate: Ints) -> Ints:
        """
        Return the register readings at the given times.

        Parameters
        ----------
        time_ms : int64 array, n >= 1
            Times, later than those of the previous call. [ms]
        rate : int64 array, n
            Rate at these times; negative rates count as zero. [base unit / 1000 h]

        Returns
        -------
        int64 array, n
            Readings, rounded down to the whole base unit as on a display.
        """
        counted = np.maximum(rate, 0)
        before_ms, before_rate = self._last or (int(time_ms[0]), int(counted[0]))
        elapsed = np.diff(time_ms, prepend=before_ms)
        doubled_mean = counted + np.concatenate(([before_rate], counted[:-1]))
        # divided in two parts: litres of a waterworks times the milliseconds of an hour exceed 64
        # bits
        units, part = np.divmod(doubled_mean, _PER_BASE_UNIT)
        whole, rest = np.divmod(elapsed * part, _PER_BASE_UNIT)
        whole += elapsed * units
        rest_sum = self._remainder + np.cumsum(rest)
        readings = self._reading + np.cumsum(whole) + rest_sum // _PER_BASE_UNIT
        self._reading += int(whole.sum()) + int(rest_sum[-1]) // _PER_BASE_UNIT
        self._remainder = int(rest_sum[-1]) % _PER_BASE_UNIT
        self._last = int(time_ms[-1]), int(counted[-1])
        return np.asarray(readings, dtype=np.int64)


class EnergyMeter:
    """
    Energy meter of a factory with the maximum demand `rated_power_w`: base load, two shifts,
    low weekend.
    """

    def __init__(self, device: Device, seed: int) -> None:
        chance = stream(seed, device.id, "build")
        self._device = device
        self._import = Register(int(chance.integers(1_000_000, 60_000_000)))
        self._export = Register(0)

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Return a day's readings: power, register, and a voltage that falls slightly with load."""
        work = np.minimum(bump(day.hour, 10.0, 3.0) + 0.9 * bump(day.hour, 15.5, 3.0), 1.0)
        load = 0.2 + (0.15 if day.weekend else 0.6) * work
        share = np.clip(load * (1.0 + 0.06 * day.wander("load", 900.0)), 0.02, 1.0)
        power_mw = np.rint(share * self._device.rated_power_w * 1_000).astype(np.int64)
        voltage = 231.0 - 4.0 * share + 0.8 * day.wander("voltage", 300.0)
        return Block(
            time_ms=day.time_ms,
            number=number,
            registers={
                "energy_import_kwh": self._import.advance(day.time_ms, power_mw),
                "energy_export_kwh": self._export.advance(day.time_ms, -power_mw),
            },
            gauges={
                "active_power_kw": power_mw / 1e6,
                "voltage_v": np.round(voltage, 1),
                "frequency_hz": np.round(50.0 + 0.02 * day.wander("frequency", 120.0), 3),
            },
        )


_pb: Any = sparkplug_b_pb2
_SEQ = 256


class _Reading(msgspec.Struct):
    """Reading as encoded by `flow.py`."""

    ts: int
    values: dict[str, float]


_decode = msgspec.json.Decoder(_Reading | list[_Reading]).decode


class EdgeNode:
    """
    Sparkplug edge node and the devices behind it.

    `group`, `name`: group and edge node name in the topics.
    `devices`: all devices of this node, possibly including the node itself.
    """

    def __init__(self, group: str, name: str, devices: Sequence[Device]) -> None:
        self._group, self._name = group, name
        self._bd_seq, self._seq = -1, 0
        self._metrics: dict[str, dict[str, tuple[int, str]]] = {}
        alias = 0
        for device in devices:
            model = profiles.load()[device.device_class, device.profile].channels
            named = self._metrics.setdefault("" if device.id == name else device.id, {})
            for path, source in model.items():
                alias += 1
                named[path] = (alias, source.unit)
        self._last: dict[str, dict[str, float]] = {device: {} for device in self._metrics}

    def _topic(self, kind: str, device: str = "") -> str:
        return f"{PREFIX}{self._group}/{kind}/{self._name}" + (f"/{device}" if device else "")

    @property
    def command_topic(self) -> str:
        """Return the topic of the node's commands."""
        return self._topic("NCMD")

    def connecting(self) -> tuple[str, bytes]:
        """Return topic and payload of the will for a new connection."""
        self._bd_seq = (self._bd_seq + 1) % _SEQ
        payload = _pb.Payload()
        _add(payload, BD_SEQ, INT64, self._bd_seq)
        return self._topic("NDEATH"), payload.SerializeToString()

    def births(self) -> Iterator[tuple[str, bytes]]:
        """Yield topic and payload of the births of node and devices, with their latest values."""
        self._seq = 0
        payload = self._payload()
        _add(payload, BD_SEQ, INT64, self._bd_seq)
        _add(payload, REBIRTH, BOOLEAN, value=False)
        self._declare(payload, "")
        yield self._topic("NBIRTH"), payload.SerializeToString()
        for device in self._metrics:
            if device:
                payload = self._payload()
                self._declare(payload, device)
                yield self._topic("DBIRTH", device), payload.SerializeToString()

    def _declare(self, payload: Any, device: str) -> None:
        for name, (alias, unit) in self._metrics.get(device, {}).items():
            metric = _add(payload, name, DOUBLE, self._last[device].get(name))
            metric.alias = alias
            metric.properties.keys.append("engUnit")
            metric.properties.values.add(type=STRING, string_value=unit)

    def data(self, message: Outgoing) -> tuple[str, bytes]:
        """Return topic and payload of a reading as Sparkplug data; other messages are unchanged."""
        device = "" if message.device_id == self._name else message.device_id
        topic = self._topic("DDATA" if device else "NDATA", device)
        try:
            decoded = _decode(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return topic, message.payload
        payload = self._payload()
        several = decoded if isinstance(decoded, list) else [decoded]
        for reading in several:
            for name, value in reading.values.items():
                self._add_metric(payload, device, name, value, reading.ts, late=len(several) > 1)
        return topic, payload.SerializeToString()

    def _add_metric(
        self, payload: Any, device: str, name: str, value: float, ts: int, *, late: bool
    ) -> None:
        metric = payload.metrics.add(timestamp=ts, double_value=value)
        known = self._metrics[device].get(name)
        if known is None:
            metric.name = name
        else:
            metric.alias = known[0]
        if late:
            metric.is_historical = True
        else:
            self._last[device][name] = value

    def is_rebirth(self, payload: bytes) -> bool:
        """Return whether a command requests the births."""
        try:
            command = _pb.Payload.FromString(payload)
        except Exception:  # noqa: BLE001 (protobuf's own error; invalid bytes are no command)
            return False
        return any(m.name == REBIRTH and m.boolean_value for m in command.metrics)

    def _payload(self) -> Any:
        payload = _pb.Payload(timestamp=time.time_ns() // 1_000_000, seq=self._seq)
        self._seq = (self._seq + 1) % _SEQ
        return payload


def _add(payload: Any, name: str, datatype: int, value: float | None) -> Any:
    metric = payload.metrics.add(name=name, datatype=datatype, timestamp=payload.timestamp)
    if value is None:
        metric.is_null = True
    elif datatype == BOOLEAN:
        metric.boolean_value = bool(value)
    elif datatype == INT64:
        metric.long_value = int(value)
    else:
        metric.double_value = value
    return metric

"""
Messages of a simulated fleet in order of sending, with faults between a meter and the broker, and
the true quantities of its meters.

The fleet is generated one local day per device and encoded in short time windows, so that memory
holds a day of columns but only thousands of payloads.

The true quantities are computed again from the same seed, without encoding or sending, to compare
them with the pipeline's results.

Faults between a meter and the broker, applied to the readings of one device.

| fault | unit | effect |
|---|---|---|
| duplicates | share of readings | sent twice, unchanged |
| disorder | share of readings | overtaken by the next few |
| late | share of readings | delayed by up to three hours, then sent as one array |
| dropout | share of readings | never sent; the register continues |
| glitch | share of readings | registers are 0 once, then continue: x, 0, x |
| jitter | share of readings | registers are a few base units below the previous reading |
| units | share of readings | energy and power a thousand times too large (Wh as kWh) |
| garbage | share of readings | an unusable payload, in addition to the correct one |
| reset | times per device | registers start again at 0 |

A block of readings becomes a plan: the values and the time of each sending.  Faults are drawn from
the device's own random stream of the day, so adding one fault does not move another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from operator import attrgetter
from zlib import crc32

import msgspec
import numpy as np

from ingest import classes, profiles
from ingest.classes import factor
from services.simulator import (
    MS_PER_DAY,
    Block,
    Device,
    Floats,
    Ints,
    Mask,
    Outgoing,
    SimulatorError,
    Source,
    base_per_unit,
    stream,
)
from services.simulator.simulated import Simulated

DEFAULT_RATES = {
    "duplicates": 0.01,
    "disorder": 0.02,
    "late": 0.01,
    "dropout": 0.01,
    "glitch": 0.001,
    "jitter": 0.001,
    "units": 0.001,
    "garbage": 0.001,
    "reset": 1,
}
_RUN = 8  # number of readings in a late block or a drop-out
_LATE_MS = (600_000, 10_800_000)
# delays the devices of one clock differently, so that they do not all send at the same moment [ms]
_STAGGER_MS = 5_000
_UNITS_FACTOR = 1_000
_JITTER = 3  # base units by which a register steps back
_SHARES = ("duplicates", "disorder", "late", "dropout", "glitch", "jitter", "units", "garbage")


@dataclass(frozen=True, slots=True)
class Faults:
    """Rate of each fault: shares from 0 to 1; `reset` is a number per device."""

    duplicates: float = 0.0
    disorder: float = 0.0
    late: float = 0.0
    dropout: float = 0.0
    glitch: float = 0.0
    jitter: float = 0.0
    units: float = 0.0
    garbage: float = 0.0
    reset: int = 0


NO_FAULTS = Faults()


def parse_faults(spec: str) -> Faults:
    """
    Return the faults in a text such as `duplicates=0.01,reset=1,glitch`; a name alone has its
    default rate.

    Raises SimulatorError on an unknown name, a rate that is not a share, or a name given twice.
    """
    chosen: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in spec.split(","))):
        name, equals, given = part.partition("=")
        if name not in DEFAULT_RATES:
            known = ", ".join(field.name for field in fields(Faults))
            raise SimulatorError(f"fault {name!r} is unknown; choose from {known}")
        if name in chosen:
            raise SimulatorError(f"fault {name!r} is entered twice; remove one of them")
        chosen[name] = _rate(name, given) if equals else DEFAULT_RATES[name]
    return Faults(**chosen)  # type: ignore[arg-type]  # reset is whole, _rate saw to it


def _rate(name: str, given: str) -> float:
    if name == "reset":
        if not given.isdecimal():
            raise SimulatorError(f"fault reset={given!r} must be a whole number of times a device")
        return int(given)
    try:
        rate = float(given)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= 1.0:
        raise SimulatorError(f"fault {name}={given!r} must be a share from 0 to 1, such as 0.01")
    return rate


@dataclass(slots=True)
class Plan:
    """
    Messages of one device's block of readings.

    `block` has the values that are sent. `good` marks the correct readings, `receipted` those that
    can be stored.  Each message has `count` readings from row `first` and is sent at `send_ms`;
    a message with count 0 is an invalid payload.
    """

    block: Block
    good: Mask
    receipted: Mask
    send_ms: Ints
    first: Ints
    count: Ints


class Disturber:
    """
    Applies faults to one device's blocks, with state across blocks.

    `span_ms`: time span in which register resets occur. [ms]
    """

    def __init__(self, device: Device, faults: Faults, seed: int, span_ms: tuple[int, int]) -> None:
        self._device, self._faults, self._seed = device, faults, seed
        self._stagger_ms = crc32(device.id.encode()) % min(_STAGGER_MS, device.cadence_s * 500)
        resets = stream(seed, device.id, "reset").integers(*span_ms, faults.reset)
        self._resets_ms: list[int] = sorted(resets.tolist())
        self._offset: dict[str, int] = {}

    def plan(self, block: Block) -> Plan:
        """Return the messages of the next block."""
        rng = stream(self._seed, self._device.id, "faults", int(block.time_ms[0]))
        draws = {name: rng.random(len(block.time_ms)) for name in _SHARES}
        hit = {name: draw < getattr(self._faults, name) for name, draw in draws.items()}
        lost = _runs(draws["dropout"], self._faults.dropout)
        late = _runs(draws["late"], self._faults.late) & ~lost
        return Plan(
            self._with_faults(block, hit),
            ~(lost | hit["glitch"] | hit["jitter"] | hit["units"]),
            ~hit["units"],
            *self._sends(block.time_ms, ~lost & ~late, late, hit),
        )

    def _with_faults(self, block: Block, hit: dict[str, Mask]) -> Block:
        reset_rows = self._reset_rows(block.time_ms)
        registers = {
            name: _faulty_register(name, self._since_reset(name, true, reset_rows), hit)
            for name, true in block.registers.items()
        }
        gauges = {name: _faulty_gauge(name, v, hit) for name, v in block.gauges.items()}
        return Block(block.time_ms, block.number, registers, gauges)

    def _reset_rows(self, time_ms: Ints) -> list[int]:
        """Return the rows that are the first after a register reset."""
        due = [at for at in self._resets_ms if at <= time_ms[-1]]
        self._resets_ms = self._resets_ms[len(due) :]
        return [int(row) for row in np.searchsorted(time_ms, due)]

    def _since_reset(self, name: str, true: Ints, reset_rows: list[int]) -> Ints:
        offset = np.full(len(true), self._offset.get(name, 0), dtype=np.int64)
        for row in reset_rows:
            offset[row:] = true[row]
        self._offset[name] = int(offset[-1])
        return true - offset

    def _sends(
        self, time_ms: Ints, ordinary: Mask, late: Mask, hit: dict[str, Mask]
    ) -> tuple[Ints, Ints, Ints]:
        """Return time, first row and number of rows of each sending, in time order."""
        rng = stream(self._seed, self._device.id, "delays", int(time_ms[0]))
        cadence_ms = self._device.cadence_s * 1_000
        overtaken = rng.integers(cadence_ms, 4 * cadence_ms, len(time_ms))
        again = rng.integers(0, 2 * cadence_ms, len(time_ms))
        delay_ms = rng.integers(*_LATE_MS, len(time_ms))
        own_ms = time_ms + self._stagger_ms + np.where(hit["disorder"], overtaken, 0)
        once = np.flatnonzero(ordinary)
        twice = np.flatnonzero(ordinary & hit["duplicates"])
        bad = np.flatnonzero(ordinary & hit["garbage"])
        first, count = _spans(late)
        last = first + count - 1
        send_ms = np.concatenate(
            (
                own_ms[once],
                own_ms[twice] + again[twice],
                own_ms[bad],
                time_ms[last] + delay_ms[last],
            )
        )
        rows = np.concatenate((once, twice, bad, first))
        counts = np.ones(len(rows), dtype=np.int64)
        counts[len(once) + len(twice) : len(once) + len(twice) + len(bad)] = 0
        counts[len(rows) - len(first) :] = count
        order = np.argsort(send_ms, kind="stable")
        return send_ms[order], rows[order], counts[order]


def _runs(draw: Floats, share: float) -> Mask:
    """Return a mask of runs of `_RUN` readings that cover about `share` of all."""
    starts = (draw < share / _RUN).astype(np.int64)
    return np.convolve(starts, np.ones(_RUN, dtype=np.int64))[: len(draw)] > 0


def _spans(mask: Mask) -> tuple[Ints, Ints]:
    """Return first row and length of each run of true rows."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return edges[::2], edges[1::2] - edges[::2]


def _faulty_register(name: str, value: Ints, hit: dict[str, Mask]) -> Ints:
    before = np.concatenate((value[:1], value[:-1]))
    sent = np.where(hit["jitter"], np.maximum(before - _JITTER, 0), value)
    if name.endswith("kwh"):
        sent = np.where(hit["units"], sent * _UNITS_FACTOR, sent)
    return np.where(hit["glitch"], 0, sent)


def _faulty_gauge(name: str, value: Floats, hit: dict[str, Mask]) -> Floats:
    if not name.endswith(("kw", "kwh")):
        return value
    return np.where(hit["units"], value * _UNITS_FACTOR, value)


_encode = msgspec.json.Encoder().encode

# payloads of broken firmware, a wrong topic or another sender, each unusable for another reason
GARBAGE = (
    b"",
    b"{",
    b"\xff\xfe\x00\x01",
    b'{"ts": "yesterday", "values": {"active_power_kw": 1.0}}',
    b'{"values": {"active_power_kw": "many"}}',
    b'{"ts": 0, "values": {"active_power_kw": NaN}}',
    b'{"ts": 2082758400000, "values": {"active_power_kw": 1.0}}',
    b'[{"ts": 1}, 2, null]',
)
_WINDOW_MESSAGES = 10_000
_by_send_time = attrgetter("send_us")


@cache
def words(device_class: str, profile: str) -> dict[str, tuple[str, float]]:
    """
    Return the channel names and unit factors of a device model, by generic channel.

    Returns: generic channel to the model's own name and its units per generic unit; channels that
    the model does not have are omitted.
    """
    canonical = classes.load()[device_class].channels
    model_channels = {
        s.channel: s for s in profiles.load()[device_class, profile].channels.values()
    }
    result = {}
    for path, source in profiles.load()[device_class, "generic"].channels.items():
        if source.channel in model_channels:
            own, base = model_channels[source.channel], canonical[source.channel].unit
            up, down, _ = factor(source.unit, base)
            own_up, own_down, _ = factor(own.unit, base)
            result[path] = (own.path, up * own_down / (down * own_up))
    return result


def encode_rows(block: Block, rows: Ints, device: Device) -> list[bytes]:
    """
    Return JSON payloads of some rows of a block, with the channel names of the device's model.

    A register in whole Wh divided by 1000 is the nearest double of the decimal fraction, and JSON
    has its shortest form, so no Wh is lost.
    """
    model_channels = words(device.device_class, device.profile)
    columns = {
        model_channels[name][0]: (
            values[rows] / (base_per_unit(name) / model_channels[name][1])
        ).tolist()
        for name, values in block.registers.items()
        if name in model_channels
    }
    columns |= {
        model_channels[name][0]: (values[rows] * model_channels[name][1]).tolist()
        for name, values in block.gauges.items()
        if name in model_channels
    }
    names = tuple(columns)
    return [
        _encode({"ts": ts, "id": number, "values": dict(zip(names, values, strict=True))})
        for ts, number, *values in zip(
            block.time_ms[rows].tolist(),
            block.number[rows].tolist(),
            *columns.values(),
            strict=True,
        )
    ]


def expand(first: Ints, count: Ints) -> Ints:
    """Return the row numbers of all messages in sequence, `first .. first + count` each."""
    ends = np.cumsum(count)
    within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - count, count)
    return np.repeat(first, count) + within


def fleet_sources(
    fleet: Sequence[Device], start_us: int, duration_us: int | None, seed: int
) -> list[Source]:
    """Return the sources of a simulated fleet in `[start, start + duration)`. [us]"""
    start_ms = start_us // 1_000
    end_ms = None if duration_us is None else (start_us + duration_us) // 1_000
    return [Simulated(device, seed, start_ms, end_ms) for device in fleet]


def messages(
    fleet: Sequence[Device],
    start_us: int,
    duration_us: int,
    seed: int = 0,
    faults: Faults = NO_FAULTS,
) -> Iterator[tuple[str, str, bytes, int]]:
    """
    Return all messages of a fleet in order, without a network.

    `fleet`: devices from `read_fleet`.
    `start_us`, `duration_us`: half-open span of the readings. [us since 1970 UTC, us]

    Yields
    ------
    device id, topic, payload, device time [us]
        The same for the same arguments, to the byte.
    """
    span = start_us // 1_000, (start_us + duration_us) // 1_000
    for message in outgoing(fleet_sources(fleet, start_us, duration_us, seed), seed, faults, span):
        yield message.device_id, message.topic, message.payload, message.ts_us


def outgoing(
    sources: Sequence[Source], seed: int, faults: Faults, span_ms: tuple[int, int]
) -> Iterator[Outgoing]:
    """Yield the messages of all sources in order of sending; resets occur inside `span_ms`."""
    lanes = [_Lane(source, seed, faults, span_ms) for source in sources]
    per_ms = sum(1 / (1_000 * lane.device.cadence_s) for lane in lanes) or 1.0
    window_ms = int(np.clip(_WINDOW_MESSAGES / per_ms, 1_000, MS_PER_DAY))
    until_ms = span_ms[0] + window_ms
    while lanes:
        due = [message for lane in lanes for message in lane.due(until_ms)]
        due.sort(key=_by_send_time)
        yield from due
        lanes = [lane for lane in lanes if not lane.empty]
        until_ms += window_ms


class _Lane:
    """Messages of one device, from its columns until they are due."""

    def __init__(self, source: Source, seed: int, faults: Faults, span_ms: tuple[int, int]) -> None:
        self.device = source.device
        self._blocks: Iterator[Block] = source.blocks()
        self._disturber = Disturber(source.device, faults, seed, span_ms)
        self._generated_ms = -1
        # plans with the index of the first message not sent yet
        self._plans: list[tuple[Plan, int]] = []
        self._exhausted = False

    @property
    def empty(self) -> bool:
        """Return whether nothing is left to send."""
        return self._exhausted and not self._plans

    def due(self, until_ms: int) -> Iterator[Outgoing]:
        """Yield the messages due before a time, each once."""
        while not self._exhausted and self._generated_ms < until_ms:
            block = next(self._blocks, None)
            if block is None:
                self._exhausted = True
            else:
                self._plans.append((self._disturber.plan(block), 0))
                self._generated_ms = int(block.time_ms[-1])
        waiting = []
        for plan, begin in self._plans:
            end = int(np.searchsorted(plan.send_ms, until_ms))
            if end > begin:
                yield from self._encode(plan, slice(begin, end))
            if end < len(plan.send_ms):
                waiting.append((plan, end))
        self._plans = waiting

    def _encode(self, plan: Plan, sends: slice) -> Iterator[Outgoing]:
        count = plan.count[sends]
        rows = expand(plan.first[sends], count)
        bodies = encode_rows(plan.block, rows, self.device)
        receipted = plan.receipted[rows].tolist()
        numbers = plan.block.number[rows].tolist()
        ts_us = (plan.block.time_ms[plan.first[sends]] * 1_000).tolist()
        at = 0
        for ts, send_ms, size in zip(
            ts_us, plan.send_ms[sends].tolist(), count.tolist(), strict=True
        ):
            ids = tuple(
                number for k, number in enumerate(numbers[at : at + size], at) if receipted[k]
            )
            payload = _join(bodies[at : at + size]) if size else GARBAGE[ts // 1_000_000 % 8]
            yield Outgoing(self.device.id, self.device.topic, payload, ts, send_ms * 1_000, ids)
            at += size


def _join(bodies: list[bytes]) -> bytes:
    return bodies[0] if len(bodies) == 1 else b"[" + b",".join(bodies) + b"]"


@dataclass(slots=True)
class RegisterTruth:
    """
    True values of one register in base units. [Wh, mL or m]

    `first` and `last` are the first and last correct reading; `rise` is the quantity counted
    between them, across any resets.
    """

    first: int
    last: int
    rise: int = 0
    true_first: int = 0


@dataclass(slots=True)
class DeviceTruth:
    """Number of correct readings sent by one device, and the true values of its registers."""

    readings: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    registers: dict[str, RegisterTruth] = field(default_factory=dict)

    def add(self, block: Block, plan: Plan) -> None:
        """Add the readings of the device's next block to its true values."""
        rows: Ints = np.flatnonzero(plan.good)
        if not len(rows):
            return
        first, last = int(rows[0]), int(rows[-1])
        self.readings += len(rows)
        if self.first_ms is None:
            self.first_ms = int(block.time_ms[first])
        self.last_ms = int(block.time_ms[last])
        for name, true in block.registers.items():
            sent = plan.block.registers[name]
            register = self.registers.setdefault(
                name, RegisterTruth(int(sent[first]), 0, true_first=int(true[first]))
            )
            register.last = int(sent[last])
            register.rise = int(true[last]) - register.true_first


def truth(
    fleet: Sequence[Device],
    start_us: int,
    duration_us: int,
    seed: int = 0,
    faults: Faults = NO_FAULTS,
) -> dict[str, DeviceTruth]:
    """Return the true values for `messages` with the same arguments, by device id."""
    span = start_us // 1_000, (start_us + duration_us) // 1_000
    return source_truth(fleet_sources(fleet, start_us, duration_us, seed), seed, faults, span)


def source_truth(
    sources: Sequence[Source], seed: int, faults: Faults, span_ms: tuple[int, int]
) -> dict[str, DeviceTruth]:
    """Return the true values of any sources, simulated or recorded, by device id."""
    truths: dict[str, DeviceTruth] = {}
    for source in sources:
        truth = truths[source.device.id] = DeviceTruth()
        disturber = Disturber(source.device, faults, seed, span_ms)
        for block in source.blocks():
            truth.add(block, disturber.plan(block))
    return truths

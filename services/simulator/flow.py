"""
Messages of a simulated fleet in order of sending, and the true quantities of its meters.

The fleet is generated one local day per device and encoded in short time windows, so that memory
holds a day of columns but only thousands of payloads.

The true quantities are computed again from the same seed, without encoding or sending, to compare
them with the pipeline's results.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter

import msgspec
import numpy as np

from ingest import classes, profiles
from ingest.classes import factor
from services.simulator import MS_PER_DAY, Block, Device, Ints, Outgoing, Source, base_per_unit
from services.simulator.disturb import NO_FAULTS, Disturber, Faults, Plan
from services.simulator.simulated import Simulated

_encode = msgspec.json.Encoder().encode

# What broken firmware, a wrong topic or a stranger sends; each for another reason unusable.
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
    spoken = {s.channel: s for s in profiles.load()[device_class, profile].channels.values()}
    result = {}
    for path, source in profiles.load()[device_class, "generic"].channels.items():
        if source.channel in spoken:
            own, base = spoken[source.channel], canonical[source.channel].unit
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
    spoken = words(device.device_class, device.profile)
    columns = {
        spoken[name][0]: (values[rows] / (base_per_unit(name) / spoken[name][1])).tolist()
        for name, values in block.registers.items()
        if name in spoken
    }
    columns |= {
        spoken[name][0]: (values[rows] * spoken[name][1]).tolist()
        for name, values in block.gauges.items()
        if name in spoken
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
        self._plans: list[tuple[Plan, int]] = []  # with the first send not yet given
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
        """Add the next block of the device."""
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

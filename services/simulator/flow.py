"""
Messages of a whole fleet in the order in which they are sent.

The fleet is generated a local day a device and encoded a short window of time
at once, so memory holds a day of columns but only thousands of payloads.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter

import numpy as np

from services.simulator.disturb import Disturber, Plan
from services.simulator.encode import GARBAGE, encode_rows, expand
from services.simulator.faults import NO_FAULTS, Faults
from services.simulator.model import MS_PER_DAY, Block, Device, Outgoing, Source
from services.simulator.simulated import Simulated

_WINDOW_MESSAGES = 10_000
_by_send_time = attrgetter("send_us")


def fleet_sources(
    fleet: Sequence[Device], start_us: int, duration_us: int | None, seed: int
) -> list[Source]:
    """Sources of a simulated fleet over `[start, start + duration)`. [us]"""
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
    Everything that a fleet sends, in order, with no network.

    Parameters
    ----------
    fleet : sequence of Device
        From `read_fleet`.
    start_us, duration_us : int
        Half-open span of the readings. [us since 1970 UTC, us]

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
    """Messages of all sources in the order of sending; resets fall inside `span_ms`."""
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
    """One device's messages, from its columns to the moment they are due."""

    def __init__(self, source: Source, seed: int, faults: Faults, span_ms: tuple[int, int]) -> None:
        self.device = source.device
        self._blocks: Iterator[Block] = source.blocks()
        self._disturber = Disturber(source.device, faults, seed, span_ms)
        self._generated_ms = -1
        self._plans: list[tuple[Plan, int]] = []  # with the first send not yet given
        self._exhausted = False

    @property
    def empty(self) -> bool:
        """Whether nothing is left to send."""
        return self._exhausted and not self._plans

    def due(self, until_ms: int) -> Iterator[Outgoing]:
        """Messages to send before a time, each once."""
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
        bodies = encode_rows(plan.shown, rows, self.device)
        receipted = plan.receipted[rows].tolist()
        numbers = plan.shown.number[rows].tolist()
        ts_us = (plan.shown.time_ms[plan.first[sends]] * 1_000).tolist()
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

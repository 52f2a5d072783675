"""
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

from dataclasses import dataclass, fields
from zlib import crc32

import numpy as np

from services.simulator import Block, Device, Floats, Ints, Mask, SimulatorError, stream

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
_RUN = 8  # readings that a late block or a drop-out holds
_LATE_MS = (600_000, 10_800_000)
_STAGGER_MS = 5_000  # devices with one clock do not all send in one instant
_UNITS_FACTOR = 1_000
_JITTER = 3  # base units that a register steps back
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
            self._show(block, hit),
            ~(lost | hit["glitch"] | hit["jitter"] | hit["units"]),
            ~hit["units"],
            *self._sends(block.time_ms, ~lost & ~late, late, hit),
        )

    def _show(self, block: Block, hit: dict[str, Mask]) -> Block:
        """Return the block with faulty values applied."""
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

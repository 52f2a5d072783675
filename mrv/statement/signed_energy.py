"""
Share of a period's energy that a meter or gateway signed.

A register that its meter signed twice bounds what was metered in between, whatever the readings
between them are.  So a chain of signed registers backs the quarter hours that lie wholly within
it, and no more than the register rose from its first to its last.  A chain ends where

- the register stands lower than before, or another one signed,
- the meter was replaced,
- a signed register contradicts the readings beside it, or has none beside it.

Where several kinds of signature back a quarter hour it counts for the first of `KINDS`.  What
is backed is rounded down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final, Literal, NamedTuple

import numpy as np

from ingest import classes
from ingest.classes import QUANTITY_INDEX
from ingest.model import INTERVAL_US, NULL, Device, Fleet, Frame, Int64, IntervalRows
from mrv.accounting.period_result import DeviceOutcome
from mrv.calendar import instant_us
from mrv.documents.monitoring import SignedEnergy, SignedShare
from mrv.documents.plan import SignedExtract
from mrv.rounding import decimal_of

OCMF: Final = "ocmf"
COSE_METER: Final = "cose-meter"
COSE_GATEWAY: Final = "cose-gateway"
NONE: Final = "none"
Kind = Literal["ocmf", "cose-meter", "cose-gateway"]
# what a meter signed itself goes before what a gateway saw
KINDS: tuple[Kind, ...] = (OCMF, COSE_METER, COSE_GATEWAY)
OF_METERS = frozenset({OCMF, COSE_METER})
ENERGY = ("energy_export", "energy_import")
# readings beside a signed register may have fewer digits than it
TOLERANCE_WH = 100


class Register(NamedTuple):
    """A signed register of a device: signer, time of reading [us UTC], value [Wh]."""

    device: str
    channel: str
    kind: Kind
    signer: str
    time_us: int
    value: Decimal


def registers_of(said: SignedExtract) -> tuple[Register, ...]:
    """Return registers of a plan's signed values, in order."""
    return tuple(
        Register(
            value.device,
            r.channel,
            value.kind,
            value.signer,
            instant_us(r.time, "UTC"),
            decimal_of(r.value),
        )
        for value in said.values
        for r in value.registers
    )


def channel_of(device: Device, quantity: str) -> str | None:
    """Return the name of the register of a device's quantity."""
    held = classes.load()[device.class_id].registers
    return next((channel.name for channel in held if channel.quantity == quantity), None)


class RegisterComparison:
    """Comparison of signed registers with neighbouring readings."""

    def __init__(self, fleet: Fleet, registers: Sequence[Register]) -> None:
        self._of: dict[int, list[int]] = {}
        self._registers = registers
        for place, one in enumerate(registers):
            if one.device in fleet.by_id:
                self._of.setdefault(fleet.by_id[one.device], []).append(place)

    def fitting(self, block: Frame) -> set[int]:
        """
        Return the indices of registers between the readings before and after them.

        Parameters
        ----------
        block : Frame
            Whole devices, by device and time.
        """
        found = set()
        for device, places in self._of.items():
            begin, end = np.searchsorted(block.device, [device, device + 1])
            if begin == end:
                continue
            for place in places:
                one = self._registers[place]
                values = block.columns.get(one.channel)
                if values is None or values.dtype != np.int64:
                    continue  # no register of its class
                held = values[begin:end].astype(np.int64, copy=False)
                if _between(block.time_us[begin:end], held, one):
                    found.add(place)
        return found


def _between(time_us: Int64, values: Int64, register: Register) -> bool:
    held = values != NULL
    times, values = time_us[held], values[held]
    before = int(np.searchsorted(times, register.time_us, side="right"))
    after = int(np.searchsorted(times, register.time_us, side="left"))
    if not before and after == len(times):
        return False
    too_high = before and values[before - 1] > register.value + TOLERANCE_WH
    too_low = after < len(times) and values[after] < register.value - TOLERANCE_WH
    return not (too_high or too_low)


def shares(
    said: SignedExtract,
    fitting: set[int],
    outcomes: Iterable[DeviceOutcome],
    rows: IntervalRows,
    fleet: Fleet,
) -> SignedEnergy:
    """
    Return the signed share of the energy, by kind of signature.

    Parameters
    ----------
    fitting : set of int
        Places in `registers_of(said)` that `Beside` found to fit.
    outcomes : iterable of DeviceOutcome
        What each device metered, in its role.
    """
    registers = registers_of(said)
    whole, backed = 0, dict.fromkeys(KINDS, 0)
    for outcome in outcomes:
        if outcome.quantity not in ENERGY:
            continue
        device = fleet.devices[fleet.by_id[outcome.device]]
        chains = list(_chains(registers, fitting, device, outcome))
        number, quantity = fleet.by_id[outcome.device], QUANTITY_INDEX[outcome.quantity]
        found = dict.fromkeys(KINDS, 0)
        if chains:
            mine = np.flatnonzero((rows.device == number) & (rows.quantity == quantity))
            found = _of_device(chains, rows.start_us[mine], rows.value[mine])
        left = outcome.metered
        whole += outcome.metered
        for kind in KINDS:
            taken = min(found[kind], left)
            backed[kind] += taken
            left -= taken
    return SignedEnergy(
        energy_wh=str(whole),
        shares=tuple(_shares(whole, backed)),
        signers=tuple(sorted({value.signer for value in said.values})),
        values=str(len(said.values)),
        contradicted=str(len(registers) - len(fitting)),
        stored=said.stored,
    )


def _chains(
    registers: Sequence[Register], fitting: set[int], device: Device, of: DeviceOutcome
) -> Iterator[list[Register]]:
    """Yield runs of registers that bound what was metered between them."""
    channel = channel_of(device, of.quantity)
    swaps = [r.at_us for r in device.replacements if r.channel == channel]
    for kind in KINDS:
        mine = [
            (one.time_us, place)
            for place, one in enumerate(registers)
            if (one.device, one.channel, one.kind) == (device.id, channel, kind)
            and of.from_us <= one.time_us <= of.to_us
        ]
        run: list[Register] = []
        for _, place in sorted(mine):
            one = registers[place]
            before = run[-1] if run else None
            if before is not None and (
                place not in fitting
                or one.value < before.value
                or one.signer != before.signer
                or any(before.time_us < at <= one.time_us for at in swaps)
            ):
                yield run
                run = []
            if place in fitting:
                run.append(one)
        if run:
            yield run


def _of_device(chains: Sequence[list[Register]], start_us: Int64, value: Int64) -> dict[Kind, int]:
    """Energy of a device by kind. [Wh]"""
    found = dict.fromkeys(KINDS, 0)
    free = np.ones(len(start_us), dtype=np.bool_)
    for kind in KINDS:
        for chain in (one for one in chains if one[0].kind == kind):
            first, last = chain[0], chain[-1]
            inside = (start_us >= first.time_us) & (start_us + INTERVAL_US <= last.time_us)
            rest = int(value[inside & free].sum())
            # what a better kind took of the chain's energy is not there twice
            most = int(last.value - first.value) - int(value[inside & ~free].sum())
            found[kind] += max(0, min(rest, most))
            free &= ~inside
    return found


def _shares(whole: int, backed: dict[Kind, int]) -> Iterator[SignedShare]:
    hundredths = {k: backed[k] * 10_000 // whole if whole else 0 for k in KINDS}
    for kind in KINDS:
        yield SignedShare(
            kind=kind, energy_wh=str(backed[kind]), share_percent=_percent(hundredths[kind])
        )
    rest = 10_000 - sum(hundredths.values())
    none = whole - sum(backed.values())
    yield SignedShare(kind=NONE, energy_wh=str(none), share_percent=_percent(rest))


def _percent(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02d}"

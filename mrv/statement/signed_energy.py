"""
Share of a period's energy that is signed by a meter or gateway.

Two signed registers limit the energy between them.  So a chain of signed registers corroborates the
intervals completely within it, up to its total rise.  A chain ends where

- the register decreases, or another one is signed,
- the meter was replaced,
- a signed register contradicts the neighbouring readings, or has none.

An interval with several kinds of signature is assigned to the first of `KINDS`.  The energy is
rounded down.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple

import numpy as np

from ingest import classes
from ingest.classes import QUANTITY_INDEX
from ingest.model import INTERVAL_US, NULL, Device, Fleet, Frame, Int64, IntervalRows
from mrv.accounting.period_result import DeviceOutcome
from mrv.calendar import instant_us
from mrv.documents.monitoring import SignedEnergy, SignedShare
from mrv.documents.plan import SignedExtract, SigningKeyNamed
from mrv.errors import CanonicalError
from mrv.rounding import decimal_of
from mrv.signed_values import VERIFIED, Checked, DatedKey, Item, check_items
from mrv.signed_values.meter_keys import parse_key
from mrv.signed_values.ocmf import Record

OCMF: Final = "ocmf"
COSE_METER: Final = "cose-meter"
COSE_GATEWAY: Final = "cose-gateway"
NONE: Final = "none"
Kind = Literal["ocmf", "cose-meter", "cose-gateway"]
# kinds in order of precedence: signed by the meter itself, then by a gateway
KINDS: tuple[Kind, ...] = (OCMF, COSE_METER, COSE_GATEWAY)
OF_METERS = frozenset({OCMF, COSE_METER})
ENERGY = ("energy_export", "energy_import")
# tolerance for neighbouring readings, which may have fewer digits than a signed register
TOLERANCE_WH = 100


class Register(NamedTuple):
    """A signed register of a device: signer, time of reading [us UTC], value [Wh]"""

    device: str
    channel: str
    kind: Kind
    signer: str
    time_us: int
    value: Decimal


def registers_of(extract: SignedExtract) -> tuple[Register, ...]:
    """Return the signed registers in a plan extract, in the order of their signed values."""
    return tuple(
        Register(
            value.device,
            r.channel,
            value.kind,
            value.signer,
            instant_us(r.time, "UTC"),
            decimal_of(r.value),
        )
        for value in extract.values
        for r in value.registers
    )


def channel_of(device: Device, quantity: str) -> str | None:
    """Return the name of the register of a device's quantity."""
    channels = classes.load()[device.class_id].registers
    return next((channel.name for channel in channels if channel.quantity == quantity), None)


class RegisterComparison:
    """Comparison of signed registers with neighbouring readings."""

    def __init__(self, fleet: Fleet, registers: Sequence[Register]) -> None:
        self._of: dict[int, list[int]] = {}
        self._registers = registers
        for place, register in enumerate(registers):
            if register.device in fleet.by_id:
                self._of.setdefault(fleet.by_id[register.device], []).append(place)

    def fitting(self, block: Frame) -> set[int]:
        """
        Return the indices of registers with a value between those of the neighbouring readings.

        `block`: whole devices, by device and time.
        """
        result = set()
        for device, places in self._of.items():
            begin, end = np.searchsorted(block.device, [device, device + 1])
            if begin == end:
                continue
            for place in places:
                register = self._registers[place]
                values = block.columns.get(register.channel)
                if values is None or values.dtype != np.int64:
                    continue  # the device's class has no such register
                readings = values[begin:end].astype(np.int64, copy=False)
                if _between(block.time_us[begin:end], readings, register):
                    result.add(place)
        return result


def _between(time_us: Int64, values: Int64, register: Register) -> bool:
    known = values != NULL
    times, values = time_us[known], values[known]
    before = int(np.searchsorted(times, register.time_us, side="right"))
    after = int(np.searchsorted(times, register.time_us, side="left"))
    if not before and after == len(times):
        return False
    too_high = before and values[before - 1] > register.value + TOLERANCE_WH
    too_low = after < len(times) and values[after] < register.value - TOLERANCE_WH
    return not (too_high or too_low)


def shares(
    extract: SignedExtract,
    fitting: set[int],
    outcomes: Iterable[DeviceOutcome],
    rows: IntervalRows,
    fleet: Fleet,
) -> SignedEnergy:
    """
    Return the signed share of the energy, by kind of signature.

    `fitting`: indices in `registers_of` of registers that agree with the readings.
    `outcomes`: metered quantity of each device in its role.
    """
    registers = registers_of(extract)
    whole, backed = 0, dict.fromkeys(KINDS, 0)
    for outcome in outcomes:
        if outcome.quantity not in ENERGY:
            continue
        device = fleet.devices[fleet.by_id[outcome.device]]
        chains = list(_chains(registers, fitting, device, outcome))
        number, quantity = fleet.by_id[outcome.device], QUANTITY_INDEX[outcome.quantity]
        result = dict.fromkeys(KINDS, 0)
        if chains:
            mine = np.flatnonzero((rows.device == number) & (rows.quantity == quantity))
            result = _of_device(chains, rows.start_us[mine], rows.value[mine])
        metered = outcome.metered
        whole += outcome.metered
        for kind in KINDS:
            taken = min(result[kind], metered)
            backed[kind] += taken
            metered -= taken
    return SignedEnergy(
        energy_wh=str(whole),
        shares=tuple(_shares(whole, backed)),
        signers=tuple(sorted({value.signer for value in extract.values})),
        values=str(len(extract.values)),
        contradicted=str(len(registers) - len(fitting)),
        stored=extract.stored,
    )


def _chains(
    registers: Sequence[Register], fitting: set[int], device: Device, of: DeviceOutcome
) -> Iterator[list[Register]]:
    """Yield runs of signed registers that include a metered quantity."""
    channel = channel_of(device, of.quantity)
    swaps = [r.at_us for r in device.replacements if r.channel == channel]
    for kind in KINDS:
        mine = [
            (item.time_us, place)
            for place, item in enumerate(registers)
            if (item.device, item.channel, item.kind) == (device.id, channel, kind)
            and of.from_us <= item.time_us <= of.to_us
        ]
        run: list[Register] = []
        for _, place in sorted(mine):
            register = registers[place]
            before = run[-1] if run else None
            if before is not None and (
                place not in fitting
                or register.value < before.value
                or register.signer != before.signer
                or any(before.time_us < at <= register.time_us for at in swaps)
            ):
                yield run
                run = []
            if place in fitting:
                run.append(register)
        if run:
            yield run


def _of_device(chains: Sequence[list[Register]], start_us: Int64, value: Int64) -> dict[Kind, int]:
    """Return the energy of a device by kind of signature. [Wh]"""
    result = dict.fromkeys(KINDS, 0)
    free = np.ones(len(start_us), dtype=np.bool_)
    for kind in KINDS:
        for chain in (chain for chain in chains if chain[0].kind == kind):
            first, last = chain[0], chain[-1]
            inside = (start_us >= first.time_us) & (start_us + INTERVAL_US <= last.time_us)
            rest = int(value[inside & free].sum())
            # less the energy of the chain with a preferred kind of signature
            maximum = int(last.value - first.value) - int(value[inside & ~free].sum())
            result[kind] += max(0, min(rest, maximum))
            free &= ~inside
    return result


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


RegisterValue = tuple[int, str, Decimal]  # time [us UTC], channel, value [Wh]

ENDED = "ended"
# codes of total energy: those of EDIS, and those that OCMF reserves (table 25)
_OBIS = re.compile(
    r"(?:[0-9]{1,2}-[0-9b]{1,2}:)?"
    r"(?:0?(?P<way>[12])\.0?8\.(?:0+|e)|(?P<code>[BC][01])\.0?8\.0+)"
    r"(?:[.*](?:FF|[0-9]{1,3}))?"
)
_QUANTITY_OF = {
    "1": "energy_import",
    "2": "energy_export",
    "B": "energy_import",
    "C": "energy_export",
}
_SYNCHRONISED = "S"
_APART_US = 300_000_000
_YEARS = 1_970, 9_999  # years valid in UTC with any offset


def keys_of(
    named: Iterable[SigningKeyNamed], devices: Iterable[Device], serials: Mapping[str, str | None]
) -> dict[str, list[DatedKey]]:
    """
    Return keys by names of signers; each may sign for itself and for devices connected to it.

    Raises SignedValueError if a key cannot be read.
    """
    behind: dict[str, dict[str, str]] = {}
    for device in devices:
        own = {name: device.id for name in (device.id, serials.get(device.id)) if name}
        for speaker in {device.id, device.gateway or device.id}:
            behind.setdefault(speaker, {}).update(own)
    keys: dict[str, list[DatedKey]] = {}
    for item in named:
        key = None if item.key == ENDED else parse_key(item.key)
        dated = DatedKey(key, _moment(item.from_), item.device, behind.get(item.device, {}))
        for name in dict.fromkeys(filter(None, (item.device, item.serial))):
            keys.setdefault(name, []).append(dated)
    return keys


def kind_of(checked: Checked, devices: Iterable[Device]) -> Kind:
    """Return the kind of a valid signature; a signer for other devices is a gateway."""
    if checked.batch is None:
        return OCMF
    gateways = {device.gateway for device in devices}
    own = checked.holder == checked.device and checked.holder not in gateways
    return COSE_METER if own else COSE_GATEWAY


def energy_registers(checked: Checked, device: Device) -> Iterator[RegisterValue]:
    """
    Yield the usable energy registers in a signed value.

    Raises SignedValueError if a batch's messages cannot be read.
    """
    if checked.record is not None:
        yield from _of_record(checked.record, device)
    if checked.batch is not None:
        from mrv.signed_values import cose  # noqa: PLC0415 - cbor2, for batches alone

        names = {channel_of(device, quantity) for quantity in ENERGY}
        # a register is read before it is signed
        until = checked.batch.at_ms * 1_000 + _APART_US
        every = cose.registers(checked.batch, device)
        yield from (register for register in every if register[1] in names and register[0] <= until)


def _of_record(record: Record, device: Device) -> Iterator[RegisterValue]:
    for reading in record.readings:
        wh, match = reading.energy_wh, _OBIS.fullmatch(reading.obis or "")
        if not reading.usable or reading.clock != _SYNCHRONISED or "t" in reading.errors:
            continue
        if wh is None or match is None:
            continue
        channel = channel_of(device, _QUANTITY_OF[match["way"] or match["code"][0]])
        if channel is not None and _YEARS[0] < reading.time.year < _YEARS[1]:
            moment = reading.time.astimezone(UTC)
            whole = int(moment.replace(microsecond=0).timestamp()) * 1_000_000
            yield whole + moment.microsecond, channel, wh


def check_kept(
    extract: SignedExtract, devices: Sequence[Device], serials: Mapping[str, str | None]
) -> None:
    """
    Verify every signed value of a plan, and its registers.

    Raises CanonicalError that names the first value that fails.
    Raises SignedValueError if a key or message cannot be read.
    """
    keys = keys_of(extract.keys, devices, serials)
    by_id = {device.id: device for device in devices}
    items = [Item(kept.data, received=_moment(kept.received)) for kept in extract.values]
    for kept, checked in zip(extract.values, check_items(items, keys), strict=True):
        where = f"the signed value of {kept.device} that was received on {kept.received}"
        if checked.outcome != VERIFIED or kept.device not in by_id:
            raise CanonicalError(
                f"{where} is {checked.outcome}: {checked.detail}; ask the issuer for a correct pack"
            )
        kind = kind_of(checked, devices)
        if (checked.device, checked.holder, kind) != (kept.device, kept.signer, kept.kind):
            raise CanonicalError(
                f"{where} is of kind {kept.kind}, signed by {kept.signer}, in plan.json; "
                f"but of kind {kind}, signed by {checked.holder} for {checked.device}; ask the "
                "issuer for a correct pack"
            )
        registers = set(energy_registers(checked, by_id[kept.device]))
        for register in kept.registers:
            at_us, value = instant_us(register.time, "UTC"), decimal_of(register.value)
            if (at_us, register.channel, value) not in registers:
                raise CanonicalError(
                    f"{where} does not contain {register.channel} {register.value} at "
                    f"{register.time}; ask the issuer for a correct pack"
                )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)

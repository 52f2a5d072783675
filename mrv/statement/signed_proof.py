"""
Signed values of a plan: validity of signatures, and their registers.

One function says it for the close that takes values in and for every check of what it took.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from ingest.model import Device
from mrv.calendar import instant_us
from mrv.documents.plan import SignedExtract, SigningKeyNamed
from mrv.errors import CanonicalError
from mrv.rounding import decimal_of
from mrv.signed_values.meter_keys import parse_key
from mrv.signed_values.ocmf import Record
from mrv.signed_values.packaging import Item
from mrv.signed_values.verification import VERIFIED, Checked, DatedKey, check_items
from mrv.statement.signed_energy import COSE_GATEWAY, COSE_METER, ENERGY, OCMF, Kind, channel_of

Told = tuple[int, str, Decimal]  # time [us UTC], channel, value [Wh]

ENDED = "ended"
# energy in total, by EDIS and by the codes that OCMF keeps for itself (its table 25)
_OBIS = re.compile(
    r"(?:[0-9]{1,2}-[0-9b]{1,2}:)?"
    r"(?:0?(?P<way>[12])\.0?8\.(?:0+|e)|(?P<code>[BC][01])\.0?8\.0+)"
    r"(?:[.*](?:FF|[0-9]{1,3}))?"
)
_WAY = {"1": "energy_import", "2": "energy_export", "B": "energy_import", "C": "energy_export"}
_SYNCHRONISED = "S"
_APART_US = 300_000_000
_YEARS = 1_970, 9_999  # that UTC has, whatever the offset


def keys_of(
    said: Iterable[SigningKeyNamed], devices: Iterable[Device], serials: Mapping[str, str | None]
) -> dict[str, list[DatedKey]]:
    """
    Return keys by names of signers; each may sign for itself and for devices behind it.

    Raises
    ------
    SignedValueError
        If a key cannot be read.
    """
    behind: dict[str, dict[str, str]] = {}
    for device in devices:
        own = {name: device.id for name in (device.id, serials.get(device.id)) if name}
        for speaker in {device.id, device.gateway or device.id}:
            behind.setdefault(speaker, {}).update(own)
    keys: dict[str, list[DatedKey]] = {}
    for one in said:
        key = None if one.key == ENDED else parse_key(one.key)
        dated = DatedKey(key, _moment(one.from_), one.device, behind.get(one.device, {}))
        for name in dict.fromkeys(filter(None, (one.device, one.serial))):
            keys.setdefault(name, []).append(dated)
    return keys


def kind_of(checked: Checked, devices: Iterable[Device]) -> Kind:
    """Return the kind of a valid signature; a signer for other devices is a gateway."""
    if checked.batch is None:
        return OCMF
    gateways = {device.gateway for device in devices}
    own = checked.holder == checked.device and checked.holder not in gateways
    return COSE_METER if own else COSE_GATEWAY


def energy_registers(checked: Checked, device: Device) -> Iterator[Told]:
    """
    Yield the usable energy registers in a signed value.

    Raises
    ------
    SignedValueError
        If a batch's messages cannot be read.
    """
    if checked.record is not None:
        yield from _of_record(checked.record, device)
    if checked.batch is not None:
        from mrv.signed_values import cose  # noqa: PLC0415 - cbor2, for batches alone

        names = {channel_of(device, quantity) for quantity in ENERGY}
        # what was signed before it was read was never read
        until = checked.batch.at_ms * 1_000 + _APART_US
        every = cose.registers(checked.batch, device)
        yield from (one for one in every if one[1] in names and one[0] <= until)


def _of_record(record: Record, device: Device) -> Iterator[Told]:
    for reading in record.readings:
        wh, match = reading.energy_wh, _OBIS.fullmatch(reading.obis or "")
        if not reading.usable or reading.clock != _SYNCHRONISED or "t" in reading.errors:
            continue
        if wh is None or match is None:
            continue
        channel = channel_of(device, _WAY[match["way"] or match["code"][0]])
        if channel is not None and _YEARS[0] < reading.time.year < _YEARS[1]:
            moment = reading.time.astimezone(UTC)
            whole = int(moment.replace(microsecond=0).timestamp()) * 1_000_000
            yield whole + moment.microsecond, channel, wh


def check_kept(
    said: SignedExtract, devices: Sequence[Device], serials: Mapping[str, str | None]
) -> None:
    """
    Verify every signed value of a plan, and its registers.

    Raises
    ------
    CanonicalError
        Naming the first value that is not so.
    SignedValueError
        If a key or message cannot be read.
    """
    keys = keys_of(said.keys, devices, serials)
    by_id = {device.id: device for device in devices}
    items = [Item(one.data, received=_moment(one.received)) for one in said.values]
    for one, found in zip(said.values, check_items(items, keys), strict=True):
        where = f"the signed value of {one.device} that was received on {one.received}"
        if found.outcome != VERIFIED or one.device not in by_id:
            raise CanonicalError(f"{where} is {found.outcome}: {found.detail}")
        kind = kind_of(found, devices)
        if (found.device, found.holder, kind) != (one.device, one.signer, one.kind):
            raise CanonicalError(
                f"{where} is of kind {one.kind}, signed by {one.signer}, in plan.json; "
                f"but of kind {kind}, signed by {found.holder} for {found.device}"
            )
        tells = set(energy_registers(found, by_id[one.device]))
        for register in one.registers:
            at_us, value = instant_us(register.time, "UTC"), decimal_of(register.value)
            if (at_us, register.channel, value) not in tells:
                raise CanonicalError(
                    f"{where} does not contain {register.channel} {register.value} at "
                    f"{register.time}"
                )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)

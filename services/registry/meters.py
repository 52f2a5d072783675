"""
Checks of physical meters: duplicates, certificates, boundary meters, and public keys.

A signed value is verified with the registered key, never with a key in the message.  A registered
key never changes, as earlier verifications depend on it.  The key `ended` means that the meter has
no key from then on.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import cast

from ingest import classes, profiles
from ingest.profiles import FileRegister
from mrv.errors import MethodologyError, SignedValueError
from mrv.methodologies import find
from mrv.registry import Calibration
from mrv.registry.calibration_interval import interval_of, limited
from mrv.signatures.organisations import normalised, stem
from mrv.signed_values import DatedKey
from mrv.signed_values.meter_keys import parse_key
from mrv.texts import Text, text
from services.registry.entries import (
    CALIBRATION_EVERY,
    Device,
    Project,
    Registry,
    calibration_every,
)
from services.registry.fields import MAX_WHOLE, Row
from services.registry.located import Finding
from services.registry.ratings import fixed

ENDED = "ended"


def meter_key(row: Row) -> str:
    """Return the public key in a row of `meter_keys`, in hex; or `ended`."""
    text = row.text("key")
    try:
        return text if text in ("", ENDED) else parse_key(text).hex
    except SignedValueError as error:
        row.problem("key", str(error))
        return ""


def problems(stored: Registry, merged: Registry) -> Iterator[tuple[Device, str]]:
    """Yield errors of meter keys: changed, not in order, or of a meter without serial number."""
    gateways = {device.gateway for device in merged.devices.values()}
    earlier = stored.devices
    for device in merged.devices.values():
        before = earlier.get(device.id)
        known = (before.meter_keys if before else None) or ()
        meter_keys = device.meter_keys or ()
        remedy = "add a row with the time from which the new key applies"
        for words in fixed(known, meter_keys, "meter_keys", remedy):
            yield device, words
        if meter_keys and meter_keys[0].key == ENDED:
            yield device, "meter_keys: the first row ends a key, and there is none before it"
        if meter_keys and device.serial is None and device.id not in gateways:
            yield device, "meter_keys: signed values name their meter by serial; enter `serial` too"


def by_name(registry: Registry) -> dict[str, list[DatedKey]]:
    """
    Return the keys of all devices by serial number and by id, in order of time.
    A gateway's key is valid for itself and for the devices that name it as `gateway`.
    """
    behind: dict[str, dict[str, str]] = {}
    for device in registry.devices.values():
        own = {name: device.id for name in (device.id, device.serial) if name}
        for sender in {device.id, device.gateway or device.id}:
            behind.setdefault(sender, {}).update(own)
    keys: dict[str, list[DatedKey]] = {}
    for device in registry.devices.values():
        for item in device.meter_keys or ():
            key = None if item.key == ENDED else parse_key(item.key)
            dated = DatedKey(key, item.begins, device.id, behind[device.id])
            for name in {device.id, device.serial} - {None, ""}:
                keys.setdefault(str(name), []).append(dated)
    return keys


_MAX_LISTED = 5
# equal serial numbers of this length or more are one meter, even of two makers
_LONG_SERIAL = 8
_PARTS = re.compile(r"[\W_]+")
_ZEROS = re.compile("(?<![0-9])0+(?=[0-9])")
_ZERO_SHAPES = re.compile("(?<![0-9lo])o+(?=[0-9l])")


def same_meters(registry: Registry) -> Iterator[tuple[Device, Device]]:
    """
    Yield pairs of devices that are one physical meter at the same time, in order of ids.
    Meters are identified by maker and serial number, ignoring case, blanks and full-width forms; a
    missing maker matches any.
    """
    yield from _pairs(
        registry,
        _serial,
        lambda device, other: _at_same_time(device, other) and _same_maker(device, other),
    )


def alike_meters(registry: Registry) -> Iterator[tuple[Device, Device]]:
    """
    Yield pairs of devices with similar serial numbers, possibly one physical meter.
    Serial numbers of one maker are similar if they differ only in punctuation, leading zeros, or
    similar letters and digits.  Those of two makers are similar if they are equal and long.
    """
    same = {(device.id, other.id) for device, other in same_meters(registry)}

    def may_be(device: Device, other: Device) -> bool:
        written = {_serial(device), _serial(other)}
        long = len(written) == 1 and len(written.pop()) >= _LONG_SERIAL
        return _at_same_time(device, other) and (_same_maker(device, other) or long)

    for item, other in _pairs(registry, _similarity_key, may_be):
        if (item.id, other.id) not in same:
            yield item, other


def _pairs(
    registry: Registry, key: Callable[[Device], str], is_same: Callable[[Device, Device], bool]
) -> Iterator[tuple[Device, Device]]:
    """
    Yield pairs of devices with equal keys for which `is_same` is true, in order of ids.

    A device is the second of at most one pair.
    """
    by_key: defaultdict[str, list[Device]] = defaultdict(list)
    for device in sorted(registry.devices.values(), key=lambda d: d.id):
        if device.serial is not None:
            devices = by_key[key(device)]
            other = next((d for d in devices if is_same(d, device)), None)
            if other is not None:
                yield other, device
            devices.append(device)


def _serial(device: Device) -> str:
    serial = unicodedata.normalize("NFKC", device.serial or "").casefold()
    return "".join(serial.split())


def _similarity_key(device: Device) -> str:
    """Return a serial number in a form in which similar numbers are equal: O is 0, I is 1."""
    parts = (normalised(_ZEROS.sub("", part)) for part in _PARTS.split(_serial(device)))
    shape = "".join(_ZERO_SHAPES.sub("", part) for part in parts)
    return shape.lstrip("o") or _serial(device)


def _at_same_time(device: Device, other: Device) -> bool:
    if not counted(device) & counted(other):
        return False
    ends = [d.removed or datetime.max.replace(tzinfo=UTC) for d in (device, other)]
    return device.installed < ends[1] and other.installed < ends[0]


def counted(device: Device) -> set[str]:
    """Return the names of the quantities that a device's registers count."""
    known = classes.load().get(device.class_id)
    return {str(r.quantity) for r in known.registers if r.quantity} if known else set()


def _same_maker(device: Device, other: Device) -> bool:
    """Return whether two meters may have the same maker."""
    return not (device.maker and other.maker) or stem(device.maker) == stem(other.maker)


def duplicate_meter(device: Device, other: Device) -> Text:
    """Return the error text for the second of two devices that are one meter."""
    return text("REG-01.same_serial", device=other.id, serial=str(other.serial), other=device.id)


def alike_meter(device: Device, other: Device) -> Text:
    """Return the warning text for similar serial numbers."""
    return text(
        "REG-01.alike_serial", device=other.id, serial=str(other.serial),
        other=device.id, other_serial=str(device.serial),
    )  # fmt: skip


def check(project: Project, devices: Mapping[str, Device]) -> Iterator[Finding]:
    """Yield warnings on missing data of a project's meters that cause findings in statements."""
    mine = [devices[name] for name in dict.fromkeys(d.device for d in project.devices)]
    misnamed = [
        f"{d.id} ({c.certificate}: {c.serial}, meter: {d.serial})"
        for d in mine
        for c in d.calibrations or ()
        if of_other_meter(d, c)
    ]
    for lacks, names in (
        ("no `maker` or `serial`", [d.id for d in mine if not (d.maker and d.serial)]),
        ("certificates that name no serial number", [d.id for d in mine if _unnamed(d)]),
        ("certificates with another serial number than the meter", misnamed),
        ("replacements without a document", [d.id for d in mine if _undocumented(d)]),
    ):
        if names:
            yield _warning(
                project, f"{lacks}: {_listed(names)}; correct this, or the statement reports it"
            )
    unrated = [name for name in _baseline_meters(project) if devices[name].rated_power_w is None]
    if unrated:
        yield _warning(
            project,
            f"rated_power_w of {_listed(unrated)} is not entered, and without this limit no"
            " reduction is credited; enter it",
        )


def outside(project: Project, devices: Mapping[str, Device]) -> Iterator[Finding]:
    """Yield errors of boundary meters that cannot be upstream of the meters they name."""
    mine = {device.device for device in project.devices}
    for item in project.boundary or ():
        site = devices[item.device].site if item.device in devices else None
        for name in item.upstream_of:
            if name not in devices:
                wrong = f"{name!r} is not registered; add it under `devices`"
            elif name not in mine:
                wrong = f"{name!r} does not serve the project; known: {', '.join(sorted(mine))}"
            elif site is None:
                wrong = f"{item.device!r} is not registered; add it under `devices`"
            elif devices[name].site != site:
                wrong = f"{name!r} is of site {devices[name].site!r}, and the meter of {site!r}"
            elif item.device in mine:
                wrong = f"{item.device!r} is a meter of the project; remove it from `boundary`"
            else:
                continue
            text = f"boundary[{item.device}].upstream_of: {wrong}"
            yield Finding(project.kind, project.id, text)


def outlasting(
    project: Project, devices: Mapping[str, Device], country: str | None
) -> Iterator[Finding]:
    """Yield warnings on certificates that end later than their calibration interval allows."""
    try:
        roles = find(project.methodology, project.version).roles
    except MethodologyError:
        return  # another check reports it
    measured: defaultdict[str, set[str]] = defaultdict(set)
    for bound in project.devices:
        if bound.role in roles:
            measured[bound.device].add(roles[bound.role].quantity)
    for name, quantities in measured.items():
        own = calibration_every(devices[name].attributes.get(CALIBRATION_EVERY))
        every = interval_of(own, project.methodology, country, quantities)
        for calibration in devices[name].calibrations or ():
            (due,) = limited([calibration], every)
            if due is not calibration:
                yield _warning(
                    project,
                    f"{name}: certificate {calibration.certificate} ({calibration.performed} to"
                    f" {calibration.valid_until}) exceeds {every.months} months"
                    f" ({every.source or CALIBRATION_EVERY}); from {due.valid_until} on it is"
                    " treated as expired; enter the calibrations in between",
                )


def of_other_meter(device: Device, calibration: Calibration) -> bool:
    """Return whether a certificate names a serial number that the device never had."""
    return None not in (device.serial, calibration.serial) and (
        calibration.serial != device.serial
        and not any(swap.at.date() > calibration.performed for swap in device.replacements or ())
    )


def _unnamed(device: Device) -> bool:
    return any(c.serial is None for c in device.calibrations or ())


def _undocumented(device: Device) -> bool:
    return any(r.document is None for r in device.replacements or ())


def _baseline_meters(project: Project) -> list[str]:
    """Return the devices whose energy counts as baseline emissions."""
    try:
        roles = find(project.methodology, project.version).roles
    except MethodologyError:
        return []  # another check reports it
    return [
        d.device
        for d in project.devices
        if (need := roles.get(d.role)) and need.side == "baseline" and need.unit == "Wh"
    ]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more


def _warning(project: Project, words: str) -> Finding:
    return Finding(project.kind, project.id, f"meters: {words}", warning=True)


def calibrated_channel(class_id: str) -> Callable[[Row], str | None]:
    """Return a parser for the column of a certificate's channel, as files name it."""
    columns = {r.name: r.column for r in profiles.registers(class_id).values()}
    device_class = classes.load().get(class_id)
    if device_class is not None:
        columns |= {n: n for n, c in device_class.channels.items() if c.kind == "gauge"}

    def read(row: Row) -> str | None:
        channel = row.optional("channel")
        if channel is not None and channel not in columns:
            known = ", ".join(sorted(columns))
            row.problem("channel", f"{channel!r} is not a channel of {class_id!r}; known: {known}")
        return columns.get(channel or "")

    return read


def valid_until(row: Row) -> date | None:
    """Return the end of a certificate's validity; for a test after removal, the day of the test."""
    ends = row.day("valid_until")
    if not row.flag("last_test"):
        return cast("date | None", row.required("valid_until", ends, "a date"))
    if ends is not None:
        row.problem(
            "valid_until", "is not allowed with `last_test`, since the meter was removed; remove it"
        )
    return row.day("performed")


def calibration(row: Row, item: Calibration) -> None:
    """Record errors of a certificate."""
    if item.accreditation and not item.laboratory:
        row.problem("laboratory", "is missing: `accreditation` is the number of a laboratory")
    if item.last_test and item.found_error_percent is None:
        row.problem("found_error_percent", "is missing; enter the error that the test found")
    if not row.problems and not item.last_test and item.valid_until <= item.performed:
        row.problem("valid_until", f"{item.valid_until} is not after {item.performed}")


def register_of(
    row: Row, registers: Mapping[str, FileRegister], class_id: str, key: str = "channel"
) -> FileRegister | None:
    """Return the register that a row names; an unknown one is recorded as an error of the row."""
    channel = row.text(key)
    register = registers.get(channel)
    if register is None and channel and class_id:  # a missing class is reported already
        known = ", ".join(registers) or "none"
        row.problem(key, f"{channel!r} is not a register of {class_id!r}; known: {known}")
    return register


def in_base(row: Row, key: str, register: FileRegister | None) -> int:
    """Return a register's value in base units, exactly."""
    result = row.required(key, row.number(key, 0, MAX_WHOLE), "the register's value")
    if result is None or register is None:
        return 0
    value = register.to_base(Decimal(result))
    if value is None or value > MAX_WHOLE:
        row.problem(key, f"{result} {register.unit} is finer or larger than is stored; round it")
    return value or 0

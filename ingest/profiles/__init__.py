"""
Profiles: mapping of a device model's payload to the channels of its class.

There is one TOML file per model, without code.  The profile `generic` of a class, for tonne's own
payload, follows from the class.  Keys of a channel:

`path`: name of the value in the payload; `also`: other names of it.
`unit`: unit in the payload.
`modulus`: value at which a register of this model wraps to zero; `moduli`: candidates, for a family
of models with different numbers of digits. [unit of the payload]
`register`: position in the device's Modbus map, type of the number and divisor to `unit`, for
gateways that send undecoded registers.  The maker's codes for "not available" are omitted.
`limits`: limits of the quality tests that differ from those of the class.

`certainty` and `checked`: how certain a model's data are, and what they were compared with.

Registry files use the same register names for every model, those of the generic profile (such as
`energy_export_kwh`), so that meter replacements are entered uniformly.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from ingest import classes
from ingest.classes import Channel, DeviceClass, Limits, factor
from ingest.errors import ProfileError
from ingest.formats.sunspec import SIZES, WORD, Order, number
from ingest.reading import Block, Registers, Stated

EITHER = "either"
_TABLES = ("holding", "input", EITHER)
_ORDERS = ("big", "little")
_LAST = 65_535


@dataclass(frozen=True, slots=True)
class Register:
    """
    Position of a value in the Modbus map; `address` is the protocol address, from 0.

    `table` is `either` if the device answers requests for both tables alike.
    """

    address: int
    type: str
    table: str = "holding"
    divide: int = 1
    word_order: Order = "big"
    absent: tuple[float, ...] = ()


def _parse_register(spec: dict[str, Any], where: str) -> Register:
    """
    Return a register position from its parsed TOML.

    Raises ProfileError, naming the profile, the channel and the error.
    """
    try:
        register = Register(**{**spec, "absent": tuple(spec.get("absent", ()))})
    except TypeError as error:
        raise ProfileError(f"{where}, register: {error}; see ingest/profiles for keys") from None
    if (
        register.type not in SIZES
        or register.table not in _TABLES
        or register.word_order not in _ORDERS
    ):
        raise ProfileError(
            f"{where}, register: type {register.type!r} must be one of {', '.join(SIZES)}, table "
            f"{register.table!r} one of {', '.join(_TABLES)}, word_order {register.word_order!r} "
            f"one of {', '.join(_ORDERS)}"
        )
    if not 0 <= register.address <= _LAST or register.divide < 1:
        raise ProfileError(
            f"{where}, register: address {register.address} must be 0 to {_LAST}, divide "
            f"{register.divide} at least 1"
        )
    return register


def no_overlap(
    register: Register | None, mapped: Iterable[tuple[str, Register | None]], where: str
) -> None:
    """
    Check that a register shares no word with the register of another channel.

    Raises ProfileError, naming both channels.
    """
    for other, earlier in mapped:
        if register is None or earlier is None:
            continue
        same = register.table == earlier.table or EITHER in (register.table, earlier.table)
        first, last = register.address, register.address + SIZES[register.type] - 1
        if same and first < earlier.address + SIZES[earlier.type] and earlier.address <= last:
            raise ProfileError(
                f"{where}, register: {first} to {last} is also used by {other}; correct one of them"
            )


_WIRE = {"Wh": "kWh", "W": "kW", "g": "kg", "mL": "m3"}
_WIRE_OF_REGISTERS = {**_WIRE, "m": "km", "s": "h", "K s": "K d"}
_COUNTED_BY_TIME = ("s", "K s")  # unit of a counter of operating time, which does not wrap
_MODULI = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
OWN = "generic"
# source of a profile: the maker's document; published code of other projects, which agrees; none
CERTAINTIES = ("document", "code", "recalled")
_KEYS = dict.fromkeys(
    ("id", "class", "title", "source", "certainty", "checked", "limits", "channel")
)
_NAMED = re.compile(r"channel (\w+)")


def _own_profile(device_class: DeviceClass) -> dict[str, Any]:
    """Return the generic profile of a class in the form of a profile file."""
    kind = re.split("[:,]", device_class.title)[0]
    return {
        "id": "generic",
        "class": device_class.id,
        "title": f"{kind}, channels named as in tonne's own payload",
        "source": "tonne interface description, 'Channels of the generic profiles'",
        "channel": {c.name: _own_source(c) for c in device_class.channels.values()},
    }


def _own_source(channel: Channel) -> dict[str, Any]:
    register = channel.kind == "register"
    units = _WIRE_OF_REGISTERS if register else _WIRE
    unit = channel.wire or units.get(channel.unit, channel.unit)
    stem, _, _ = channel.name.rpartition("_")
    path = channel.name if unit == channel.unit else f"{stem}_{unit.lower().replace(' ', '')}"
    result: dict[str, Any] = {"path": path, "unit": unit}
    if register and channel.unit not in _COUNTED_BY_TIME:
        result["moduli"] = channel.moduli or _MODULI
    return result


@dataclass(frozen=True, slots=True)
class Source:
    """Position of a canonical channel in a model's payload."""

    channel: str
    path: str
    unit: str
    moduli: tuple[int, ...] = ()
    exact_modulus: bool = False
    also: tuple[str, ...] = ()
    register: Register | None = None
    limits: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """
    Device model: class, source and channels by payload name; `limits`: limits of its readings'
    times.
    """

    id: str
    class_id: str
    title: str
    source: str
    channels: dict[str, Source]
    certainty: str = ""
    checked: str = ""
    limits: dict[str, Any] = field(default_factory=dict)


def read(file: str, text: str) -> Profile:
    """
    Return a profile from the text of its file.

    Raises ProfileError with file and line of the error.
    """
    try:
        return parse(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{file}: {error}; write valid TOML") from None
    except ProfileError as error:
        raise ProfileError(f"{file}:{_line(text, str(error))}: {error}") from None


def _line(text: str, error: str) -> int:
    named = _NAMED.search(error)
    at = text.find(f"[channel.{named.group(1)}]") if named else 0
    return text.count("\n", 0, max(at, 0)) + 1


def parse(document: dict[str, Any]) -> Profile:
    """
    Return a profile from its parsed TOML.

    Raises ProfileError if the source or the certainty of the numbers is missing, a key is unknown,
    two channels share a path or registers, or a modulus is repeated.
    """
    name = document.get("id", "?")
    if unknown := sorted(document.keys() - _KEYS):
        raise ProfileError(f"profile {name}: unknown key {unknown[0]!r}; known: {', '.join(_KEYS)}")
    for key in ("id", "class", "title", "source"):
        if not document.get(key):
            raise ProfileError(
                f"profile {name}: {key!r} is required; add it at the top of the file"
            )
    channels: dict[str, Source] = {}
    taken: set[str] = set()
    mapped: list[tuple[str, Register | None]] = []
    for channel, spec in document.get("channel", {}).items():
        source = _source(name, channel, dict(spec))
        for path in (source.path, *source.also):
            if path in taken:
                raise ProfileError(
                    f"profile {name}, channel {channel}: another channel also reads path "
                    f"{path!r}; read each path in one channel"
                )
            taken.add(path)
        no_overlap(source.register, mapped, f"profile {name}, channel {channel}")
        mapped.append((channel, source.register))
        channels[source.path] = source
    limits = document.get("limits", {})
    Limits().changed(limits, f"profile {name}")
    return Profile(
        name,
        document["class"],
        document["title"],
        document["source"],
        channels,
        *_certainty(name, document),
        limits,
    )


def _certainty(name: str, document: dict[str, Any]) -> tuple[str, str]:
    """Return `certainty` and `checked` of a model; not required for tonne's own payload."""
    certainty, checked = document.get("certainty", ""), document.get("checked", "")
    if name != OWN and (certainty not in CERTAINTIES or not checked):
        raise ProfileError(
            f"profile {name}: certainty {certainty!r} must be one of {', '.join(CERTAINTIES)}, "
            "and 'checked' names the document that was read"
        )
    return certainty, checked


def _source(profile: str, channel: str, spec: dict[str, Any]) -> Source:
    modulus = spec.pop("modulus", None)
    moduli = tuple(spec.get("moduli", ())) if modulus is None else (modulus,)
    where = f"profile {profile}, channel {channel}"
    if modulus is not None and "moduli" in spec:
        raise ProfileError(f"{where}: modulus and moduli contradict each other; remove one of them")
    if any(m <= 0 for m in moduli) or list(moduli) != sorted(set(moduli)):
        raise ProfileError(f"{where}: moduli {moduli} must be above zero and ascending")
    spec.pop("moduli", None)
    also = tuple(spec.pop("also", ()))
    register = spec.pop("register", None)
    result = None if register is None else _parse_register(register, where)
    Limits().changed(spec.get("limits", {}), where)
    try:
        return Source(
            channel,
            moduli=moduli,
            exact_modulus=modulus is not None,
            also=also,
            register=result,
            **spec,
        )
    except TypeError as error:
        raise ProfileError(f"{where}: {error}; see ingest/profiles for the keys") from None


@cache
def load() -> dict[tuple[str, str], Profile]:
    """Return all profiles of tonne, by (class, profile id)."""
    own = [parse(_own_profile(device_class)) for device_class in classes.load().values()]
    profiles = {(profile.class_id, profile.id): profile for profile in own}
    for entry in sorted(resources.files(__name__).iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            profile = read(entry.name, entry.read_text(encoding="utf-8"))
            key = (profile.class_id, profile.id)
            if key in profiles:
                raise ProfileError(
                    f"profile {key} is in two files; keep {entry.name} or the other file"
                )
            profiles[key] = profile
    return profiles


def read_registers(reading: Registers, profile: Profile) -> Stated:
    """
    Return the values of a reading's registers, in the units of the profile.

    A reading without a known register is rejected as `no_known_channel`.
    """
    values: dict[str, float | None] = {}
    for source in profile.channels.values():
        if source.register is None:
            continue
        raw = _raw(source.register, reading.blocks)
        if raw is not None and raw not in source.register.absent:
            values[source.path] = raw / source.register.divide
    refused = () if values else (("no_known_channel", _nothing(reading, profile)),)
    return Stated(reading.ts, values, reading.id, (None,) * len(values), refused)


def _raw(register: Register, blocks: tuple[Block, ...]) -> int | float | None:
    for block in blocks:
        at = register.address - block.address
        words = len(block.data) // WORD
        same = register.table in (block.table, EITHER)
        if same and at >= 0 and at + SIZES[register.type] <= words:
            return number(block.data, at, register.type, register.word_order)
    return None


def _nothing(reading: Registers, profile: Profile) -> str:
    spans = ", ".join(
        f"{b.table} {b.address} to {b.address + len(b.data) // WORD - 1}" for b in reading.blocks
    )
    return f"profile {profile.id} reads no register in {spans or 'no block'}"


# rounding error of a value with six decimals, such as a third of an hour [base unit]
_ROUNDED = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class FileRegister:
    """Register in registry files: column, name and unit; base = file * numerator / denominator."""

    column: str
    name: str
    unit: str
    numerator: int
    denominator: int

    def to_base(self, value: Decimal) -> int | None:
        """Return whole base units; None if a fraction remains that is not a rounding error."""
        base = value * self.numerator / self.denominator
        whole = base.to_integral_value()
        return int(whole) if abs(base - whole) <= _ROUNDED else None

    def to_file(self, base: int) -> Decimal:
        """Return base units in the unit of registry files, with at most six decimals."""
        exact = Decimal(base) * self.denominator / self.numerator
        rounded = round(exact, 6)
        return exact if exact == rounded else rounded


@cache
def registers(class_id: str) -> dict[str, FileRegister]:
    """Return the registers of a class by their name in registry files; empty if unknown."""
    device_class = classes.load().get(class_id)
    generic = load().get((class_id, "generic"))
    if device_class is None or generic is None:
        return {}
    result = {}
    for source in generic.channels.values():
        channel = device_class.channels[source.channel]
        if channel.kind == "register":
            numerator, denominator, _ = factor(source.unit, channel.unit)
            result[source.path] = FileRegister(
                channel.name, source.path, source.unit, numerator, denominator
            )
    return result


@cache
def register_name(column: str) -> str:
    """Return the name of a register's column in registry files; any other name unchanged."""
    every = (r for class_id in classes.load() for r in registers(class_id).values())
    return next((register.name for register in every if register.column == column), column)


def register_of_column(class_id: str, column: str) -> FileRegister:
    """Return the register of a class that is stored in a column."""
    return next(r for r in registers(class_id).values() if r.column == column)

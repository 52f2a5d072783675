"""
Blocks of Modbus registers to values, by the register map of a profile.

A map says where each quantity stands in the device, of which type it is and
what its number is divided by to be in the profile's unit.  Numbers that the
maker gives to "not available" are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest.errors import ProfileError
from ingest.formats.register_words import SIZES, WORD, number
from ingest.reading import Stated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ingest.formats.register_words import Order
    from ingest.profiles import Profile
    from ingest.reading import Block, Registers

_EITHER = "either"
_TABLES = ("holding", "input", _EITHER)
_ORDERS = ("big", "little")
_LAST = 65_535


@dataclass(frozen=True, slots=True)
class Register:
    """
    Where a quantity stands; `address` is that of the request, from 0.

    `table` is `either` where the device answers both kinds of request alike.
    """

    address: int
    type: str
    table: str = "holding"
    divide: int = 1
    word_order: Order = "big"
    absent: tuple[float, ...] = ()


def parse(spec: dict[str, Any], where: str) -> Register:
    """
    Build a register from its parsed TOML.

    Raises
    ------
    ProfileError
        Naming the profile, the channel and what is wrong.
    """
    try:
        found = Register(**{**spec, "absent": tuple(spec.get("absent", ()))})
    except TypeError as error:
        raise ProfileError(f"{where}, register: {error}") from None
    if found.type not in SIZES or found.table not in _TABLES or found.word_order not in _ORDERS:
        raise ProfileError(
            f"{where}, register: type is one of {', '.join(SIZES)}, "
            f"table of {', '.join(_TABLES)}, word_order of {', '.join(_ORDERS)}"
        )
    if not 0 <= found.address <= _LAST or found.divide < 1:
        raise ProfileError(f"{where}, register: address is 0 to {_LAST}, divide at least 1")
    return found


def no_overlap(
    register: Register | None, mapped: Iterable[tuple[str, Register | None]], where: str
) -> None:
    """
    Refuse a register that shares a word with another channel's.

    Raises
    ------
    ProfileError
        Naming both channels.
    """
    for other, held in mapped:
        if register is None or held is None:
            continue
        same = register.table == held.table or _EITHER in (register.table, held.table)
        first, last = register.address, register.address + SIZES[register.type] - 1
        if same and first < held.address + SIZES[held.type] and held.address <= last:
            raise ProfileError(f"{where}, register: {first} to {last} is of {other} too; mend one")


def read(reading: Registers, profile: Profile) -> Stated:
    """Values of the registers that a reading holds, in the units of the profile."""
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
        held = len(block.data) // WORD
        same = register.table in (block.table, _EITHER)
        if same and at >= 0 and at + SIZES[register.type] <= held:
            return number(block.data, at, register.type, register.word_order)
    return None


def _nothing(reading: Registers, profile: Profile) -> str:
    held = ", ".join(
        f"{b.table} {b.address} to {b.address + len(b.data) // WORD - 1}" for b in reading.blocks
    )
    return f"profile {profile.id} reads no register in {held or 'no block'}"

"""
Register map of a profile: position of each quantity in a Modbus device.

It has the type of each number and the divisor to the profile's unit; `register_blocks` uses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ingest.errors import ProfileError
from ingest.formats.sunspec import SIZES, Order

EITHER = "either"
_TABLES = ("holding", "input", EITHER)
_ORDERS = ("big", "little")
_LAST = 65_535


@dataclass(frozen=True, slots=True)
class Register:
    """
    Position of a quantity; `address` is the protocol address, from 0.

    `table` is `either` if the device answers both kinds of request alike.
    """

    address: int
    type: str
    table: str = "holding"
    divide: int = 1
    word_order: Order = "big"
    absent: tuple[float, ...] = ()


def parse(spec: dict[str, Any], where: str) -> Register:
    """
    Return a register position from its parsed TOML.

    Raises
    ------
    ProfileError
        Naming the profile, the channel and the error.
    """
    try:
        register = Register(**{**spec, "absent": tuple(spec.get("absent", ()))})
    except TypeError as error:
        raise ProfileError(f"{where}, register: {error}") from None
    if (
        register.type not in SIZES
        or register.table not in _TABLES
        or register.word_order not in _ORDERS
    ):
        raise ProfileError(
            f"{where}, register: type must be one of {', '.join(SIZES)}, table one "
            f"of {', '.join(_TABLES)}, word_order one of {', '.join(_ORDERS)}"
        )
    if not 0 <= register.address <= _LAST or register.divide < 1:
        raise ProfileError(f"{where}, register: address must be 0 to {_LAST}, divide at least 1")
    return register


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
    for other, earlier in mapped:
        if register is None or earlier is None:
            continue
        same = register.table == earlier.table or EITHER in (register.table, earlier.table)
        first, last = register.address, register.address + SIZES[register.type] - 1
        if same and first < earlier.address + SIZES[earlier.type] and earlier.address <= last:
            raise ProfileError(
                f"{where}, register: {first} to {last} is also used by {other}; correct one of them"
            )

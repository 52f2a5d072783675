"""
Values from Modbus register blocks, by the register map of a profile.

The manufacturer's codes for "not available" are omitted.
"""

from __future__ import annotations

from ingest.formats.sunspec import SIZES, WORD, number
from ingest.profiles import Profile
from ingest.profiles.register_map import EITHER, Register
from ingest.reading import Block, Registers, Stated


def read(reading: Registers, profile: Profile) -> Stated:
    """
    Return the values of a reading's registers, in the units of the profile.

    Without a known register the reading has the reason `no_known_channel`.
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

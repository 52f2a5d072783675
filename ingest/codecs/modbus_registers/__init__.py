"""
Codec of Modbus register blocks in JSON, for devices whose profile has a register map.

`{"ts": .., "blocks": [{"table": "holding", "address": 32080, "hex": ".."}]}`: `address` is that of
the first register in the request (from 0); `base64` or `registers` (integers) can replace `hex`.
The word order belongs to the device and is in its profile; `byte_order` states that a gateway
swapped the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from ingest.errors import PayloadError
from ingest.formats.ocpp import messages
from ingest.formats.sunspec import Order, Words, unpack
from ingest.reading import JSON, Block, Codec, Registers, timeless

_CODEC = "modbus"
_MAX_ADDRESS = 65_535


class _Block(Words, forbid_unknown_fields=True, kw_only=True):
    address: int
    table: Literal["holding", "input"] = "holding"


class _Message(msgspec.Struct):
    ts: int | str
    blocks: list[_Block]
    id: int | str | None = None
    byte_order: Order = "big"


_decoder = msgspec.json.Decoder(_Message | list[_Message])


def decode(payload: bytes) -> Sequence[Registers]:
    """
    Return the readings of one payload, with register values not yet scaled.

    Raises PayloadError with reason `malformed_json`, `time_missing`, `wrong_shape` or
    `registers_invalid`.
    """
    return [_reading(message) for message in messages(_decoder, payload, _CODEC)]


def _reading(message: _Message) -> Registers:
    blocks = tuple(_block(i, block, message.byte_order) for i, block in enumerate(message.blocks))
    return Registers(message.ts, {}, message.id, blocks)


def _block(i: int, block: _Block, byte_order: Order) -> Block:
    where = f"{_CODEC}: block {i}"
    data = unpack(block, byte_order, where)
    if not 0 <= block.address <= _MAX_ADDRESS:
        raise PayloadError(
            "registers_invalid",
            f"{where}: address {block.address} is not 0..65535; send the address in the "
            "request, counted from 0",
        )
    return Block(block.table, block.address, data)


def _recognises(payload: bytes) -> bool:
    return b'"blocks"' in payload


CODEC = Codec(
    name=_CODEC,
    content_types=("application/vnd.tonne.modbus+json",),
    decode=timeless(decode),
    starts=JSON,
    recognises=_recognises,
    order=6,
)

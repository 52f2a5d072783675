"""Changed payloads into every codec: a short run, and all that longer runs have found.

Every number that a block of registers can mean at all, found without the codecs.
"""

from __future__ import annotations

import os
import struct
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import properties, seeds
from tests.fuzz.__main__ import fuzz

_KINDS = ("h", "H", "i", "I", "q", "Q", "f", "d")
_SCALES = range(-10, 11)


def modbus(document: Any) -> set[float]:
    """Numbers of each block of each message, from any register on."""
    return {
        n for one in _each(document) for block in one["blocks"] for n in _plain(_data(block, one))
    }


def sunspec(document: Any) -> set[float]:
    """The same, by any scale factor that SunSpec has."""
    plain = {n for one in _each(document) for n in _plain(_data(one["sunspec"], one))}
    whole = {n for n in plain if isinstance(n, int)}
    return {float(n) for n in plain} | {_scaled(n, power) for n in whole for power in _SCALES}


def _each(document: Any) -> list[Any]:
    return document if isinstance(document, list) else [document]


def _data(words: dict[str, Any], message: dict[str, Any]) -> bytes:
    """Registers as big-endian bytes; the later of two equal keys is the one that counts."""
    if words.get("hex") is not None:
        data = bytes.fromhex(words["hex"])
    elif words.get("base64") is not None:
        data = b64decode(words["base64"], validate=True)
    else:
        data = b"".join(value.to_bytes(2, "big") for value in words["registers"])
    if message.get("byte_order", "big") == "big":
        return data
    return b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2))


def _plain(data: bytes) -> Iterator[int | float]:
    """Numbers of each type at each register, with either word first."""
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    for kind in _KINDS:
        size = struct.calcsize(f">{kind}") // 2
        for at in range(len(words) - size + 1):
            held = words[at : at + size]
            for ordered in (held, held[::-1]):
                yield struct.unpack(f">{kind}", b"".join(ordered))[0]


def _scaled(n: int, power: int) -> float:
    return float(n * 10**power) if power >= 0 else n / 10**-power


CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.bin"))
COUNT = int(os.environ.get("TONNE_FUZZ_COUNT", "1500"))


@pytest.mark.parametrize("codec", sorted(properties.NAMES))
def test_changed_payloads_are_read_or_refused(codec):
    """One broken message of one device would stop the readings of all, or become a number."""
    figures = fuzz(codec, seeds.gather(), COUNT, seed=7)
    assert figures["found"] == 0
    assert 0 < figures["read"] < COUNT


@pytest.mark.parametrize("file", CORPUS, ids=lambda f: f.stem)
def test_what_broke_a_codec_once_does_not_again(file):
    """A payload that stopped the pipeline once would stop it again after the next change."""
    properties.judge(file.name.split("-", 1)[0], file.read_bytes())


@pytest.mark.parametrize("codec", sorted(properties.NAMES))
def test_a_payload_costs_no_more_than_its_size(codec):
    """A device could hold up the whole estate with one message of the largest size."""
    for payload in seeds.large(100_000):
        properties.judge(codec, payload)


def test_every_codec_has_seeds():
    """A codec added later would go unfuzzed."""
    assert {*seeds.gather()} == {*properties.NAMES}

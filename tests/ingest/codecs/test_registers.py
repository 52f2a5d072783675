"""Registers in JSON: SunSpec's self-describing blocks, and blocks decoded by a profile's map."""

import base64
import json
import struct

import pytest

from ingest.codecs import modbus_registers, sunspec
from ingest.errors import PayloadError
from ingest.formats.sunspec import number
from tests.ingest.metering import read, reasons, rows

# Model 103 of a 10 kW inverter: W 9876 W, WH 12,345,670 Wh, W_SF 0, WH_SF 1, V_SF -1, Hz_SF -2.
MODEL_103 = [
    103, 50, 413, 138, 138, 137, 0xFFFF, 4012, 4009, 4011, 2316, 2314, 2317, 0xFFFF, 9876, 0, 5001,
    0xFFFE, 9880, 0, 0x8000, 0x8000, 0x8000, 0x8000, *divmod(1_234_567, 65_536), 1, 0xFFFF, 0x8000,
    6021, 0xFFFF, 10_102, 0, 415, 0x8000, 0x8000, 0x8000, 0xFFFF, 4, *[0] * 13,
]  # fmt: skip


def _hex(words):
    return struct.pack(f">{len(words)}H", *words).hex()


def _sunspec(words, **more):
    return json.dumps({"ts": 1767225600000, "sunspec": {"hex": _hex(words)}, **more}).encode()


def _values(payload):
    (reading,) = sunspec.decode(payload)
    return reading.values


def test_values_take_the_scale_beside_them():
    """An inverter's power would be off by tens at dusk, when its scale factor changes."""
    found = _values(_sunspec(MODEL_103))
    assert found["W"] == 9876.0
    assert found["WH"] == 12_345_670.0
    assert found["Hz"] == 50.01
    assert found["DCV"] == 602.1
    assert found["DCW"] == 10_102.0
    assert found["TmpCab"] == 41.5
    assert found["St"] == 4.0
    rescaled = MODEL_103.copy()
    rescaled[14], rescaled[15] = 988, 1
    assert _values(_sunspec(rescaled))["W"] == 9880.0


def test_a_point_that_is_not_there_says_nothing():
    """An inverter without a sensor would report -3,276.8 degrees, or a register of zero."""
    found = _values(_sunspec(MODEL_103))
    assert not {"VAr", "PF", "TmpSnk", "TmpOt", "A_SF", "DCA"} & found.keys()
    fresh = MODEL_103.copy()
    fresh[24:26] = [0, 0]
    assert "WH" not in _values(_sunspec(fresh))


def test_a_value_without_its_scale_is_refused():
    """A power of unknown scale would be stored as if its scale were one."""
    broken = MODEL_103.copy()
    broken[15] = 0x8000
    (reading,) = sunspec.decode(_sunspec(broken))
    assert "W" not in reading.values
    assert "WH" in reading.values
    assert [reason for reason, _ in reading.refused] == ["scale_missing"]


def test_a_whole_map_is_walked():
    """A gateway that sends the register map from "SunS" on would have to divide it into models."""
    common = [1, 66, *[0x2020] * 66]
    whole = [0x5375, 0x6E53, *common, *MODEL_103, 0xFFFF, 0]
    assert _values(_sunspec(whole)) == _values(_sunspec(MODEL_103))
    twice = [0x5375, 0x6E53, *MODEL_103, *MODEL_103, 0xFFFF, 0]
    assert _values(_sunspec(twice))["103.W"] == 9876.0


def test_spellings_and_orders_say_the_same():
    """A gateway that sends base64, numbers or swapped bytes would need another device."""
    data = struct.pack(f">{len(MODEL_103)}H", *MODEL_103)
    swapped = struct.pack(f"<{len(MODEL_103)}H", *MODEL_103)
    spelled = [
        {"sunspec": {"base64": base64.b64encode(data).decode()}},
        {"sunspec": {"registers": MODEL_103}},
        {"sunspec": {"hex": swapped.hex()}, "byte_order": "little"},
    ]
    for one in spelled:
        assert _values(json.dumps({"ts": 1, **one}).encode()) == _values(_sunspec(MODEL_103))


@pytest.mark.parametrize(
    ("words", "detail"),
    [
        (MODEL_103[:20], "ends within model 103"),
        ([103, 10, *[0] * 10], "has 10 registers, expected 50"),
        ([1, 2, 0, 0, 0xFFFF, 0], "no model of 101"),
        ([], "0 bytes are not 1 to"),
    ],
)
def test_a_block_that_is_no_model_is_refused(words, detail):
    """Values of a cut block would be scaled by whatever followed it."""
    with pytest.raises(PayloadError, match=detail) as caught:
        sunspec.decode(_sunspec(words))
    assert caught.value.reason == "registers_invalid"


def test_a_profile_reads_the_registers_of_its_map():
    """A gateway that only knows Modbus would have to learn every meter."""
    words = {52: 1234.5, 70: 50.01, 72: 98_765.25, 74: 1.5}
    held = bytearray(2 * 76)
    for address, value in words.items():
        held[2 * address : 2 * address + 4] = struct.pack(">f", value)
    payload = {"ts": 1767225600000, "blocks": [{"table": "input", "address": 0, "hex": held.hex()}]}
    decoded = read(json.dumps(payload), device_class="energy_meter", profile="eastron-sdm630")
    assert decoded.codecs == ["modbus"]
    (row,) = rows(decoded)
    assert row["active_power_w"] == 1234.5
    assert row["energy_import_wh"] == 98_765_250
    assert row["energy_export_wh"] == 1500


def test_registers_that_no_profile_knows_are_refused():
    """A gateway that polls the wrong table would look as if it sent data."""
    payload = {"ts": 1767225600000, "blocks": [{"address": 52, "registers": [1, 2]}]}
    decoded = read(json.dumps(payload), device_class="energy_meter", profile="eastron-sdm630")
    assert reasons(decoded) == ["no_known_channel"]
    assert "holding 52 to 53" in decoded.rejected[0].detail


@pytest.mark.parametrize(
    ("block", "detail"),
    [
        ({"address": 0}, "has none or several of"),
        ({"address": 0, "hex": "00", "base64": "AA=="}, "has none or several of"),
        ({"address": 0, "hex": "000"}, "fromhex"),
        ({"address": 0, "hex": "00"}, "1 bytes are not"),
        ({"address": -1, "hex": "0000"}, "address -1"),
        ({"address": 0, "registers": [65_536]}, "block 0"),
        ({"address": 0, "table": "coil", "hex": "0000"}, "Invalid enum value"),
    ],
)
def test_a_block_that_is_none_says_why(block, detail):
    """A gateway's configuration would have to be guessed right."""
    with pytest.raises(PayloadError, match=detail):
        modbus_registers.decode(json.dumps({"ts": 1, "blocks": [block]}).encode())


def test_the_order_of_words():
    """A meter that sends its low word first would jump by 65,536 with every unit."""
    data = struct.pack(">4H", 0x0001, 0x0002, 0x0003, 0x0004)
    assert number(data, 0, "uint32") == 0x00010002
    assert number(data, 0, "uint32", "little") == 0x00020001
    assert number(data, 0, "uint64", "little") == 0x0004000300020001
    assert number(b"\x7f\xc0\x00\x00", 0, "float32") is None

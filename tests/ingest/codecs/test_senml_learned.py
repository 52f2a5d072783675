"""Packs with a learned layout are decoded faster, with the same result."""

import json

import cbor2
import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.codecs import senml_cbor, senml_json
from ingest.errors import PayloadError
from ingest.formats.senml import Record, resolve
from ingest.reading import Row
from tests.ingest.metering import RECEIVED_US, read, rows

LABELS = {
    "bs": -6, "bv": -5, "bu": -4, "bt": -3, "bn": -2, "bver": -1,
    "n": 0, "u": 1, "v": 2, "s": 5, "t": 6,
}  # fmt: skip
BASE = {"bn": "urn:dev:mac:0024befffe804ff1/", "bt": 1767225600}
PACK = [BASE | {"n": "energy_export_kwh", "v": 1.5}, {"n": "active_power_kw", "v": 2.5}]

_FIELD = st.sampled_from(
    [("n", "active_power_kw"), ("n", "other"), ("n", ""), ("u", "W"), ("u", ""), ("u", None),
     ("v", 7), ("v", 7.25), ("v", True), ("v", None), ("v", 10**400), ("t", 1), ("t", -0.5),
     ("s", 9), ("bv", 1), ("bs", 2), ("bt", 12), ("bt", 10**400), ("bt", 1767225600.25), ("bn", ""),
     ("bn", None), ("bu", "kW"), ("bu", None), ("bver", 5), ("bver", 11), ("x", 1), ("x_", 1)]
)  # fmt: skip
_CHANGES = st.lists(st.tuples(st.integers(0, 1), _FIELD, st.booleans()), max_size=3)


def _changed(changes):
    pack = [dict(record) for record in PACK]
    for i, (label, value), away in changes:
        if away:
            pack[i].pop(label, None)
        else:
            pack[i][label] = value
    return pack


def _said(read_it):
    """Return the contents of a pack, or the reason for its rejection."""
    try:
        found = [r.stated() if isinstance(r, Row) else r for r in read_it()]
    except PayloadError as error:
        return error.reason
    return [
        (r.ts, list(r.values.items()), [u or None for u in r.units], [x for x, _ in r.refused])
        for r in found
    ]


def _slowly(text):
    return resolve(msgspec.json.decode(text, type=list[Record]), RECEIVED_US)


def _learn(pack, times=5):
    for _ in range(times):
        senml_json.decode(json.dumps(pack, separators=(",", ":")).encode(), RECEIVED_US)


@given(_CHANGES)
@example([(0, ("bt", 10**400), False)])
@example([(1, ("n", "other"), False)])
@example([(1, ("n", ""), True)])
def test_a_known_sender_may_send_anything(changes):
    """A gateway whose pack changed would go on being read by its old names, units or base."""
    _learn(PACK)
    pack = _changed(changes)
    text = json.dumps(pack, separators=(",", ":")).encode()
    if "x" not in text.decode().replace("export", ""):
        try:
            expected = _said(lambda: _slowly(text))
        except msgspec.DecodeError:
            expected = "wrong_shape"
        found = _said(lambda: senml_json.decode(text, RECEIVED_US))
        assert found == expected or {found, expected} == {"malformed_json", "wrong_shape"}


@given(_CHANGES)
def test_both_encodings_say_the_same(changes):
    """A fleet that moves to CBOR for its radio's sake would change its readings."""
    pack = [
        {k: v for k, v in record.items() if v is not None and k in LABELS}
        for record in _changed(changes)
    ]
    text = json.dumps(pack).encode()
    data = cbor2.dumps([{LABELS[k]: v for k, v in record.items()} for record in pack])
    if str(10**400) not in text.decode():
        assert _said(lambda: senml_cbor.decode(data, RECEIVED_US)) == _said(
            lambda: senml_json.decode(text, RECEIVED_US)
        )


def test_a_sender_is_known_by_its_whole_name():
    """One inverter's energy would be credited to the one beside it."""
    _learn(PACK)
    other = [PACK[0] | {"bn": "urn:dev:mac:0024befffe804ff2/"}, PACK[1]]
    (found,) = senml_json.decode(json.dumps(other, separators=(",", ":")).encode(), RECEIVED_US)
    assert found.stated().values == {
        "urn:dev:mac:0024befffe804ff2/energy_export_kwh": 1.5,
        "urn:dev:mac:0024befffe804ff2/active_power_kw": 2.5,
    }
    # the base name written after the time, where a first look does not see it
    unnamed = [{"bt": 1767225600, "n": "energy_export_kwh", "v": 1.5}]
    _learn(unnamed)
    named = b'[{"bt":1767225600,"bn":"b/","n":"energy_export_kwh","v":1.5}]'
    (found,) = senml_json.decode(named, RECEIVED_US)
    assert found.stated().values == {"b/energy_export_kwh": 1.5}


def test_numbers_and_units_of_a_known_pack_are_its_own():
    """The tenth message of a meter would repeat the first, or its unit would be lost."""
    for k in range(8):
        pack = [PACK[0] | {"u": "Wh", "v": 1000 + k}, PACK[1] | {"u": "W", "v": k}]
        decoded = read(json.dumps(pack, separators=(",", ":")), device_class="pv_inverter")
        assert rows(decoded) == [
            {"time_us": RECEIVED_US, "energy_export_wh": 1000 + k, "active_power_w": float(k)}
        ]


FLOATS = [BASE | {"bt": 1767225600.5, "n": "energy_export_kwh", "v": 1.5}, {"n": "x", "v": 2.5}]


def _cbor(pack):
    return cbor2.dumps([{LABELS[k]: v for k, v in record.items()} for record in pack])


def _resolved(data):
    return _said(
        lambda: resolve(
            [senml_cbor._record(i, item) for i, item in enumerate(cbor2.loads(data))], RECEIVED_US
        )
    )


def _learn_cbor(data):
    for _ in range(9):
        senml_cbor.decode(data, RECEIVED_US)
    assert senml_cbor.read(data) is not None


@given(st.floats(), st.floats(), st.floats())
@example(1767225600.000001, 0.0, -0.0)
@example(5.0, 1.0, 1.0)
@example(1767225600.0, float("nan"), 1.0)
@example(1767225600.0, 1.7e308, 1.7e308)
def test_a_known_layout_takes_any_numbers(seconds, first, second):
    """A register's new value would be read from the bytes beside it, or NaN be stored."""
    _learn_cbor(_cbor(FLOATS))
    pack = [FLOATS[0] | {"bt": seconds, "v": first}, FLOATS[1] | {"v": second}]
    data = _cbor(pack)
    assert _said(lambda: senml_cbor.decode(data, RECEIVED_US)) == _resolved(data)


@given(st.data())
def test_a_known_layout_with_any_byte_changed(data):
    """One bit turned on the way would become another device's name or a wrong number."""
    sound = _cbor(FLOATS)
    _learn_cbor(sound)
    at = data.draw(st.integers(0, len(sound) - 1))
    changed = sound[:at] + bytes([data.draw(st.integers(0, 255))]) + sound[at + 1 :]
    found = _said(lambda: senml_cbor.decode(changed, RECEIVED_US))
    if not isinstance(found, str):
        assert found == _resolved(changed)


def test_other_widths_are_learned_too():
    """Payloads with 32-bit floats and whole seconds would take three times as long to decode."""
    data = (
        b"\x82\xa4\x21\x62b/\x22\x1a\x69\x55\xb9\x00\x00\x61a\x02\xfa\x3f\xc0\x00\x00"
        b"\xa3\x00\x61b\x01\x61V\x02\xfb\x40\x04\x00\x00\x00\x00\x00\x00"
    )
    _learn_cbor(data)
    (found,) = senml_cbor.decode(data, RECEIVED_US)
    assert (found.ts, found.stated().values) == (1767225600000, {"b/a": 1.5, "b/b": 2.5})
    assert found.stated().units == (None, "V")

"""Canonical JSON: one value, one byte string."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from mrv.errors import CanonicalError
from mrv.signatures import canonical

_LINES = (Path(__file__).parents[1] / "vectors/jcs.jsonl").read_text("utf-8").splitlines()
VECTORS = [json.loads(line) for line in _LINES]

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_official_vectors(vector: dict[str, str]) -> None:
    """Auditors' tools would hash other bytes than ours and call every statement forged."""
    value = canonical.parse(vector["input"].encode(), allow_floats=True)
    encoded = canonical.encode(value, allow_floats=True)
    assert encoded == vector["output"].encode()
    assert encoded == bytes.fromhex(vector["outhex"])


_edges = st.text(st.sampled_from('a"\\\x00\x1f\x7f\u2028\ud7ff\ue000\uffff\U00010000\U0010ffff'))
_signed = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-canonical.MAX_SAFE_INTEGER, canonical.MAX_SAFE_INTEGER)
    | _texts
    | _edges,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(_texts | _edges, inner, max_size=5)
    ),
    max_leaves=12,
)


@given(_signed)
@example({"\ue000": 1, "\U00010000": 2, "\uffff": {"\U0010ffff": 3, "\ud7ff": 4}})
def test_the_bytes_are_those_of_the_library(value: object) -> None:
    """A document signed in one form of JSON would look forged in another."""
    assert canonical.encode(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


def test_every_character_is_written_as_the_library_writes_it() -> None:
    """A name with a rare letter would make a whole statement look forged."""
    for first in range(0, 0x110000, 0x800):
        if first != 0xD800:
            text = "".join(map(chr, range(first, first + 0x800)))
            assert canonical.encode([text]) == rfc8785.dumps([text]), hex(first)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b'{"a":1,"a":2}', "'a' appears twice"),
        (b'{"b":{"a":1,"c":0,"a":1}}', "'a' appears twice"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "-Infinity"),
        (b'{"a":9007199254740992}', "$.a is an integer beyond"),
        (b'{"a":[-9007199254740992]}', "$.a[0] is an integer beyond"),
        (b'{"a":' + b"1" * 5000 + b"}", "integer"),
        (b'{"a":0.5}', "$.a is the float 0.5"),
        (b'{"a":1e999}', "inf"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"a":"\xff"}', "not UTF-8 at byte 6"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"{} {}", "not JSON"),
        (b"", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8"),
    ],
)
def test_ambiguous_text_is_refused(text: bytes, named: str) -> None:
    """A text that two readers understand differently would carry one signature for both."""
    with pytest.raises(CanonicalError) as error:
        canonical.parse(text)
    assert named in str(error.value)


@pytest.mark.parametrize("text", [b"[1e20]", b"[-9007199254740992.0]"])
def test_floats_that_would_be_written_as_unsafe_integers_are_refused(text: bytes) -> None:
    """A document that we wrote ourselves would be refused when it is read again."""
    with pytest.raises(CanonicalError, match="integer beyond"):
        canonical.parse(text, allow_floats=True)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"a": Decimal("1.5")}, "$.a is a Decimal"),
        ({"a": [0, 1.5]}, "$.a[1] is the float"),
        ({1: "x"}, "key 1 of $"),
        ({"a": 2**53}, "$.a is an integer"),
        ({"a": {"b": b"x"}}, "$.a.b is a bytes"),
        ({"\ud800": 1}, "surrogate"),
        (float("nan"), "nan"),
    ],
)
def test_what_has_no_canonical_form_is_named_by_its_path(value: object, named: str) -> None:
    """A quantity could be rounded on its way into a signed body without anyone noticing."""
    with pytest.raises(CanonicalError) as error:
        canonical.encode(value)
    assert named in str(error.value)


def test_a_value_that_holds_itself_is_refused() -> None:
    """A programming error would end in a crash instead of a named refusal."""
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(CanonicalError, match="nested too deeply"):
        canonical.encode(loop)


def test_parse_object_wants_an_object() -> None:
    """A list given as a statement would fail far away from where it was read."""
    assert canonical.parse_object(b'{"a":"1"}') == {"a": "1"}
    with pytest.raises(CanonicalError, match="expected a JSON object"):
        canonical.parse_object(b"[]")

"""Bytes as text: one byte string, one text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv.errors import CanonicalError
from mrv.signatures.multibase import (
    decode_base58,
    decode_base64,
    encode_base58,
    encode_base64,
    sha256_multibase,
)


@given(st.binary(max_size=80))
def test_base58_and_base64_return_what_they_were_given(data: bytes) -> None:
    """A key or signature would change on its way through a file."""
    assert decode_base58(encode_base58(data)) == data
    assert decode_base64(encode_base64(data)) == data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"Hello World!", "z2NEpo7TZRRrLZSi2U"),
        (b"\x00\x00\x28\x7f\xb4\xcd", "z11233QC4"),
        (b"", "z"),
    ],
)
def test_base58_examples_of_the_draft(data: bytes, text: str) -> None:
    """Other software could not read our keys, nor we theirs."""
    assert encode_base58(data) == text
    assert decode_base58(text) == data


@pytest.mark.parametrize("text", ["", "2NEpo7", "z0", "zI", "z l", "mSGVsbG8", "z" + "1" * 300])
def test_what_is_not_base58_is_refused(text: str) -> None:
    """A mistyped key would be read as another key."""
    with pytest.raises(CanonicalError):
        decode_base58(text)


@pytest.mark.parametrize("text", ["QQ", "QR==", "QQ==\n", " QQ==", "Q-==", "QQ===", "é"])
def test_loose_base64_is_refused(text: str) -> None:
    """Several texts would stand for one signature, so a changed note would still verify."""
    with pytest.raises(CanonicalError):
        decode_base64(text)


def test_digest_multibase_is_a_sha2_256_multihash() -> None:
    """Verifiers of VC 2.0 could not compare the digest of a related resource."""
    raw = decode_base58(sha256_multibase(b"abc"))
    assert raw[:2] == bytes([0x12, 32])
    assert raw[2:].hex().startswith("ba7816bf")
    assert sha256_multibase(b"abc").startswith("zQm")

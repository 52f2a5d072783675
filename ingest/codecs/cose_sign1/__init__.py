"""
Codec of batches of readings signed by a gateway or meter: COSE_Sign1, RFC 9052.

    18([protected, unprotected, payload, signature])

`protected` has the algorithm (1) and the signer (4: its id or serial number as UTF-8).  The payload
is a CBOR map: 1 sequence number, 2 time of signing [ms UTC], 3 device, 4 content type, 5 the
messages.  The messages have one of the other encodings and are decoded as if the device had sent
them itself.  Signatures are verified later, from the stored signed bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NoReturn

import cbor2
import msgspec

from ingest.codecs import (
    json_object,
    modbus_registers,
    ngsi,
    ocpp16,
    ocpp201,
    senml_cbor,
    senml_json,
    sunspec,
)
from ingest.errors import PayloadError
from ingest.reading import SIGNED_VALUE, Codec, Reading, Stated

TAG = 18
FIRST = b"\xd2"  # first byte: the tag
NAME = "cose_sign1"
CONTENT_TYPE = 'application/cose; cose-type="cose-sign1"'
EDDSA, ES256 = -8, -7
ALGORITHMS = {EDDSA: "EdDSA", ES256: "ES256", -19: "Ed25519", -9: "ESP256"}
_ALGORITHM, _CRITICAL, _SIGNER = 1, 2, 4
_SEQUENCE, _AT, _DEVICE, _TYPE, _MESSAGES = 1, 2, 3, 4, 5
_MAX_SEQUENCE, _MAX_MS = 2**53, 10**14
_LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class Sign1:
    """
    Parts of a COSE_Sign1 object.

    `protected`, `unprotected`: headers.
    `signed`: the signed bytes: Sig_structure, RFC 9052 section 4.4.
    """

    protected: dict[Any, Any]
    unprotected: Mapping[Any, Any]
    payload: bytes
    signature: bytes
    signed: bytes

    @property
    def algorithm(self) -> object:
        """Return the number of the algorithm from the protected header."""
        return self.protected.get(_ALGORITHM)


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Batch of a device's readings with one signature.

    `signer`: stated signer: an id or a serial number.
    `algorithm`: algorithm number of COSE.
    `sequence`: increases by one with each batch of the signer for this device.
    `at_ms`: time of signing, by the signer's clock. [ms UTC]
    `device`: id or serial number of the device.
    `content_type`: Content type of `messages`.
    """

    signer: str
    algorithm: int
    sequence: int
    at_ms: int
    device: str
    content_type: str | None
    messages: bytes
    signature: bytes
    signed: bytes

    @property
    def named_algorithm(self) -> str:
        """Return the IANA name of the algorithm; its number where the name is unknown here."""
        return ALGORITHMS.get(self.algorithm, f"algorithm {self.algorithm}")

    def note(self, ts: int | str) -> str:
        """
        Return the reference that is stored with a signed batch; `ts` is the time of its last
        reading.

        The signed bytes are the message itself, which is stored completely.
        """
        return msgspec.json.encode(
            {
                "ts": ts,
                "channel": "*",
                "context": f"{self.signer} {self.sequence}",
                "data": "",
                "method": f"COSE_Sign1 {self.named_algorithm}",
                "encoding": "base64",
                "public_key": "",
            }
        ).decode()


def split(data: bytes) -> Iterator[bytes]:
    """
    Yield the objects of a CBOR sequence (RFC 8742).

    Raises PayloadError with reason `malformed_cbor`.
    """
    source = BytesIO(data)
    while (begin := source.tell()) < len(data):
        _decoded(lambda: cbor2.CBORDecoder(source, read_size=1).decode())
        yield data[begin : source.tell()]


def to_be_signed(head: bytes, payload: bytes) -> bytes:
    """Return the bytes to sign: Sig_structure, RFC 9052 section 4.4."""
    return bytes(cbor2.dumps(["Signature1", head, b"", payload]))


def read_sign1(data: bytes, detached: bytes | None = None) -> Sign1:
    """
    Return the parts of a COSE_Sign1.

    `detached`: the payload, if it is stored separately and the COSE_Sign1 has nil in its place.
    Raises PayloadError with reason `malformed_cbor` or `wrong_shape`.
    """
    result = _loads(data)
    if not isinstance(result, cbor2.CBORTag) or result.tag != TAG:
        _refuse("it does not begin with tag 18, the tag of COSE_Sign1")
    parts = result.value
    if not isinstance(parts, list | tuple) or len(parts) != 4:  # noqa: PLR2004 - RFC 9052, 4.2
        _refuse("it is not an array of four items")
    head, loose, payload, signature = parts
    if detached is not None:
        payload = detached if payload is None else None
    if not (
        isinstance(head, bytes) and isinstance(payload, bytes) and isinstance(signature, bytes)
    ):
        _refuse("its protected header, payload and signature must be byte strings")
    protected = _loads(head) if head else {}
    if not isinstance(protected, dict) or not isinstance(loose, Mapping):
        _refuse("its headers are not maps")
    if protected.keys() & loose.keys():
        _refuse("a header appears twice in it")
    if _CRITICAL in protected or _CRITICAL in loose:
        _refuse("it has a header that is marked critical (crit), and none is supported")
    # an empty map is signed as no bytes (RFC 9052, 4.4)
    signed = to_be_signed(head if protected else b"", payload)
    return Sign1(protected, loose, payload, signature, signed)


def read(data: bytes) -> Batch:
    """
    Return a batch from its bytes.

    Raises PayloadError with reason `malformed_cbor` or `wrong_shape`.
    """
    item = read_sign1(data)
    claims = _loads(item.payload)
    if not isinstance(claims, dict) or cbor2.dumps(claims) != item.payload:
        _refuse("its payload is not a CBOR map in preferred serialization with unique keys")
    algorithm = item.algorithm
    if type(algorithm) is not int:
        _refuse(f"algorithm {algorithm!r:.40} is not a number; name it in the protected header")
    kid = item.protected.get(_SIGNER, item.unprotected.get(_SIGNER))
    kind = claims.get(_TYPE)
    if kind is not None and not isinstance(kind, str):
        _refuse("header 4, the content type, is not text")
    messages = claims.get(_MESSAGES)
    if not isinstance(messages, bytes):
        _refuse("header 5, the messages, is not a byte string")
    return Batch(
        signer=_name("the key id (header 4)", _text(kid)),
        algorithm=algorithm,
        sequence=_number("1, the sequence,", claims.get(_SEQUENCE), _MAX_SEQUENCE),
        at_ms=_number("header 2, the time of signing,", claims.get(_AT), _MAX_MS),
        device=_name("3, the device,", claims.get(_DEVICE)),
        content_type=kind,
        messages=messages,
        signature=item.signature,
        signed=item.signed,
    )


def write(
    batch: tuple[int, int, str, str | None, bytes],
    signer: str,
    algorithm: int,
    sign: Callable[[bytes], bytes],
) -> bytes:
    """
    Return the bytes of a signed batch.

    `batch`: sequence number, time [ms UTC], device, content type and messages.
    `sign`: returns the signature of bytes, in COSE form.
    """
    sequence, at_ms, device, kind, messages = batch
    claims: dict[int, object] = {_SEQUENCE: sequence, _AT: at_ms, _DEVICE: device}
    if kind is not None:
        claims[_TYPE] = kind
    payload = cbor2.dumps({**claims, _MESSAGES: messages})
    head = cbor2.dumps({_ALGORITHM: algorithm, _SIGNER: signer.encode()})
    signature = sign(to_be_signed(head, payload))
    return bytes(cbor2.dumps(cbor2.CBORTag(TAG, [head, {}, payload, signature])))


def _loads(data: bytes) -> Any:
    source = BytesIO(data)
    result = _decoded(lambda: cbor2.CBORDecoder(source, read_size=1).decode())
    if source.tell() != len(data):  # the library ignores trailing bytes
        _refuse("further bytes follow its end")
    return result


def _decoded(decode: Callable[[], Any]) -> Any:
    try:
        return decode()
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        detail = f"{NAME}: {error!s:.200}; send the complete batch"
        raise PayloadError("malformed_cbor", detail) from None


def _text(value: object) -> object:
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return None


def _name(what: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME or not value.isprintable():
        _refuse(f"{what} is not an id or serial number of up to {_LONGEST_NAME} characters")
    return value


def _number(what: str, value: object, largest: int) -> int:
    if type(value) is not int or not 0 <= value < largest:
        _refuse(f"{what} is not a whole number from 0 to {largest}")
    return value


def _refuse(what: str) -> NoReturn:
    raise PayloadError("wrong_shape", f"{NAME}: {what}; send a batch in the form of RFC 9052")


# encodings in the order in which they are tried; plain JSON is last, as it accepts any JSON
_INSIDE: tuple[Codec, ...] = (
    senml_cbor.CODEC,
    senml_json.CODEC,
    ocpp201.CODEC,
    ocpp16.CODEC,
    sunspec.CODEC,
    modbus_registers.CODEC,
    ngsi.CODEC,
)
_BY_TYPE = {name: codec for codec in _INSIDE for name in codec.content_types}


def decode(payload: bytes, received_us: int) -> Sequence[Reading]:
    """
    Return the readings of a batch, and the signed value to store.

    Raises PayloadError with a reason of `ingest.codecs.cose_sign1`, or of the encoding inside.
    """
    batch = read(payload)
    result = readings(batch, received_us)
    kept = ((SIGNED_VALUE, batch.note(result[-1].ts)),)
    # it has the id of the last reading, so that the receipt confirms no additional message
    return (*result, Stated(result[-1].ts, {}, result[-1].id, (), kept))


def readings(batch: Batch, received_us: int) -> Sequence[Reading]:
    """
    Return the readings of a batch, which must have at least one.

    Raises PayloadError with a reason of the encoding inside, `content_type_unknown` or
    `empty_payload`.
    """
    codec = _inside(batch)
    result = codec.decode(batch.messages, received_us)
    if not result:
        raise PayloadError(
            "empty_payload", f"{NAME}: the message has no reading; send at least one"
        )
    return result


def _inside(batch: Batch) -> Codec:
    data, kind = batch.messages, (batch.content_type or "").split(";", 1)[0].strip().lower()
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    if kind and kind not in json_object.CODEC.content_types:
        known = ", ".join((*json_object.CODEC.content_types, *_BY_TYPE))
        raise PayloadError(
            "content_type_unknown",
            f"{NAME}: content type {kind!r:.80} is not supported; supported: {known}",
        )
    alike = (c for c in _INSIDE if data[:1] and data[0] in c.starts and c.recognises(data))
    return next(alike, json_object.CODEC)


CODEC = Codec(
    name=NAME,
    content_types=("application/cose",),
    decode=decode,
    starts=FIRST,
    recognises=lambda _payload: True,
    order=0,
)

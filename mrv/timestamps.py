"""
Tokens of time-stamp authorities (RFC 3161): contents and verification.

1.  The answer grants a token, over the digest of these bytes.
2.  Its signer's certificate is for time stamping only, and was valid at the token's time.
3.  Signature and chain lead to the root of an authority that the reader trusts, at the token's
   time: a certificate may have expired since.
4.  Policy and time are accepted by the reader for that authority.

Revocation of certificates is not queried; the reader sets `until`.

Signature and chain are verified by OpenSSL, through `rfc3161-client`.  Certificates of a pack are
used as intermediates only; a self-signed one is ignored, as the library would trust it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mrv.errors import MrvError, TimestampError
from mrv.signatures.authorities import Authority, certificate, counts, named, self_signed

_CERTIFICATES = 0xA0
_SHORT, _MAX_LENGTH_BYTES = 0x80, 4


class _Part(NamedTuple):
    """A DER value with its tag; `whole` includes the header, `content` does not."""

    tag: int
    whole: bytes
    content: bytes


def in_order(response: bytes) -> bytes:
    """Return a time-stamp authority's answer with sorted certificates; other bytes unchanged."""
    try:
        return _sorted(response)
    except (IndexError, ValueError):
        return response


def _sorted(response: bytes) -> bytes:
    (outer,) = _parts(response)
    status, token, *rest = _parts(outer.content)
    if rest:
        raise ValueError(f"an answer has a status and a token; this one has {len(rest)} more parts")
    kind, wrapper = _parts(token.content)
    (signed,) = _parts(wrapper.content)
    parts = _parts(signed.content)
    inside = b"".join(map(_set_of, parts))
    message = _packed(wrapper.tag, _packed(signed.tag, inside))
    return _packed(outer.tag, status.whole + _packed(token.tag, kind.whole + message))


def _set_of(part: _Part) -> bytes:
    if part.tag != _CERTIFICATES:
        return part.whole
    return _packed(part.tag, b"".join(sorted(part.whole for part in _parts(part.content))))


def _parts(content: bytes) -> list[_Part]:
    parts, place = [], 0
    while place < len(content):
        size, head = content[place + 1], 2
        if size >= _SHORT:
            count = size - _SHORT
            if not 1 <= count <= _MAX_LENGTH_BYTES:
                raise ValueError(f"DER allows no length of {count} bytes")
            head += count
            size = int.from_bytes(content[place + 2 : place + head], "big")
        end = place + head + size
        if end > len(content):
            raise ValueError(f"a value ends at byte {end}, but its container at {len(content)}")
        parts.append(_Part(content[place], content[place:end], content[place + head : end]))
        place = end
    return parts


def _packed(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < _SHORT:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _SHORT + len(length))) + length + content


if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse


_HASHES = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_LONGEST = 100_000
_GRANTED = 0


class UnknownAuthorityError(TimestampError):
    """A token whose chain leads to none of the given authorities."""


class LibraryMissingError(TimestampError):
    """The library that reads tokens is not installed."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """
    Contents of a token.

    `signer`: name in the signer's certificate.
    `time`: time of the stamp, UTC.
    `accuracy`: accuracy stated by the authority; zero if not stated.
    `policy`: OID of its policy.
    """

    signer: str
    time: datetime
    accuracy: timedelta
    policy: str
    serial: int
    ends: datetime
    authority: str | None = None

    @property
    def latest(self) -> datetime:
        """Return the latest possible time of the stamp."""
        return self.time + self.accuracy


class Request(NamedTuple):
    """A request for a token: its bytes, and the nonce that the answer must repeat."""

    content: bytes
    nonce: int


def request(message: bytes) -> Request:
    """Return a request for a token over the SHA-256 of a message, with certificate chain."""
    library = _library()
    builder = library.TimestampRequestBuilder(message, library.HashAlgorithm.SHA256)
    made = builder.build()
    if made.nonce is None:
        raise RuntimeError("rfc3161-client made a request without a nonce; install another version")
    return Request(made.as_bytes(), made.nonce)


def read(response: bytes) -> Stamp:
    """
    Return the contents of an answer; its signature is not verified.

    Raises TimestampError if it is not a granted token with its signer's certificate.
    """
    with _hostile():
        return _stamp_of(*_opened(response))


def verify(
    response: bytes,
    message: bytes,
    authorities: Sequence[Authority],
    between: Iterable[str] = (),
    nonce: int | None = None,
) -> Stamp:
    """
    Return the time stamp of an answer, verified against trusted authorities.

    `response`: TimeStampResp, in DER.
    `message`: the stamped bytes.
    `between`: intermediate certificates in PEM, not trusted by themselves.
    `nonce`: nonce of the request; None: not compared.
    Raises UnknownAuthorityError if none of the authorities signed it.
    Raises TimestampError if it is not of these bytes, not of that request, or is not valid.
    """
    with _hostile():
        return _verified(response, message, authorities, between, nonce)


def _verified(
    response: bytes,
    message: bytes,
    authorities: Sequence[Authority],
    between: Iterable[str],
    nonce: int | None,
) -> Stamp:
    opened, signer = _opened(response)
    stamp = _stamp_of(opened, signer)
    _of_message(opened, message)
    if nonce is not None and opened.tst_info.nonce != nonce:
        raise TimestampError(
            f"the token of {stamp.signer} has the nonce {opened.tst_info.nonce}, "
            f"but the request has {nonce}: it belongs to another request; request "
            "it again"
        )
    _for_stamps(signer, stamp)
    authority = _authority(opened, stamp, authorities, _helpers(between))
    if authority.policies and stamp.policy not in authority.policies:
        raise TimestampError(
            f"the token of {authority.name} has policy {stamp.policy}; accepted "
            f"policies of that authority: {', '.join(authority.policies)}"
        )
    if not counts(authority, stamp.time):
        raise TimestampError(
            f"the token of {authority.name} is dated {stamp.time:%Y-%m-%dT%H:%M:%SZ}, "
            f"but stamps of that authority are accepted only until {authority.until}; use a"
            f" stamp of another authority"
        )
    return replace(stamp, authority=authority.name)


def _opened(response: bytes) -> tuple[TimeStampResponse, x509.Certificate]:
    """Return the parsed answer, and the certificate of its signer."""
    library = _library()
    if len(response) > _LONGEST:
        raise TimestampError(
            f"an answer of {len(response)} bytes is too long for a time stamp; request it again"
        )
    opened = library.decode_timestamp_response(in_order(response))
    if opened.status != _GRANTED:
        why = "; ".join(opened.status_string) or "no reason given"
        raise TimestampError(
            f"the authority granted no token: status {opened.status}, {why}; ask its "
            "operator, or use another authority"
        )
    signers = list(opened.signed_data.signer_infos)
    mine = [(signer.issuer, signer.serial_number) for signer in signers]
    certificates = [
        x509.load_der_x509_certificate(data) for data in opened.signed_data.certificates
    ]
    result = [
        certificate
        for certificate in certificates
        if (certificate.issuer, certificate.serial_number) in mine
    ]
    if len(signers) != 1 or len(result) != 1:
        raise TimestampError(
            "a token must have one signer with its certificate; request it with certReq"
        )
    return opened, result[0]


def _stamp_of(opened: TimeStampResponse, signer: x509.Certificate) -> Stamp:
    info = opened.tst_info
    exact = info.accuracy
    accuracy = timedelta()
    if exact is not None:
        accuracy = timedelta(
            seconds=exact.seconds or 0,
            milliseconds=exact.millis or 0,
            microseconds=exact.micros or 0,
        )
    return Stamp(
        named(signer.subject),
        info.gen_time.astimezone(UTC),
        accuracy,
        info.policy.dotted_string,
        info.serial_number,
        signer.not_valid_after_utc,
    )


def _of_message(opened: TimeStampResponse, message: bytes) -> None:
    imprint = opened.tst_info.message_imprint
    name = _HASHES.get(imprint.hash_algorithm.dotted_string)
    if name is None:
        raise TimestampError(
            f"a token over a digest by {imprint.hash_algorithm.dotted_string} is not accepted; "
            "request SHA-256"
        )
    result = hashlib.new(name, message).digest()
    if imprint.message != result:
        raise TimestampError(
            f"a token stamps the {name} digest {imprint.message.hex()[:16]}.., but this document "
            f"has {result.hex()[:16]}..: the token is for another document; request a new one"
        )


def _for_stamps(signer: x509.Certificate, stamp: Stamp) -> None:
    begins = signer.not_valid_before_utc
    if not begins <= stamp.time <= stamp.ends:
        raise TimestampError(
            f"the token of {stamp.signer} is dated {stamp.time:%Y-%m-%dT%H:%M:%SZ}, "
            f"but the authority's certificate was valid from {begins:%Y-%m-%d} to "
            f"{stamp.ends:%Y-%m-%d}: it could not stamp at that time; use a stamp of another "
            "authority"
        )
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        alone = usage.critical and list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]
    except (x509.ExtensionNotFound, ValueError):
        alone = False
    if not alone:
        raise TimestampError(
            f"the certificate of {stamp.signer} is not for time stamps only (critical extended "
            "key usage id-kp-timeStamping), which a token requires; use another authority"
        )


def _helpers(between: Iterable[str]) -> list[x509.Certificate]:
    result = [certificate(text, "the chains of the time stamps") for text in between]
    return [
        certificate
        for certificate in result
        if certificate.issuer != certificate.subject and not self_signed(certificate)
    ]


def _authority(
    opened: TimeStampResponse,
    stamp: Stamp,
    authorities: Sequence[Authority],
    helpers: Sequence[x509.Certificate],
) -> Authority:
    """Return the authority to whose root signature and chain lead, at the token's time."""
    library = _library()
    whys = []
    for authority in authorities:
        more = [x for x in helpers if x not in authority.loaded]
        verifier = library.VerifierBuilder(roots=list(authority.loaded), intermediates=more).build()
        try:
            verifier.verify(opened, opened.tst_info.message_imprint.message)
        except library.VerificationError as error:
            whys.append(str(error))
            continue
        return authority
    chain = [why for why in whys if "certificate verify error" in why]
    ended = [why for why in chain if "expired" in why or "not yet valid" in why]
    if len(chain) < len(whys):
        raise TimestampError(
            f"the signature of the token of {stamp.signer} is not valid: the token was changed; "
            "download it again"
        )
    if ended:
        raise TimestampError(
            f"a certificate between {stamp.signer} and its root was not valid at the token's time, "
            f"{stamp.time:%Y-%m-%dT%H:%M:%SZ}: the authority could not stamp at that time; use a "
            "stamp of another authority"
        )
    raise UnknownAuthorityError(
        f"the token of {stamp.signer} is not from one of your trusted authorities "
        f"({', '.join(authority.name for authority in authorities)}); if you trust it, add its "
        "certificate"
    )


@contextmanager
def _hostile() -> Iterator[None]:
    """Convert errors of two libraries on malformed bytes into TimestampError."""
    try:
        yield
    except MrvError:
        raise
    except Exception as error:
        text = (
            f"an answer is not a token of RFC 3161 ({type(error).__name__}: {error}); "
            "request it again"
        )
        raise TimestampError(text) from error


def _library() -> ModuleType:
    try:
        import rfc3161_client  # noqa: PLC0415 - who checks packs without tokens does without it
    except ImportError as error:
        raise LibraryMissingError(
            "tokens of time-stamp authorities need rfc3161-client, which is not "
            "installed; pip install rfc3161-client"
        ) from error
    return rfc3161_client

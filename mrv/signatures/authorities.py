"""
Trusted time-stamp authorities (RFC 3161), and the required number of stamps.

    {"threshold": 2, "since": "2027-01-01T00:00:00Z",
     "authorities": [{"name": "DigiCert", "certificates": [PEM, ...],
                      "policies": ["2.16.840.1.114412.7.1"], "until": "2031-01-01T00:00:00Z"}]}

`policies` and `until` may be absent; without `since` the rule applies to every period.  A PEM file
of certificates is also accepted: each self-signed one is an authority, and one stamp is required.
A programme's trust root has the same object as `timestamps`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from mrv.errors import EnrolmentError
from mrv.signatures import canonical

ALWAYS = "1970-01-01T00:00:00Z"
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_POLICY = re.compile(r"[0-2](\.[0-9]{1,39}){1,32}")
_MAX_AUTHORITIES = 32
_FIELDS, _MAY = {"name", "certificates"}, {"policies", "until"}


@dataclass(frozen=True)
class Authority:
    """
    A time-stamp authority.

    `name`: display name.
    `certificates`: PEM: the root, and the certificates between it and the authority's own, if its
    tokens lack them.
    `policies`: accepted policies of its tokens, as object identifiers; empty: all.
    `until`: RFC 3339 in UTC, whole seconds: later tokens are not accepted.
    """

    name: str
    certificates: tuple[str, ...]
    policies: tuple[str, ...] = ()
    until: str | None = None

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise EnrolmentError(
                f"the name of a time-stamp authority is {self.name!r}; enter a name"
            )
        if not self.roots:
            raise EnrolmentError(
                f"none of the certificates of authority {self.name!r} is a root (self-signed); "
                "add the root certificate, in PEM"
            )
        for policy in self.policies:
            if not _POLICY.fullmatch(policy):
                raise EnrolmentError(
                    f"policy {policy!r} of authority {self.name!r} is not an object identifier; "
                    "write it like 1.3.6.1.4.1.601.10.3.1"
                )
        _check_moment(self.until, f"`until` of authority {self.name!r}")

    @cached_property
    def loaded(self) -> tuple[x509.Certificate, ...]:
        """Return the certificates of the authority, parsed."""
        return tuple(certificate(pem, f"authority {self.name!r}") for pem in self.certificates)

    @cached_property
    def roots(self) -> tuple[x509.Certificate, ...]:
        """Return the self-signed certificates of the authority."""
        return tuple(loaded for loaded in self.loaded if self_signed(loaded))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form in a trust root."""
        may = {"policies": list(self.policies), "until": self.until}
        return {
            "name": self.name,
            "certificates": list(self.certificates),
            **{name: value for name, value in may.items() if value},
        }

    @classmethod
    def from_json(cls, record: object) -> Self:
        """
        Return the authority from the result of `to_json`.

        Raises EnrolmentError that names the error.
        """
        if not isinstance(record, dict) or not _FIELDS <= record.keys() <= _FIELDS | _MAY:
            raise EnrolmentError(
                "a time-stamp authority has `name` and `certificates`, and may have `policies` "
                "and `until`; remove other keys"
            )
        name, until = record["name"], record.get("until")
        if not isinstance(name, str) or not (until is None or isinstance(until, str)):
            raise EnrolmentError(
                f"`name` and `until` of a time-stamp authority are {name!r:.80} and {until!r:.80}; "
                "write them as texts in quotes"
            )
        certificates = _texts(record["certificates"], f"`certificates` of authority {name!r}")
        policies = _texts(record.get("policies", []), f"`policies` of authority {name!r}")
        return cls(name, certificates, policies, until)


@dataclass(frozen=True, slots=True)
class StampRule:
    """
    Required number of stamps, and the authorities, for periods that end after a time.

    `since`: RFC 3339 in UTC.
    """

    threshold: int
    authorities: tuple[Authority, ...]
    since: str = ALWAYS

    def __post_init__(self) -> None:
        _check_moment(self.since, "`since` of the time-stamp authorities")
        count = len(self.authorities)
        if not 1 <= self.threshold <= count <= _MAX_AUTHORITIES:
            raise EnrolmentError(
                f"stamps of {self.threshold} of {count} time-stamp authorities cannot be required; "
                f"name 1 to {_MAX_AUTHORITIES} authorities, and a threshold of at most their number"
            )
        seen: dict[object, str] = {}
        for authority in self.authorities:
            mine = (authority.name, *map(_der, authority.roots))
            for key in mine:
                if key in seen:
                    raise EnrolmentError(
                        f"authorities {seen[key]!r} and {authority.name!r} have the same name or "
                        "the same root certificate; list each authority once"
                    )
            seen |= dict.fromkeys(mine, authority.name)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form in a trust root."""
        listed = [authority.to_json() for authority in self.authorities]
        return {"threshold": self.threshold, "since": self.since, "authorities": listed}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """
        Return the rule from the result of `to_json`.

        Raises EnrolmentError that names the error.
        """
        wanted = {"threshold", "authorities"}
        if not wanted <= record.keys() <= wanted | {"since"}:
            raise EnrolmentError(
                "time-stamp authorities are given with `threshold` and `authorities`, and "
                f"may have `since`; given: {', '.join(sorted(record))}"
            )
        threshold, since = record["threshold"], record.get("since", ALWAYS)
        listed = record["authorities"]
        if type(threshold) is not int or not isinstance(listed, list) or not isinstance(since, str):
            raise EnrolmentError(
                f"threshold {threshold!r:.20}, authorities or since {since!r:.40} has the wrong "
                "type; write a whole number, a list, and a time in quotes"
            )
        return cls(threshold, tuple(map(Authority.from_json, listed)), since)


def read_authorities(data: bytes) -> StampRule:
    """
    Return the authorities of a file, JSON or PEM.

    Raises EnrolmentError or CanonicalError if it is neither, or is invalid.
    """
    if not data.lstrip().startswith(b"-----BEGIN"):
        return StampRule.from_json(canonical.parse_object(data))
    try:
        result = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise EnrolmentError(
            f"the file contains no certificates in PEM: {error}; name a file of certificates"
        ) from error
    roots = [loaded for loaded in result if self_signed(loaded)]
    between = tuple(pem(loaded) for loaded in result if loaded not in roots)
    return StampRule(
        1, tuple(Authority(named(root.subject), (pem(root), *between)) for root in roots)
    )


def certificate(text: str, where: str) -> x509.Certificate:
    """Return a certificate from PEM. Raises EnrolmentError that names its position."""
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError as error:
        raise EnrolmentError(
            f"a certificate of {where} is not in PEM: {error}; convert it to PEM"
        ) from error


def self_signed(item: x509.Certificate) -> bool:
    """Return whether a certificate is self-signed."""
    if item.issuer != item.subject:
        return False
    try:
        item.verify_directly_issued_by(item)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def named(subject: x509.Name) -> str:
    """Return the name of a certificate's holder: its common name, or the full name."""
    result = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    text = str(result[0].value) if result else subject.rfc4514_string()
    return "".join(c if c.isprintable() else "?" for c in text) or "without a name"


def pem(item: x509.Certificate) -> str:
    """Return the PEM text of a certificate."""
    return item.public_bytes(Encoding.PEM).decode()


def counts(authority: Authority, moment: datetime) -> bool:
    """Return whether the rule accepts an authority's time stamp of a given time."""
    return authority.until is None or moment < datetime.fromisoformat(authority.until)


def _der(item: x509.Certificate) -> bytes:
    return item.public_bytes(Encoding.DER)


def _check_moment(text: str | None, what: str) -> None:
    if text is not None and not _MOMENT.fullmatch(text):
        raise EnrolmentError(f"{what} is {text!r}; write it like 2026-01-01T00:00:00Z")


def _texts(value: object, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise EnrolmentError(f"{what} is {value!r:.80}; write a list of texts")
    return tuple(value)

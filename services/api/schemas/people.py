"""Schemas of callers, keys and audit rows."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from services.api.schemas.base import Id, Line, Shape


class Accredited(Shape):
    """Scope of a verifier's accreditation: ids of methodologies, empty for all."""

    id: str = Field(examples=["ACC-017"])
    scope: list[str] = Field(examples=[["ams-i-d"]])
    valid_from: str | None = Field(
        default=None, alias="validFrom", examples=["2026-01-01T00:00:00Z"]
    )
    valid_until: str | None = Field(
        default=None, alias="validUntil", examples=["2029-01-01T00:00:00Z"]
    )


class Ended(Shape):
    """The log entry from which a key's signatures are not valid."""

    log: str = Field(examples=["tonne-log"])
    index: int


class PublicKey(Shape):
    """A public key, with its holder and its permissions."""

    name: str = Field(examples=["demo-operator"])
    role: Literal["operator", "verifier", "log", "witness", "programme", "third-party"]
    multikey: str = Field(
        alias="publicKeyMultibase", examples=["z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX"]
    )
    valid_from: str | None = Field(
        default=None, alias="validFrom", examples=["2026-01-01T00:00:00Z"]
    )
    valid_until: str | None = Field(
        default=None, alias="validUntil", examples=["2029-01-01T00:00:00Z"]
    )
    organisation: str | None = Field(default=None, examples=["Plant Ltd"])
    organisation_id: str | None = Field(
        default=None, alias="organisationId", examples=["0200123456"]
    )
    projects: list[str] | None = Field(default=None, examples=[["roof-1"]])
    accreditation: Accredited | None = Field(
        default=None, examples=[{"id": "ACC-017", "scope": ["ams-i-d"]}]
    )
    ends_at: Ended | None = Field(
        default=None, alias="endsAt", examples=[{"log": "tonne-log", "index": 41}]
    )
    final_head: str | None = Field(
        default=None, alias="finalHead", examples=["tonne-log\n86\nhash\n"]
    )


class Keyring(Shape):
    """The keys that are enrolled."""

    keys: list[PublicKey]


class Me(Shape):
    """The caller's identity and scope; `projects` null is everything."""

    id: str = Field(examples=["key:4m2k9x0qpz1c"])
    name: str = Field(examples=["Third-party entity"])
    role: Literal["public", "operator", "verifier", "auditor", "admin"]
    projects: list[str] | None


class NewKey(Shape):
    """An API key to be made; without `projects`: all of them."""

    name: Line = Field(max_length=200, examples=["Third-party entity"])
    role: Literal["operator", "verifier", "auditor", "admin"]
    projects: list[Id] | None = Field(default=None, max_length=1_000)
    expires: datetime | None = None


class Key(Shape):
    """An API key without its secret."""

    id: str
    name: str
    role: Literal["operator", "verifier", "auditor", "admin"]
    projects: list[str] | None
    created: datetime
    created_by: str
    expires: datetime | None
    revoked: datetime | None


class MadeKey(Key):
    """A new key; the token is shown only once."""

    token: str


class AuditRow(Shape):
    """A write or download; `request` is a digest of its query."""

    id: int
    at: datetime
    principal: str
    role: str
    method: str
    path: str
    status: int
    request: str

"""
Limits of an enrolled key: organisation, projects, end in the log.

These limits are not part of the key.  A key without them is unlimited, and `tonne verify` reports
it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from mrv.errors import EnrolmentError

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_MAX_TEXT = 4096
NAMES = ("organisation", "organisationId", "projects", "accreditation", "endsAt", "finalHead")


@dataclass(frozen=True, slots=True)
class Accreditation:
    """
    Accreditation of a verifier by a body that the programme accepts.

    `id`: number of the accreditation.
    `scope`: ids of methodologies; empty for all.
    `valid_from`, `valid_until`: RFC 3339 in UTC, whole seconds.
    """

    id: str
    scope: tuple[str, ...] = ()
    valid_from: str | None = None
    valid_until: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form in a keyring."""
        times = {"validFrom": self.valid_from, "validUntil": self.valid_until}
        return {"id": self.id, "scope": list(self.scope)} | {k: v for k, v in times.items() if v}

    @classmethod
    def from_json(cls, record: object) -> Self:
        """
        Return the accreditation from the result of `to_json`.

        Raises EnrolmentError that names the error.
        """
        may = {"id", "scope", "validFrom", "validUntil"}
        if not isinstance(record, dict) or not {"id"} <= record.keys() <= may:
            raise EnrolmentError(
                f"accreditation is {record!r}; it must have `id`, and may have {may}"
            )
        return cls(
            _text(record["id"], "accreditation id"),
            _texts(record.get("scope", []), "accreditation scope"),
            _moment(record.get("validFrom"), "accreditation validFrom"),
            _moment(record.get("validUntil"), "accreditation validUntil"),
        )


@dataclass(frozen=True, slots=True)
class LogPlace:
    """An index in a log, from 0; a lower index was logged earlier."""

    log: str
    index: int

    @classmethod
    def from_json(cls, record: object) -> Self:
        """Return the index from `{"log", "index"}`. Raises EnrolmentError that names the error."""
        if not isinstance(record, dict) or record.keys() != {"log", "index"}:
            raise EnrolmentError(
                f"the field `endsAt` of a key is {record!r}; it must have log and index"
            )
        index = record["index"]
        if type(index) is not int or index < 0:
            raise EnrolmentError(f"endsAt index is {index!r}; it must be an index from 0")
        return cls(_text(record["log"], "endsAt log"), index)


@dataclass(frozen=True, slots=True)
class KeyBounds:
    """
    Data of a key other than its holder's name and role.

    `organisation`, `organisation_id`: employer of the holder, and its number in a public register.
    `projects`: projects for which the key may sign; None if not stated.
    `accreditation`: accreditation of a verifier.
    `ends_at`: log entry from which its signatures are not accepted.
    `final_head`: last signed head of a closed log.
    """

    organisation: str | None = None
    organisation_id: str | None = None
    projects: tuple[str, ...] | None = None
    accreditation: Accreditation | None = None
    ends_at: LogPlace | None = None
    final_head: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the stated fields as JSON; others are omitted."""
        place, body = self.ends_at, self.accreditation
        fields = {
            "organisation": self.organisation,
            "organisationId": self.organisation_id,
            "projects": None if self.projects is None else list(self.projects),
            "accreditation": None if body is None else body.to_json(),
            "endsAt": None if place is None else {"log": place.log, "index": place.index},
            "finalHead": self.final_head,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """
        Return the limits from the result of `to_json`.

        Raises EnrolmentError that names the error.
        """
        parameters = {name: record[name] for name in NAMES if name in record}
        body, place = parameters.get("accreditation"), parameters.get("endsAt")
        return cls(
            organisation=_optional(parameters, "organisation"),
            organisation_id=_optional(parameters, "organisationId"),
            projects=_texts(parameters["projects"], "projects")
            if "projects" in parameters
            else None,
            accreditation=None if body is None else Accreditation.from_json(body),
            ends_at=None if place is None else LogPlace.from_json(place),
            final_head=_optional(parameters, "finalHead"),
        )


NO_BOUNDS = KeyBounds()


def _optional(record: Mapping[str, Any], name: str) -> str | None:
    return _text(record[name], name) if name in record else None


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_TEXT:
        raise EnrolmentError(f"{name} of a key is {str(value)[:80]!r}; write it as text")
    return value


def _texts(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise EnrolmentError(f"{name} of a key is {str(value)[:80]!r}; write a list of texts")
    return tuple(_text(item, name) for item in value)


def _moment(value: object, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise EnrolmentError(f"{name} is {value!r}; write it like 2026-01-01T00:00:00Z")
    return value

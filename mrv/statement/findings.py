"""
Findings of a verification: raised, answered, closed; each event is a signed document.

    CAR   corrective action request: non-conformity
    CL    clarification request: insufficient information
    OBS   observation
    FAR   forward action request: for the next verification

The verifier raises and closes, the operator answers; each signs their own documents.  A corrective
action request or a clarification is closed only after an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from mrv.calendar import instant_us, local_date
from mrv.documents import UNSET, UnsetType, read, write
from mrv.documents.statement import Claims, claims_of
from mrv.documents.verification import (
    MAX_CHARACTERS,
    About,
    EventShown,
    FindingEvent,
    FindingSaid,
    FindingShown,
    Kind,
    State,
    What,
)
from mrv.errors import CanonicalError, StatementStateError
from mrv.rounding import exact_text
from mrv.signatures import canonical
from mrv.signatures.data_integrity import create_proof
from mrv.signatures.keys import EnrolledKey, Role, SigningKey
from mrv.statement.conditions import check_reason, decimal, first_of
from mrv.statement.states import CONTEXT, about, related, valid_from

__all__ = [
    "BLOCKING",
    "SIGNED_BY",
    "Event",
    "Kind",
    "Record",
    "State",
    "What",
    "add",
    "fold",
    "next_name",
    "read_event",
    "read_events",
    "sign_event",
]
# kinds of findings that must be closed before an unqualified opinion
BLOCKING = ("CAR", "CL")
TYPES = ("VerifiableCredential", "FindingEvent")
SIGNED_BY: dict[str, Role] = {"raised": "verifier", "answered": "operator", "closed": "verifier"}
_AFTER: dict[str, State] = {"raised": "open", "answered": "answered", "closed": "closed"}


@dataclass(frozen=True, slots=True)
class Event:
    """
    Event of a finding.

    `finding`: such as `CAR-1`.
    `number`: number among the events of the finding, from 1.
    `effect_t`: overstatement of the reduction, negative for an understatement; for a closing event,
    the remaining one. [t CO2e]
    `sha256`: hash of the signed document's canonical bytes.
    """

    statement: str
    finding: str
    number: int
    what: What
    text: str
    effect_t: Fraction | None
    by: str
    at: str
    sha256: str
    about: About | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Record:
    """A finding with its state after its events."""

    name: str
    state: State
    effect_t: Fraction | None
    events: tuple[Event, ...]

    @property
    def kind(self) -> Kind:
        """Return the kind: CAR, CL, OBS or FAR."""
        result: Kind = self.name.split("-")[0]  # type: ignore[assignment]  # of the name's pattern
        return result

    def credential_form(self) -> FindingShown:
        """Return the finding as in a verifier's credential, with digests of its signed events."""
        return FindingShown(
            finding=self.name,
            kind=self.kind,
            state=self.state,
            effect_t=None if self.effect_t is None else exact_text(self.effect_t),
            events=tuple(
                EventShown(event=e.what, by=e.by, at=e.at, text=e.text, sha256=e.sha256)
                for e in self.events
            ),
            about=self.events[0].about,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the finding as canonical JSON."""
        return write(self.credential_form())


def sign_event(
    statement: Mapping[str, Any],
    before: Sequence[Record],
    event: tuple[What, str, str, str | None],
    key: SigningKey,
    holder: EnrolledKey,
    created: datetime,
    about_what: About | UnsetType = UNSET,
) -> dict[str, Any]:
    """
    Return one signed event of a finding.

    `statement`: statement with the operator's proof.
    `before`: the statement's findings so far.
    `event`: kind of event, finding (a kind alone, such as `CAR`, for a new one), text, and effect
    as decimal text. [t CO2e]
    `about_what`: devices and days that a raised finding concerns.
    """
    what, name, text, effect = event
    if len(text.strip()) > MAX_CHARACTERS:
        raise CanonicalError(
            f"the text of a finding may have {MAX_CHARACTERS} characters, this one has "
            f"{len(text.strip())}; refer to documents for more"
        )
    check_reason(text, "the text of the finding")
    if what == "raised":
        name = next_name(name, before)
    known = next((record for record in before if record.name == name), None)
    number = 1 if known is None else len(known.events) + 1
    subject = FindingSaid(
        id=statement["id"],
        finding=name,
        event=what,
        text=text,
        effect_t=None if effect is None else exact_text(decimal(effect, "effect")),
        about=about_what,
    )
    signed = write(subject), holder, valid_from(created)
    document = about(statement, f"finding:{name}:{number}", TYPES, signed)
    signed_event = read(FindingSaid, document["credentialSubject"], f"event {document['id']!r}")
    add(before, _event(document, signed_event, statement))
    return create_proof(document, key, created)


def next_name(kind: str, before: Iterable[Record]) -> str:
    """Return the name of the next finding of a kind."""
    return f"{kind}-{sum(record.kind == kind for record in before) + 1}"


def read_event(document: Mapping[str, Any], statement: Mapping[str, Any]) -> Event:
    """
    Return an event from its document; the caller checks its proof.

    Raises CanonicalError if it does not have the form of `sign_event`, or is of another statement.
    """
    name = repr(document.get("id"))
    finding_event = read(FindingEvent, document, f"event {name} of a finding")
    if finding_event.context != CONTEXT or finding_event.type != TYPES:
        raise CanonicalError(
            f"not an event of a finding: {name}; a finding is CAR, CL, OBS or FAR"
            f" with a number, its text has 1 to {MAX_CHARACTERS} characters"
        )
    return _event(document, finding_event.credential_subject, statement)


def _event(
    document: Mapping[str, Any], finding: FindingSaid, statement: Mapping[str, Any]
) -> Event:
    """Return the event of a document, with or without proof."""
    named = related(statement["id"], canonical.encode(statement))
    if finding.id != statement["id"] or document["relatedResource"] != [named]:
        raise CanonicalError(
            f"{document['id']!r} belongs to another statement or another text; use the "
            "event of this statement"
        )
    number = str(document["id"]).rpartition(":")[2]
    if document["id"] != f"{statement['id']}:finding:{finding.finding}:{number}":
        raise CanonicalError(
            f"{document['id']!r} does not name its finding; have the event signed again"
        )
    claims = claims_of(statement)
    if finding.about is not UNSET:
        _check_about(finding.about, finding.event, claims)
    return Event(
        statement=claims.statement,
        finding=finding.finding,
        number=int(number) if number.isdecimal() else 0,
        what=finding.event,
        text=finding.text,
        effect_t=None if finding.effect_t is None else decimal(finding.effect_t, "effect_t"),
        by=str(document["issuer"]["name"]),
        at=str(document["validFrom"]),
        sha256=canonical.sha256_hex(canonical.encode(document)),
        about=finding.about,
    )


def about_text(subject: About) -> str:
    """Return devices and days of a finding as text; the last day is included."""
    days = []
    if subject.from_ is not UNSET and subject.to is not UNSET:
        last = date.fromisoformat(subject.to) - timedelta(days=1)
        days = list(dict.fromkeys((subject.from_, last.isoformat())))
    return "; ".join(part for part in (", ".join(subject.devices), " - ".join(days)) if part)


def _check_about(subject: About, event: What, claims: Claims) -> None:
    """Check that devices and days belong to the statement. Raises StatementStateError otherwise."""
    if event != "raised":
        raise StatementStateError(
            f"devices and days are entered when a finding is raised, not {event}; omit them"
        )
    known = sorted({parameter.device for parameter in claims.monitored_parameters})
    for device in subject.devices:
        if device not in known:
            raise StatementStateError(
                f"device {device!r} is not a device of {claims.statement}; its devices: "
                f"{first_of(known)}"
            )
    if subject.from_ is UNSET or subject.to is UNSET:
        if subject.from_ is not subject.to:
            raise StatementStateError(
                "a finding's days need both `from` and `to`, but one is missing; enter both or none"
            )
        return
    period = claims.monitoring_period
    first, end = (
        period.local_from[:10],
        local_date(instant_us(period.to, "UTC") - 1, period.timezone),
    )
    try:
        begin, until = date.fromisoformat(subject.from_), date.fromisoformat(subject.to)
    except ValueError:
        begin = until = date.min
    if (begin.isoformat(), until.isoformat()) != (subject.from_, subject.to):
        raise StatementStateError(
            f"the days {subject.from_} to {subject.to} are not dates; write 2026-01-31"
        )
    if not date.fromisoformat(first) <= begin < until <= end + timedelta(days=1):
        raise StatementStateError(
            f"the days {begin} to {until} (end excluded) are not within the period of "
            f"{claims.statement}, {first} to {end + timedelta(days=1)} (end excluded); enter days "
            "of the period"
        )


def add(before: Sequence[Record], event: Event) -> tuple[Record, ...]:
    """
    Return the findings with one more event.

    Raises StatementStateError if the event is not possible in the finding's state.
    """
    known = next((record for record in before if record.name == event.finding), None)
    _check_order(before, known, event)
    state = _AFTER[event.what]
    if known is None:
        return (*before, Record(event.finding, state, event.effect_t, (event,)))
    effect = known.effect_t if event.effect_t is None else event.effect_t
    after = replace(known, state=state, effect_t=effect, events=(*known.events, event))
    return tuple(after if record is known else record for record in before)


def _check_order(before: Sequence[Record], known: Record | None, event: Event) -> None:
    name = event.finding
    if event.what == "answered" and event.effect_t is not None:
        raise StatementStateError(
            f"{name}: only the verifier states the effect of an error; omit it"
        )
    if known is None:
        if event.what != "raised":
            names = ", ".join(record.name for record in before) or "none"
            raise StatementStateError(f"there is no finding {name}; there are: {names}")
        if name != (following := next_name(name.split("-")[0], before)):
            raise StatementStateError(
                f"{name} is not the next number of its kind, which is {following}; download the "
                "list again and number the finding again"
            )
    elif event.what == "raised":
        raise StatementStateError(
            f"{name} was raised already; download the list again and number it again"
        )
    elif known.state == "closed":
        raise StatementStateError(f"{name} is closed; raise a new finding")
    elif event.what == "closed" and known.kind in BLOCKING and known.state == "open":
        raise StatementStateError(
            f"{name} has no answer yet; the operator answers it before it is closed"
        )
    if event.number != (1 if known is None else len(known.events) + 1):
        raise StatementStateError(
            f"event {event.number} of {name} is not the next event of that finding; list the "
            "events and sign the next one"
        )


def read_events(data: bytes, statement: Mapping[str, Any]) -> tuple[Record, ...]:
    """
    Return findings from the events in a pack's `findings.json`; the caller checks proofs.

    Raises CanonicalError if it is not a list of events of this statement.
    Raises StatementStateError if an event is not possible at its place in the order.
    """
    listed = canonical.parse(data)
    if not isinstance(listed, list) or not all(isinstance(event, dict) for event in listed):
        raise CanonicalError("findings.json is not a list of events; download it again")
    return fold(read_event(event, statement) for event in listed)


def fold(events: Iterable[Event]) -> tuple[Record, ...]:
    """
    Return the findings after the given events.

    Raises StatementStateError for events in a wrong order.
    """
    records: tuple[Record, ...] = ()
    for event in events:
        records = add(records, event)
    return records

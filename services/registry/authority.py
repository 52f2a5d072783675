"""
Data of authorities: registrations, authorizations, submissions, facilities, acceptances.

A filed submission never changes: an entry that would change it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec

from ingest import classes
from mrv.errors import ExportError, SignatureError
from mrv.exports import aef, contradictions
from mrv.exports.contradictions import Credited
from mrv.exports.entered import Acceptance, Authority, Authorization, Facility, Submission
from mrv.exports.registration import Registration
from mrv.factors.ledger import factor_of
from mrv.method_lives import Life, find_life, registration_refused
from mrv.signatures import trust_root
from services.registry.entries import Entered, EntryKey, Registry

if TYPE_CHECKING:
    from services.registry.fields import Row

KINDS = {
    "registrations": "registration",
    "authorizations": "authorization",
    "submissions": "submission",
    "facilities": "facility",
    "acceptances": "acceptance",
}
Record = Registration | Authorization | Submission | Facility | Acceptance
TYPES: dict[str, type[Record]] = {
    "registration": Registration,
    "authorization": Authorization,
    "submission": Submission,
    "facility": Facility,
    "acceptance": Acceptance,
}


def reader(kind: str) -> Any:
    """Return the function from a row of a section of authorities' data to its entry."""

    def read(row: Row) -> Entered:
        return entry(kind, row)

    return read


def entry(kind: str, row: Row) -> Entered:
    """Return the entry of a row; missing and invalid keys are recorded as errors of the row."""
    cells = row.all()
    try:
        record = msgspec.convert(cells, TYPES[kind])
    except msgspec.ValidationError as error:
        page = "exports" if kind == "facility" else "registries"
        row.problem(None, f"{error}; docs/{page}.md lists the keys")
        return Entered(kind, "", Registration(project=""))
    if isinstance(record, Authorization) and not record.document:
        row.problem("document", "is missing; enter the letter by which it was authorized")
    if isinstance(record, Acceptance):
        for key, text in _lacks(record):
            row.problem(key, text)
    return Entered(kind, name_of(record), record)


def _lacks(record: Acceptance) -> Iterator[tuple[str, str]]:
    """Yield missing and invalid fields of an acceptance, each with its error."""
    for key, what in (("by", "the body that accepted it"), ("document", "its letter")):
        if not getattr(record, key).strip():
            yield key, f"is empty; enter {what}"
    if record.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", record.sha256):
        yield "sha256", f"{record.sha256!r} is not a SHA-256 in hex; run sha256sum over the letter"
    if record.signature is not None and record.subject != "factor":
        yield "signature", "is for `subject: factor` only; omit it"
    if (record.project is None) == (record.subject == "debt"):
        what = "is for `subject: debt` only: the project that does not take the balance over"
        yield "project", what


def name_of(record: Record) -> str:
    """Return an entry's name among those of its kind."""
    if isinstance(record, Acceptance):
        return " ".join(filter(None, (record.subject, record.id, record.project)))
    if isinstance(record, Registration):
        return record.project
    if isinstance(record, Authorization):
        return contradictions.authorization_name(record)
    if isinstance(record, Facility):
        return record.site
    return contradictions.submission_name(record)


def document(entered: Entered) -> dict[str, Any]:
    """Return an entry with the keys of registry files, without empty optional keys."""
    return dict(_present(msgspec.to_builtins(entered.record, builtin_types=(date,))))


def entered_records(registry: Registry) -> Authority:
    """Return all entries of authorities, by kind."""
    result = [entered.record for entered in registry.entered]
    return Authority(
        registrations=tuple(entry for entry in result if isinstance(entry, Registration)),
        authorizations=tuple(entry for entry in result if isinstance(entry, Authorization)),
        submissions=tuple(entry for entry in result if isinstance(entry, Submission)),
        facilities=tuple(entry for entry in result if isinstance(entry, Facility)),
        acceptances=tuple(entry for entry in result if isinstance(entry, Acceptance)),
    )


def problems(
    stored: Registry, merged: Registry, credited: Sequence[Credited] | None
) -> Iterator[tuple[EntryKey, str, bool]]:
    """
    Yield errors of entries that contradict each other, the registry, statements or filed
    submissions.

    `credited`: all issued and valid statements; None without a database.

    Yields
    ------
    key, text, warning
        Key of the entry, error text, and whether it is a warning only, as for stored entries.
    """
    authority = entered_records(merged)
    same = {
        (entry.kind, entry.id): stored.entries.get((entry.kind, entry.id)) == entry
        for entry in merged.entered
    }
    # a stored entry that older rules accepted must not prevent the import of other rows
    unchanged = all(same.values())
    for problem in contradictions.problems(authority, credited or ()):
        yield (KINDS[problem.section], problem.name), problem.text, unchanged
    for entered in merged.entered:
        key = entered.kind, entered.id
        yield from ((key, text, same[key]) for text in _unknown(entered, merged, credited))
        yield from ((key, text, unchanged) for text in _filed(entered, stored, authority))


def _unknown(
    entered: Entered, merged: Registry, credited: Sequence[Credited] | None
) -> Iterator[str]:
    record = entered.record
    if isinstance(record, Submission):
        return
    if isinstance(record, Facility):
        yield from _meters(record, merged)
        return
    if isinstance(record, Acceptance):
        yield from _accepted(record, merged)
        return
    if record.project not in merged.projects:
        yield f"project: {record.project!r} is not registered; add it under `projects`"
    elif isinstance(record, Registration):
        project = merged.projects[record.project]
        life = life_of(record, project.methodology, project.version)
        if life is not None and record.registered is not None:
            refused = registration_refused(life, record.registered)
            yield from () if refused is None else (f"registered: {refused}",)
    if credited is None:
        return
    issued = {statement.name for statement in credited}
    named = {units.statement for units in record.units}
    if isinstance(record, Registration):
        named |= {verification.statement for verification in record.verifications}
        named |= {issuance.statement for issuance in record.issuances}
    for name in sorted(named - issued):
        yield f"statement: {name} is not issued, or was superseded; name the valid statement"


def _accepted(record: Acceptance, merged: Registry) -> Iterator[str]:
    """Yield errors of an acceptance: unknown factor or project, invalid signature."""
    if record.subject == "factor" and record.id not in merged.factors:
        yield (
            f"id: {record.id!r} is not a factor of a registry file; those that tonne publishes"
            " need no acceptance (`tonne factors list`)"
        )
    elif record.signature is not None:
        accepted = record.of(factor_of(merged.factors[record.id].record).sha256)
        try:
            trust_root.check(accepted, record.signature.key, record.signature.value)
        except SignatureError as error:
            yield f"signature: {error}"
    if record.project is not None and record.project not in merged.projects:
        yield f"project: {record.project!r} is not registered; add it under `projects`"


def life_of(record: Registration, methodology: str, version: str) -> Life | None:
    """Return the validity of a methodology in the programme of a registration."""
    named = (record.programme, record.registry, record.cdop.programme, record.cdop.standard)
    return find_life(methodology, version, named)


def _meters(facility: Facility, merged: Registry) -> Iterator[str]:
    """Yield errors of a facility's meters: unknown, of another site, check meter, no quantity."""
    if facility.site not in merged.sites:
        yield f"site: {facility.site!r} is not registered; add it under `sites`"
    for supply in facility.supplies:
        if supply.device is None:
            continue
        where = f"supplies[{supply.id}].device: {supply.device!r}"
        device = merged.devices.get(supply.device)
        if device is None:
            yield f"{where} is not registered; add it under `devices`"
        elif device.site != facility.site:
            yield f"{where} is at {device.site}; name a meter of the facility"
        elif device.check_of is not None:
            yield f"{where} is a check meter of {device.check_of}; name that meter"
        else:
            counted = {str(r.quantity) for r in classes.load()[device.class_id].registers}
            if supply.quantity not in counted:
                yield (
                    f"supplies[{supply.id}].quantity: {supply.device} measures no"
                    f" {supply.quantity}; it measures"
                    f" {', '.join(sorted(counted)) or 'nothing'}"
                )


def _filed(entered: Entered, stored: Registry, authority: Authority) -> Iterator[str]:
    """Yield an error if an entry changes a filed submission, or differs from the filed tables."""
    now = entered.record
    if not isinstance(now, Submission):
        return
    before = stored.entries.get((entered.kind, entered.id))
    if isinstance(before, Entered) and isinstance(before.record, Submission):
        changed = list(_changed(before.record, now))
        if changed:
            yield from changed
            return
    if now.filed is not None:
        try:
            text = aef.otherwise(now, aef.tables(authority, now))
        except ExportError as error:
            text = str(error)
        if text is not None:
            yield text


def changed_after_filing(stored: Authority, authority: Authority) -> Iterator[str]:
    """Yield errors for filed submissions that a file would change."""
    by_name = {contradictions.submission_name(s): s for s in stored.submissions}
    for now in authority.submissions:
        name = contradictions.submission_name(now)
        if name in by_name:
            yield from (f"submission {name}: {text}" for text in _changed(by_name[name], now))


def _changed(was: Submission, now: Submission) -> Iterator[str]:
    if was.filed is not None and was != now:
        yield (
            f"it is filed as {was.filed[:12]} and does not change; enter a revision as version"
            f" {was.version + 1}"
        )


def _present(record: Any) -> Any:
    if isinstance(record, dict):
        kept = {key: _present(value) for key, value in record.items()}
        return {key: value for key, value in kept.items() if value not in (None, {}, [])}
    if isinstance(record, list | tuple):
        return [_present(item) for item in record]
    return record

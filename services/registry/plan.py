"""Effect of an import on each row, determined before the rows are written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from mrv.calendar import local_date, midnight_us, zones
from mrv.errors import MethodologyError
from mrv.exports.contradictions import Credited
from mrv.methodologies import find
from mrv.parameters import ParameterSpec, read
from mrv.registry import Sample
from mrv.rules.plausible_values import is_monitored
from mrv.signatures.keys import EnrolledKey
from mrv.statement.signed_rows import AnyRow, SignedRow, signed_row, unsigned
from services.registry import authority, declared, meters, needs, ratings, rules
from services.registry.declared import document_of
from services.registry.entries import Device, Entry, EntryKey, Project, Published, Registry, place
from services.registry.files import Incoming, updated
from services.registry.ratings import timezone, whole_grid


def factors(stored: Registry, registry: Registry) -> Iterator[tuple[EntryKey, str]]:
    """Yield errors for factors of a file that differ from the stored ones of the same id."""
    for key, entry in registry.entries.items():
        before = stored.entries.get(key)
        if isinstance(entry, Published) and before is not None and before != entry:
            yield (
                key,
                (
                    "a factor that is registered is never changed; enter the corrected"
                    f" factor with a new id and `supersedes: {entry.id}`, valid from the day from"
                    " which it applies: this factor still applies to the time before"
                ),
            )


def rewritten(stored: Registry, registry: Registry) -> Iterator[tuple[EntryKey, str]]:
    """Yield errors for laboratory results of a file that differ from the stored ones."""
    for key, entry in registry.entries.items():
        before = stored.entries.get(key)
        if not isinstance(entry, Project) or not isinstance(before, Project):
            continue
        samples = {place(sample): sample for sample in before.laboratory or ()}
        for sample in entry.laboratory or ():
            if samples.get(place(sample), sample) != sample:
                yield (
                    key,
                    (
                        f"laboratory: sample {sample.sample} of {sample.laboratory} is stored with"
                        f" another value, {samples[place(sample)].value}; results are not changed:"
                        " enter"
                        " the corrected report's own number"
                    ),
                )


def unknown(merged: Registry) -> Iterator[tuple[EntryKey, str]]:
    """Yield errors for laboratory results that do not belong to the project's methodology."""
    for key, entry in merged.entries.items():
        if not isinstance(entry, Project) or not entry.laboratory:
            continue
        try:
            known = find(entry.methodology, entry.version).parameters
        except MethodologyError:
            continue  # another check reports it
        monitored = [name for name, spec in known.items() if is_monitored(spec)]
        for sample in entry.laboratory:
            text = _outside(sample, entry.methodology, known, monitored)
            if text is not None:
                yield key, f"laboratory: sample {sample.sample}: {text}"


def _outside(
    sample: Sample, methodology: str, known: Mapping[str, ParameterSpec], monitored: Sequence[str]
) -> str | None:
    """Return the error of a laboratory result that does not belong to a methodology, else None."""
    if sample.parameter not in known:
        return (
            f"{sample.parameter!r} is not a parameter of {methodology}; known: {', '.join(known)}"
        )
    if sample.parameter not in monitored:
        message = ", ".join(monitored) or "none"
        return f"{sample.parameter} is fixed ex ante; {methodology} monitors by samples: {message}"
    try:
        spec = replace(known[sample.parameter], integer=False)
        read({sample.parameter: spec}, {sample.parameter: sample.value}, "value")
    except MethodologyError as error:
        return str(error)
    return None


def closed_problems(
    stored: Registry,
    merged: Registry,
    closed: Mapping[str, datetime],
    sealed: Mapping[str, datetime],
) -> Iterator[tuple[EntryKey, str]]:
    """
    Yield errors for time zones that a file changes for times in closed periods or sealed days.

    A change of law keeps the zone's name in the zone database.  Another zone from a date on changes
    the length of the day before, which must not be closed or sealed.  Another zone for all times
    corrects an error; only closed periods prevent it.

    `closed`: end of the closed periods, by device.  `sealed`: end of the sealed days, by project.
    """
    result: dict[EntryKey, tuple[str, str, date | None, str, datetime]] = {}
    now, devices = merged.projects, merged.devices
    for name, project in stored.projects.items():
        before, after = timezone(project, stored), timezone(now[name], merged)
        if before is None or after is None or before == after:
            yield from _other_country((project, stored), (now[name], merged), closed)
            continue
        day = _first_other(before, after)
        ends = [("closed periods", closed[d.device]) for d in project.devices if d.device in closed]
        if day is not None and name in sealed:
            ends.append(("sealed days", sealed[name]))
        site = devices[now[name].devices[0].device].site
        key = ("site", site) if stored.entries.get(("site", site)) else (project.kind, name)
        records, end = max(ends, key=lambda e: e[1], default=("", None))
        if end is not None and (key not in result or result[key][-1] < end):
            result[key] = before, after, day, records, end
    for key, (before, after, day, records, end) in result.items():
        free = _first_free_day(end, before)
        if day is None or day < free:
            yield (
                key,
                (
                    f"timezone: {before} cannot become {after}, since {records} up to {end} use it;"
                    " keep it, and enter the new one with a date:"
                    f" `timezones: [{{from: {free}, timezone: {zones(after)[-1].name}}}]`, or later"
                ),
            )


def _other_country(
    was: tuple[Project, Registry], now: tuple[Project, Registry], closed: Mapping[str, datetime]
) -> Iterator[tuple[EntryKey, str]]:
    """Yield an error if a file changes a country or grid that closed periods used."""
    project, before, after = was[0], whole_grid(*was), whole_grid(*now)
    ends = [closed[d.device] for d in project.devices if d.device in closed]
    if before != after and ends:
        text = (
            f"country, grid: {before} cannot become {after}, since closed periods up to"
            f" {max(ends)} were calculated with it; keep it, or register the site under another id"
        )
        yield (project.kind, project.id), text


def _first_other(before: str, after: str) -> date | None:
    """Return the first local date affected by a change of zone; None if all dates are."""
    zoned, other = zones(before), zones(after)
    if zoned[0].name != other[0].name:
        return None
    days = [z.first for z in {*zoned} ^ {*other} if z.first is not None]
    return min(days)


def _first_free_day(end: datetime, timezone: str) -> date:
    """
    Return the first local date at which a zone may change: the day before is neither closed nor
    sealed.
    """
    end_us = round(end.timestamp()) * 1_000_000
    day = local_date(end_us, timezone)
    whole = day if midnight_us(day, timezone) == end_us else day + timedelta(days=1)
    return whole + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one row: `created`, `updated`, `unchanged` or `error`."""

    kind: str
    id: str
    result: str
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Results of all rows, the resulting registry, and the entries to write."""

    results: tuple[Result, ...]
    merged: Registry = field(default_factory=Registry)
    changes: tuple[Entry, ...] = ()

    @property
    def refused(self) -> bool:
        """Return whether an error prevents writing."""
        return any(r.result == "error" for r in self.results)


def plan(
    stored: Registry,
    incoming: Incoming,
    *,
    strict: bool = False,
    now: datetime | None = None,
    closed: Mapping[str, datetime] | None = None,
    sealed: Mapping[str, datetime] | None = None,
    credited: Sequence[Credited] | None = None,
    keys: Sequence[EnrolledKey] | None = None,
) -> Plan:
    """
    Return the result of merging files into the stored registry, checked against all rules.

    `stored`: registry stored in the database.
    `incoming`: content of the files.
    `strict`: whether warnings prevent the import too.
    `now`: time of the import; the current time by default.
    `closed`: end of the closed periods, by device.
    `sealed`: end of the sealed days, by project.
    `credited`: issued and valid statements; None without a database.
    `keys`: enrolled keys for signatures of rows; None without a database.
    """
    at = now or datetime.now(UTC)
    merged = ratings.dated(stored, updated(stored, incoming.registry), at)
    findings = _Findings(incoming, strict=strict)
    for key, problems in incoming.problems.items():
        for text in problems:
            findings.add(key, text, warning=False)
    _same_meters(findings, stored, merged)
    of_devices = (*ratings.problems(stored, merged, closed or {}), *meters.problems(stored, merged))
    for key, text in (
        *_changed_classes(stored, merged),
        *(((device.kind, device.id), text) for device, text in of_devices),
        *closed_problems(stored, merged, closed or {}, sealed or {}),
        *factors(stored, incoming.registry),
        *rewritten(stored, incoming.registry),
        *unknown(merged),
        *_rewritten(stored, incoming.registry),
        *_documents(incoming.registry),
        *(() if keys is None else _signatures(stored, incoming.registry, keys)),
    ):
        findings.add(key, f"{findings.place(key)}{text}", warning=False)
    # not with faulty rows: entries that could not be parsed are missing, and would cause errors of
    # others
    if not incoming.problems:
        _whole(findings, stored, merged, credited)
    outcomes = {key: _outcome(stored, merged, key) for key in incoming.places}
    outcomes |= dict.fromkeys(_rezoned(stored, merged), "updated")
    results = tuple(findings.result(key, outcomes) for key in findings.ordered(outcomes))
    changes = tuple(
        merged.entries[key]
        for key, outcome_ in outcomes.items()
        if outcome_ in ("created", "updated")
    )
    return Plan(results, merged, changes)


def _same_meters(findings: _Findings, stored: Registry, merged: Registry) -> None:
    """
    Record errors for duplicate meters (warnings if stored), and warnings for similar serial
    numbers.
    """
    for device, other in meters.same_meters(merged):
        key = (other.kind, other.id)
        kept = all(stored.entries.get((d.kind, d.id)) == d for d in (device, other))
        text = f"{findings.place(key)}{meters.duplicate_meter(device, other)}"
        findings.add(key, text, warning=kept)
    for device, other in meters.alike_meters(merged):
        key = (other.kind, other.id)
        findings.add(key, f"{findings.place(key)}{meters.alike_meter(device, other)}", warning=True)


def _documents(registry: Registry) -> Iterator[tuple[EntryKey, str]]:
    """Yield errors for documents of parameters that the methodology does not have."""
    for project in registry.projects.values():
        yield from (((project.kind, project.id), t) for t in needs.unknown_documents(project))


def _signatures(
    stored: Registry, registry: Registry, keys: Sequence[EnrolledKey]
) -> Iterator[tuple[EntryKey, str]]:
    """Yield errors for new rows of a file with an invalid signature."""
    for project in registry.projects.values():
        before = stored.projects.get(project.id)
        known = () if before is None else {*_signed(before)}
        for row in _signed(project):
            if row not in known:
                yield from (((project.kind, project.id), text) for text in unsigned(row, keys))


def _signed(project: Project) -> Iterator[SignedRow]:
    """Yield the signed rows of a project."""
    documents = (document_of(*document) for document in (project.documents or {}).items())
    rows: tuple[AnyRow, ...] = (*(project.laboratory or ()), *documents)
    for item in rows:
        row = signed_row(project.id, item)
        if row is not None:
            yield row


def _whole(
    findings: _Findings, stored: Registry, merged: Registry, credited: Sequence[Credited] | None
) -> None:
    """Record errors and warnings of the rules between rows of the merged registry."""
    for key, text, unchanged in authority.problems(stored, merged, credited):
        findings.add(key, f"{findings.place(key)}{text}", warning=unchanged)
    lines = [*rules.check(merged)]
    values = findings.given
    other = any(result.warning and (result.kind, result.id) not in values for result in lines)
    # warnings on rows outside the files are reported only if new; `tonne registry check` reports
    # all
    before = {*rules.check(stored)} if other else set()
    for finding in lines:
        key = (finding.kind, finding.id)
        if finding.warning and key not in values and finding in before:
            continue
        # a stored factor that older rules accepted must not prevent the import of other rows
        unchanged = finding.kind == Published.kind and stored.entries.get(
            key
        ) == merged.entries.get(key)
        text = f"{findings.place(key)}{finding.text}"
        findings.add(key, text, warning=finding.warning or unchanged)


def _outcome(stored: Registry, merged: Registry, key: EntryKey) -> str:
    before, after = stored.entries.get(key), merged.entries.get(key)
    if after is None:
        return "error"
    if before is None:
        return "created"
    return "unchanged" if before == after else "updated"


def _changed_classes(stored: Registry, merged: Registry) -> Iterator[tuple[EntryKey, str]]:
    """Yield errors for stored devices whose class a file changes."""
    for key, after in merged.entries.items():
        before = stored.entries.get(key)
        if not isinstance(after, Device) or not isinstance(before, Device):
            continue
        if before.class_id != after.class_id:
            text = (
                f"class: {before.class_id!r} cannot become {after.class_id!r}, because readings "
                "are kept by class; register the new device under an id of its own"
            )
            yield key, text


def _rewritten(stored: Registry, registry: Registry) -> Iterator[tuple[EntryKey, str]]:
    """Yield errors for changed versions of monitoring plans, and new ones of the wrong kind."""
    for key, entry in registry.entries.items():
        before = stored.entries.get(key)
        if isinstance(entry, Project) and isinstance(before, Project):
            for text in declared.rewritten(before.monitoring or (), entry.monitoring):
                yield key, text
        if isinstance(entry, Project):
            stored_versions = before.monitoring or () if isinstance(before, Project) else ()
            for text in declared.without_kind(stored_versions, entry.monitoring):
                yield key, text


def _rezoned(stored: Registry, merged: Registry) -> Iterator[EntryKey]:
    """Yield the keys of stored projects whose time zone or grid changes with a site in the file."""
    projects = merged.projects
    for name, project in stored.projects.items():
        now = projects[name]
        before, after = (
            (timezone(project, registry), whole_grid(project, registry))
            for project, registry in ((project, stored), (now, merged))
        )
        if before != after:
            yield (project.kind, name)


class _Findings:
    """Errors and warnings by row, and the rows that must not be written."""

    def __init__(self, incoming: Incoming, *, strict: bool) -> None:
        self._incoming = incoming
        self._strict = strict
        self._messages: defaultdict[EntryKey, list[str]] = defaultdict(list)
        self._stopped: set[EntryKey] = set()

    @property
    def given(self) -> Collection[EntryKey]:
        """Return the keys of the files' rows."""
        return self._incoming.places.keys()

    def place(self, key: EntryKey) -> str:
        place = self._incoming.places.get(key)
        return f"{place}: {key[0]} {key[1]}: " if place else f"{key[0]} {key[1]}: "

    def add(self, key: EntryKey, text: str, *, warning: bool) -> None:
        self._messages[key].append(f"warning: {text}" if warning else text)
        if self._strict or not warning:
            self._stopped.add(key)

    def ordered(self, outcomes: dict[EntryKey, str]) -> list[EntryKey]:
        """Return the keys of the files' rows, then of stored rows with a finding."""
        return [*outcomes, *(key for key in self._messages if key not in outcomes)]

    def result(self, key: EntryKey, outcomes: dict[EntryKey, str]) -> Result:
        outcome_ = "error" if key in self._stopped else outcomes.get(key, "unchanged")
        return Result(*key, outcome_, tuple(self._messages[key]))

"""Effect of an import on each row, determined before writing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mrv.exports.contradictions import Credited
from mrv.signatures.keys import EnrolledKey
from mrv.statement.signed_rows import AnyRow, SignedRow, signed_row, unsigned
from services.registry import arrays, authority, meters, monitoring, needs, ratings, rules
from services.registry import closed as closed_rules
from services.registry import meters as meter_keys
from services.registry.entries import Device, Entry, Key, Project, Published, Registry, document_of
from services.registry.files import Incoming, updated
from services.registry.service_times import timezone, whole_grid


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

    Parameters
    ----------
    stored : Registry
        Registry stored in the database.
    incoming : Incoming
        Content of the files.
    strict : bool
        Whether warnings prevent the import too.
    now : datetime, optional
        Time of the import; now by default.
    closed : mapping of device id to datetime, optional
        End of closed periods by device or project.
    sealed : mapping of project id to datetime, optional
        End of sealed days by device or project.
    credited : sequence of Credited, optional
        Issued and valid statements; None without a database.
    keys : sequence of EnrolledKey, optional
        Enrolled keys for signatures of rows; None without a database.
    """
    at = now or datetime.now(UTC)
    merged = ratings.dated(stored, updated(stored, incoming.registry), at)
    merged = arrays.dated(stored, merged, at)
    findings = _Findings(incoming, strict=strict)
    for key, problems in incoming.problems.items():
        for text in problems:
            findings.add(key, text, warning=False)
    for key, text in _moved(stored, merged):
        findings.add(key, f"{findings.place(key)}{text}", warning=False)
    for device, text in (
        *ratings.problems(stored, merged, closed or {}),
        *meter_keys.problems(stored, merged),
        *arrays.problems(stored, merged),
    ):
        key = (device.kind, device.id)
        findings.add(key, f"{findings.place(key)}{text}", warning=False)
    _same_meters(findings, stored, merged)
    for key, text in closed_rules.problems(stored, merged, closed or {}, sealed or {}):
        findings.add(key, f"{findings.place(key)}{text}", warning=False)
    for key, text in (
        *closed_rules.factors(stored, incoming.registry),
        *closed_rules.rewritten(stored, incoming.registry),
        *closed_rules.unknown(merged),
    ):
        findings.add(key, f"{findings.place(key)}{text}", warning=False)
    for key, text in _rewritten(stored, incoming.registry):
        findings.add(key, f"{findings.place(key)}{text}", warning=False)
    _documents(findings, incoming.registry)
    for key, text in () if keys is None else _signatures(stored, incoming.registry, keys):
        findings.add(key, f"{findings.place(key)}{text}", warning=False)
    # rows that could not be read would only make others seem to lack something
    if not incoming.problems:
        _whole(findings, stored, merged, credited)
    outcomes = {key: _outcome(stored, merged, key) for key in incoming.places}
    outcomes |= dict.fromkeys(_rezoned(stored, merged), "updated")
    results = tuple(findings.result(key, outcomes) for key in findings.ordered(outcomes))
    changes = tuple(
        merged.entries[key] for key, what in outcomes.items() if what in ("created", "updated")
    )
    return Plan(results, merged, changes)


def _same_meters(findings: _Findings, stored: Registry, merged: Registry) -> None:
    """
    Record errors for second ids of a meter, unless stored, and warnings for similar serial
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


def _documents(findings: _Findings, registry: Registry) -> None:
    """Record errors for documents of parameters that the methodology does not have."""
    for project in registry.projects.values():
        key = (project.kind, project.id)
        for text in needs.unknown_documents(project):
            findings.add(key, f"{findings.place(key)}{text}", warning=False)


def _signatures(
    stored: Registry, registry: Registry, keys: Sequence[EnrolledKey]
) -> Iterator[tuple[Key, str]]:
    """Yield rows of a file with an invalid signature; stored rows were checked before."""
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
    # an import tells of other rows what it changes for them; `tonne registry check` tells all
    before = {*rules.check(stored)} if other else set()
    for finding in lines:
        key = (finding.kind, finding.id)
        if finding.warning and key not in values and finding in before:
            continue
        # a factor that was stored under older rules stands in no other row's way
        unchanged = finding.kind == Published.kind and stored.entries.get(
            key
        ) == merged.entries.get(key)
        text = f"{findings.place(key)}{finding.text}"
        findings.add(key, text, warning=finding.warning or unchanged)


def _outcome(stored: Registry, merged: Registry, key: Key) -> str:
    before, after = stored.entries.get(key), merged.entries.get(key)
    if after is None:
        return "error"
    if before is None:
        return "created"
    return "unchanged" if before == after else "updated"


def _moved(stored: Registry, merged: Registry) -> Iterator[tuple[Key, str]]:
    """Yield devices that change their class although they have readings."""
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


def _rewritten(stored: Registry, registry: Registry) -> Iterator[tuple[Key, str]]:
    """Yield stored versions of monitoring plans that a file changes."""
    for key, entry in registry.entries.items():
        before = stored.entries.get(key)
        if isinstance(entry, Project) and isinstance(before, Project):
            for text in monitoring.rewritten(before.monitoring or (), entry.monitoring):
                yield key, text
        if isinstance(entry, Project):
            had = before.monitoring or () if isinstance(before, Project) else ()
            for text in monitoring.without_kind(had, entry.monitoring):
                yield key, text


def _rezoned(stored: Registry, merged: Registry) -> Iterator[Key]:
    """Yield projects whose site changes its time zone (and so local days) or grid."""
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
    """Errors and warnings by row, and the rows they block."""

    def __init__(self, incoming: Incoming, *, strict: bool) -> None:
        self._incoming = incoming
        self._strict = strict
        self._messages: defaultdict[Key, list[str]] = defaultdict(list)
        self._stopped: set[Key] = set()

    @property
    def given(self) -> Collection[Key]:
        """Return rows of the files."""
        return self._incoming.places.keys()

    def place(self, key: Key) -> str:
        place = self._incoming.places.get(key)
        return f"{place}: {key[0]} {key[1]}: " if place else f"{key[0]} {key[1]}: "

    def add(self, key: Key, text: str, *, warning: bool) -> None:
        self._messages[key].append(f"warning: {text}" if warning else text)
        if self._strict or not warning:
            self._stopped.add(key)

    def ordered(self, outcomes: dict[Key, str]) -> list[Key]:
        """Return rows of the files first, then stored rows with a finding."""
        return [*outcomes, *(key for key in self._messages if key not in outcomes)]

    def result(self, key: Key, outcomes: dict[Key, str]) -> Result:
        what = "error" if key in self._stopped else outcomes.get(key, "unchanged")
        return Result(*key, what, tuple(self._messages[key]))

"""
Differences of the database from the log: of sealed days from their seals, and of statements.

Rows, notes of late readings and the seal are read in one snapshot.  A day is compared with the
devices that it was sealed with.  A device assigned to it later is left out if other seals show that
its readings of the whole day are unchanged.

Each late reading was noted when it was stored: without late readings a day must equal its seal.
Any remaining difference is a manual change, which the audit reports.  Derived rows may change with
readings or registry, if they are still the result of both.

The documents, steps, claims, figures and evidence of each statement are compared with the log.
`Walk` is the state shared by all audit steps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from psycopg import Connection, Cursor

from ingest.errors import InputError
from ingest.model import NULL, Fleet, Frame
from mrv.accounting.coverage import remaining
from mrv.calendar import instant_us
from mrv.errors import LogError
from mrv.log.entries import PARTS
from mrv.packs.pack import MANIFEST, STATEMENT, VERIFICATION, issued_at, manifest_of
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf, Difference, Digest, differences, digest_leaves
from mrv.statement import device_days
from mrv.statement.device_days import reading_leaves
from services.issuer.documents import Documents, documents
from services.issuer.sealed_contents import Job, parts_of
from services.processing.rebuild import rebuild
from services.processing.reprocess import MAX_ROWS, rows_between
from services.settle import Plan
from services.store.registry import load as registry
from services.store.registry.load import load_book
from services.store.statements import evidence, late_readings, statements
from services.store.statements import sealed_days as seals
from services.store.statements import transparency_log as log
from services.store.statements.late_readings import Late, Notes
from services.store.statements.sealed_days import Seal
from services.store.statements.statements import Stored
from services.store.statements.transparency_log import Entry
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks


def noted(cursor: Cursor, job: Job) -> Notes:
    """Return the notes on a day's late readings that its last seal does not include."""
    name = late_readings.name_of(job.project, job.day)
    return late_readings.of_day(cursor, name, job.devices, job.from_us, job.to_us)


def without_late(
    cursor: Cursor, fleet: Fleet, job: Job, leaves: Sequence[DayLeaf], late: Mapping[str, Late]
) -> list[DayLeaf]:
    """
    Return the leaves of a day's readings without those that arrived late.

    `leaves`: of all readings of the day, in the cursor's snapshot.  `late`: late readings by
    device.
    """
    result = [leaf for leaf in leaves if leaf.device not in late]
    index = [fleet.by_id[name] for name in late if name in fleet.by_id]
    for class_id, members in marks.by_class(fleet, index).items():
        after = dict.fromkeys(members, job.from_us - 1)
        frame = readings.fetch(cursor, fleet, class_id, after, job.to_us)
        for block in device_days.blocks(_frame_before(frame, fleet, late)):
            result += reading_leaves(fleet, block, job.timezone)
    return result


def _frame_before(frame: Frame, fleet: Fleet, late: Mapping[str, Late]) -> Frame:
    """Return the readings without those that arrived late: added rows and filled-in values."""
    kept = np.ones(len(frame), dtype=np.bool_)
    columns = dict(frame.columns)
    for device in np.unique(frame.device).tolist():
        item = late[fleet.devices[device].id]
        own = np.flatnonzero(frame.device == device)
        kept[own[np.isin(frame.time_us[own], item.added)]] = False
        for channel, times in item.filled.items():
            values = columns[channel].copy()
            values[own[np.isin(frame.time_us[own], times)]] = (
                NULL if values.dtype == np.int64 else np.nan
            )
            columns[channel] = values
    return Frame(frame.class_id, frame.device, frame.time_us, frame.message, columns).take(kept)


class Changes(NamedTuple):
    """Differences of a day from its seal, in readings and in derived rows."""

    late: list[Difference]
    by_hand: list[Difference]
    derived: list[Difference]

    def __bool__(self) -> bool:
        return bool(self.late or self.by_hand or self.derived)


def sealed_leaves(
    entry: Mapping[str, object], detail: bytes | None
) -> dict[str, tuple[DayLeaf, ...]]:
    """
    Return the leaves below a sealed day's Merkle roots.

    Raises LogError if they are missing or do not lead to the roots.
    """
    if detail is None:
        raise LogError(
            "the details of the log entry are missing; restore the table log_detail from a backup"
        )
    record = canonical.parse_object(detail)
    result = {}
    for name in PARTS:
        leaves = tuple(DayLeaf.from_json(leaf) for leaf in record[name])
        part = entry[name]
        if not isinstance(part, dict) or digest_leaves(leaves).root != part["root"]:
            raise LogError(
                f"the {name} stored with the log entry do not match its root hash; restore "
                "them from a backup"
            )
        result[name] = leaves
    return result


def detail_of(parts: Mapping[str, Digest]) -> bytes:
    """Return the file with the leaves below a day's Merkle roots."""
    return canonical.encode(
        {name: [leaf.to_json() for leaf in parts[name].leaves] for name in PARTS}
    )


def compare(
    sealed: Mapping[str, tuple[DayLeaf, ...]],
    now: Mapping[str, Digest],
    before: Sequence[DayLeaf],
    noted: Collection[tuple[str, str]],
) -> Changes:
    """
    Return the differences of a day from its seal.

    `before`: its readings without late ones.  `noted`: device and day with late readings that tonne
    0.1.0 noted without listing them.
    """
    late = differences(before, now["readings"].leaves)
    by_hand: list[Difference] = []
    was, is_ = ({x.key: x.rows for x in leaves} for leaves in (sealed["readings"], before))
    for off in differences(sealed["readings"], before):
        key = (off.device, off.day, off.table)
        grew = is_.get(key, 0) >= was.get(key, 0)
        (late if grew and (off.device, off.day) in noted else by_hand).append(off)
    derived = [off for name in ("intervals", "emissions")
               for off in differences(sealed[name], now[name].leaves)]  # fmt: skip
    return Changes(late, by_hand, derived)


class Registry:
    """The registry in force, compiled only when needed, as a large fleet takes long."""

    def __init__(self, conn: Connection) -> None:
        self._conn, self.fleet = conn, registry.load_fleet(conn)

    @cached_property
    def plan(self) -> Plan:
        """Return the whole registry, compiled."""
        return Plan.of(self.fleet, registry.load_projects(self._conn), load_book(self._conn))

    def of_snapshot(self) -> Fleet:
        """Return the registry of the current snapshot, which may be older than the last import."""
        if registry.registry_version(self._conn) != self.fleet.version:
            self.fleet = registry.load_fleet(self._conn)
            self.__dict__.pop("plan", None)
        return self.fleet


class SealedDay(NamedTuple):
    """
    Sealed day: its last seal, its log entry, and the Merkle leaves of its readings and derived
    rows.
    """

    job: Job
    seal: Seal
    body: dict[str, Any]
    leaves: dict[str, tuple[DayLeaf, ...]]


class Compared(NamedTuple):
    """
    Current state of a sealed day.

    `differences`: differences from its seal. `joined`: devices assigned to the day later. `parts`:
    digests of its current contents. `notes`: notes on late readings for its next seal.
    """

    day: SealedDay
    differences: Changes
    joined: tuple[str, ...]
    parts: Mapping[str, Digest]
    notes: list[int]


def sealed_day(
    conn: Connection, seal: Seal, jobs: Mapping[tuple[str, date], Job] | None = None
) -> SealedDay:
    """
    Return a sealed day with the devices that it was sealed with.

    `jobs`: days with their current devices, by project and day.
    """
    entry, detail = log.at(conn, seal.entry)
    body = canonical.parse_object(entry.body)
    leaves = sealed_leaves(body, detail)
    job = (jobs or {}).get((seal.project, seal.day)) or _job_of(body, ())
    devices = {*job.devices, *(leaf.device for part in leaves.values() for leaf in part)}
    return SealedDay(job._replace(devices=tuple(sorted(devices))), seal, body, leaves)


def compared(
    cursor: Cursor, fleet: Fleet, run: Sequence[SealedDay], *, accept_joined: bool = True
) -> list[Compared]:
    """
    Return the current state of sealed days compared with their seals, in the cursor's snapshot.

    `run`: days from one result of `together`.  `accept_joined`: leave out devices that were
    assigned later and are covered by other seals.
    """
    parts = parts_of(cursor, fleet, [day.job for day in run])
    return [
        _compared(cursor, fleet, day, now, accept_joined=accept_joined)
        for day, now in zip(run, parts, strict=True)
    ]


def _compared(
    cursor: Cursor, fleet: Fleet, day: SealedDay, now: Mapping[str, Digest], *, accept_joined: bool
) -> Compared:
    job = day.job
    notes = noted(cursor, job)
    before = without_late(cursor, fleet, job, now["readings"].leaves, notes.late)
    old = () if "arrival" in day.body else _whole_days(cursor.connection)
    changes = compare(day.leaves, now, before, old)
    joined = _joined(cursor.connection, fleet, day, changes) if accept_joined else set()
    changes = changes._replace(by_hand=[x for x in changes.by_hand if x.device not in joined])
    return Compared(day, changes, tuple(sorted(joined)), now, notes.ids)


def _job_of(body: Mapping[str, str], devices: Collection[str]) -> Job:
    """Return the day of a log entry with given devices, for the comparison with its seal."""
    begin, end = (instant_us(body[edge], "UTC") for edge in ("from", "to"))
    day, whose = date.fromisoformat(body["day"]), body["project"] or ""
    return Job(whose, day, body["timezone"], begin, end, tuple(sorted(devices)))


def _joined(conn: Connection, fleet: Fleet, day: SealedDay, changes: Changes) -> set[str]:
    """
    Return the devices assigned to a day after its seal whose readings other seals cover
    unchanged.
    """
    job, known = day.job, {leaf.device for leaf in day.leaves["readings"]}
    others = {difference.device for difference in changes.by_hand} - known
    if not others:
        return set()
    over = [s for s in seals.over(conn, job.from_us, job.to_us) if s.project != job.project]
    return {name for name in others if _sealed_elsewhere(conn, fleet, over, job, name)}


def _sealed_elsewhere(
    conn: Connection, fleet: Fleet, over: Collection[Seal], job: Job, device: str
) -> bool:
    """Return whether other seals cover a device's day unchanged, except for late readings."""
    spans = []
    for seal in over:
        entry, detail = log.at(conn, seal.entry)
        body = canonical.parse_object(entry.body)
        was = [leaf for leaf in sealed_leaves(body, detail)["readings"] if leaf.device == device]
        if was == _before(conn, fleet, _job_of(body, (device,))):
            spans.append((_us(seal.begin), _us(seal.end)))
    return not remaining(spans, job.from_us, job.to_us)


def _before(conn: Connection, fleet: Fleet, job: Job) -> list[DayLeaf]:
    """Return the leaves of a sealed day's readings, without late ones."""
    with conn.cursor() as cursor:
        (now,) = parts_of(cursor, fleet, [job])
        return without_late(cursor, fleet, job, now["readings"].leaves, noted(cursor, job).late)


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _whole_days(conn: Connection) -> Collection[tuple[str, str]]:
    """
    Return (device, day), in any zone, for which tonne 0.1.0 noted late readings without listing
    rows.

    On those days a manual change cannot be distinguished from a late reading.
    """
    return {
        (device, (day + timedelta(days=shift)).isoformat())
        for device, day in late_readings.whole_days(conn)
        for shift in (-1, 0, 1)
    }


def underived(conn: Connection, of: Registry, job: Job, changes: Changes) -> list[str]:
    """Return the changed derived rows that readings and registry do not explain."""
    names = {difference.device for difference in changes.derived} & of.fleet.by_id.keys()
    index = [of.fleet.by_id[name] for name in sorted(names)]
    if not index:
        return []
    begin, end = job.from_us, job.to_us
    # number of rows that are compared in memory: at most as many as the pipeline commits at once
    rows = max(rows_between(of.fleet, device, begin, end) for device in index)
    days_at_once = max(MAX_ROWS // max(rows, 1), 1)
    return [
        f"{difference.table} of {' '.join(difference.key)} does not follow from the readings"
        for at in range(0, len(index), days_at_once)
        for difference in rebuild(
            conn, of.plan, index[at : at + days_at_once], begin, end, replace=False
        )
    ]


def why_other(conn: Connection, project: str, day: date) -> str:
    """
    Return why a statement's readings of a day differ from the sealed ones, and the remedy.

    Call it in a snapshot.
    """
    last = seals.last_of(conn, project, [day])[day]
    with conn.cursor() as cursor:
        (item,) = compared(cursor, registry.load_fleet(conn), [sealed_day(conn, last)])
    late = ", ".join(dict.fromkeys(x.device for x in item.differences.late))
    if item.differences.by_hand:
        also = f"; late readings of {late} arrived, too" if late else ""
        return f"changed manually: {item.differences.by_hand[0]}{also}; `tonne log audit` names all"
    if late:
        return f"late readings of {late} arrived; run `tonne log seal` and issue again"
    return (
        "the stored data agree with the seals of the log, but the statement's evidence does not:"
        " late readings were sealed after the period was closed, or the evidence was changed; close"
        " the period again and have the statement verified"
    )


@dataclass
class Walk:
    """State shared by the audit steps: connection, log entries, report."""

    conn: Connection
    now_us: int
    archived_heads: tuple[str, ...] = ()
    entries: list[Entry] = field(default_factory=list)
    origin: str = ""
    ended: list[Job] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


_STATES = ("issued", "superseded", "revoked")
_LOGGED = (*_STATES, "evidence")


def standing(conn: Connection, entries: Sequence[Entry]) -> Iterator[str]:
    """Yield statements whose state differs from the log."""
    logged: dict[str, dict[str, dict[str, Any]]] = {}
    # version 0.1.0 logged no manifests; the first entry of another kind is from a later version
    since = min((e.index for e in entries if e.kind not in _STATES), default=0)
    without = {e.statement for e in entries if e.kind == "issued" and e.index < since}
    for entry in entries:
        if entry.kind in _LOGGED and entry.statement is not None:
            body = canonical.parse_object(entry.body)
            if entry.kind in logged.setdefault(entry.statement, {}):
                yield f"statement {entry.statement} is entered as {entry.kind} twice"
            logged[entry.statement][entry.kind] = body
    stored = {stored.id: stored for stored in statements.all_of(conn)}
    for name in sorted(logged.keys() - stored.keys()):
        yield f"statement {name} is in the log, but not in the table of statements"
    for name, item in sorted(stored.items()):
        try:
            yield from _statement_faults(
                conn, item, logged.get(name, {}), manifest=name not in without
            )
        except InputError as error:
            yield f"statement {name}: {error}"
    yield from _claims(conn, logged)


def _statement_faults(
    conn: Connection, stored: Stored, logged: dict[str, dict[str, Any]], *, manifest: bool
) -> Iterator[str]:
    have = documents(conn, stored.id)
    issued = logged.get("issued")
    steps = [event.state for event in statements.events(conn, stored.id)]
    for state in _STATES:
        if (state in steps) != (state in logged):
            where = "in the log, but not in" if state in logged else "not in the log, but in"
            yield f"statement {stored.id}: the step {state} is {where} the database"
    if steps[:1] != ["draft"]:
        yield f"statement {stored.id}: its steps do not begin with draft"
    yield from _figures(conn, stored)
    if issued is None:
        return
    for key, document in (
        ("statementSha256", have.statement),
        ("verificationSha256", have.verification),
    ):
        if canonical.sha256_hex(canonical.encode(document)) != issued[key]:
            yield f"statement {stored.id}: its document differs from the {key} in the log"
    if manifest or "evidence" in logged:
        yield from _evidence(conn, stored, have, logged.get("evidence"))


def _evidence(
    conn: Connection, stored: Stored, have: Documents, manifest: dict[str, Any] | None
) -> Iterator[str]:
    """Yield a finding if the files of a statement's pack differ from its manifest in the log."""
    kept = evidence.digests(conn, stored.id)
    if manifest is None:
        yield f"statement {stored.id}: the log has no manifest of its evidence"
        return
    signed = {STATEMENT: have.statement, VERIFICATION: have.verification}
    hashes = {n: canonical.sha256_hex(canonical.encode(value)) for n, value in signed.items()}
    same = kept.get(MANIFEST) == manifest["manifestSha256"]
    if same:
        data = evidence.kept(conn, stored.id, (MANIFEST,))[MANIFEST]
        same = data == manifest_of(hashes | kept, issued_at(data))
    if not same:
        yield f"statement {stored.id}: its evidence differs from the manifest in the log"


def _figures(conn: Connection, stored: Stored) -> Iterator[str]:
    """Yield figures of the closed period that differ from the signed document."""
    claims = stored.claims
    period = claims.monitoring_period
    row = conn.execute(
        "SELECT s.document = convert_from(s.body, 'UTF8')::jsonb, p.project_id,"
        " p.period = s.period, p.baseline_ug::text, p.project_ug::text,"
        " p.leakage_ug::text, p.reduction_ug::text, p.credit_t, p.coverage::text FROM statement s"
        " LEFT JOIN monitoring_period p ON p.id = s.period_id WHERE s.id = %s",
        [stored.id],
    ).fetchone()
    emissions = claims.emissions
    expected = (
        True, claims.project.id, True,
        emissions.baseline.ug, emissions.project.ug, emissions.leakage.ug, emissions.reduction.ug,
        int(claims.credited.t), claims.coverage,
    )  # fmt: skip
    if row != expected:
        yield f"statement {stored.id}: its period or its document states {row}, not {expected}"
    own = (stored.id, stored.project, stored.from_us, stored.to_us, stored.credit_t)
    body = (
        claims.statement,
        claims.project.id,
        *(instant_us(edge, "UTC") for edge in (period.from_, period.to)),
        int(claims.credited.t),
    )
    if own != body:
        yield f"statement {stored.id}: its columns state {own}, its document {body}"


def _claims(conn: Connection, logged: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    """Yield missing claims of issued statements, and claims without a valid issued statement."""
    rows = conn.execute(
        "SELECT c.statement_id, s.project_id = c.project_id AND s.period = c.period"
        " FROM claim c LEFT JOIN statement s ON s.id = c.statement_id"
    ).fetchall()
    claimed = {name for name, _ in rows}
    count = {name for name, events in logged.items() if events.keys() & set(_STATES) == {"issued"}}
    for name in sorted(claimed ^ count):
        yield f"statement {name}: {'claims' if name in claimed else 'does not claim'} its period"
    for name, same in rows:
        if not same:
            yield f"statement {name}: its claim is of another project or period"

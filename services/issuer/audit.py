"""
Audit the transparency log and compare the database with it, in numbered steps.

Nothing in the database is trusted: changing a sealed row, even by the database's owner, makes a
step fail.  Rows added since the last seal are not yet covered; the report states their number.

Each step is a function: it returns what it checked as text (such as "12 entries"), and appends
errors to `Walk.breaks` and what it could not check to `Walk.notes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import islice
from typing import Any

from psycopg import Connection, Cursor

from ingest.errors import InputError
from mrv import factors
from mrv.errors import MrvError
from mrv.factors.ledger import centres
from mrv.log import NoteKey, Vkey, signature_lines
from mrv.log.entries import DATA, RECORDS, verify_checkpoint
from mrv.log.witness import cosignatures
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey
from mrv.signatures.merkle_tree import leaf_hash, root_hash
from services.issuer import sealed_contents as records
from services.issuer.further_evidence import changed
from services.issuer.log_differences import (
    Compared,
    Registry,
    SealedDay,
    Walk,
    compared,
    sealed_day,
    standing,
    underived,
)
from services.issuer.seal import arrival_of
from services.issuer.sealed_contents import Job, ended, overdue, together
from services.store.archive_catalog import snapshot
from services.store.postgres.row_hashes import STATES, hashes, tables
from services.store.registry import signing_keys as enrolled
from services.store.statements import sealed_days as seals
from services.store.statements import transparency_log as log
from services.store.timeseries.remake_requests import with_underived as to_make


def entries(walk: Walk) -> str:
    """Check that entries are consecutive and agree with their leaves."""
    walk.entries = log.entries(walk.conn)
    for place, entry in enumerate(walk.entries):
        if entry.index != place:
            walk.breaks.append(f"entry {place} is missing: the next entry is {entry.index}")
            break
        if leaf_hash(entry.body) != entry.leaf:
            walk.breaks.append(f"entry {place} differs from its leaf in the tree")
            continue
        body = canonical.parse_object(entry.body)
        if canonical.encode(body) != entry.body or body.get("event") != entry.kind:
            walk.breaks.append(
                f"entry {place} is stored as {entry.kind!r}, but its body states another kind"
            )
        if body.get("statement") != entry.statement:
            walk.breaks.append(f"entry {place} is stored for another statement than its body names")
    rooted = {entry.index for entry in walk.entries if entry.kind in (DATA, RECORDS, *STATES)}
    result = {int(i) for (i,) in walk.conn.execute("SELECT index FROM log_detail")}
    for index in sorted(rooted ^ result):
        what = "lacks its" if index in rooted else "must not have"
        walk.breaks.append(f"entry {index} {what} details below its root hashes (log_detail)")
    return f"{len(walk.entries)} entries"


def heads(walk: Walk) -> str:
    """
    Check that each signed head covers exactly the log's first entries, and that the last head
    covers all entries.
    """
    keys = [_note_key(e.key) for e in enrolled.load(walk.conn) if e.key.role == "log"]
    leaves = [entry.leaf for entry in walk.entries]
    rows = walk.conn.execute("SELECT size, root, note FROM log_checkpoint ORDER BY size").fetchall()
    for size, root, note in rows:
        _head(walk, keys, leaves, note, (int(size), bytes(root)))
    sizes = {int(size) for size, _, _ in rows}
    appended = [entry.appended for entry in walk.entries]
    for place in range(len(appended)):
        ends = place + 1 == len(appended) or appended[place] != appended[place + 1]
        if ends and place + 1 not in sizes:
            walk.breaks.append(f"no signed head over the first {place + 1} entries")
    if rows and max(sizes) > len(leaves):
        walk.breaks.append(f"a head covers {max(sizes)} entries, but the log has {len(leaves)}")
    for note in walk.archived_heads:
        _head(walk, keys, leaves, note, None)
    return f"{len(rows)} signed heads, {len(walk.archived_heads)} of your own"


def _head(
    walk: Walk,
    keys: list[NoteKey],
    leaves: list[bytes],
    note: str,
    stored: tuple[int, bytes] | None,
) -> None:
    text, lines = signature_lines(note)
    of = [key for key in keys if (key.name, key.key_id) in {(n, raw[:4]) for n, raw in lines}]
    if not of:
        walk.breaks.append(f"the head {text.splitlines()[:2]} is not signed by the log's key")
        return
    head = verify_checkpoint(note, of[0])
    walk.origin = head.origin
    if stored is not None and stored != (head.size, head.root):
        walk.breaks.append(f"the head over {stored[0]} entries is stored with another note")
    elif head.size > len(leaves) or root_hash(leaves[: head.size]) != head.root:
        whose = "stored" if stored else "your own"
        walk.breaks.append(
            f"the first {head.size} entries are not those of {whose} head: the log was rewritten"
        )


def witnesses(walk: Walk) -> str:
    """Check that each cosignature is by an enrolled witness, over the log's head of that size."""
    known = {
        enrolment.key.multikey: _note_key(enrolment.key)
        for enrolment in enrolled.load(walk.conn)
        if enrolment.key.role == "witness"
    }
    rows = walk.conn.execute(
        "SELECT size, multikey, note, line FROM log_cosignature"
        " LEFT JOIN log_checkpoint USING (size) ORDER BY size, multikey"
    ).fetchall()
    for size, multikey, note, line in rows:
        key = known.get(multikey)
        if key is None:
            walk.breaks.append(
                f"head {size} is countersigned by {multikey}, which is not a witness"
            )
        elif note is None:
            walk.breaks.append(f"{key.name} countersigned head {size}, which the log does not have")
        elif [c.line for c in cosignatures(note + line, key)] != [line]:
            walk.breaks.append(f"the countersignature of {key.name} does not belong to head {size}")
    cosigned = walk.conn.execute(
        "SELECT size, vkey, time_s, note, line FROM witness_cosignature"
        " LEFT JOIN log_checkpoint USING (size) ORDER BY size, vkey"
    ).fetchall()
    for size, vkey, time_s, note, line in cosigned:
        if note is None:
            walk.breaks.append(f"{_name(vkey)} cosigned head {size}, which the log does not have")
        elif not _cosigned(note + line, vkey, time_s, line):
            walk.breaks.append(f"the cosignature of {_name(vkey)} does not belong to head {size}")
    return f"{len(rows) + len(cosigned)} countersignatures"


def _cosigned(note: str, vkey: str, time_s: int, line: str) -> bool:
    try:
        result = cosignatures(note, Vkey.parse(vkey))
    except MrvError:
        return False
    return [(cosignature.time_s, cosignature.line) for cosignature in result] == [(time_s, line)]


def _name(vkey: str) -> str:
    return vkey.split("+", maxsplit=1)[0]


def _note_key(key: EnrolledKey) -> NoteKey:
    return NoteKey(key.name, key.public)


def statements(walk: Walk) -> str:
    """Check that statements, their steps and claims agree with the log."""
    walk.breaks += standing(walk.conn, walk.entries)
    walk.notes += changed(walk.conn)
    return f"{sum(entry.kind == 'issued' for entry in walk.entries)} issued statements"


def states(walk: Walk) -> str:
    """Check that registry, plan, certificates and keys agree with their last log entry."""
    counted = 0
    for kind in STATES:
        with snapshot(walk.conn):
            state = records.state_of(walk.conn, kind)
        if state.last is None:
            if any(state.now.values()):
                walk.notes.append(f"{kind} is not in the log yet; run `tonne log seal`")
            continue
        counted += sum(map(len, state.now.values()))
        for what in records.changes(state.sealed, state.now):
            if records.expected(walk.conn, kind, state.last, what):
                walk.notes.append(f"{what}; `tonne log seal` enters it")
            else:
                walk.breaks.append(what)
    return f"{counted} rows of {', '.join(STATES)}"


def append_only(walk: Walk) -> str:
    """Check that append-only tables still contain all earlier rows, and no inserted ones."""
    with snapshot(walk.conn):
        sealed = records.records_of(walk.conn)
        result = tables(walk.conn)
        now = hashes(walk.conn, result.records)
        backdated = records.backdated(walk.conn, sealed, now)
    walk.breaks += records.lost(sealed, now)
    walk.breaks += backdated
    fresh = sum(len(rows) for rows in now.values()) - sum(len(rows) for rows in sealed.values())
    if fresh > len(backdated):
        walk.notes.append(f"{fresh} rows since the last seal; `tonne log seal` enters them")
    if result.unknown:
        walk.notes.append(f"no seal covers {', '.join(result.unknown)}")
    return f"{sum(map(len, sealed.values()))} rows of {len(result.records)} append-only tables"


def sealed_days(walk: Walk) -> str:
    """Check that every sealed day is unchanged."""
    conn, of = walk.conn, Registry(walk.conn)
    latest = seals.latest(conn)
    walk.breaks += _seal_rows(walk)
    walk.ended = list(ended(conn, of.fleet, walk.now_us))
    jobs = {(job.project, job.day): job for job in walk.ended}
    days = (sealed_day(conn, seal_, jobs) for _, seal_ in sorted(latest.items()))
    for run in together(days, lambda day: day.job):
        _compare_days(walk, of, run, jobs)
    return f"{len(latest)} days"


def _compare_days(
    walk: Walk, of: Registry, run: Sequence[SealedDay], jobs: Mapping[tuple[str, date], Job]
) -> None:
    """Compare the days of `run` with their last seals, in one snapshot."""
    with snapshot(walk.conn), walk.conn.cursor() as cursor:
        fleet = of.of_snapshot()
        last = seals.last_of(walk.conn, run[0].seal.project, [day.seal.day for day in run])
        runs = [run]
        if any(last[day.seal.day] != day.seal for day in run):
            # compared with the last seal, as a day that was sealed again in the meantime may have
            # other devices
            runs = [[sealed_day(walk.conn, last[day.seal.day], jobs)] for day in run]
        for days in runs:
            for now in compared(cursor, fleet, days):
                _report_day(walk, of, cursor, now)


def _report_day(walk: Walk, of: Registry, cursor: Cursor, now: Compared) -> None:
    """Add a day's differences from its seal to the report of the audit."""
    job, body, changes = now.day.job, now.day.body, now.differences
    walk.breaks += [f"{job}: {what}" for what in changes.by_hand]
    if now.joined:
        walk.notes.append(
            f"{job}: according to the registry {', '.join(now.joined)} belong to it, but other"
            " days contain their readings; run `tonne log seal --recheck`"
        )
    pending = to_make(cursor, sorted({d.device for d in changes.derived}), job.to_us)
    if pending:
        walk.notes.append(
            f"{job}: rows of {', '.join(sorted(pending))} are not calculated from their readings"
            " yet; audit again when `tonne run` has calculated them"
        )
    walk.breaks += [f"{job}: {what}" for what in underived(walk.conn, of, job, changes)]
    if not changes and not now.joined and "arrival" in body:
        walk.breaks += _arrival(cursor, job, body["arrival"])
    if changes.late:
        devices = ", ".join(dict.fromkeys(difference.device for difference in changes.late))
        walk.notes.append(f"{job}: late readings of {devices}, which `tonne log seal` enters")
    elif changes.derived:
        walk.notes.append(f"{job}: derived rows were recalculated; run `tonne log seal --recheck`")


def _arrival(cursor: Cursor, job: Job, sealed: dict[str, Any]) -> Iterator[str]:
    """Yield differences between the arrival times of a day's readings and those in its seal."""
    now = arrival_of(cursor, job)
    if {**now, "sealed": sealed.get("sealed")} != sealed:
        yield (
            f"{job}: the log sealed {sealed['late']} of {sealed['readings']} readings as late, and"
            f" {now['late']} of {now['readings']} are counted now: arrival_count or arrival_day"
            " was changed"
        )


def _seal_rows(walk: Walk) -> Iterator[str]:
    """Yield seals whose place in the table differs from that in the log."""
    logged = {}
    for entry in walk.entries:
        if entry.kind == DATA:
            body = canonical.parse_object(entry.body)
            logged[entry.index] = (body["project"] or "", body["day"], body["sequence"])
    stored = {
        int(index): (project, day.isoformat(), int(sequence))
        for project, day, sequence, index in walk.conn.execute(
            "SELECT project_id, day, sequence, index FROM data_seal WHERE index < %s",
            [len(walk.entries)],  # a sealer may have added entries since the log was read
        )
    }
    for index in sorted(logged.keys() | stored.keys()):
        if logged.get(index) != stored.get(index):
            yield (
                f"entry {index} seals {logged.get(index, 'no day')},"
                f" table data_seal has {stored.get(index, 'nothing')}"
            )


def lateness(walk: Walk) -> str:
    """Check that every day was sealed within 36 hours of its end, by the log's clock."""
    result = overdue(walk.ended, seals.first_sealed(walk.conn), walk.now_us)
    walk.breaks += [
        f"{job} ended more than 36 hours ago and is not sealed" for job in result.waiting
    ]
    walk.notes += [
        f"{job} was sealed at {at:%Y-%m-%dT%H:%M:%SZ}, more than 36 hours after its end"
        for job, at in result.sealed_late
    ]
    late = len(result.sealed_late)
    return f"36 hours after a day's end; {late} days were sealed later than that"


def published_factors(walk: Walk) -> str:
    """Check that this version's published factors agree with their last log entry."""
    last = log.last(walk.conn, "factors")
    if last is None:
        walk.notes.append("factors are not in the log yet; run `tonne log seal`")
        return "none"
    own, published = (canonical.parse_object(b) for b in (records.factors_entry(), last.body))
    # no row is ever removed from the factor book: it contains all rows of older versions
    before = canonical.parse_object(records.factors_entry(centres(factors.load())))
    if published == before:
        walk.notes.append("factors were added since; `tonne log seal` enters them")
    elif own != published:
        same = own["codeVersion"] == published["codeVersion"]
        version = published["codeVersion"]
        text = f"the log has factors {published['sha256'][:16]} of {version}, and this program"
        (walk.breaks if same else walk.notes).append(f"{text} has {own['sha256'][:16]}")
    return f"{published['factors']} factors"


@dataclass(frozen=True, slots=True)
class Checked:
    """Result of an audit step: what was checked, errors, and what could not be checked."""

    number: int
    name: str
    detail: str
    breaks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Results of all audit steps; each step runs even if an earlier one failed."""

    origin: str
    size: int
    steps: tuple[Checked, ...]

    @property
    def first_break(self) -> str | None:
        """Return the first error; None if there is none."""
        return next((f"{s.name}: {s.breaks[0]}" for s in self.steps if s.breaks), None)

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "log": self.origin,
            "size": self.size,
            "ok": self.first_break is None,
            "firstBreak": self.first_break,
            "steps": [asdict(step) for step in self.steps],
        }


def audit(conn: Connection, now_us: int, archived: tuple[str, ...] = ()) -> AuditReport:
    """
    Return the results of all audit steps.

    `conn` is in autocommit; it only reads.  `now_us`: time at which days should have been sealed.
    [us UTC]  `archived`: signed heads kept by the auditor; the log must be consistent with each.
    """
    walk = Walk(conn, now_us, archived)
    every = iter(enumerate(STEPS, 1))
    # one snapshot, so that the log and the rows that it refers to are of one time
    with snapshot(conn):
        log = [_run_step(number, *step, walk) for number, step in islice(every, _LOG_STEPS)]
    steps = (*log, *(_run_step(number, *step, walk) for number, step in every))
    return AuditReport(walk.origin, len(walk.entries), steps)


def _run_step(number: int, name: str, run: Callable[[Walk], str], walk: Walk) -> Checked:
    walk.breaks, walk.notes = [], []
    try:
        detail = run(walk)
    except InputError as error:
        detail = "the step ended early"
        walk.breaks.append(str(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        detail = "the step ended early"
        walk.breaks.append(f"a field is missing or malformed ({type(error).__name__}: {error})")
    return Checked(number, name, detail, tuple(walk.breaks), tuple(walk.notes))


STEPS = (
    ("entries", entries),
    ("signed heads", heads),
    ("witnesses", witnesses),
    ("statements", statements),
    ("registry, plan and keys", states),
    ("factors", published_factors),
    ("append-only tables", append_only),
    ("sealed days", sealed_days),
    ("lateness", lateness),
)
# number of the first steps, which read only the log, in one snapshot; the later steps read one
# snapshot for every few days
_LOG_STEPS = 4

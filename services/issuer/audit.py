"""
Walk the whole log and hold the database against it, in numbered steps.

Nothing in the database is believed: not even its owner can change a row that is
under a seal without one of these steps naming it.  What was added since the last
seal is nobody's word yet; how much that is stands in the report.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from ingest.errors import InputError
from mrv import canonical
from mrv.calendar import instant_us
from mrv.log.checkpoint import verify_checkpoint
from mrv.log.cosignature import cosignatures
from mrv.log.entries import DATA, RECORDS
from mrv.log.note import NoteKey, signature_lines
from mrv.tree import leaf_hash, root_hash
from services.flow import Plan
from services.issuer import records
from services.issuer.changes import compare, sealed_leaves
from services.issuer.close import snapshot
from services.issuer.days import PROMISED_US, Job, ended, parts_of
from services.issuer.seal import noted_days, underived
from services.issuer.standing import standing
from services.store import enrolled, log, registry, seals
from services.store.factors import load_book
from services.store.row_hashes import STATES, hashes, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from mrv.keys import EnrolledKey
    from services.store.log import Entry


@dataclass(frozen=True, slots=True)
class Checked:
    """A step: what it looked at, what is wrong, and what it cannot say anything about."""

    number: int
    name: str
    detail: str
    breaks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All steps; every one is walked, whatever was wrong before it."""

    origin: str
    size: int
    steps: tuple[Checked, ...]

    @property
    def first_break(self) -> str | None:
        """The first thing that is wrong, or None."""
        return next((f"{s.name}: {s.breaks[0]}" for s in self.steps if s.breaks), None)

    def to_json(self) -> dict[str, Any]:
        """Write the report for programs."""
        return {
            "log": self.origin,
            "size": self.size,
            "ok": self.first_break is None,
            "firstBreak": self.first_break,
            "steps": [asdict(step) for step in self.steps],
        }


@dataclass
class Walk:
    """What the steps share."""

    conn: Connection[TupleRow]
    now_us: int
    held: tuple[str, ...] = ()
    entries: list[Entry] = field(default_factory=list)
    origin: str = ""
    ended: list[Job] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Step(NamedTuple):
    """A step: its name, and what it does."""

    name: str
    run: Callable[[Walk], str]


def audit(conn: Connection[TupleRow], now_us: int, held: tuple[str, ...] = ()) -> AuditReport:
    """
    Walk all steps.

    Parameters
    ----------
    conn : Connection
        In autocommit; it only reads.
    now_us : int
        By which time days should have been sealed. [us UTC]
    held : tuple of str
        Signed heads that the auditor kept from earlier: the log must still lead
        to each of them.
    """
    walk = Walk(conn, now_us, held)
    steps = tuple(_take(number, step, walk) for number, step in enumerate(STEPS, 1))
    return AuditReport(walk.origin, len(walk.entries), steps)


def _take(number: int, step: Step, walk: Walk) -> Checked:
    walk.breaks, walk.notes = [], []
    try:
        detail = step.run(walk)
    except InputError as error:
        detail = "could not be walked to its end"
        walk.breaks.append(str(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        detail = "could not be walked to its end"
        walk.breaks.append(f"a field is missing or malformed ({type(error).__name__}: {error})")
    return Checked(number, step.name, detail, tuple(walk.breaks), tuple(walk.notes))


def _entries(walk: Walk) -> str:
    """Entries are dense, and each is what its leaf says."""
    walk.entries = log.entries(walk.conn)
    for place, entry in enumerate(walk.entries):
        if entry.index != place:
            walk.breaks.append(
                f"entry {place} is missing: the next one has the place {entry.index}"
            )
            break
        if leaf_hash(entry.body) != entry.leaf:
            walk.breaks.append(f"entry {place} is not what its leaf was made of")
            continue
        body = canonical.parse_object(entry.body)
        if canonical.encode(body) != entry.body or body.get("event") != entry.kind:
            walk.breaks.append(
                f"entry {place} is stored as {entry.kind!r}, its body says otherwise"
            )
        if body.get("statement") != entry.statement:
            walk.breaks.append(f"entry {place} is stored for another statement than its body names")
    rooted = {entry.index for entry in walk.entries if entry.kind in (DATA, RECORDS, *STATES)}
    found = {int(i) for (i,) in walk.conn.execute("SELECT index FROM log_detail")}
    for index in sorted(rooted ^ found):
        what = "has lost" if index in rooted else "cannot have"
        walk.breaks.append(f"entry {index} {what} what stands under its roots (log_detail)")
    return f"{len(walk.entries)} entries"


def _heads(walk: Walk) -> str:
    """Every signed head is over exactly the entries below it, and the last over all."""
    keys = [_note_key(one.key) for one in enrolled.load(walk.conn) if one.key.role == "log"]
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
        walk.breaks.append(f"a head is over {max(sizes)} entries, there are {len(leaves)}")
    for note in walk.held:
        _head(walk, keys, leaves, note, None)
    return f"{len(rows)} signed heads, {len(walk.held)} of your own"


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
        walk.breaks.append(f"the head over {stored[0]} entries is stored beside another note")
    elif head.size > len(leaves) or root_hash(leaves[: head.size]) != head.root:
        whose = "stored" if stored else "your own"
        walk.breaks.append(
            f"the first {head.size} entries are not those of {whose} head: the log was rewritten"
        )


def _witnesses(walk: Walk) -> str:
    """Every countersignature is by an enrolled witness, of the head that it stands under."""
    known = {
        one.key.multikey: _note_key(one.key)
        for one in enrolled.load(walk.conn)
        if one.key.role == "witness"
    }
    rows = walk.conn.execute(
        "SELECT size, multikey, note, line FROM log_cosignature"
        " LEFT JOIN log_checkpoint USING (size) ORDER BY size, multikey"
    ).fetchall()
    for size, multikey, note, line in rows:
        key = known.get(multikey)
        if key is None:
            walk.breaks.append(f"head {size} is countersigned by {multikey}, which is no witness")
        elif note is None:
            walk.breaks.append(f"{key.name} countersigned head {size}, which is not there")
        elif [c.line for c in cosignatures(note + line, key)] != [line]:
            walk.breaks.append(f"the countersignature of {key.name} is not of head {size}")
    return f"{len(rows)} countersignatures"


def _statements(walk: Walk) -> str:
    """Statements, their steps and claims are those that the log names."""
    walk.breaks += standing(walk.conn, walk.entries)
    return f"{sum(entry.kind == 'issued' for entry in walk.entries)} issued statements"


def _states(walk: Walk) -> str:
    """Registry, plan, certificates and keys are as they were last entered."""
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


def _records(walk: Walk) -> str:
    """What append-only tables ever held, they still hold; nothing was slipped in behind."""
    with snapshot(walk.conn):
        sealed = records.records_of(walk.conn)
        found = tables(walk.conn)
        now = {name: hashes(walk.conn, name) for name in found.records}
        backdated = records.backdated(walk.conn, sealed, now)
    walk.breaks += records.lost(sealed, now)
    walk.breaks += backdated
    fresh = sum(len(rows) for rows in now.values()) - sum(len(rows) for rows in sealed.values())
    if fresh > len(backdated):
        walk.notes.append(f"{fresh} rows since the last seal; `tonne log seal` enters them")
    if found.unknown:
        walk.notes.append(f"no seal covers {', '.join(found.unknown)}")
    return f"{sum(map(len, sealed.values()))} rows of {len(found.records)} append-only tables"


def _days(walk: Walk) -> str:
    """What every sealed day held, it still holds."""
    conn = walk.conn
    plan = Plan.of(registry.load_fleet(conn), registry.load_projects(conn), load_book(conn))
    late = noted_days(seals.late_days(conn))
    latest = seals.latest(conn)
    walk.breaks += _seal_rows(walk)
    walk.ended = list(ended(conn, plan.fleet, walk.now_us))
    jobs = {(job.project, job.day): job for job in walk.ended}
    for key, seal_ in sorted(latest.items()):
        entry, detail = log.at(conn, seal_.entry)
        body = canonical.parse_object(entry.body)
        leaves = sealed_leaves(body, detail)
        job = jobs.get(key) or _job_of(body, {leaf.device for leaf in leaves["readings"]})
        job = job._replace(
            devices=tuple({*job.devices, *(d.device for part in leaves.values() for d in part)})
        )
        with snapshot(conn), conn.cursor() as cursor:
            found = compare(leaves, parts_of(cursor, plan.fleet, job), late)
        walk.breaks += [f"{job}: {one}" for one in found.by_hand]
        walk.breaks += [f"{job}: {one}" for one in underived(conn, plan, job, found)]
        if found.late:
            walk.notes.append(f"{job}: late readings that `tonne log seal` enters")
        elif found.derived:
            walk.notes.append(f"{job}: derived rows were made again; `tonne log seal --recheck`")
    return f"{len(latest)} days"


def _seal_rows(walk: Walk) -> Iterator[str]:
    """Where each day's seal stands is said twice: in the table, and in the log."""
    said = {}
    for entry in walk.entries:
        if entry.kind == DATA:
            body = canonical.parse_object(entry.body)
            said[entry.index] = (body["project"] or "", body["day"], body["sequence"])
    stored = {
        int(index): (project, day.isoformat(), int(sequence))
        for project, day, sequence, index in walk.conn.execute(
            "SELECT project_id, day, sequence, index FROM data_seal"
        )
    }
    for index in sorted(said.keys() | stored.keys()):
        if said.get(index) != stored.get(index):
            yield (
                f"entry {index} seals {said.get(index, 'no day')},"
                f" data_seal says {stored.get(index, 'nothing')}"
            )


def _job_of(body: dict[str, Any], devices: set[str]) -> Job:
    """A sealed day whose devices the registry binds no more."""
    begin, end = (instant_us(body[edge], "UTC") for edge in ("from", "to"))
    day, whose = date.fromisoformat(body["day"]), body["project"] or ""
    return Job(whose, day, body["timezone"], begin, end, tuple(sorted(devices)))


def _lateness(walk: Walk) -> str:
    """Every day was sealed in the time promised."""
    known = seals.latest(walk.conn)
    walk.breaks += [
        f"{job} ended more than 36 hours ago and is not sealed"
        for job in walk.ended
        if job.to_us <= walk.now_us - PROMISED_US and (job.project, job.day) not in known
    ]
    return "36 hours after a day's end"


def _factors(walk: Walk) -> str:
    """The program publishes the factors that were entered last."""
    last = log.last(walk.conn, "factors")
    if last is None:
        walk.notes.append("factors are not in the log yet; run `tonne log seal`")
        return "none"
    own, said = (canonical.parse_object(b) for b in (records.factors_entry(), last.body))
    if own != said:
        same = own["codeVersion"] == said["codeVersion"]
        text = f"the log has factors {said['sha256'][:16]} of {said['codeVersion']}, this program"
        (walk.breaks if same else walk.notes).append(f"{text} has {own['sha256'][:16]}")
    return f"{said['factors']} factors"


def _note_key(key: EnrolledKey) -> NoteKey:
    return NoteKey(key.name, key.public)


STEPS = (
    Step("entries", _entries),
    Step("signed heads", _heads),
    Step("witnesses", _witnesses),
    Step("statements", _statements),
    Step("registry, plan and keys", _states),
    Step("factors", _factors),
    Step("append-only tables", _records),
    Step("sealed days", _days),
    Step("lateness", _lateness),
)

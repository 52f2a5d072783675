"""Statements, their events and claims in the database; statements and events never change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg import Connection

from ingest.errors import RegistryError
from mrv.calendar import utc_text
from mrv.documents import read
from mrv.documents.statement import Claims, FixedExAnte, claims_of
from mrv.documents.statement import fixed_ex_ante as fixed_ex_ante_of
from mrv.registry.project import FixedBefore
from mrv.signatures import canonical
from services.store.postgres.pool import exact, jsonb

if TYPE_CHECKING:
    from mrv.accounting.period_result import PeriodResult

_US = "(extract(epoch FROM {}) * 1000000)::bigint"


def select_statements(more: str = "") -> str:
    """
    Return the SQL that selects the columns of `Stored`, and further columns of `statement s`.

    `more`: further columns as SQL, beginning with a comma.
    """
    return (
        f"SELECT s.id, s.project_id, {_US.format('lower(s.period)')},"
        f" {_US.format('upper(s.period)')}, s.sequence, s.credit_t, s.body, s.supersedes,"
        " (SELECT e.state FROM statement_event e WHERE e.statement_id = s.id"
        f" ORDER BY e.sequence DESC LIMIT 1){more} FROM statement s"
    )


_SELECT = select_statements()


@dataclass(frozen=True, slots=True)
class Stored:
    """
    Statement and its state.

    `from_us`, `to_us`: the period, end excluded. [us UTC]
    `sequence`: number of the statement among those of the period, from 1.
    `body`: canonical bytes of its document without issuer and proof.
    `supersedes`: id of the statement that it replaces; None without one.
    """

    id: str
    project: str
    from_us: int
    to_us: int
    sequence: int
    credit_t: int
    body: bytes
    supersedes: str | None
    state: str

    @property
    def claims(self) -> Claims:
        """Return the statement's claims; CanonicalError if the stored body has another form."""
        return claims_of(canonical.parse_object(self.body), self.id)


@dataclass(frozen=True, slots=True)
class Event:
    """
    Step of a statement: the state that it reached, with time and actor.

    `multikey`, `document`: key and document of a signed step; None for other steps.
    `principal`: caller of the API; None for a command.
    """

    state: str
    at: datetime
    actor: str
    multikey: str | None
    reason: str | None
    document: bytes | None
    principal: str | None = None


def find(conn: Connection, statement: str) -> Stored:
    """Return a statement by its id. Raises RegistryError if the id is unknown."""
    stored = seek(conn, statement)
    if stored is None:
        raise RegistryError(
            f"there is no statement {statement!r}; `tonne statement list` shows all"
        )
    return stored


def seek(conn: Connection, statement: str) -> Stored | None:
    """Return a statement by its id; None if there is none."""
    row = conn.execute(f"{_SELECT} WHERE s.id = %s", [statement]).fetchone()
    return None if row is None else Stored(*row)


def successor(conn: Connection, statement: str) -> str | None:
    """Return the issued statement that replaced a statement, if there is one."""
    row = conn.execute(
        "SELECT s.id FROM statement s JOIN claim c ON c.statement_id = s.id"
        " WHERE s.supersedes = %s",
        [statement],
    ).fetchone()
    return None if row is None else str(row[0])


def all_of(conn: Connection, project: str | None = None) -> list[Stored]:
    """Return the statements of a project, or all, in order of creation."""
    rows = conn.execute(
        f"{_SELECT} WHERE %(p)s::text IS NULL OR s.project_id = %(p)s"
        " ORDER BY s.created, s.project_id, s.period, s.sequence",
        {"p": project},
    )
    return [Stored(*row) for row in rows.fetchall()]


def latest(conn: Connection, project: str, from_us: int, to_us: int) -> Stored | None:
    """Return the last statement of exactly this period; None if there is none."""
    row = conn.execute(
        f"{_SELECT} WHERE s.project_id = %s AND s.period = %s ORDER BY s.sequence DESC LIMIT 1",
        (project, _range(from_us, to_us)),
    ).fetchone()
    return None if row is None else Stored(*row)


def detail(conn: Connection, statement: str) -> dict[str, Any]:
    """Return the plan, factors and leaves stored at the close of a statement's period."""
    row = conn.execute(
        "SELECT p.detail::text FROM statement s JOIN monitoring_period p ON p.id = s.period_id"
        " WHERE s.id = %s",
        [statement],
    ).fetchone()
    result: dict[str, Any] = exact(row[0]) if row else {}
    return result


def events(conn: Connection, statement: str) -> list[Event]:
    """Return the steps of a statement so far, first to last."""
    rows = conn.execute(
        "SELECT state, at, actor, multikey, reason, document, principal FROM statement_event"
        " WHERE statement_id = %s ORDER BY sequence",
        [statement],
    )
    return [Event(*row) for row in rows.fetchall()]


@contextmanager
def closing(conn: Connection, project: str) -> Iterator[None]:
    """Context in which no other process closes a period of the project; `conn` is in autocommit."""
    key = "hashtextextended('period:' || %s, 0)"
    conn.execute(f"SELECT pg_advisory_lock({key})", [project])
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute(f"SELECT pg_advisory_unlock({key})", [project])


def insert(
    conn: Connection,
    result: PeriodResult,
    local: tuple[date, date],
    document: Mapping[str, Any],
    detail: Mapping[str, Any],
) -> None:
    """
    Store a closed period and its draft statement.

    `local`: first local day, and the day after the last.
    `document`: the statement's body.
    `detail`: `plan`, `factors` and `leaves`, from which its evidence is reproduced.
    """
    claims = claims_of(document)
    body = canonical.encode(document)
    period = _range(result.from_us, result.to_us)
    row = conn.execute(
        "INSERT INTO monitoring_period (project_id, period, local_from, local_to, timezone,"
        " baseline_ug, project_ug, leakage_ug, reduction_ug, credit_t, coverage, detail)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (
            result.project, period, *local, result.timezone, result.net.baseline.ug,
            result.net.project.ug, result.net.leakage.ug, result.net.reduction.ug,
            result.credit_t, result.covered_share, jsonb(detail),
        ),
    ).fetchone()  # fmt: skip
    superseded = claims.supersedes
    conn.execute(
        "INSERT INTO statement (id, project_id, period_id, period, sequence, credit_t, body,"
        " sha256, document, supersedes) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            claims.statement, result.project, row[0] if row else None, period,
            claims.sequence, result.credit_t, body, canonical.sha256(body), jsonb(document),
            None if superseded is None else superseded.statement,
        ),
    )  # fmt: skip


def step(
    conn: Connection,
    statement: str,
    state: str,
    actor: str,
    *,
    multikey: str | None = None,
    reason: str | None = None,
    document: bytes | None = None,
    principal: str | None = None,
    at: datetime | None = None,
) -> None:
    """
    Record a step of a statement; the database rejects a step not permitted in its state.

    `state`: the state that it reaches.  `multikey`, `document`: key and document of a signed step.
    `principal`: caller of the API.  `at`: time of the step; None for now.
    """
    conn.execute(
        "INSERT INTO statement_event"
        " (statement_id, state, actor, multikey, reason, document, principal, at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, coalesce(%s, now()))",
        (statement, state, actor, multikey, reason, document, principal, at),
    )


def unclaim(conn: Connection, statement: str) -> None:
    """End the claim of a revoked statement to its period."""
    conn.execute("DELETE FROM claim WHERE statement_id = %s", [statement])


def claim(conn: Connection, stored: Stored) -> None:
    """
    Claim a statement's period, ending the claim of the statement it supersedes.

    Raises psycopg.errors.ExclusionViolation if another issued statement of the project overlaps it.
    """
    if stored.supersedes is not None:
        conn.execute("DELETE FROM claim WHERE statement_id = %s", [stored.supersedes])
    conn.execute(
        "INSERT INTO claim (statement_id, project_id, period) VALUES (%s, %s, %s)",
        (stored.id, stored.project, _range(stored.from_us, stored.to_us)),
    )


def claims_within(conn: Connection, project: str, from_us: int, to_us: int) -> list[str]:
    """Return the issued statements of a project whose periods overlap a span."""
    rows = conn.execute(
        "SELECT statement_id FROM claim WHERE project_id = %s AND period && %s ORDER BY period",
        (project, _range(from_us, to_us)),
    )
    return [name for (name,) in rows.fetchall()]


def closed_within(
    conn: Connection, project: str, from_us: int, to_us: int
) -> list[tuple[int, int]]:
    """
    Return the periods of a project's statements, including drafts, that overlap a span. [us
    UTC]
    """
    lower, upper = _US.format("lower(period)"), _US.format("upper(period)")
    rows = conn.execute(
        f"SELECT {lower}, {upper} FROM statement WHERE project_id = %s AND period && %s::tstzrange"
        " ORDER BY period",
        [project, _range(from_us, to_us)],
    )
    return rows.fetchall()


def claimed_before(conn: Connection, project: str, from_us: int) -> Stored | None:
    """Return a project's last issued statement that ends at or before a time; None without one."""
    row = conn.execute(
        f"{_SELECT} JOIN claim c ON c.statement_id = s.id WHERE c.project_id = %s"
        " AND upper(c.period) <= %s ORDER BY upper(c.period) DESC LIMIT 1",
        (project, utc_text(from_us)),
    ).fetchone()
    return None if row is None else Stored(*row)


def fixed_ex_ante(conn: Connection, project: str) -> list[FixedBefore]:
    """
    Return each ex-ante value in a project's issued statements, with the first statement that has
    it.  Later statements are included, as a period can be closed after them.
    """
    rows = conn.execute(
        "SELECT s.id, coalesce(p->'fixedParameters', '[]')::text, (p->'applicability')::text"
        " FROM claim c JOIN statement s ON s.id = c.statement_id CROSS JOIN LATERAL"
        " (SELECT s.document->'credentialSubject' AS p) said"
        " WHERE c.project_id = %s ORDER BY lower(c.period)",
        (project,),
    ).fetchall()
    first: dict[tuple[str | None, str, str], str] = {}
    for name, fixed, result in rows:
        part = {"fixedParameters": exact(fixed), "applicability": exact(result)}
        for key in sorted(fixed_ex_ante_of(read(FixedExAnte, part, name)), key=_by_device):
            first.setdefault(key, name)
    return [FixedBefore(*key, name) for key, name in first.items()]


def _by_device(key: tuple[str | None, str, str]) -> tuple[str, ...]:
    return tuple(part or "" for part in key)


def claimed_within(conn: Connection, project: str, from_us: int, to_us: int) -> list[Stored]:
    """Return a project's issued statements with periods within a span, in order of time."""
    rows = conn.execute(
        f"{_SELECT} JOIN claim c ON c.statement_id = s.id WHERE c.project_id = %s"
        " AND c.period <@ %s::tstzrange ORDER BY lower(c.period)",
        (project, _range(from_us, to_us)),
    ).fetchall()
    return [Stored(*row) for row in rows]


_OF_DEVICES = (
    "EXISTS (SELECT FROM jsonb_array_elements("
    "s.document->'credentialSubject'->'monitoredParameters') p WHERE p->>'device' = ANY(%s))"
)


def claimed_of_devices(
    conn: Connection, project: str, devices: Sequence[str], from_us: int, to_us: int
) -> list[Stored]:
    """Return issued statements of other projects that overlap a span and share a device."""
    rows = conn.execute(
        f"{_SELECT} JOIN claim c ON c.statement_id = s.id WHERE c.project_id <> %s"
        f" AND c.period && %s::tstzrange AND {_OF_DEVICES} ORDER BY s.id",
        (project, _range(from_us, to_us), list(devices)),
    ).fetchall()
    return [Stored(*row) for row in rows]


class Revoked(NamedTuple):
    """Revoked statement: project, reason, and credited tonnes. [t]"""

    statement: str
    project: str
    reason: str
    credit_t: int


def revoked_of_devices(
    conn: Connection, devices: Sequence[str], from_us: int, to_us: int
) -> list[Revoked]:
    """Return revoked statements of all projects that overlap a span and have one of the devices."""
    rows = conn.execute(
        "SELECT s.id, s.project_id, coalesce(e.reason, ''), s.credit_t FROM statement s"
        " JOIN statement_event e ON e.statement_id = s.id AND e.state = 'revoked'"
        f" WHERE s.period && %s::tstzrange AND {_OF_DEVICES} ORDER BY s.id",
        (_range(from_us, to_us), list(devices)),
    ).fetchall()
    return [Revoked(*row) for row in rows]


class IssuedCertificate(NamedTuple):
    """Calibration certificate in issued statements, with the first statement that contains it."""

    device: str
    certificate: str
    performed: str
    valid_until: str
    statement: str


def certificates_of_devices(conn: Connection, devices: Sequence[str]) -> list[IssuedCertificate]:
    """Return the certificates of devices in issued statements of any project."""
    rows = conn.execute(
        "SELECT p->>'device', q->>'certificate', q->>'performed', q->>'validUntil',"
        " (array_agg(s.id ORDER BY lower(c.period), s.id))[1]"
        " FROM claim c JOIN statement s ON s.id = c.statement_id CROSS JOIN LATERAL"
        " jsonb_array_elements(s.document->'credentialSubject'->'monitoredParameters') p"
        " CROSS JOIN LATERAL jsonb_array_elements(p->'calibrations') q"
        f" WHERE {_OF_DEVICES} AND p->>'device' = ANY(%s)"
        " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, min(lower(c.period)), 3, 4",
        (list(devices), list(devices)),
    ).fetchall()
    return [IssuedCertificate(*row) for row in rows]


class IssuedPoint(NamedTuple):
    """Monitoring point and loads of a device in an issued statement, valid since a local day."""

    device: str
    point: str
    feeds: tuple[str, ...]
    statement: str
    since: date


def points_of_devices(
    conn: Connection, devices: Sequence[str], to_us: int
) -> dict[str, IssuedPoint]:
    """
    Return the monitoring points of devices in their last issued statements that end by a
    time.
    """
    rows = conn.execute(
        "SELECT DISTINCT ON (p->>'device') p->>'device', p->'meter'->>'point',"
        " coalesce(p->'meter'->'feeds', '[]'), s.id,"
        " left(s.document->'credentialSubject'->'monitoringPeriod'->>'localFrom', 10)"
        " FROM claim c JOIN statement s ON s.id = c.statement_id CROSS JOIN LATERAL"
        " jsonb_array_elements(s.document->'credentialSubject'->'monitoredParameters') p"
        f" WHERE {_OF_DEVICES} AND p->>'device' = ANY(%s) AND p->'meter' ? 'point'"
        " AND upper(c.period) <= %s ORDER BY 1, upper(c.period) DESC",
        (list(devices), list(devices), utc_text(to_us)),
    )
    return {
        device: IssuedPoint(device, point, tuple(feeds), name, date.fromisoformat(since))
        for device, point, feeds, name, since in rows
    }


class IssuedDesign(NamedTuple):
    """Registered design according to a statement: version, date, SHA-256 of the document."""

    version: str
    issued: str
    sha256: str
    statement: str


def designs_of_project(conn: Connection, project: str) -> list[IssuedDesign]:
    """Return the designs of a project's issued statements, the last statement first."""
    rows = conn.execute(
        "SELECT d->>'version', d->>'issued', d->>'sha256', s.id FROM claim c"
        " JOIN statement s ON s.id = c.statement_id"
        " CROSS JOIN LATERAL (SELECT s.document #> '{credentialSubject,declared,design}' AS d) x"
        " WHERE c.project_id = %s AND d->>'version' IS NOT NULL"
        " ORDER BY upper(c.period) DESC, s.id",
        (project,),
    )
    return [IssuedDesign(*row) for row in rows]


class IssuedInterval(NamedTuple):
    """A device's own calibration interval in an issued statement, valid since a local day."""

    months: int
    statement: str
    since: date


def intervals_of_devices(
    conn: Connection, devices: Sequence[str], from_us: int
) -> dict[str, IssuedInterval]:
    """
    Return devices' own calibration intervals in the last issued statements that end by a
    time.
    """
    rows = conn.execute(
        "SELECT DISTINCT ON (p->>'device') p->>'device',"
        " (p->'meter'->'calibrationEvery'->>'months')::int, s.id,"
        " left(s.document->'credentialSubject'->'monitoringPeriod'->>'localFrom', 10)"
        " FROM claim c JOIN statement s ON s.id = c.statement_id CROSS JOIN LATERAL"
        " jsonb_array_elements(s.document->'credentialSubject'->'monitoredParameters') p"
        f" WHERE {_OF_DEVICES} AND p->>'device' = ANY(%s)"
        " AND p->'meter'->'calibrationEvery'->'source' = 'null'"
        " AND upper(c.period) <= %s ORDER BY 1, upper(c.period) DESC",
        (list(devices), list(devices), utc_text(from_us)),
    )
    return {
        device: IssuedInterval(months, name, date.fromisoformat(since))
        for device, months, name, since in rows
    }


def last_of_devices(
    conn: Connection, project: str, devices: Sequence[str], from_us: int
) -> Stored | None:
    """Return the last issued statement before a time of another project with one of the devices."""
    row = conn.execute(
        f"{_SELECT} JOIN claim c ON c.statement_id = s.id WHERE c.project_id <> %s"
        f" AND upper(c.period) <= %s AND {_OF_DEVICES} ORDER BY upper(c.period) DESC LIMIT 1",
        (project, utc_text(from_us), list(devices)),
    ).fetchone()
    return None if row is None else Stored(*row)


def claimed_exactly(conn: Connection, project: str, from_us: int, to_us: int) -> Stored | None:
    """Return the issued statement of exactly this period of a project; None if there is none."""
    row = conn.execute(
        f"{_SELECT} JOIN claim c ON c.statement_id = s.id"
        " WHERE c.project_id = %s AND c.period = %s",
        (project, _range(from_us, to_us)),
    ).fetchone()
    return None if row is None else Stored(*row)


def _range(from_us: int, to_us: int) -> str:
    return f"[{utc_text(from_us)},{utc_text(to_us)})"

"""
Accounts of time spans by local day, and negative balances carried over.

A period usually carries over the negative balance of the previous period.  If periods are issued
out of order or corrected later, the next closed period takes over the remaining balance.

The balance follows the meters: a project that counts a meter of another project's statement takes
over that statement's whole balance; otherwise registration under a new name would cancel it.
Meters are identified by maker and serial number, sites by coordinates, instead of the owner's ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from psycopg import Connection

from mrv.calendar import utc_text
from services.store.postgres.pool import stamp
from services.store.registry import AT_PLACE

if TYPE_CHECKING:
    from mrv.accounting.emission_rows import AccountDay


_US = "(extract(epoch FROM {}) * 1000000)::bigint"


class Span(NamedTuple):
    """Time span of a project without a statement, and the key of its account's inputs. [us UTC]"""

    from_us: int
    to_us: int
    key: str


def write(
    conn: Connection,
    project: str,
    span: Span,
    timezone: str,
    days: Sequence[AccountDay],
    *,
    statement: str | None = None,
    before_evidence_ug: int | None = None,
    problem: str | None = None,
) -> None:
    """Store the account of a span by local day, unless one of the same statement is stored."""
    row = conn.execute(
        "INSERT INTO account_span (project_id, statement_id, during, timezone, key,"
        " before_evidence_ug, problem)"
        " VALUES (%s, %s, tstzrange(%s::timestamptz, %s::timestamptz), %s, %s, %s, %s)"
        " ON CONFLICT (statement_id) DO NOTHING RETURNING id",
        (project, statement, stamp(span.from_us), stamp(span.to_us), timezone, span.key,
         before_evidence_ug, problem),
    ).fetchone()  # fmt: skip
    if row is None:
        return
    conn.cursor().executemany(
        "INSERT INTO account_span_day VALUES (%s, %s, %s, %s::timestamptz, %s::timestamptz,"
        " %s, %s, %s, %s)",
        [
            (row[0], project, day.day, stamp(day.begin_us), stamp(day.end_us), *day.sums)
            for day in days
        ],
    )


def forget(conn: Connection, project: str, spans: Sequence[Span]) -> None:
    """Delete preliminary accounts."""
    for span in spans:
        conn.execute(
            "DELETE FROM account_span WHERE project_id = %s AND statement_id IS NULL AND key = %s"
            " AND during = tstzrange(%s::timestamptz, %s::timestamptz)",
            (project, span.key, stamp(span.from_us), stamp(span.to_us)),
        )


def open_spans(conn: Connection, project: str) -> list[Span]:
    """Return the stored preliminary accounts of a project."""
    rows = conn.execute(
        f"SELECT {_US.format('lower(during)')}, {_US.format('upper(during)')}, key"
        " FROM account_span WHERE project_id = %s AND statement_id IS NULL ORDER BY during",
        [project],
    )
    return [Span(*row) for row in rows.fetchall()]


def closed(conn: Connection, project: str) -> list[tuple[int, int]]:
    """Return the time spans of a project's statements, in order. [us UTC]"""
    rows = conn.execute(
        f"SELECT {_US.format('lower(during)')}, {_US.format('upper(during)')}"
        " FROM v_account_statement WHERE project_id = %s ORDER BY during",
        [project],
    )
    return rows.fetchall()


def without_days(conn: Connection, maximum: int) -> list[str]:
    """Return statements without stored daily figures: those of older releases."""
    rows = conn.execute(
        "SELECT s.statement_id FROM v_account_statement s WHERE NOT EXISTS"
        " (SELECT FROM account_span a WHERE a.statement_id = s.statement_id) ORDER BY 1 LIMIT %s",
        [maximum],
    )
    return [name for (name,) in rows.fetchall()]


def metered_days(conn: Connection, project: str, end: date) -> dict[date, tuple[int, int, int]]:
    """
    Return the local days before `end` with data of a project's meters.
    Each has the number of daily sums, and the totals of their values [base units] and measured
    times [us], to detect changes.
    """
    rows = conn.execute(
        "SELECT q.day, count(*), sum(q.value)::numeric, sum(q.measured_us)::numeric"
        " FROM v_day_quantity q WHERE q.device_id IN"
        "   (SELECT m.device_id FROM project_device m WHERE m.project_id = %s)"
        " AND q.day < %s GROUP BY q.day ORDER BY q.day",
        (project, end),
    )
    return {day: (int(n), int(value), int(us)) for day, n, value, us in rows.fetchall()}


def metered_edges(conn: Connection, project: str, from_us: int, to_us: int) -> tuple[int, int]:
    """Return the first and last time with data of a project's meters in a span. [us UTC]"""
    row = conn.execute(
        f"SELECT {_US.format('min(first)')}, {_US.format('max(last)')} + 900000000"
        " FROM (SELECT DISTINCT m.device_id FROM project_device m WHERE m.project_id = %(p)s) m"
        " CROSS JOIN LATERAL (SELECT min(i.start) AS first, max(i.start) AS last"
        "   FROM interval_quantity i WHERE i.device_id = m.device_id"
        "   AND i.start >= %(a)s::timestamptz AND i.start < %(b)s::timestamptz"
        "   AND i.measured_us > 0) told",
        {"p": project, "a": stamp(from_us), "b": stamp(to_us)},
    ).fetchone()
    first, last = row or (None, None)
    return (from_us, to_us) if first is None else (int(first), int(last))


def reported_until(conn: Connection, devices: Sequence[str], from_us: int) -> int | None:
    """Return until when all devices with data since a time have data; None if none has. [us UTC]"""
    row = conn.execute(
        f"SELECT {_US.format('min(last)')} + 900000000 FROM unnest(%(ids)s::text[]) d (id)"
        " CROSS JOIN LATERAL (SELECT max(i.start) AS last FROM interval_quantity i"
        "   WHERE i.device_id = d.id AND i.start >= %(a)s::timestamptz AND i.measured_us > 0) told",
        {"ids": list(devices), "a": stamp(from_us)},
    ).fetchone()
    return None if row is None else row[0]


def inputs_key(conn: Connection, project: str) -> str:
    """
    Return a text that changes with the inputs of a project's account other than registry and
    readings.
    """
    row = conn.execute(
        "SELECT (SELECT count(*) FROM invoice WHERE project_id = %(p)s),"
        " (SELECT count(*) FROM claim WHERE project_id = %(p)s),"
        " (SELECT count(*) FROM energy_certificate)",
        {"p": project},
    ).fetchone()
    return " ".join(map(str, row or ()))


# project and period of a claim
_Place = tuple[str, str]
# separator of statement ids, if several have a balance
_SEPARATOR = ", "
_CLAIMS = """
SELECT c.statement_id, c.project_id, c.period::text, upper(c.period) <= %(from)s::timestamptz,
       c.project_id = %(project)s AND c.period = tstzrange(%(from)s, %(to)s, '[)'),
       m.taken, m.left, m.said,
       ARRAY(SELECT p->>'device' FROM jsonb_array_elements(
           s.document->'credentialSubject'->'monitoredParameters') p)
FROM claim c JOIN statement s ON s.id = c.statement_id CROSS JOIN LATERAL (
    SELECT coalesce(s.document #>> '{credentialSubject,carried,in_ug}', '0') AS taken,
           coalesce(s.document #>> '{credentialSubject,carried,out_ug}', '0') AS left,
           coalesce(s.document #>> '{credentialSubject,carried,from}', '') AS said) m
WHERE c.project_id = %(project)s OR m.said <> '' OR m.left <> '0'
ORDER BY lower(c.period), c.project_id
"""


class Owed(NamedTuple):
    """
    Sum of negative balances (0 or below) [ug CO2e].

    `statements`: ids of their statements, joined by `_SEPARATOR`; None without any.
    """

    ug: int
    statements: str | None


class _Claim(NamedTuple):
    """Balance of a statement; its period precedes (`before`) or equals (`own`) the given one."""

    statement: str
    project: str
    period: str
    before: bool
    own: bool
    taken_ug: str
    left_ug: str
    taken_from: str
    devices: list[str]

    @property
    def place(self) -> _Place:
        return self.project, self.period

    @property
    def names(self) -> list[str]:
        return self.taken_from.split(_SEPARATOR) if self.taken_from else []


def owed(conn: Connection, project: str, devices: Iterable[str], from_us: int, to_us: int) -> Owed:
    """
    Return the negative balances of earlier issued periods of the project and its meters.

    Amounts that another issued period took over are excluded; amounts that an earlier issue of this
    period took over are included.

    `devices`: the project's devices in the period.
    `from_us`, `to_us`: the period, end excluded. [us UTC]
    """
    claims, places, reached = _history(conn, project, from_us, to_us)
    wanted = _owners_of(conn, project, devices)
    mine = [claim for claim in claims if claim.before and reached[claim.place] & wanted]
    owing = list(_remaining_balances(claims, places, mine))
    return Owed(sum(ug for _, ug in owing), _SEPARATOR.join(name for name, _ in owing) or None)


def owed_at_site(
    conn: Connection, project: str, devices: Iterable[str], from_us: int, to_us: int
) -> list[tuple[str, int]]:
    """
    Return negative balances of other projects at the same sites before a period. [ug CO2e]

    These are projects with other meters and with a statement before this project's first one.
    Returns: ids of statements, each with the balance that no project has taken over.
    """
    names = list(devices)
    claims, places, reached = _history(conn, project, from_us, to_us)
    own = next((i for i, claim in enumerate(claims) if claim.project == project), len(claims))
    wanted = _owners_of(conn, project, names)
    others = [claim for claim in claims[:own] if claim.before and not reached[claim.place] & wanted]
    result = list(_remaining_balances(claims, places, others))
    if not result:
        return []
    rows = conn.execute(
        "SELECT DISTINCT s.id FROM statement s CROSS JOIN LATERAL"
        " jsonb_array_elements(s.document->'credentialSubject'->'monitoredParameters') p"
        f" JOIN device d ON d.id = p->>'device' WHERE s.id = ANY(%(found)s)"
        f" AND d.site IN ({AT_PLACE})",
        {"found": [name for name, _ in result], "ids": names},
    )
    here = {name for (name,) in rows}
    return [(name, ug) for name, ug in result if name in here]


def _owners_of(conn: Connection, project: str, devices: Iterable[str]) -> set[str]:
    return {project, *(_DEVICE + name for name in same_meter_ids(conn, devices))}


def _history(
    conn: Connection, project: str, from_us: int, to_us: int
) -> tuple[list[_Claim], dict[str, _Place], dict[_Place, set[str]]]:
    """
    Return balances in order of time, the periods of their statements, and the owners of each
    period.
    """
    parameters = {"project": project, "from": utc_text(from_us), "to": utc_text(to_us)}
    claims = [_Claim(*row) for row in conn.execute(_CLAIMS, parameters).fetchall()]
    places = _places(conn, [name for claim in claims for name in claim.names])
    return claims, places, _owners(claims, places)


def _remaining_balances(
    claims: Iterable[_Claim], places: dict[str, _Place], subset: Sequence[_Claim]
) -> Iterator[tuple[str, int]]:
    """Yield the remaining negative balances of statements, after take-overs. [ug CO2e]"""
    remaining = {claim.place: int(claim.left_ug) for claim in subset}
    for claim in claims:
        rest = 0 if claim.own else int(claim.taken_ug)
        for place in (places.get(name) for name in claim.names):
            if place in remaining:
                part = max(rest, remaining[place])
                rest -= part
                remaining[place] -= part
    yield from (
        (claim.statement, remaining[claim.place]) for claim in subset if remaining[claim.place] < 0
    )


# prefix of devices among owners; no project id contains a space
_DEVICE = "device "


def _owners(claims: Iterable[_Claim], places: dict[str, _Place]) -> dict[_Place, set[str]]:
    """
    Return the owners of each period's balance: project, devices, and the owners of balances that it
    took over.  `claims` are in order of time, as only later periods take over.
    """
    result: dict[_Place, set[str]] = {}
    for claim in claims:
        mine = {claim.project, *(_DEVICE + name for name in claim.devices)}
        for name in claim.names:
            mine |= result.get(places.get(name, ("", "")), set())
        result[claim.place] = mine
    return result


def same_meter_ids(conn: Connection, devices: Iterable[str]) -> list[str]:
    """
    Return devices, and all others that are the same meter by maker and serial number.
    Case, blanks and full-width forms are ignored, as in `services.registry.meters`.
    """
    rows = conn.execute(
        "WITH meter AS (SELECT id, lower(regexp_replace(normalize(serial, NFKC), '\\s', '', 'g'))"
        " AS serial, lower(regexp_replace(normalize(maker, NFKC), '\\s', '', 'g')) AS maker"
        " FROM device) SELECT DISTINCT o.id FROM meter d JOIN meter o ON o.id = d.id"
        " OR (o.serial = d.serial AND (o.maker = d.maker OR o.maker IS NULL OR d.maker IS NULL))"
        " WHERE d.id = ANY(%s) ORDER BY 1",
        [list(devices)],
    )
    return [name for (name,) in rows]


def _places(conn: Connection, names: list[str]) -> dict[str, _Place]:
    """Return project and period of each statement."""
    rows = conn.execute(
        "SELECT id, project_id, period::text FROM statement WHERE id = ANY(%s)", [names]
    )
    return {name: (project, period) for name, project, period in rows}


def unclaimed(conn: Connection, projects: Sequence[str], until_us: int) -> list[tuple[int, int]]:
    """Return spans since projects' first issue that no issued statement covers. [us UTC]"""
    rows = conn.execute(
        "SELECT (extract(epoch FROM lower(r)) * 1000000)::bigint,"
        " (extract(epoch FROM upper(r)) * 1000000)::bigint FROM ("
        "SELECT unnest(tstzmultirange(tstzrange(began, %(until)s)) - coalesce("
        "(SELECT range_agg(period::tstzrange) FROM claim WHERE project_id = ANY(%(projects)s)),"
        " '{}'::tstzmultirange)) AS r FROM (SELECT min(lower(s.period)) AS began FROM statement s"
        " JOIN statement_event e ON e.statement_id = s.id AND e.state = 'issued'"
        " WHERE s.project_id = ANY(%(projects)s) AND lower(s.period) < %(until)s::timestamptz) f"
        " WHERE began IS NOT NULL) spans ORDER BY 1",
        {"projects": list(projects), "until": utc_text(until_us)},
    )
    return [(int(begin), int(end)) for begin, end in rows.fetchall()]

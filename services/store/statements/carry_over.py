"""
Negative balances of issued periods that no later one has taken yet, and the time between.

Mostly it is the balance of the period before.  But a period may be issued after a later
one, or corrected after the next one took what it left: what is owed then is taken by
whoever closes next, whatever the order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mrv.calendar import utc_text

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

# between names of statements, where several left something
_AND = ", "
_CLAIMS = """
SELECT c.statement_id, c.period::text, upper(c.period) <= %(from)s::timestamptz,
       c.period = tstzrange(%(from)s, %(to)s, '[)'),
       coalesce(s.document #>> '{credentialSubject,carried,in_ug}', '0'),
       coalesce(s.document #>> '{credentialSubject,carried,out_ug}', '0'),
       coalesce(s.document #>> '{credentialSubject,carried,from}', '')
FROM claim c JOIN statement s ON s.id = c.statement_id
WHERE c.project_id = %(project)s ORDER BY lower(c.period)
"""


class Owed(NamedTuple):
    """Micrograms below zero, 0 or negative, and the statements that left them."""

    ug: int
    statements: str | None


def owed(conn: Connection[TupleRow], project: str, from_us: int, to_us: int) -> Owed:
    """
    Return what a project's issued periods before one left for it.

    What another issued period took already is taken off; what the period itself took,
    where it is issued and closed again, is not.
    """
    given = {"project": project, "from": utc_text(from_us), "to": utc_text(to_us)}
    claims = conn.execute(_CLAIMS, given).fetchall()
    left = {period: int(out) for _, period, before, _, _, out, _ in claims if before}
    names = {period: name for name, period, *_ in claims}
    taken = [
        (int(into), said.split(_AND)) for _, _, _, own, into, _, said in claims if said and not own
    ]
    periods = _periods(conn, [name for _, some in taken for name in some])
    for into, some in taken:
        rest = into
        for period in (periods.get(name, "") for name in some):
            part = max(rest, left.get(period, 0))
            rest -= part
            if period in left:
                left[period] -= part
    owing = [period for period, ug in left.items() if ug < 0]
    return Owed(sum(left[p] for p in owing), _AND.join(names[p] for p in owing) or None)


def _periods(conn: Connection[TupleRow], names: list[str]) -> dict[str, str]:
    """Periods of statements; one that was superseded left what its successor leaves."""
    rows = conn.execute("SELECT id, period::text FROM statement WHERE id = ANY(%s)", [names])
    return dict(rows.fetchall())


def unclaimed(conn: Connection[TupleRow], project: str, until_us: int) -> list[tuple[int, int]]:
    """Spans since a project first issued anything that no issued statement covers. [us UTC]"""
    rows = conn.execute(
        "SELECT (extract(epoch FROM lower(r)) * 1000000)::bigint,"
        " (extract(epoch FROM upper(r)) * 1000000)::bigint FROM ("
        "SELECT unnest(tstzmultirange(tstzrange(began, %(until)s)) - coalesce("
        "(SELECT range_agg(period::tstzrange) FROM claim WHERE project_id = %(project)s),"
        " '{}'::tstzmultirange)) AS r FROM (SELECT min(lower(s.period)) AS began FROM statement s"
        " JOIN statement_event e ON e.statement_id = s.id AND e.state = 'issued'"
        " WHERE s.project_id = %(project)s AND lower(s.period) < %(until)s::timestamptz) f"
        " WHERE began IS NOT NULL) spans ORDER BY 1",
        {"project": project, "until": utc_text(until_us)},
    )
    return [(int(begin), int(end)) for begin, end in rows.fetchall()]

"""
Negative balances of issued periods that no later period has taken over.

Usually it is the balance of the previous period.  If periods are issued out of order or corrected
later, the next period closed takes over what remains.

The balance stays with the meters: a project that counts a meter of another project's statement
takes over that statement's whole balance, since otherwise a new name would cancel it.  Meters are
identified by maker and serial number, sites by coordinates, not by the owner's ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from psycopg import Connection

from mrv.calendar import utc_text
from services.store.registry.known import AT_PLACE

# project and period of a claim
_Place = tuple[str, str]
# between names of statements, where several left something
_AND = ", "
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
    """Sum of negative reductions, 0 or below [ug CO2e], and their statements."""

    ug: int
    statements: str | None


class _Claim(NamedTuple):
    """Balance of an issued statement; whether its period precedes the given one, or equals it."""

    statement: str
    project: str
    period: str
    before: bool
    own: bool
    taken_ug: str
    left_ug: str
    said: str
    devices: list[str]

    @property
    def place(self) -> _Place:
        return self.project, self.period

    @property
    def names(self) -> list[str]:
        return self.said.split(_AND) if self.said else []


def owed(conn: Connection, project: str, devices: Iterable[str], from_us: int, to_us: int) -> Owed:
    """
    Return the negative reductions of earlier issued periods, of the project and its meters.

    Amounts taken over by another issued period are excluded; those that an earlier issue of this
    period took over are included.

    Parameters
    ----------
    devices : iterable of str
        The project's devices in the period.
    from_us, to_us : int
        The period, end excluded. [us UTC]
    """
    claims, places, reached = _history(conn, project, from_us, to_us)
    wanted = _wanted(conn, project, devices)
    mine = [claim for claim in claims if claim.before and reached[claim.place] & wanted]
    owing = list(_owing(claims, places, mine))
    return Owed(sum(ug for _, ug in owing), _AND.join(name for name, _ in owing) or None)


def owed_at_site(
    conn: Connection, project: str, devices: Iterable[str], from_us: int, to_us: int
) -> list[tuple[str, int]]:
    """
    Return negative reductions of other projects at the same sites before a period.

    Only projects with other meters, issued before this project's first issue; later ones are
    neighbours.

    Returns
    -------
    list of (str, int)
        Statements, and their amounts that no project has taken over. [ug CO2e]
    """
    names = list(devices)
    claims, places, reached = _history(conn, project, from_us, to_us)
    own = next((i for i, claim in enumerate(claims) if claim.project == project), len(claims))
    wanted = _wanted(conn, project, names)
    beside = [claim for claim in claims[:own] if claim.before and not reached[claim.place] & wanted]
    result = list(_owing(claims, places, beside))
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


def _wanted(conn: Connection, project: str, devices: Iterable[str]) -> set[str]:
    return {project, *(_OF_DEVICE + name for name in one_meter(conn, devices))}


def _history(
    conn: Connection, project: str, from_us: int, to_us: int
) -> tuple[list[_Claim], dict[str, _Place], dict[_Place, set[str]]]:
    """Return balances in order of time, the periods of their statements, and the owners of each."""
    parameters = {"project": project, "from": utc_text(from_us), "to": utc_text(to_us)}
    claims = [_Claim(*row) for row in conn.execute(_CLAIMS, parameters).fetchall()]
    places = _places(conn, [name for claim in claims for name in claim.names])
    return claims, places, _reached(claims, places)


def _owing(
    claims: Iterable[_Claim], places: dict[str, _Place], subset: Sequence[_Claim]
) -> Iterator[tuple[str, int]]:
    """Yield negative balances that no other statement took over. [ug CO2e]"""
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


# an id of a project has no space
_OF_DEVICE = "device "


def _reached(claims: Iterable[_Claim], places: dict[str, _Place]) -> dict[_Place, set[str]]:
    """
    Return the owners of each balance: project, devices, and those that it took over.

    Balances are in order of time, and can be taken over by later periods only.
    """
    result: dict[_Place, set[str]] = {}
    for claim in claims:
        mine = {claim.project, *(_OF_DEVICE + name for name in claim.devices)}
        for name in claim.names:
            mine |= result.get(places.get(name, ("", "")), set())
        result[claim.place] = mine
    return result


def one_meter(conn: Connection, devices: Iterable[str]) -> list[str]:
    """
    Return devices and those that are the same meter by maker and serial number.

    Case, width and blanks are ignored, as in `services.registry.meters`.
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
    """Return the period of each statement; a superseded one has its successor's balance."""
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

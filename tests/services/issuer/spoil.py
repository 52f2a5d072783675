"""Changes that an owner can make to any table, from its columns: update, delete, add, reorder."""

from contextlib import suppress

import psycopg

from services.store.postgres.row_hashes import WRITTEN

# A value that is not the one there, by type.
OTHER = {
    "text": "{0} || 'x'", "bigint": "coalesce({0}, 0) + 1", "integer": "coalesce({0}, 0) + 1",
    "numeric": "coalesce({0}, 0) + 1", "double precision": "coalesce({0}, 0) + 1",
    "boolean": "NOT {0}", "date": "{0} + 1", "jsonb": """'{{"x": "y"}}'::jsonb""",
    "timestamp with time zone": "{0} + interval '1 second'",
    "bytea": "sha256({0})", "uuid": "gen_random_uuid()", "USER-DEFINED": "{0} || 'x'",
}  # fmt: skip
# Within the sealed day of the fixture, away from its edges.
WITHIN = "time >= '2026-03-02T03:00Z' AND time < '2026-03-02T21:00Z'"


def columns(conn, table):
    """Return names and types of a table's columns, and those of its key."""
    found = conn.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = %s AND is_generated = 'NEVER'"
        " ORDER BY ordinal_position",
        [table],
    ).fetchall()
    key = conn.execute(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a"
        " ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
        " WHERE i.indrelid = %s::regclass AND i.indisprimary",
        [table],
    ).fetchall()
    return dict(found), {name for (name,) in key}


def spoil(conn, table, what):
    """Make one change to a table; return whether its rows permit it."""
    types, key = columns(conn, table)
    rest = [name for name in types if name not in key and name != WRITTEN.get(table)]
    rest += [name for name in types if name not in key and name not in rest]
    where = f"WHERE {WITHIN}" if "time" in key else ""
    for statement in _statements(table, what, types, key, rest, where):
        with suppress(psycopg.errors.IntegrityError, psycopg.errors.DataError):
            with conn.transaction():
                done = conn.execute(statement).rowcount
            if done > 0:
                return True
    return False


def _statements(table, what, types, key, rest, where):
    order = ", ".join(f'"{name}"' for name in sorted(key)) or "ctid"
    # a row of a hypertable is named by its chunk too
    first = (
        f"WHERE (tableoid, ctid) = (SELECT tableoid, ctid FROM {table} {where}"
        f" ORDER BY {order} LIMIT 1)"
    )
    if what == "delete":
        yield f"DELETE FROM {table} {first}"
    if what == "change":
        for name in rest:
            if types[name] in OTHER:
                other = OTHER[types[name]].format(f'"{name}"')
                yield f'UPDATE {table} SET "{name}" = {other} {first}'
    if what == "reorder":
        for name in rest:
            yield (
                f'WITH two AS (SELECT tableoid, ctid, "{name}" AS own, row_number() OVER'
                f" (ORDER BY {order}) AS n FROM {table} {where}), pair AS (SELECT a.tableoid,"
                " a.ctid AS one, b.ctid AS other, a.own AS first, b.own AS second, b.tableoid AS o"
                " FROM two a JOIN two b ON a.n = 1 AND b.own IS DISTINCT FROM a.own LIMIT 1)"
                f' UPDATE {table} t SET "{name}" = CASE WHEN t.ctid = p.one THEN p.second'
                " ELSE p.first END FROM pair p WHERE (t.tableoid, t.ctid) IN"
                " ((p.tableoid, p.one), (p.o, p.other))"
            )
    if what == "add":
        # another key alone, and with one more column where that one must be new too
        # a row of a device that nobody registered is not evidence: another time first
        keys = sorted(key, key=lambda name: (name != "time", name))
        for changed in [{k} for k in keys] + [{k, name} for k in keys for name in rest]:
            picked = ", ".join(_added(table, name, types, name in changed) for name in types)
            names = ", ".join(f'"{name}"' for name in types)
            yield (
                f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE"
                f" SELECT {picked} FROM {table} {where} ORDER BY {order} DESC LIMIT 1"
            )


def _added(table, name, types, changed):
    if name == WRITTEN.get(table):
        # as old as what was sealed long ago: a row of now is nobody's word yet
        return f"\"{name}\" - interval '2 days'"
    other = OTHER.get(types[name]) if changed else None
    return f'"{name}"' if other is None else other.format(f'"{name}"')

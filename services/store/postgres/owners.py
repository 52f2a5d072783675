"""
Whose tables and functions are: what a restored dump lost of it.

Every part of the schema belongs to `tonne_owner`, and the function that lets old dead letters go to
`tonne_retention`.  `pg_restore --no-owner` gives all to the login that restores; then no migration
may change a table, and functions that act as their owner act as that login, a superuser often.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from psycopg import Connection

OWNER = "tonne_owner"
# functions that act as another role: what alone may delete
_OTHERS = {"tonne_expire_dead_letters(timestamp with time zone,text)": "tonne_retention"}
# but for the table of migrations, which is the login's that made it
_THEIRS = """
    WITH part AS (
        SELECT 'pg_class'::regclass AS kind, oid, relowner AS owner, oid::regclass::text AS name,
               'TABLE' AS what FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
          AND relname <> 'schema_migration'
        UNION ALL
        SELECT 'pg_proc'::regclass, oid, proowner, oid::regprocedure::text, 'ROUTINE' FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
        UNION ALL
        SELECT 'pg_type'::regclass, oid, typowner, oid::regtype::text, 'TYPE' FROM pg_type
        WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'e')
    )
    SELECT what, name FROM part WHERE owner = %s::regrole
      AND NOT EXISTS (  -- an extension's, or a sequence that goes with its column
        SELECT FROM pg_depend d WHERE d.classid = part.kind AND d.objid = part.oid
          AND (d.deptype = 'e' OR d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
               AND part.kind = 'pg_class'::regclass))
    ORDER BY kind, oid"""
_USERS = re.compile(r"GRANT USAGE(?:, CREATE)? ON SCHEMA public TO ([\w, ]+);")
_LACKING = """
    SELECT name FROM unnest(%s::text[]) name WHERE NOT EXISTS (
        SELECT FROM pg_namespace n, aclexplode(n.nspacl) a
        WHERE n.nspname = 'public' AND a.grantee = to_regrole(name))
    ORDER BY name"""


def without_rights(conn: Connection, applied: Iterable[str]) -> list[str]:
    """
    Roles that may not do what the applied migrations let them.

    They are looked for in the rights of the schema itself: a dump that is restored where a role
    is missing, or without privileges, has lost those of all tables with them.
    """
    names = {name for text in applied for some in _USERS.findall(text) for name in some.split(", ")}
    return [name for (name,) in conn.execute(_LACKING, [sorted(names)])]


def give_back(conn: Connection) -> str:
    """Give what a restored dump left with its login back to its roles; say whose it was."""
    row = conn.execute(
        "SELECT relowner::regrole::text FROM pg_class WHERE oid = to_regclass('public.device')"
    ).fetchone()
    if row is None or row[0] == OWNER:
        return ""
    parts = conn.execute(_THEIRS, row).fetchall()
    # who is no superuser may give a function only to a role that could make it
    conn.execute("GRANT CREATE ON SCHEMA public TO tonne_retention")
    for what, name in parts:
        conn.execute(f"ALTER {what} {name} OWNER TO {_OTHERS.get(name, OWNER)}".encode())
    conn.execute("REVOKE CREATE ON SCHEMA public FROM tonne_retention")
    return f"{len(parts)} tables, views, types and functions belonged to {row[0]}: given to {OWNER}"

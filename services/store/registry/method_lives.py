"""Lives of methodologies, as this version's ledger has them, for boards."""

from __future__ import annotations

from psycopg import Connection

from mrv.method_lives import lives


def write_lives(conn: Connection) -> None:
    """Write the ledger's rows in place of those that stand there."""
    names = {one.id: one.name for one in lives()}
    with conn.transaction(), conn.cursor() as cur:
        cur.execute("DELETE FROM method_life")
        cur.executemany(
            "INSERT INTO method_life (programme, programmes, methodology, name, version,"
            " register_until, credits_until, inactive, successor, source)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (one.programme, [n.lower() for n in (one.programme, *one.programmes)], one.id,
                 one.name, one.version, one.register_until, one.credits_until, one.inactive,
                 names.get(one.successor or ""), one.source)
                for one in lives()
            ],
        )  # fmt: skip

"""Lives of methodologies, as this version's ledger has them, for boards."""

from __future__ import annotations

from psycopg import Connection

from mrv.method_lives import lives


def write_lives(conn: Connection) -> None:
    """Write the ledger's rows in place of those that stand there."""
    names = {live.id: live.name for live in lives()}
    with conn.transaction(), conn.cursor() as cur:
        cur.execute("DELETE FROM method_life")
        cur.executemany(
            "INSERT INTO method_life (programme, programmes, methodology, name, version,"
            " register_until, credits_until, inactive, successor, source)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (live.programme, [n.lower() for n in (live.programme, *live.programmes)], live.id,
                 live.name, live.version, live.register_until, live.credits_until, live.inactive,
                 names.get(live.successor or ""), live.source)
                for live in lives()
            ],
        )  # fmt: skip

"""Factor book of a programme: factors shipped with tonne, and those of its registry."""

from __future__ import annotations

from dataclasses import replace

from psycopg import Connection

from mrv import factors
from mrv.factors import FactorBook
from mrv.factors.records import factor_of
from mrv.model import Factor
from mrv.signatures.organisations import stem
from services.store.postgres.values import exact


def load_published(conn: Connection) -> list[Factor]:
    """
    Return the factors of registry files.

    A document counts as a third party's, unless its issuer holds an operator's key.
    """
    rows = conn.execute("SELECT record::text FROM published_factor ORDER BY id").fetchall()
    result = [factor_of(exact(record)) for (record,) in rows]
    own = _operators(conn) if any(f.document for f in result) else frozenset()
    return [
        replace(
            f, brought=True, documented=f.document is not None and stem(f.document.by) not in own
        )
        for f in result
    ]


def _operators(conn: Connection) -> frozenset[str]:
    """Return the organisations with an operator's key, in the normalised spelling of `stem`."""
    rows = conn.execute(
        "SELECT coalesce(bounds ->> 'organisation', name) FROM enrolled_key WHERE role = 'operator'"
    )
    return frozenset(stem(name) for (name,) in rows)


def load_book(conn: Connection) -> FactorBook:
    """
    Return the factor book for a programme's account.

    Raises
    ------
    FactorError
        If a registry factor overlaps in time with another of its kind.
    """
    return factors.load().with_more(load_published(conn))

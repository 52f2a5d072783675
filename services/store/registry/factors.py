"""The factor book of a programme: what tonne publishes, and what its registry adds."""

from __future__ import annotations

from dataclasses import replace

from psycopg import Connection

from mrv import factors
from mrv.factors import FactorBook
from mrv.factors.records import factor_of
from mrv.model import Factor
from mrv.signatures.organisations import stem
from services.store.postgres.jsonb import exact


def load_published(conn: Connection) -> list[Factor]:
    """
    Load the factors that registry files brought.

    A document is a third party's, unless an organisation that holds an operator's key gave it.
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
    """Return the organisations that hold an operator's key, as `stem` spells them."""
    rows = conn.execute(
        "SELECT coalesce(bounds ->> 'organisation', name) FROM enrolled_key WHERE role = 'operator'"
    )
    return frozenset(stem(name) for (name,) in rows)


def load_book(conn: Connection) -> FactorBook:
    """
    Load the book that a programme's account uses.

    Raises
    ------
    FactorError
        If a factor of the registry is valid on a day of another of its kind.
    """
    return factors.load().with_more(load_published(conn))

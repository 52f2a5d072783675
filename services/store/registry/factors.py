"""The factor book of a programme: what tonne publishes, and what its registry adds."""

from __future__ import annotations

from dataclasses import replace

from psycopg import Connection

from mrv import factors
from mrv.factors import FactorBook
from mrv.factors.records import factor_of
from mrv.model import Factor
from services.store.postgres.jsonb import exact


def load_published(conn: Connection) -> list[Factor]:
    """Load the factors that registry files brought."""
    rows = conn.execute("SELECT record::text FROM published_factor ORDER BY id")
    return [replace(factor_of(exact(record)), brought=True) for (record,) in rows]


def load_book(conn: Connection) -> FactorBook:
    """
    Load the book that a programme's account uses.

    Raises
    ------
    FactorError
        If a factor of the registry is valid on a day of another of its kind.
    """
    return factors.load().with_more(load_published(conn))

"""
Steps 3 and 4 of `tonne run`: settle and write, in one transaction; its commit is the last step.

A batch that the server refuses comes out of here as the error of the server; nothing
of it is stored then, and nothing is remembered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

    from services.intake.sparkplug import Turn
    from services.processing.batch import Batch, Committed
    from services.processing.commit import Store


def write(connection: Connection[TupleRow], store: Store, batch: Batch, turn: Turn) -> Committed:
    """
    Store a batch with what it changes of Sparkplug's nodes; return once it is durable.

    Raises
    ------
    psycopg.Error
        Nothing was stored, and the same call may be made again.
    """
    while True:
        try:
            with connection.transaction(), connection.cursor() as cursor:
                turn.write(cursor)
                written = store.write(cursor, batch)
        except BaseException as error:  # noqa: BLE001 (raised again, unless it can be mended)
            batch = store.after_failure(connection, batch, error)
        else:
            turn.keep()
            return store.remember(written)

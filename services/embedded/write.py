"""
Step 3 of `tonne run`: readings and what goes with them, in one transaction.

What the server refuses is stored in parts, and the message that it does not take
becomes a dead letter.  Only the loss of the server comes out of here.
"""

from __future__ import annotations

from functools import partial

from psycopg import Connection, Cursor

from services.intake.sparkplug import Turn
from services.processing.batch import Batch, Committed
from services.processing.commit import Store, Written
from services.processing.parts import in_parts


def write(connection: Connection, store: Store, batch: Batch, turn: Turn) -> Committed:
    """
    Store a batch with what it changes of Sparkplug's nodes; return once it is durable.

    Raises
    ------
    psycopg.Error
        Not all of it is stored; the same call may be made again.
    """

    def commit(batch: Batch, *, last: bool) -> Committed:
        def fill(cursor: Cursor, batch: Batch) -> Written:
            if last:
                turn.write(cursor)
            return store.write(cursor, batch)

        return store.durably(connection, batch, fill)

    committed = in_parts(batch, commit, partial(store.around, connection))
    turn.keep()
    return committed

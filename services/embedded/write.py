"""
Steps 3 and 4 of `tonne run`: settle and write, in one transaction; its commit is the last step.

What the server refuses is stored in parts, and the message that it does not take
becomes a dead letter.  Only the loss of the server comes out of here.
"""

from __future__ import annotations

from functools import partial

from psycopg import Connection

from services.intake.sparkplug import Turn
from services.processing.batch import Batch, Committed
from services.processing.commit import Store
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
        while True:
            try:
                with connection.transaction(), connection.cursor() as cursor:
                    if last:
                        turn.write(cursor)
                    written = store.write(cursor, batch)
            except BaseException as error:  # noqa: BLE001 (raised again, unless it can be mended)
                batch = store.after_failure(connection, batch, error)
            else:
                return store.remember(written)

    committed = in_parts(batch, commit, partial(store.around, connection))
    turn.keep()
    return committed

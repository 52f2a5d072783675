"""
The end of a process whose client of Kafka does not end.

Faust and aiokafka wait for Kafka when they are stopped, in threads and tasks that nothing
interrupts.  What they hold is nothing: what is stored stands in the database, and the rest
is still in Kafka.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Coroutine
from typing import Any

from structlog.typing import FilteringBoundLogger

from services.cli.errors import explain
from services.cli.exit_codes import Exit

END_S = 1.0  # for tasks that were told to end; for threads, until the process is left
LEAVE_S = 1.5


def run_and_leave(work: Coroutine[Any, Any, None], log: FilteringBoundLogger) -> None:
    """
    Run to the end; what does not end with it does not keep the process.

    Raises what `work` raises.  What a thread of a library's ends with is a line of the log.
    """
    before = set(threading.enumerate())
    threading.excepthook = lambda told: log.warning(
        "a thread ended", thread=getattr(told.thread, "name", ""), error=repr(told.exc_value)[:300]
    )
    sys.unraisablehook = lambda told: log.warning(
        "an unexpected error", error=repr(told.exc_value)[:300]
    )
    loop = asyncio.new_event_loop()
    code: int = Exit.DONE
    try:
        loop.run_until_complete(work)
    except BaseException as error:
        known = explain(error)
        code = Exit.FALSE if known is None else known[0]
        raise
    finally:
        sys.unraisablehook = lambda _: None  # a coroutine of a library's that outlived its loop
        if loop.run_until_complete(_ended()) and not _busy(before):
            loop.close()
        else:
            _leave_soon(code)


async def _ended() -> bool:
    """Cancel what is left in the loop; whether all of it ended."""
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    if not left:
        return True
    done, pending = await asyncio.wait(left, timeout=END_S)
    for task in done:
        if not task.cancelled():
            task.exception()
    return not pending


def _busy(before: set[threading.Thread]) -> bool:
    """Whether threads are left that the interpreter would wait for."""
    return any(
        thread.is_alive() and not thread.daemon for thread in set(threading.enumerate()) - before
    )


def _leave_soon(code: int) -> None:
    logging.disable()  # what is left has nothing to say that concerns anybody

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    timer = threading.Timer(LEAVE_S, leave)
    timer.daemon = True
    timer.start()

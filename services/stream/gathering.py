"""
Events of a stream in lists: what came while the last list was stored, without a wait.

Faust's own `take` waits out its time also where something is there.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def gathered(stream: Any, most: int) -> AsyncIterator[list[Any]]:
    """
    Yield what is there, at most so many events; whoever takes them acknowledges them.

    Raises
    ------
    BaseException
        What ended the stream.
    """
    stream.enable_acks = False
    waiting: asyncio.Queue[Any] = asyncio.Queue(most)
    came = asyncio.Event()

    async def read() -> None:
        async for event in stream.events():
            await waiting.put(event)
            came.set()

    reading = asyncio.ensure_future(read())
    reading.add_done_callback(lambda _: came.set())
    try:
        while True:
            await came.wait()
            came.clear()
            events = [waiting.get_nowait() for _ in range(waiting.qsize())]
            if events:
                yield events
            if reading.done() and waiting.empty():
                await reading
                return
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading

"""
Events of a stream in lists: what came while the last list was stored, without a wait.

Faust's own `take` waits out its time also where something is there.  As with it, nothing
is taken from the stream while a list is stored: what was taken must be stored before the
group can share anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

_QUIET = 5  # turns of the loop without another event, until what is there is taken


async def gathered(stream: Any, most: int) -> AsyncIterator[list[Any]]:
    """
    Yield what is there, at most so many events; anyone who takes them acknowledges them.

    Raises
    ------
    BaseException
        What ended the stream.
    """
    stream.enable_acks = False
    held: list[Any] = []
    came, wanted = asyncio.Event(), asyncio.Event()

    async def read() -> None:
        async with aclosing(stream.events()) as events:
            async for event in events:
                held.append(event)
                came.set()
                if len(held) >= most:
                    wanted.clear()
                await wanted.wait()

    reading = asyncio.ensure_future(read())
    reading.add_done_callback(lambda _: came.set())
    try:
        while not reading.done():
            wanted.set()
            await came.wait()
            await _quiet(held, most)
            wanted.clear()
            came.clear()
            if held:
                events = list(held)
                held.clear()
                yield events
                if held:  # it was on its way while others were stored
                    came.set()
        if held:
            yield list(held)
        await reading
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading


async def _quiet(held: list[Any], most: int) -> None:
    """Let what is there come."""
    turns, before = 0, len(held)
    while turns < _QUIET and len(held) < most:
        await asyncio.sleep(0)
        turns, before = (turns + 1, before) if len(held) == before else (0, len(held))

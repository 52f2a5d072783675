"""The storing thread, as the event loop sees it: one thing at a time, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from services.stream.chain import StreamChain
from services.stream.records import Record

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Storing:
    """
    Keeps the database out of the event loop, which must go on sending heartbeats.

    `failure` is what ended the storing for good; the process is to leave with it.
    """

    def __init__(self, chain: StreamChain) -> None:
        self._chain = chain
        self._thread = ThreadPoolExecutor(1, "storing")
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()

    async def take_over(self, begins: Mapping[int, int], seen: int) -> Mapping[int, int]:
        """Make partitions, of so many, ours; return the next offset of each."""
        return await self._do(self._chain.take_over, begins, seen)

    async def store(self, records: Mapping[int, Sequence[Record]]) -> None:
        """Make records of partitions durable."""
        await self._do(self._chain.store_all, records)

    async def idle(self) -> None:
        """Do what is due now and then: look at the registry, set gauges."""
        await self._do(self._chain.look)

    async def positions(self) -> Mapping[int, int]:
        """Return the next record to store of each partition that is ours."""
        return await self._do(self._chain.positions)

    def last_records(self) -> Mapping[int, tuple[int, bytes | None]]:
        """Return the next record to store, and the digest of the one before it, of each."""
        return self._chain.last_records()

    def known(self) -> Mapping[int, int]:
        """Return the positions without waiting for what is being stored."""
        return self._chain.positions()

    async def _do(self, work: Callable[_P, _T], *args: _P.args, **_: _P.kwargs) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                self.fail(error)
            raise

    def fail(self, error: BaseException) -> None:
        """Note the first failure."""
        if self.failure is None:
            self.failure = error
        self.failed.set()

    def close(self) -> None:
        """Wait for what is running, and end the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._chain.close()

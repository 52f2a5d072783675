"""
The records that a worker takes from its stream: all present ones, and
none is lost at its end.
"""

import asyncio

import pytest

from services.stream.app import gathered


class Stream:
    """A stream like Faust's, of numbers, with its end."""

    enable_acks = True

    def __init__(self, count, end=None):
        self._count, self._end = count, end

    async def events(self):
        """Yield them, one in each turn of the loop."""
        for k in range(self._count):
            await asyncio.sleep(0)
            yield k
        if self._end is not None:
            raise self._end


async def _taken(stream, most, pause):
    found = []
    async for events in gathered(stream, most):
        found.append(events)
        for _ in range(pause):  # the time in which a list is stored
            await asyncio.sleep(0)
    return found


@pytest.mark.parametrize("pause", [0, 3, 200])
def test_all_come_in_order_and_gather_while_some_are_stored(pause):
    """A record left out would wait for a restart; one at a time costs a transaction each."""
    found = asyncio.run(_taken(Stream(100), 8, pause))
    assert [one for some in found for one in some] == list(range(100))
    assert max(map(len, found)) <= 8
    assert len(found) < 30


def test_little_is_taken_while_some_is_stored():
    """A rebalance waits for records that were taken: too many of them would take too long."""
    taken = 0

    class Counting(Stream):
        async def events(self):
            nonlocal taken
            async for k in super().events():
                taken += 1
                yield k

    async def run():
        stored = 0
        async for events in gathered(Counting(100), 8):
            for _ in range(200):
                await asyncio.sleep(0)
            assert taken - stored <= len(events) + 1
            stored += len(events)
        assert stored == 100

    asyncio.run(run())


def test_what_ends_the_stream_ends_the_worker():
    """A worker that stops reading after an error would look healthy, and store nothing."""
    with pytest.raises(OSError, match="gone"):
        asyncio.run(_taken(Stream(3, OSError("gone")), 8, 0))


def test_nothing_goes_on_once_the_taker_has_left():
    """A task without a waiting caller would delay the end of the process."""

    async def leave():
        taking = gathered(Stream(100), 8)
        async for _ in taking:
            break
        await taking.aclose()
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(leave()) == set()

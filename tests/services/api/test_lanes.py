"""Queues and limits: no caller uses up what all others need."""

import asyncio
from contextlib import suppress

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from uvicorn.server import ServerState

from services.api import connections
from services.api.connections import Lane, Lanes, Places, PromptProtocol, networks, share_of


def test_a_lane_lets_in_so_many_and_the_others_after_them():
    """Many writes at once would take all threads from those who read."""

    async def queued():
        lane, inside, most = Lane(2), 0, 0

        async def one():
            nonlocal inside, most
            assert await lane.enter("a")
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            lane.leave("a")

        await asyncio.gather(*(one() for _ in range(20)))
        assert most == 2
        assert await lane.enter("a")

    asyncio.run(queued())


def test_whoever_leaves_the_queue_leaves_no_place_behind(monkeypatch):
    """Callers that disconnect while they wait would block all others permanently."""

    async def gone():
        lane = Lane(1)
        assert await lane.enter("a")
        with monkeypatch.context() as impatient:
            impatient.setattr(connections, "WAIT_S", 0.02)
            assert not await lane.enter("a")  # in time
        waiting = [asyncio.create_task(lane.enter("a")) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        lane.leave("a")
        waiting[1].cancel()  # let in and gone at the same moment
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in found[:2]] == [True, True]
        assert found[2] is True
        lane.leave("a")
        assert await lane.enter("a")

    asyncio.run(gone())


@pytest.mark.parametrize(
    ("method", "path", "accept", "count"),
    [
        ("GET", "/v1/projects", b"*/*", 1),
        ("POST", "/v1/keys", b"*/*", 2),
        ("DELETE", "/v1/keys/a", b"*/*", 2),
        ("GET", "/v1/statements/TN-a/evidence", b"*/*", 2),
        ("GET", "/v1/statements/TN-a.pdf", b"*/*", 2),
        ("GET", "/v1/statements/TN-a", b"application/pdf", 2),
        ("GET", "/v1/statements/TN-a", b"APPLICATION/PDF", 2),
        ("GET", "/v1/statements/TN-a", b"*/*, application/json;q=0, application/vc;q=0", 2),
        ("GET", "/v1/statements/TN-a", b"text/html", 1),
        ("GET", "/v1/sensorthings/v1.1/Things('a')/events", b"*/*", 2),
        ("GET", "/console/en/statements/TN-a/report.xlsx", b"*/*", 2),
        ("POST", "/console/en/sign-in", b"*/*", 1),
        ("GET", "/console/en/live/events", b"*/*", 0),
    ],
)
def test_what_takes_long_has_a_lane_of_its_own(method, path, accept, count):
    """Long requests do not delay short ones."""
    # in two lines: the route reads both
    headers = [(b"accept", accept), (b"accept", b"image/png")]
    scope = {"method": method, "path": path, "client": ("192.0.2.1", 5), "headers": headers}
    assert len(Lanes().of(scope, dict(headers))) == count


@pytest.mark.parametrize(
    ("headers", "count"),
    [
        ({b"prefer": b"respond-async", b"authorization": b"Bearer x"}, 1),
        ({b"prefer": b"respond-async"}, 2),
        ({b"prefer": b"x-respond-async", b"authorization": b"Bearer x"}, 2),
    ],
)
def test_who_is_made_to_wait_is_let_past_nobody(headers, count):
    """By a request header, a caller could start more file jobs than permitted."""
    path, client = "/v1/statements/x.pdf", ("10.0.0.1", 1)
    scope = {"method": "GET", "path": path, "client": client, "headers": ()}
    assert len(Lanes().of(scope, headers)) == count


def test_an_address_has_a_share_of_the_places(monkeypatch):
    """One address would take all places of a limit."""
    monkeypatch.setattr(connections, "MAX_PER_ADDRESS", 3)
    places = Places(networks("10.0.0.0/24, ::1"))
    assert [places.take("192.0.2.1") for _ in range(4)] == [True, True, True, False]
    assert places.take("192.0.2.2")
    places.give_back("192.0.2.1")
    assert places.take("192.0.2.1")
    assert all(places.take("10.0.0.7") for _ in range(9))  # a proxy speaks for many
    assert all(places.take(f"2001:db8::{k}") for k in range(3))
    assert not places.take("2001:db8::ffff")  # one customer, many addresses
    assert places.take("2001:db8:0:1::1")


class Waits:
    """A connection that sends nothing."""

    ended = False

    def end(self):
        """End, as a closed connection does."""
        self.ended = True


def test_a_new_connection_takes_the_place_of_one_that_says_nothing(monkeypatch):
    """A new connection replaces the oldest idle one."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    places, idle = Places(), [Waits() for _ in range(3)]
    for k, one in enumerate(idle):
        assert places.take(f"192.0.2.{k}")
        places.waits(one)
    places.works(idle[0])
    assert places.take("198.51.100.1")
    assert [one.ended for one in idle] == [False, True, False]


@pytest.mark.parametrize(
    ("address", "share"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_what_an_address_counts_as(address, share):
    """An IPv6 network of 2^64 addresses would count as so many callers."""
    assert share_of(address) == share


async def answers(scope, receive, send):
    """Answer at once without reading a body: a little, or more than any socket accepts."""
    text = "a" * 2**25 if scope["path"] == "/large" else "ok"
    await PlainTextResponse(text)(scope, receive, send)


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n", b"a"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n", b"a" * 65_536),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
        (b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    ],
)
def test_who_neither_ends_nor_reads_is_hung_up_on(monkeypatch, request_, part):
    """A client that neither sends nor reads is disconnected."""
    monkeypatch.setattr(connections, "LINGER_S", 0.2)
    monkeypatch.setattr(connections, "READ_ANSWER_S", 0.2)
    config = uvicorn.Config(answers, http=PromptProtocol, lifespan="off", log_config=None)
    config.load()
    config.places = places = Places()

    async def held():
        state = ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: PromptProtocol(config, state, {}), "127.0.0.1", 0
        )
        async with server:
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address, limit=1_024)
            writer.write(request_)
            assert (await reader.readexactly(12)) == b"HTTP/1.1 200"
            if not part:
                reader._transport.pause_reading()
            async with asyncio.timeout(120):
                while state.connections:
                    writer.write(part)
                    await asyncio.sleep(0.02)
            writer.transport.abort()
            with suppress(OSError):  # hung up on
                await writer.wait_closed()

    asyncio.run(held())
    assert not places._taken


def test_a_body_that_ends_late_lets_the_next_request_be_asked(monkeypatch):
    """A client that is answered before it has sent its body would lose its connection."""
    config = uvicorn.Config(answers, http=PromptProtocol, lifespan="off", log_config=None)
    config.load()
    config.places = Places()

    async def asked():
        state = ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: PromptProtocol(config, state, {}), "127.0.0.1", 0
        )
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for _ in range(2):
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
                assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
                writer.write(b"ab")
            writer.close()
            await writer.wait_closed()
            async with asyncio.timeout(120):
                while state.connections:  # noqa: ASYNC110 - uvicorn's own
                    await asyncio.sleep(0.01)

    asyncio.run(asked())

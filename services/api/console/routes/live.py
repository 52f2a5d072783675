"""
Live page of devices: readings as server-sent events, one query for all viewers.

While a page is open, the database is polled once for all viewers, and events are encoded once for
viewers of the same projects.  Every two seconds viewers whose session has ended are disconnected;
all are, if sessions cannot be read for half a minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from fastapi import APIRouter
from psycopg import Connection
from psycopg_pool import ConnectionPool
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from ingest import classes
from mrv import calendar
from mrv.report.blocks import legible
from services.api.answers import ProblemError
from services.api.console.render import Language, View, names_in, render, signed_in
from services.api.console.translations import texts, unit
from services.api.principals import Principal
from services.store import api_keys
from services.store.dead_letter_query import UnknownDevice, unknown_devices
from services.store.views import alarms, console
from services.store.views.console import Newest

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


router = APIRouter(include_in_schema=False)
# maximum rows of the page, whose script gets further rows by events; maximum alarms
_ROWS, _ALARMS = 200, 20


@router.get("/console/{language}/live")
def page(ask: View, language: Language) -> Response:
    """Return the page of devices with their last data."""
    signed_in(ask, "live data of devices")
    with ask.reading() as conn:
        rows, devices = snapshot(conn, ask.who, _ROWS)
        result, count = alarms.standing(conn, ask.who.projects, _ALARMS)

        def senders() -> list[UnknownDevice]:
            return unknown_devices(conn)[:_ALARMS]

        memory = ask.request.app.state.memory
        unknown = memory.get("unregistered", senders) if ask.who.sees_all else []
    lines = ("class.", "channel.")
    names = {key: text for key, text in texts(language).items() if key.startswith(lines)}
    content = names_in(ask, language)
    names |= {f"site.{of}": text for (kind, of), text in content.items() if kind == "site name"}
    return render(
        ask, language, "live.html",
        rows=rows, count=devices, most=_ROWS, names=names,
        alarm_list=result, alarms=count, unregistered=unknown,
    )  # fmt: skip


@router.get("/console/{language}/live/events")
async def events(ask: View, language: Language) -> Response:  # noqa: ARG001 - part of its URL
    """Return changes as server-sent events."""
    session = signed_in(ask, "live data of devices")
    result: Live = ask.request.app.state.live
    if result.full:
        raise ProblemError(
            503, "too many live windows are open; try again later", {"Retry-After": "30"}
        )
    if result.watches(ask.who) >= MAX_PER_USER:
        raise ProblemError(
            429,
            f"this key already has {MAX_PER_USER} live windows open; close one",
            {"Retry-After": "30"},
        )
    return StreamingResponse(
        result.watch(ask.api.reads, ask.who, session),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


EVERY_S = 2.0
_TIMES = 20
_QUIET_S = 15.0
_UNKNOWN_S = 30.0
_BEHIND = 8
MAX_VIEWERS, MAX_PER_USER = 1_000, 50
_SITE = 60
Row = dict[str, Any]


class Watcher(NamedTuple):
    """Viewer of the live page, with its session."""

    who: Principal
    session: bytes


class Live:
    """Polls the database for changes, and sends them to open pages."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._watchers: dict[asyncio.Queue[bytes | None], Watcher] = {}
        self._known_s = 0.0
        self._rows: dict[str, tuple[Row, tuple[str, ...]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def full(self) -> bool:
        """Return whether the limit of open pages is reached."""
        return len(self._watchers) >= MAX_VIEWERS

    def watches(self, who: Principal) -> int:
        """Return the number of windows a user has open, in all sessions."""
        return sum(watcher.who.id == who.id for watcher in self._watchers.values())

    async def watch(
        self, reads: ConnectionPool, who: Principal, session: bytes
    ) -> AsyncIterator[bytes]:
        """Yield events: all rows visible to the user, then changed ones."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_BEHIND)
        self._watchers[queue] = Watcher(who, session)
        self._loop = asyncio.get_running_loop()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow(reads))
        elif self._rows:
            queue.put_nowait(_event([row for row, of in self._rows.values() if _may(who, of)]))
        try:
            yield b"retry: 3000\n\n"
            while True:
                try:
                    event = await asyncio.wait_for(queue.get(), _QUIET_S)
                except TimeoutError:
                    event = b": still here\n\n"
                if event is None:
                    return
                yield event
        finally:
            self._watchers.pop(queue, None)

    def close(self) -> None:
        """Disconnect all viewers, from any thread; browsers reconnect to the next process."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._send_away)

    def _send_away(self, valid_sessions: Collection[bytes] = ()) -> None:
        for queue, watcher in self._watchers.items():
            if watcher.session not in valid_sessions:
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(None)

    async def _follow(self, reads: ConnectionPool) -> None:
        """Poll the database while a page is open; queries take at most a twentieth of the time."""
        self._rows, self._known_s = {}, time.monotonic()
        next_s = 0.0
        while self._watchers:
            try:
                wanted = [watcher.session for watcher in self._watchers.values()]
                valid_sessions = await run_in_threadpool(_living, reads, wanted)
                self._known_s = time.monotonic()
                # the sessions of viewers who joined since the last check were checked when they
                # joined
                came = {watcher.session for watcher in self._watchers.values()} - set(wanted)
                self._send_away(valid_sessions | came)
                if time.monotonic() >= next_s:
                    began_s = time.monotonic()
                    self._send_changes(await run_in_threadpool(_ask, reads))
                    next_s = began_s + (1 + _TIMES) * (time.monotonic() - began_s)
            except Exception as error:  # noqa: BLE001 - the database is away; watchers see the time stand
                self._log.warning("live view", error=" ".join(str(error).split())[:200])
                if time.monotonic() - self._known_s > _UNKNOWN_S:
                    self._send_away()
            await asyncio.sleep(EVERY_S)

    def _send_changes(self, newests: list[Newest]) -> None:
        rows = {newest.device: (_row(newest), newest.projects) for newest in newests}
        changed = [v for device, v in rows.items() if self._rows.get(device) != v]
        self._rows = rows
        if not changed:
            return
        made: dict[tuple[str, ...] | None, bytes] = {}
        for queue, (who, _) in self._watchers.items():
            if who.projects not in made:
                made[who.projects] = _event([row for row, of in changed if _may(who, of)])
            if queue.full():  # a viewer that reads slowly gets all rows again when it reads
                with suppress(asyncio.QueueEmpty):
                    while True:
                        queue.get_nowait()
                queue.put_nowait(_event([row for row, of in rows.values() if _may(who, of)]))
            else:
                queue.put_nowait(made[who.projects])


def snapshot(conn: Connection, who: Principal, maximum: int) -> tuple[list[Row], int]:
    """Return a user's rows up to a maximum, those without data first, and their total number."""
    seen, count = console.newest(conn, live_channels(), who.projects, maximum)
    return [_row(newest) for newest in seen], count


@cache
def live_channels() -> Mapping[str, str]:
    """Return the displayed channel of each class: its power, else its first gauge."""
    result = {}
    for class_id, device_class in classes.load().items():
        gauges = [c.name for c in device_class.channels.values() if c.kind == "gauge"]
        names = [*(n for n in gauges if n == "active_power_w"), *gauges, *device_class.channels]
        result[class_id] = names[0]
    return MappingProxyType(result)


def _living(reads: ConnectionPool, wanted: Sequence[bytes]) -> set[bytes]:
    with reads.connection() as conn:
        return api_keys.valid_sessions(conn, wanted)


def _ask(reads: ConnectionPool) -> list[Newest]:
    with reads.connection() as conn:
        return console.newest(conn, live_channels())[0]


def _row(newest: Newest) -> Row:
    channel = classes.load()[newest.class_id].channels[live_channels()[newest.class_id]]
    power = channel.unit == "W" and newest.value is not None
    scaled = newest.value if newest.value is None or not power else newest.value / 1000
    value = None if scaled is None else f"{Decimal(f'{scaled:.4g}'):f}"
    return {
        "device": newest.device,
        # the page's script shows events unfiltered, so control characters are replaced here
        "site": legible(newest.site, _SITE),
        "class": newest.class_id,
        "channel": channel.name,
        "state": newest.state,
        "at": None
        if newest.at is None
        else newest.at.astimezone(calendar.zone(newest.timezone)).isoformat(timespec="seconds"),
        "value": value,
        "unit": "kW" if channel.unit == "W" else "" if channel.unit == "1" else unit(channel.unit),
    }


def _may(who: Principal, projects: tuple[str, ...]) -> bool:
    return who.projects is None or any(who.sees(project) for project in projects)


def _event(rows: list[Row]) -> bytes:
    return b"data: " + msgspec.json.encode(rows) + b"\n\n"

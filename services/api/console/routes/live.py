"""Live page of devices: a table, kept current by server-sent events."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from services.api.console import live
from services.api.console.render import Language, names_in, render
from services.api.console.session import View, signed_in
from services.api.console.translations import texts
from services.api.problems import ProblemError
from services.store.messages.unknown_devices import UnknownDevice, unknown_devices
from services.store.views import alarms

router = APIRouter(include_in_schema=False)
# of a page; a script shows others as they are searched, from what the events tell
_ROWS, _ALARMS = 200, 20


@router.get("/console/{language}/live")
def page(ask: View, language: Language) -> Response:
    """Return the page of devices with their last data."""
    signed_in(ask, "devices as they speak")
    with ask.reading() as conn:
        rows, devices = live.snapshot(conn, ask.who, _ROWS)
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
        found=result, alarms=count, unregistered=unknown,
    )  # fmt: skip


@router.get("/console/{language}/live/events")
async def events(ask: View, language: Language) -> Response:  # noqa: ARG001 - its address says it
    """Return changes as server-sent events."""
    session = signed_in(ask, "devices as they speak")
    result: live.Live = ask.request.app.state.live
    if result.full:
        raise ProblemError(
            503, "too many live windows are open; try again later", {"Retry-After": "30"}
        )
    if result.watches(ask.who) >= live.MOST_OF_ONE:
        raise ProblemError(
            429,
            f"this key already has {live.MOST_OF_ONE} live windows open; close one",
            {"Retry-After": "30"},
        )
    return StreamingResponse(
        result.watch(ask.api.reads, ask.who, session),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )

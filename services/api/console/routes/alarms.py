"""Alarms: what is wrong now, the gravest first, and one with its history."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from services.api.console.render import Language, language_of, render
from services.api.console.session import View, signed_in
from services.api.problems import ProblemError
from services.api.routes.alarms import AlarmId
from services.store.views import alarms as stored

router = APIRouter(include_in_schema=False)
_MOST = 500
_GRAVE = {name: k for k, name in enumerate(stored.SEVERITIES)}


@router.get("/alarms/{alarm}")
def lead_to_alarm(request: Request, alarm: AlarmId) -> Response:
    """Lead from a board to the page in the browser's language."""
    address = f"/console/{language_of(request)}/alarms/{alarm}"
    return RedirectResponse(address, 303, {"Vary": "Accept-Language"})


@router.get("/console/{language}/alarms")
def page(
    ask: View, language: Language, state: Annotated[Literal["now", "all"], Query()] = "now"
) -> Response:
    """Show alarms that are not cleared, or the newest of all."""
    signed_in(ask, "alarms")
    with ask.reading() as conn:
        states = None if state == "all" else ["open", "acknowledged"]
        found = stored.listed(conn, ask.who.projects, _MOST, states=states)
    if state == "now":
        found.sort(key=lambda one: (_GRAVE[one["severity"]], -(one["cost_t_per_day"] or 0)))
    return render(ask, language, "alarms.html", found=found, every=state == "all")


@router.get("/console/{language}/alarms/{alarm}")
def one(ask: View, language: Language, alarm: AlarmId) -> Response:
    """Show an alarm with its history."""
    signed_in(ask, "an alarm")
    with ask.reading() as conn:
        found = stored.one(conn, ask.who.projects, alarm)
    if found is None:
        raise ProblemError(404, f"there is no alarm {alarm} that you may see")
    return render(ask, language, "alarm.html", found=found)

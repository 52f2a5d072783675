"""Alarm pages: current alarms by severity, one with its history, acknowledgement and comments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request
from psycopg import Connection
from starlette.responses import RedirectResponse, Response

from services.api.answers import ProblemError
from services.api.console.render import (
    Language,
    View,
    language_of,
    refuse_foreign,
    render,
    signed_in,
)
from services.api.console.routes.overview import MOST_ALARMS, held_back, recalled
from services.api.console.translations import Words
from services.api.principals import refuse
from services.api.request_context import Asked
from services.api.routes.administration import AlarmId
from services.store import alarm_contacts
from services.store.views import alarms as stored
from services.store.views import device_page as health
from services.store.views.coverage import added

router = APIRouter(include_in_schema=False)
_ROLE = "operator"
_FIELDS, _ELSEWHERE = 4, 303
_DAYS_FROM_H = 48


@router.get("/alarms/{alarm}")
def lead_to_alarm(request: Request, alarm: AlarmId) -> Response:
    """Redirect from a dashboard to the page in the browser's language."""
    address = f"/console/{language_of(request)}/alarms/{alarm}"
    return RedirectResponse(address, 303, {"Vary": "Accept-Language"})


@router.get("/console/{language}/alarms")
def page(
    ask: View, language: Language, state: Annotated[Literal["now", "all"], Query()] = "now"
) -> Response:
    """Return the page of alarms that are not cleared, or of the newest ones."""
    signed_in(ask, "alarms")
    with ask.reading() as conn:
        standing, count = stored.standing(conn, ask.who.projects, MOST_ALARMS)
        result = standing
        if state == "all":
            result = stored.listed(conn, ask.who.projects, MOST_ALARMS, states=None)
        waiting = health.not_commissioned(conn, ask.who.projects)
        # contacts and silences are of the whole city
        whole = ask.who.projects is None
        contacts = alarm_contacts.contacts(conn) if whole else []
        silences = alarm_contacts.silences(conn) if whole else []
    t = Words(language)
    faults = held_back(ask, recalled(ask), t, standing)
    groups = [fault.group for fault in faults if fault.group is not None]
    return render(
        ask, language, "alarms.html", found=result, count=count, every=state == "all",
        waiting=waiting, faults=faults, groups=groups, lasted=lambda group: _lasted(group, t),
        a_day=added(group.cost_t_per_day for group in groups),
        short=added(fault.lost_t for fault in faults if fault.group is None),
        contacts=contacts, silences=silences,
        on_duty=[contact for contact in contacts if contact.on_duty],
    )  # fmt: skip


def _lasted(group: stored.Group, t: Words) -> str:
    """Return how long a cause has lasted."""
    hours = int((datetime.now(UTC) - group.since).total_seconds() // 3600)
    if hours < _DAYS_FROM_H:
        return t("lasted.hours", count=t.number(hours))
    return t("lasted.days", count=t.number(hours // 24))


@router.get("/console/{language}/alarms/{alarm}")
def alarm_page(ask: View, language: Language, alarm: AlarmId) -> Response:
    """Return the page of an alarm with its history."""
    signed_in(ask, "an alarm")
    with ask.reading() as conn:
        result = stored.by_id(conn, ask.who.projects, alarm)
    if result is None:
        raise ProblemError(
            404, f"there is no alarm {alarm} that you may see; choose one in the list of alarms"
        )
    return render(ask, language, "alarm.html", found=result, may=ask.who.role == _ROLE)


async def _form_text(request: Request) -> str:
    """Return the text of a form."""
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=_FIELDS)
    except ValueError:
        raise ProblemError(422, "the form cannot be read; send its text in UTF-8") from None
    return fields.get("text", [""])[0]


Text = Annotated[str, Depends(_form_text)]


@router.post("/console/{language}/alarms/{alarm}/acknowledge")
def acknowledge(ask: View, language: Language, alarm: AlarmId, text: Text) -> Response:
    """Record the signed-in user's acknowledgement of an alarm."""
    _write(ask, alarm, text, stored.acknowledge)
    return RedirectResponse(f"/console/{language}/alarms/{alarm}", _ELSEWHERE)


@router.post("/console/{language}/alarms/{alarm}/comment")
def comment(ask: View, language: Language, alarm: AlarmId, text: Text) -> Response:
    """Add a comment of the signed-in user to an alarm."""
    _write(ask, alarm, text, stored.comment)
    return RedirectResponse(f"/console/{language}/alarms/{alarm}", _ELSEWHERE)


def _write(ask: Asked, alarm: int, text: str, say: Any) -> None:
    signed_in(ask, "an alarm")
    refuse_foreign(ask)
    if ask.who.role != _ROLE:
        with ask.reading() as conn:
            ask.noted(conn, 403)
        refuse(ask.who, (_ROLE,))

    def work(conn: Connection) -> tuple[int, Any]:
        if stored.by_id(conn, ask.who.projects, alarm) is None:
            raise ProblemError(
                404, f"there is no alarm {alarm} that you may see; choose one in the list of alarms"
            )
        say(conn, alarm, ask.who.name, text, ask.who.id)
        return _ELSEWHERE, {}

    ask.write(text, work)

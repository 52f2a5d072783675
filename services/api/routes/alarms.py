"""Alarms of visible projects; operators acknowledge and comment."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from psycopg import Connection
from starlette.responses import Response

from services.api import schemas as shapes
from services.api.file_cache import Cursor, Limit, current, page
from services.api.problems import ProblemError
from services.api.request_context import Operator, Reader
from services.api.routes.writes import Named
from services.store.views import alarms

router = APIRouter(tags=["alarms"])
AlarmId = Annotated[int, Path(ge=1, le=2**53, description="Number of the alarm.")]
_DONE = 200


@router.get("/alarms", response_model=shapes.pages(shapes.Alarm))
def listed(
    ask: Reader,
    limit: Limit = 100,
    cursor: Cursor = None,
    state: Annotated[
        Literal["now", "open", "acknowledged", "cleared", "all"],
        Query(description="`now`: open or acknowledged alarms that are not cleared."),
    ] = "now",
    severity: Annotated[
        Literal["critical", "major", "minor"] | None,
        Query(description="Only alarms of this severity."),
    ] = None,
    device: Annotated[
        str | None,
        Query(
            max_length=64,
            pattern="^[A-Za-z0-9_-]+$",
            description="Only alarms of this device or gateway.",
        ),
    ] = None,
) -> Response:
    """List alarms, newest first."""
    states = {"now": ["open", "acknowledged"], "all": None}.get(state, [state])
    with ask.reading() as conn:
        of = ("alarms", ask.who.id, state, severity or "", device or "")
        after = ask.api.cursors.read(of, cursor)
        before = None if after is None else int(after[0])
        rows = alarms.listed(
            conn,
            ask.who.projects,
            limit + 1,
            states=states,
            severity=severity,
            subject=device,
            before=before,
        )
        return page(ask, of, limit, rows, lambda row: [row["id"]])


@router.get("/alarms/{alarm}", response_model=shapes.AlarmDetail)
def one(ask: Reader, alarm: AlarmId) -> Response:
    """Return an alarm with its history."""
    with ask.reading() as conn:
        result = alarms.by_id(conn, ask.who.projects, alarm)
    if result is None:
        raise _unknown(alarm)
    return current(result)


@router.post("/alarms/{alarm}/acknowledge", response_model=shapes.AlarmDetail)
def acknowledge(
    ask: Operator, alarm: AlarmId, body: shapes.AlarmRemark, named: Named = None
) -> Response:
    """Record that the caller acknowledges an alarm; 409 if already acknowledged."""
    del named  # read by `write`, declared for OpenAPI

    def work(conn: Connection) -> tuple[int, Any]:
        if alarms.by_id(conn, ask.who.projects, alarm) is None:
            raise _unknown(alarm)
        alarms.acknowledge(conn, alarm, ask.who.name, body.text, ask.who.id)
        return _DONE, alarms.by_id(conn, ask.who.projects, alarm)

    return ask.write(body.model_dump_json(), work)


@router.post("/alarms/{alarm}/comment", response_model=shapes.AlarmDetail)
def comment(
    ask: Operator, alarm: AlarmId, body: shapes.AlarmRemark, named: Named = None
) -> Response:
    """Add a comment of the caller, also after the alarm is cleared."""
    del named

    def work(conn: Connection) -> tuple[int, Any]:
        if alarms.by_id(conn, ask.who.projects, alarm) is None:
            raise _unknown(alarm)
        alarms.comment(conn, alarm, ask.who.name, body.text, ask.who.id)
        return _DONE, alarms.by_id(conn, ask.who.projects, alarm)

    return ask.write(body.model_dump_json(), work)


def _unknown(alarm: int) -> ProblemError:
    return ProblemError(404, f"there is no alarm {alarm} that you may see")

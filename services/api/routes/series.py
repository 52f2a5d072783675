"""Interval quantities of a device, also as files, emissions of a project, rejected messages."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime
from io import StringIO
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from mrv.calendar import instant_us, local_date
from services.api import schemas as shapes
from services.api.answers import ProblemError
from services.api.file_cache import Cursor, From, Limit, To, current, page, span_us
from services.api.request_context import Reader
from services.api.routes.registry import IdPath, unknown
from services.store.timeseries import queries as series
from services.store.views import listing
from services.store.views.parks import of_project

Form = Literal["csv", "parquet"]
_TYPE_OF: dict[Form, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
TYPES = tuple(_TYPE_OF.values())
_NAMES = ("device", "start", "quantity", "value", "unit", "quality", "measured_share")


def reading_file(device: str, of: str, rows: Sequence[dict[str, Any]], form: Form) -> Response:
    """
    Return quantities of a device as a file for download.

    `of`: time in the file's name.
    `rows`: as `services.store.timeseries.queries.quantities` returns them.
    """
    whole = [{"device": device, **row} for row in rows]
    body = _parquet(whole) if form == "parquet" else _csv(whole)
    name = f"{device}-{of}.{form}".replace(":", "").replace("+", "")
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(body, media_type=_TYPE_OF[form], headers=headers)


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_NAMES)
    writer.writerows([row[name] for name in _NAMES] for row in rows)
    return text.getvalue().encode()


def _parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - heavy, and few requests need it
    import pyarrow.parquet as pq  # noqa: PLC0415

    kinds = {
        "start": pa.timestamp("us", "UTC"),
        "value": pa.int64(),
        "measured_share": pa.float64(),
    }
    columns = {
        name: pa.array(
            [datetime.fromisoformat(row[name]) if name == "start" else row[name] for row in rows],
            kinds.get(name, pa.string()),
        )
        for name in _NAMES
    }
    out = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), out)
    return bytes(out.getvalue())


router = APIRouter(tags=["series"])
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in TYPES
        }
    }
}
_YEAR_US = 366 * 86_400_000_000
Name = Annotated[str, Query(max_length=64, pattern="^[A-Za-z0-9_-]+$")]


@router.get("/intervals", response_model=shapes.pages(shapes.Interval))
def intervals(
    ask: Reader, device: Name, begin: From, end: To, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """
    List a device's quantities by start.

    Intervals without data are absent, as missing is not zero.
    """
    with ask.reading() as conn:
        if listing.device(conn, ask.who.projects, device) is None:
            raise unknown("device", device)
        span = span_us(begin, end, series.device_timezone(conn, device))
        of = ("intervals", ask.who.id, device, *span)
        after = ask.api.cursors.read(of, cursor)
        seen = None if after is None else (after[0], after[1])
        rows = series.quantities(conn, device, *span, seen, limit + 1)
        return page(ask, of, limit, rows, lambda row: [row["start"], row["quantity"]])


@router.get("/intervals/file.{form}", responses=_FILES, response_class=Response)
def file(
    ask: Reader, form: Literal["csv", "parquet"], device: Name, begin: From, end: To
) -> Response:
    """
    Return a device's quantities as one file, CSV or Parquet, of at most a year.

    Values are integers in base units (Wh, mL, g, m, microseconds), stated in each row.
    """
    with ask.reading() as conn:
        if listing.device(conn, ask.who.projects, device) is None:
            raise unknown("device", device)
        span = span_us(begin, end, series.device_timezone(conn, device))
        if span[1] - span[0] > _YEAR_US:
            raise ProblemError(422, "a file has at most 366 days; request fewer days")
        rows = series.quantities(conn, device, *span)
    return reading_file(device, f"{begin}-{end}", rows, form)


@router.get("/projects/{project}/money", response_model=list[shapes.Money])
def money(ask: Reader, project: IdPath, begin: From, end: To) -> Response:
    """
    Return cost, savings and revenue of a project's energy by local day, by its sites' tariffs.

    Money is separate from tonnes, and currencies are not added.
    """
    with ask.reading() as conn:
        if not ask.who.sees(project) or not listing.projects(conn, [project], "", 1):
            raise unknown("project", project)
        zone = series.project_timezone(conn, project)
        days = [local_date(us, zone) for us in span_us(begin, end, zone)]
        moneys = of_project(conn, project, days[0], days[1])
    return current(
        [
            {
                "kind": item.kind,
                "amount": f"{item.amount:f}",
                "currency": item.currency,
                "energy_kwh": f"{item.energy_kwh:f}",
            }
            for item in moneys
        ]
    )


@router.get("/emissions", response_model=shapes.pages(shapes.Emission))
def emissions(
    ask: Reader, project: Name, begin: From, end: To, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """List a project's emissions by start: the live, conservative view, not a statement."""
    with ask.reading() as conn:
        if not ask.who.sees(project) or not listing.projects(conn, [project], "", 1):
            raise unknown("project", project)
        zone = series.project_timezone(conn, project)
        from_us, to_us = span_us(begin, end, zone)
        of = ("emissions", ask.who.id, project, from_us, to_us)
        after = ask.api.cursors.read(of, cursor)
        if after is not None:
            from_us = instant_us(after[0], zone) + 1
        rows: list[dict[str, Any]] = series.emissions(conn, project, from_us, to_us, limit + 1)
        return page(ask, of, limit, rows, lambda row: [row["start"]])


letters_router = APIRouter(tags=["dead letters"])


@letters_router.get("/deadletters", response_model=shapes.pages(shapes.Letter))
def letters(
    ask: Reader,
    limit: Limit = 100,
    cursor: Cursor = None,
    reason: Annotated[str | None, Query(max_length=64, pattern="^[a-z_0-9]+$")] = None,
    device: Annotated[str | None, Query(max_length=64, pattern="^[A-Za-z0-9_-]+$")] = None,
) -> Response:
    """
    List rejected messages, newest first, without their bytes.

    `device` also matches unregistered devices: by principal, or by a part of the topic.
    """
    with ask.reading() as conn:
        of: tuple[object, ...] = ("letters", ask.who.id, reason)
        if device is not None:  # marks of before there was a choice of device go on
            of = (*of, device)
        after = ask.api.cursors.read(of, cursor)
        before = None if after is None else int(after[0])
        rows = listing.letters(conn, ask.who.projects, before, limit + 1, reason, device)
        return page(ask, of, limit, rows, lambda row: [row["id"]])

"""
Projects and devices visible to the caller with their interval quantities and emissions, the
programme's progress, and sewers.

Quantities of a device are also served as files.  Sewers are GeoJSON for maps: assets in a window,
and an asset's history.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from io import StringIO
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.responses import JSONResponse, Response

from mrv.calendar import instant_us, local_date
from mrv.report import MEDIA_TYPES, Format, make_programme
from services.api import schemas as shapes
from services.api.answers import ProblemError
from services.api.file_cache import Cursor, From, Limit, To, current, page, span_us
from services.api.reports import Lang, chosen_language
from services.api.request_context import Reader, RequestContext, WholeReader
from services.issuer.planning import Due, due, programme_report, rows_json
from services.registry.files import document
from services.registry.schema import schema
from services.registry.sewer_files import collection, feature, grid
from services.store.registry import sewers as stored
from services.store.registry.entries_from_rows import load_project_entry
from services.store.timeseries import queries as series
from services.store.views import console, listing, parks
from services.store.views.device_page import device_page
from services.store.views.parks import of_project
from services.store.views.programme_report import progress_document

router = APIRouter(tags=["registry"])
IdPath = Annotated[str, Path(max_length=64, pattern="^[A-Za-z0-9_-]+$")]
_ENTRY = {"content": {"application/json": {"schema": schema()["properties"]["projects"]["items"]}}}
_EXACT = msgspec.json.Encoder(decimal_format="number")


@router.get("/projects", response_model=shapes.pages(shapes.Project))
def projects(ask: Reader, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """List projects, by id."""
    with ask.reading() as conn:
        after = ask.api.cursors.read(("projects", ask.who.id), cursor) or [""]
        rows = listing.projects(conn, ask.who.projects, after[0], limit + 1)
        return page(ask, ("projects", ask.who.id), limit, rows, lambda row: [row["id"]], _project)


@router.get("/projects/{project}", response_model=shapes.ProjectDetail)
def project(ask: Reader, project: IdPath) -> Response:
    """Return a project and its devices."""
    with ask.reading() as conn:
        result = listing.projects(conn, [project], "", 1) if ask.who.sees(project) else []
        if not result:
            raise unknown("project", project)
        devices = listing.project_devices(conn, project)
        account = [
            _account(account_source) for account_source in console.account_sources(conn, project)
        ]
    return current({**_project(result[0]), "devices": devices, "account": account})


@router.get("/projects/{project}/entry", responses={200: _ENTRY}, response_model=None)
def entry(ask: Reader, project: IdPath) -> Response:
    """Return a project's registry entry: plan, surveys, events, design, documents, samples."""
    with ask.reading() as conn:
        stored = load_project_entry(conn, project) if ask.who.sees(project) else None
    if stored is None:
        raise unknown("project", project)
    return Response(_EXACT.encode(document(stored)), media_type="application/json")


@router.get("/projects/{project}/due", response_model=shapes.Schedule)
def schedule(ask: Reader, project: IdPath) -> Response:
    """List due items of a project, with dates and responsible persons."""
    today, rows = due_of(ask, project)
    return JSONResponse({"project": project, "today": str(today), "due": rows_json(rows, today)})


def due_of(ask: RequestContext, project: str) -> tuple[date, list[Due]]:
    """Return a project's local day and due items; 404 if it is not visible."""
    with ask.reading() as conn:
        if not ask.who.sees(project) or not listing.projects(conn, [project], "", 1):
            raise unknown("project", project)
    with ask.api.files.connection() as conn:
        return due(conn, project)


@router.get("/devices", response_model=shapes.pages(shapes.Device))
def devices(ask: Reader, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """List devices, by id; for a caller limited to some projects, the devices of these."""
    with ask.reading() as conn:
        after = ask.api.cursors.read(("devices", ask.who.id), cursor) or [""]
        rows = listing.devices(conn, ask.who.projects, after[0], limit + 1)
        return page(ask, ("devices", ask.who.id), limit, rows, lambda row: [row["id"]])


@router.get("/devices/{device}", response_model=shapes.DeviceDetail)
def device(ask: Reader, device: IdPath) -> Response:
    """
    Return a device: state, cause and remedy, metered quantities, rejected messages.

    For an unregistered device the 404 states the number of its messages.
    """
    with ask.reading() as conn:
        result = device_page(conn, ask.who.projects, device)
    if result is None:
        raise unknown("device", device)
    if not result["registered"]:
        newest = result["refused"][0]
        raise ProblemError(
            404,
            f"device {device!r} is not registered, and its messages are rejected: "
            f"the newest is dead letter {newest['id']}, reason {newest['reason']}; "
            f"GET /v1/deadletters?device={device}",
        )
    return current(result)


def unknown(what: str, id_: str) -> ProblemError:
    """Return the error for an unknown id, equal for hidden and missing ones."""
    return ProblemError(
        404, f"there is no {what} {id_!r} that you may see; check the id and the scope of your key"
    )


def _project(row: dict[str, Any]) -> dict[str, Any]:
    parameters, expected = json.loads(row["parameters"]), json.loads(row["expected"])
    return {**row, "parameters": parameters, "expected": expected}


def _account(account_source: console.AccountSource) -> dict[str, Any]:
    tonnes = {
        name: None if value is None else f"{value:f}"
        for name, value in (
            ("reduction_t", account_source.reduction_t),
            ("before_t", account_source.before_t),
        )
    }
    return {
        "source": account_source.source,
        "statement": account_source.statement,
        "first_day": account_source.first,
        "last_day": account_source.last,
        **tonnes,
        "problem": account_source.problem,
    }


class GeoJson(JSONResponse):
    """Answer with GeoJSON (RFC 7946), a kind of JSON answer, so that OpenAPI shows its schema."""

    media_type = "application/geo+json"

    def render(self, content: bytes) -> bytes:
        """Return the content unchanged, as it is encoded already."""
        return content


sewers_router = APIRouter(tags=["sewers"])
_SIDES = 4
Window = Annotated[
    str | None,
    Query(
        max_length=100, description="west,south,east,north", examples=["106.65,20.84,106.67,20.86"]
    ),
]
SewerLimit = Annotated[int, Query(ge=1, le=10_000)]
SewerAfter = Annotated[str, Query(max_length=64, pattern="^[A-Za-z0-9_-]*$")]
Sides = Annotated[
    int | None,
    Query(
        ge=2,
        le=64,
        description="For a window with more than `limit` assets: number of cells per side, "
        "with counts.",
    ),
]
AssetPath = Annotated[str, Path(max_length=64, pattern="^[A-Za-z0-9_-]+$")]


@sewers_router.get("/sewers", response_model=shapes.Sewers, response_class=GeoJson)
def sewers(
    ask: WholeReader,
    bbox: Window = None,
    limit: SewerLimit = 2_000,
    after: SewerAfter = "",
    cells: Sides = None,
) -> Response:
    """
    Return sewer assets that intersect a bounding box, by id, as a FeatureCollection.

    If there are more, `next` is the value for `after`; with `cells` the window is returned as a
    grid of counts, for maps of a whole city.
    """
    box = window(bbox)
    with ask.reading() as conn:
        assets = stored.within(conn, box, limit + 1, after)
        around = (box or stored.extent(conn)) if cells is not None and len(assets) > limit else None
        if around is not None and cells is not None:
            counted = stored.cells(conn, around, (cells, cells))
            return _json(grid(around, cells, counted) | {"next": None})
    more = len(assets) > limit
    body = collection(assets[:limit]) | {"next": assets[limit - 1].id if more else None}
    return _json(body)


@sewers_router.get("/sewers/{asset}", response_model=shapes.Sewer, response_class=GeoJson)
def sewer(ask: WholeReader, asset: AssetPath) -> Response:
    """Return an asset as a Feature, with its inspections and works."""
    with ask.reading() as conn:
        result = stored.history(conn, asset)
    if result is None:
        raise unknown("asset", asset)
    item, events = result
    history = [{k: v for k, v in e._asdict().items() if k != "asset"} for e in events]
    return _json(feature(item) | {"history": history})


def window(text: str | None) -> stored.Box | None:
    """
    Return the bounding box in a query parameter; None if absent.

    Raises ProblemError: 422 if it is invalid.
    """
    if text is None:
        return None
    try:
        sides = [float(part) for part in text.split(",")]
    except ValueError:
        sides = []
    if len(sides) == _SIDES:
        west, south, east, north = sides
        if -180 <= west <= east <= 180 and -90 <= south <= north <= 90:  # noqa: PLR2004 - degrees
            return west, south, east, north
    raise ProblemError(
        422,
        f"bbox = {text!r}: send west,south,east,north in degrees, with west "
        "below east and south below north",
    )


def _json(body: object) -> Response:
    return GeoJson(msgspec.json.encode(body), headers={"Cache-Control": "no-store"})


programme_router = APIRouter(tags=["programme"])


@programme_router.get("/programme", response_model=shapes.Programme)
def programme(
    ask: WholeReader, year: Annotated[int | None, Query(ge=1990, le=2200)] = None
) -> Response:
    """
    Return targets and progress by action, and tonnes that may be transferred abroad.

    The city's account is modelled, the projects' measured; they are never added.
    """
    with ask.reading() as conn:
        result = progress_document(conn, year)
    return current(result)


Year = Annotated[int | None, Query(ge=1990, le=2200)]


class Workbook(Response):
    """Answer with a workbook; names its media type in OpenAPI."""

    media_type = MEDIA_TYPES["xlsx"]


class Pages(Response):
    """Answer with a PDF; names its media type in OpenAPI."""

    media_type = MEDIA_TYPES["pdf"]


@programme_router.get("/programme/report", response_model=shapes.ProgrammeReport)
def report(ask: WholeReader, year: Year = None) -> Response:
    """
    Return every system: devices, expected, measured, issued, transferable and provisional tonnes.

    `tCO2` is null for a system without methodology, with the reason.
    """
    return current(_report(ask, year))


@programme_router.get("/programme/report.xlsx", response_class=Workbook)
def report_workbook(ask: WholeReader, year: Year = None, lang: Lang = None) -> Response:
    """Return the programme's report as a workbook, in the reader's language."""
    report_language = chosen_language(ask, lang)
    return report_file(_report(ask, year, report_language), "xlsx", report_language)


@programme_router.get("/programme/report.pdf", response_class=Pages)
def report_pages(ask: WholeReader, year: Year = None, lang: Lang = None) -> Response:
    """Return the programme's report as PDF: findings, progress, actions, projects, evidence."""
    report_language = chosen_language(ask, lang)
    return report_file(_report(ask, year, report_language), "pdf", report_language)


def report_file(document: Mapping[str, Any], wanted: Format, language: str) -> Response:
    """Return a programme report as a file for download."""
    name = f"programme-{document['year']}.{language}.{wanted}"
    return Response(
        make_programme(document, wanted, language),
        media_type=MEDIA_TYPES[wanted],
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Language": language,
            "Vary": "Authorization, Accept-Language",
        },
    )


@programme_router.get("/parks/{park}", response_model=shapes.Park)
def park(
    ask: WholeReader,
    park: Annotated[str, Path(max_length=64, pattern="^[A-Za-z0-9_-]+$")],
    year: Annotated[int, Query(ge=1990, le=2200)],
) -> Response:
    """Return an eco-industrial park's balance of a year: energy, water, waste and heat."""
    span = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    with ask.reading() as conn:
        if park not in parks.park_ids(conn):
            raise ProblemError(404, f"there is no park {park!r} that you may see; check its id")
        result = parks.balance(conn, park, *span)
    return current(result)


def _report(ask: WholeReader, year: int | None, language: str = "en") -> dict[str, Any]:
    with ask.reading() as conn:
        return programme_report(conn, year, language)


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


series_router = APIRouter(tags=["series"])
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in TYPES
        }
    }
}
_YEAR_US = 366 * 86_400_000_000
Name = Annotated[str, Query(max_length=64, pattern="^[A-Za-z0-9_-]+$")]


@series_router.get("/intervals", response_model=shapes.pages(shapes.Interval))
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


@series_router.get("/intervals/file.{form}", responses=_FILES, response_class=Response)
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
            raise ProblemError(
                422, f"from {begin} to {end} is more than 366 days; request fewer days"
            )
        rows = series.quantities(conn, device, *span)
    return reading_file(device, f"{begin}-{end}", rows, form)


@series_router.get("/projects/{project}/money", response_model=list[shapes.Money])
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


@series_router.get("/emissions", response_model=shapes.pages(shapes.Emission))
def emissions(
    ask: Reader, project: Name, begin: From, end: To, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """List a project's emissions by start: preliminary conservative values, not a statement."""
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

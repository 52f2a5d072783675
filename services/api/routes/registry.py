"""Projects and devices visible to the caller."""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path
from starlette.responses import JSONResponse, Response

from services.api import schemas as shapes
from services.api.file_cache import Cursor, Limit, current, page
from services.api.problems import ProblemError
from services.api.request_context import Asked, Reader
from services.issuer.planning import Due, due, rows_json
from services.registry.document import document
from services.registry.schema import schema
from services.store.registry.entries_from_rows import load_project_entry
from services.store.views import console, listing
from services.store.views.device_page import device_page

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


def due_of(ask: Asked, project: str) -> tuple[date, list[Due]]:
    """Return a project's local day and due items; 404 if it is not visible."""
    with ask.reading() as conn:
        if not ask.who.sees(project) or not listing.projects(conn, [project], "", 1):
            raise unknown("project", project)
    with ask.api.files.connection() as conn:
        return due(conn, project)


@router.get("/devices", response_model=shapes.pages(shapes.Device))
def devices(ask: Reader, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """List devices, by id; with a scope, those that serve a project in it."""
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
    return ProblemError(404, f"there is no {what} {id_!r} that you may see")


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

"""Invoices (monitoring option B) for comparison with meters, stored once and unchanged."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from psycopg import Connection
from starlette.responses import Response

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from services.api import schemas as shapes
from services.api.paging import Cursor, Limit, current, page
from services.api.problems import ProblemError
from services.api.request_context import Operator, Reader
from services.api.routes.registry import IdPath, unknown
from services.api.routes.writes import Named
from services.processing import invoice_import
from services.registry.fields import Row
from services.registry.invoices import Import
from services.registry.located import Plain, Table, Value
from services.store.registry import invoices as stored

router = APIRouter(tags=["invoices"])
_CREATED, _DONE, _REFUSED = 201, 200, 422
_BODY = "body"
_SHOWN = 10


@router.get("/invoices", response_model=shapes.pages(shapes.Invoice))
def invoices(
    ask: Reader,
    limit: Limit = 100,
    cursor: Cursor = None,
    project: Annotated[str | None, Query(max_length=64, pattern="^[A-Za-z0-9_-]+$")] = None,
) -> Response:
    """List invoices by id, including those that a later invoice corrects."""
    of = ("invoices", ask.who.id, project)
    with ask.reading() as conn:
        after = ask.api.cursors.read(of, cursor) or [""]
        rows = stored.listed(conn, ask.who.projects, project, after[0], limit + 1)
        return page(ask, of, limit, rows, lambda row: [row["id"]], _invoice_values)


@router.get("/invoices/{invoice}", response_model=shapes.Invoice)
def invoice(ask: Reader, invoice: IdPath) -> Response:
    """Return an invoice as stored."""
    with ask.reading() as conn:
        result = stored.by_id(conn, ask.who.projects, invoice)
    if result is None:
        raise unknown("invoice", invoice)
    return current(_invoice_values(result))


@router.post(
    "/projects/{project}/invoices",
    status_code=_CREATED,
    response_model=shapes.Deliveries,
    responses={
        _DONE: {"description": "All invoices were stored earlier", "model": shapes.Deliveries}
    },
)
def deliver(ask: Operator, project: IdPath, body: shapes.Delivery, named: Named = None) -> Response:
    """Store invoices of a project, all or none; 200 if every one was stored before."""
    del named  # read by `write`, declared for OpenAPI

    def work(conn: Connection) -> tuple[int, Any]:
        if not ask.who.sees(project):
            raise unknown("project", project)
        rows = [_row(new_invoice, project) for new_invoice in body.invoices]
        matches = invoice_import.deliver(conn, rows, ask.who.name)
        if matches.refused:
            raise ProblemError(_REFUSED, _refusal(matches))
        results = [{"id": result.id, "result": result.result} for result in matches.results]
        return (_CREATED if matches.new else _DONE), {"results": results}

    return ask.write(body.model_dump_json(), work)


def _row(new_invoice: shapes.NewInvoice, project: str) -> Row:
    """Return an invoice as the row of a file, which is checked alike."""
    content = new_invoice.model_dump(mode="json", by_alias=True, exclude_none=True)
    cells: dict[str, Value] = {key: _cell(value) for key, value in content.items()}
    return Row(Table(0, {**cells, "project": project}, {}), _BODY, f"invoices[{new_invoice.id}]")


def _cell(value: str | list[str]) -> Value:
    return list(value) if isinstance(value, list) else Plain(value)


def _refusal(imported: Import) -> str:
    """Return the errors of each invoice as text."""
    lines = [
        message.removeprefix(f"{_BODY}:0: ")
        for result in imported.results
        for message in (result.messages if result.result == "error" else ())
    ]
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return f"no invoice was stored: {'; '.join(lines[:_SHOWN])}{more}"


def _invoice_values(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "unit": QUANTITIES[QUANTITY_INDEX[row["quantity"]]].unit}

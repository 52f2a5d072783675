"""
The application: routes, guards and common parts, and the cache of answers.

Results of slow queries are kept longer, at most until the end of the current 15-minute interval,
because expected values to date change then.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio.to_thread
import msgspec
from fastapi import APIRouter, FastAPI, Request
from psycopg import Connection
from psycopg_pool import ConnectionPool
from starlette.responses import HTMLResponse, Response

from services.api import answers, connections, examples
from services.api import schemas as shapes
from services.api.console import render as page
from services.api.console.maps import NONE, Base
from services.api.console.render import address
from services.api.console.routes import devices as console_devices
from services.api.console.routes import documents, live, overview, projects, statement_days
from services.api.console.routes import programme as console_programme
from services.api.console.routes import sewers as console_sewers
from services.api.console.routes import statements as console_statements
from services.api.console.routes.live import Live
from services.api.file_cache import has_already
from services.api.made_files import Maker
from services.api.reports import FileJobs
from services.api.request_context import Api, Cursors
from services.api.routes import (
    administration,
    exports,
    log,
    registry,
    sensorthings,
    statements,
    writes,
)
from services.api.server import Guard, Measures, Rates
from services.issuer.requests import Desk, Runner
from services.issuer.timestamps import Policy, no_authority
from services.metrics import Metrics
from services.settings import FILES_BYTES
from services.store import api_keys as api_records
from services.store.postgres.pool import session_settings
from services.webhook_post import Network

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from services.api.principals import Tokens

reference_router = APIRouter(include_in_schema=False)
_writing = threading.Lock()
# the style sheet of Swagger UI contains images, and its script sets styles on elements
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API reference - tonne</title>
<link rel="stylesheet" href="{style}">
<link rel="icon" href="{icon}" type="image/svg+xml">
<script src="{program}" defer></script>
<script type="module" src="{start}"></script>
</head>
<body>
<main id="reference"></main>
<noscript>This page needs JavaScript; the document is at <a href="/v1/openapi.json">/v1/openapi.json</a>.</noscript>
</body>
</html>
"""  # noqa: E501 - a page


@reference_router.get("/reference")
async def reference_page() -> Response:
    """Return the page of the API reference."""
    text = _PAGE.format(
        style=address("vendor/swagger-ui.css"),
        icon=address("icon.svg"),
        program=address("vendor/swagger-ui.js"),
        start=address("reference.mjs"),
    )
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
    return HTMLResponse(text, headers=headers)


@reference_router.get("/openapi.json")
def openapi_document(request: Request) -> Response:
    """Return the OpenAPI document, encoded once as that takes long."""
    state = request.app.state
    with _writing:
        if getattr(state, "described", None) is None:
            written = msgspec.json.encode(request.app.openapi())
            state.described = written, f'"{hashlib.sha256(written).hexdigest()[:32]}"'
    body, tag = state.described
    headers = {"ETag": tag, "Cache-Control": "public, no-cache"}
    if has_already(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


_READERS, _JOBS, _WAIT_S = 8, 1, 5.0
# threads: one for each request that may run in parallel, and 8 for answers
_THREADS = _READERS + connections.WRITES + connections.STEPS + connections.FILES + 8
_ABOUT = (
    "Statements of avoided CO2, their evidence and the log that contains them."
    " Statements that are issued, their status and the proofs are public; all else needs a"
    " bearer token with a role and a scope of projects."
)
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"description": text, "content": {answers.MEDIA_TYPE: {"schema": {
        "$ref": "#/components/schemas/Problem"}}}}
    for code, text in (
        (400, "Malformed"), (401, "No valid token"), (403, "Not allowed for this role"),
        (404, "Not found, or not visible to this key"),
        (406, "Not available in this form or language"),
        (408, "Too slow"), (409, "Not possible in this state"), (413, "Too large"),
        (414, "Address too long"), (415, "The body is not JSON"),
        (416, "No such range"), (422, "Not acceptable"), (429, "Too often"),
        (431, "Request headers too large"), (503, "Database or archive not available"),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choices:
    """
    Options of the operator: home, rate limits, token issuers.

    `strict` is TONNE_REQUIRE_ACCEPTED_FACTORS, `grafana` TONNE_GRAFANA_URL, `base` the map of
    TONNE_CONSOLE_MAP, `simulated` TONNE_CONSOLE_SIMULATED, `stamps` returns the time-stamp policy
    of an issue, `waits` whether TONNE_WITNESS_AWAY is wait, `files_bytes` TONNE_API_FILES_BYTES,
    `public_classes` TONNE_SENSORTHINGS_PUBLIC, `networks` TONNE_WEBHOOK_NETWORKS.
    """

    home: Path
    rate_per_s: float
    oidc: Tokens | None = None
    strict: bool = False
    grafana: str | None = None
    base: Base = NONE
    simulated: bool = False
    stamps: Callable[[], Policy | None] = no_authority
    waits: bool = False
    files_bytes: int = FILES_BYTES
    public_classes: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()


def make_app(
    database_url: str, choices: Choices, metrics: Metrics, log_: FilteringBoundLogger
) -> FastAPI:
    """
    Return the application.

    `database_url`: connected to at the start; while it is unreachable requests are answered with
    503.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        page.warm()
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        reads = _pool(database_url, "tonne_api", _READERS)
        files = _pool(database_url, "tonne_api", connections.FILES + _JOBS)
        writes = _pool(database_url, "tonne_api", connections.WRITES + connections.STEPS)
        with reads, files, writes, ExitStack() as stack:
            with reads.connection() as conn:
                cursors = Cursors(api_records.cursor_secret(conn))
                mine = Desk(
                    choices.home, choices.strict, stamps=choices.stamps, waits=choices.waits
                )
                desk = mine if _may_sign(conn) else None
            log_.info("steps of statements", done_by="this process" if desk else "tonne signer")
            # this thread makes the files and executes the steps of requests that asked for a job
            if desk is not None:
                stack.enter_context(Runner(database_url, desk, metrics, log_))
            maker = Maker(database_url)
            stack.callback(maker.close)
            app.state.api = Api(
                reads,
                files,
                writes,
                cursors,
                choices.oidc,
                choices.home,
                desk,
                maker,
                choices.waits,
                choices.files_bytes,
                public_classes=choices.public_classes,
                networks=choices.networks,
            )
            stack.enter_context(FileJobs(database_url, app.state.api, log_))
            yield

    app = FastAPI(
        title="tonne",
        version=version("tonne"),
        description=_ABOUT,
        openapi_url=None,  # served from memory: see `openapi_document`
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.metrics, app.state.grafana = metrics, choices.grafana
    app.state.base = choices.base
    app.state.simulated = choices.simulated
    app.state.memory, app.state.live = Memory(), Live(log_)
    answers.install(app, log_, page_of=_error_page)
    app.include_router(administration.health_router)
    # each router is included directly: nested routers have their parameters evaluated twice
    for router in (
        administration.router,
        registry.router,
        registry.series_router,
        statements.router,
        exports.packs_router,
        writes.router,
        log.router,
        administration.keys_router,
        log.schemas_router,
        registry.programme_router,
        administration.letters_router,
        reference_router,
        registry.sewers_router,
        writes.invoices_router,
        log.published_router,
        administration.alarms_router,
        exports.jobs_router,
        administration.webhooks_router,
        sensorthings.router,
        exports.router,
    ):
        app.include_router(router, prefix="/v1", responses=_PROBLEMS)
    for part in (
        overview,
        projects,
        console_statements,
        statement_days,
        live,
        page,
        console_programme,
        console_sewers,
        console_devices,
        documents,
    ):
        app.include_router(part.router)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    app.add_middleware(
        Guard,
        rates=Rates(choices.rate_per_s),
        lanes=connections.Lanes(),
        measures=Measures(metrics.registry),
    )
    return app


def _error_page(request: Request, refused: Response, detail: str) -> Response:
    """Return a rejection as a page if a page was requested."""
    return page.error_page(request, refused, detail) if page.is_page(request) else refused


def _pool(url: str, role: str, maximum: int) -> ConnectionPool:
    return ConnectionPool(
        url,
        kwargs={"autocommit": True, **session_settings(role, "tonne api")},
        min_size=1,
        max_size=maximum,
        timeout=_WAIT_S,
        open=False,
        check=ConnectionPool.check_connection,
    )


def _may_sign(conn: Connection) -> bool:
    """Return whether the API can sign itself: its database login has the accounting role."""
    row = conn.execute("SELECT pg_has_role(session_user, 'tonne_mrv', 'SET')").fetchone()
    return row == (True,)


def _described(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with bearer tokens and the API's error format."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        parts = document["components"]
        parts["schemas"]["Problem"] = shapes.Problem.model_json_schema()
        parts["schemas"].pop("HTTPValidationError", None)
        parts["schemas"].pop("ValidationError", None)
        parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{}, {"bearer": []}]
        document["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        examples.add(document)
        app.openapi_schema = document
    return app.openapi_schema


_T = TypeVar("_T")
_LEAST_S = 10.0
_TIMES = 20.0
_QUARTER_S = 900
_MAX = 256
_LOCKS = 64


class Memory:
    """Cache of answers by question; the oldest are dropped."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        # a fixed number of locks, shared by questions
        self._asking = [threading.Lock() for _ in range(_LOCKS)]
        self._lock = threading.Lock()

    def get(self, question: Hashable, find: Callable[[], _T]) -> _T:
        """Return the cached answer, or compute it, one caller at a time."""
        question = (int(time.time() // _QUARTER_S), question)
        with self._asking[hash(question) % _LOCKS]:
            until_s, answer = self._kept.get(question, (0.0, None))
            if time.monotonic() < until_s:
                return answer  # type: ignore[no-any-return]  # of the same question
            began_s = time.monotonic()
            result = find()
            took_s = time.monotonic() - began_s
            with self._lock:
                self._kept[question] = (time.monotonic() + max(_LEAST_S, _TIMES * took_s), result)
                self._kept.move_to_end(question)
                while len(self._kept) > _MAX:
                    self._kept.popitem(last=False)
            return result

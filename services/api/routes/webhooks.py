"""Webhooks, for administrators of all projects: receivers and deliveries."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from psycopg import Connection
from starlette.responses import Response

from services.api import schemas as shapes
from services.api.paging import Cursor, Limit, current, page
from services.api.problems import ProblemError
from services.api.request_context import Admin, Asked
from services.store.api import webhooks as store
from services.webhooks import post
from services.webhooks import post as addresses

router = APIRouter(tags=["webhooks"])
WebhookId = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,63}$", examples=["registry"])]
_CREATED, _DONE = 201, 200
_HOUR_S = 3600


@router.get("/webhooks", response_model=list[shapes.Webhook])
def webhooks(ask: Admin) -> Response:
    """List webhooks, active ones first, without their secrets."""
    with ask.reading() as conn:
        return current([webhook._asdict() for webhook in store.webhooks(conn)])


@router.post("/webhooks", status_code=_CREATED, response_model=shapes.MadeWebhook)
def add(ask: Admin, body: shapes.NewWebhook) -> Response:
    """Register a webhook; its secret is shown only once."""
    _refuse_name(ask)
    target = addresses.target_of(body.url)
    try:
        addresses.addresses_of(target, ask.api.networks)
    except OSError as error:
        raise ProblemError(
            422, f"{target.host} does not resolve: {error}; check the host's name"
        ) from None
    secret = post.new_secret()

    def work(conn: Connection) -> tuple[int, Any]:
        made = store.add(conn, body.id, body.url, body.topics, body.projects, secret, ask.who.name)
        return _CREATED, {**made._asdict(), "secret": secret}

    return ask.write(body.model_dump_json(), work)


@router.get("/webhooks/{webhook}", response_model=shapes.Webhook)
def webhook(ask: Admin, webhook: WebhookId) -> Response:
    """Return a webhook."""
    with ask.reading() as conn:
        return current(store.by_id(conn, webhook)._asdict())


@router.get("/webhooks/{webhook}/deliveries", response_model=shapes.pages(shapes.WebhookDelivery))
def deliveries(
    ask: Admin,
    webhook: WebhookId,
    limit: Limit = 100,
    cursor: Cursor = None,
    state: Annotated[
        Literal["waiting", "delivered", "dead"] | None,
        Query(description="Only deliveries in this state."),
    ] = None,
) -> Response:
    """List deliveries of a webhook, the newest event first."""
    with ask.reading() as conn:
        store.by_id(conn, webhook)
        of = ("webhook", ask.who.id, webhook, state or "")
        after = ask.api.cursors.read(of, cursor)
        before = None if after is None else int(after[0])
        rows = [
            delivery._asdict()
            for delivery in store.deliveries(conn, webhook, state, before, limit + 1)
        ]
        return page(ask, of, limit, rows, lambda row: [row["sequence"]])


@router.post("/webhooks/{webhook}/secret", response_model=shapes.MadeSecret)
def rotate(ask: Admin, webhook: WebhookId, body: shapes.NewSecret) -> Response:
    """Replace the signing secret, shown only once; the previous one is valid for some hours."""
    _refuse_name(ask)
    secret = post.new_secret()

    def work(conn: Connection) -> tuple[int, Any]:
        store.rotate(conn, webhook, secret, body.overlap_h * _HOUR_S)
        return _DONE, {"id": webhook, "secret": secret}

    return ask.write(body.model_dump_json(), work)


@router.post("/webhooks/{webhook}/replay", response_model=shapes.Replayed)
def replay(ask: Admin, webhook: WebhookId, body: shapes.Replay) -> Response:
    """Resend events with their original ids, all or none."""
    if not (body.events or body.since or body.dead):
        raise ProblemError(422, "send one of `events`, `since` and `dead`")
    if body.since is not None and body.since.tzinfo is None:
        raise ProblemError(422, "`since` has no offset; write for example 2026-03-01T00:00:00Z")

    def work(conn: Connection) -> tuple[int, Any]:
        count = store.replay(conn, webhook, events=body.events, since=body.since, dead=body.dead)
        return _DONE, {"events": count, "oldest_kept": store.oldest(conn)}

    return ask.write(body.model_dump_json(), work)


@router.post("/webhooks/{webhook}/end", response_model=shapes.Webhook)
def end(ask: Admin, webhook: WebhookId, body: shapes.Ending) -> Response:
    """Remove a webhook: no more events are sent, and waiting events fail."""

    def work(conn: Connection) -> tuple[int, Any]:
        store.by_id(conn, webhook)
        store.end(conn, webhook, body.reason)
        return _DONE, store.by_id(conn, webhook)._asdict()

    return ask.write(body.model_dump_json(), work)


def _refuse_name(ask: Asked) -> None:
    if ask.request.headers.get("idempotency-key") is not None:
        raise ProblemError(400, "a secret is shown only once: omit Idempotency-Key")

"""
Identity of the caller, keys and their use, health, webhooks with their deliveries, alarms, and
rejected messages.

Operators acknowledge alarms of visible projects, and comment on them.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg import Connection
from starlette.responses import Response

from services import webhook_post
from services.api import schemas as shapes
from services.api.answers import ProblemError
from services.api.file_cache import Cursor, Limit, current, page
from services.api.request_context import Admin, Ask, Operator, Reader, RequestContext
from services.api.routes.writes import WRITE
from services.store import api_keys
from services.store import webhooks as store
from services.store.postgres import migrate
from services.store.registry import signing_keys as enrolled
from services.store.views import alarms, listing

router = APIRouter(tags=["access"])
KeyId = Annotated[str, Path(pattern="^[a-z0-9]{12}$")]
_CREATED, _DONE = 201, 200


@router.get("/me", response_model=shapes.Me)
def me(ask: Reader) -> Response:
    """Return the caller's identity and scope."""
    who = ask.who
    return current({"id": who.id, "name": who.name, "role": who.role, "projects": who.projects})


@router.get("/keys", response_model=list[shapes.Key])
def keys(ask: Admin) -> Response:
    """List API keys, oldest first, without their secrets."""
    with ask.reading() as conn:
        return current([asdict(all_key) for all_key in api_keys.all_keys(conn)])


@router.post("/keys", status_code=_CREATED, response_model=shapes.MadeKey)
def create_key(ask: Admin, body: shapes.NewKey) -> Response:
    """Create an API key; its token is shown only once, so the request has no idempotency key."""
    if ask.request.headers.get("idempotency-key") is not None:
        raise ProblemError(
            400, "the token is returned only once, not on a repetition: omit Idempotency-Key"
        )

    def work(conn: Connection) -> tuple[int, Any]:
        key, token = api_keys.create(
            conn, body.name, body.role, body.projects, ask.who.name, body.expires
        )
        return _CREATED, {**asdict(key), "token": token}

    return ask.write(body.model_dump_json(), work)


@router.delete("/keys/{key}", response_model=shapes.Key)
def revoke_key(ask: Admin, key: KeyId) -> Response:
    """Revoke an API key, from now on."""

    def work(conn: Connection) -> tuple[int, Any]:
        return _DONE, asdict(api_keys.revoke(conn, key))

    return ask.write("", work)


@router.get("/audit", response_model=shapes.pages(shapes.AuditRow))
def audit(ask: Admin, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """List writes and evidence downloads, oldest first."""
    with ask.reading() as conn:
        after = ask.api.cursors.read(("audit", ask.who.id), cursor) or [0]
        rows = [asdict(row) for row in api_keys.audit_rows(conn, after[0], limit + 1)]
        return page(ask, ("audit", ask.who.id), limit, rows, lambda row: [row["id"]])


keys_router = APIRouter(tags=["log"])


@keys_router.get("/keyring", response_model=shapes.Keyring)
def keyring(ask: Ask) -> Response:
    """
    List the enrolled public keys, as a keyring for `tonne verify --keys`.

    Compare them with those published by their holders, as a dishonest server could change this
    list.
    """
    with ask.reading() as conn:
        result = [enrolment.key.to_json() for enrolment in enrolled.load(conn)]
    return Response(
        msgspec.json.encode({"keys": result}),
        media_type="application/json",
        headers={"Cache-Control": "no-cache"},
    )


health_router = APIRouter(include_in_schema=False)


@health_router.get("/healthz")
async def healthz() -> Response:
    """Answer that the process runs, without a request to another server."""
    return Response("ok\n", media_type="text/plain")


@health_router.get("/readyz")
def readyz(request: Request) -> Response:
    """Answer whether the database is available with the schema of this version."""
    with request.app.state.api.reads.connection(timeout=2) as conn:
        lacks = migrate.pending_work(conn)
    if lacks:
        raise ProblemError(503, f"{lacks}; run `tonne migrate`")
    return Response("ready\n", media_type="text/plain")


@health_router.get("/metrics")
def metrics(request: Request) -> Response:
    """Return the metrics for a scrape."""
    text = generate_latest(request.app.state.metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


webhooks_router = APIRouter(tags=["webhooks"])
WebhookId = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,63}$", examples=["registry"])]
_HOUR_S = 3600


@webhooks_router.get("/webhooks", response_model=list[shapes.Webhook])
def webhooks(ask: Admin) -> Response:
    """List webhooks, active ones first, without their secrets."""
    with ask.reading() as conn:
        return current([webhook._asdict() for webhook in store.webhooks(conn)])


@webhooks_router.post("/webhooks", status_code=_CREATED, response_model=shapes.MadeWebhook)
def add(ask: Admin, body: shapes.NewWebhook) -> Response:
    """Register a webhook; its secret is shown only once."""
    _refuse_name(ask)
    target = webhook_post.target_of(body.url)
    try:
        webhook_post.addresses_of(target, ask.api.networks)
    except OSError as error:
        raise ProblemError(
            422, f"{target.host} does not resolve: {error}; check the host's name"
        ) from None
    secret = webhook_post.new_secret()

    def work(conn: Connection) -> tuple[int, Any]:
        made = store.add(conn, body.id, body.url, body.topics, body.projects, secret, ask.who.name)
        return _CREATED, {**made._asdict(), "secret": secret}

    return ask.write(body.model_dump_json(), work)


@webhooks_router.get("/webhooks/{webhook}", response_model=shapes.Webhook)
def webhook(ask: Admin, webhook: WebhookId) -> Response:
    """Return a webhook."""
    with ask.reading() as conn:
        return current(store.by_id(conn, webhook)._asdict())


@webhooks_router.get(
    "/webhooks/{webhook}/deliveries", response_model=shapes.pages(shapes.WebhookDelivery)
)
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


@webhooks_router.post("/webhooks/{webhook}/secret", response_model=shapes.MadeSecret)
def rotate(ask: Admin, webhook: WebhookId, body: shapes.NewSecret) -> Response:
    """Replace the signing secret, shown only once; the previous one is valid for some hours."""
    _refuse_name(ask)
    secret = webhook_post.new_secret()

    def work(conn: Connection) -> tuple[int, Any]:
        store.rotate(conn, webhook, secret, body.overlap_h * _HOUR_S)
        return _DONE, {"id": webhook, "secret": secret}

    return ask.write(body.model_dump_json(), work)


@webhooks_router.post("/webhooks/{webhook}/replay", response_model=shapes.Replayed)
def replay(ask: Admin, webhook: WebhookId, body: shapes.Replay) -> Response:
    """Resend events with their original ids, all or none."""
    if not (body.events or body.since or body.dead):
        raise ProblemError(422, "send one of `events`, `since` and `dead`")
    if body.since is not None and body.since.tzinfo is None:
        raise ProblemError(
            422, f"`since` {body.since.isoformat()} has no offset; append it, such as Z for UTC"
        )

    def work(conn: Connection) -> tuple[int, Any]:
        count = store.replay(conn, webhook, events=body.events, since=body.since, dead=body.dead)
        return _DONE, {"events": count, "oldest_kept": store.oldest(conn)}

    return ask.write(body.model_dump_json(), work)


@webhooks_router.post("/webhooks/{webhook}/end", response_model=shapes.Webhook)
def end(ask: Admin, webhook: WebhookId, body: shapes.Ending) -> Response:
    """Remove a webhook: no more events are sent, and waiting events fail."""

    def work(conn: Connection) -> tuple[int, Any]:
        store.by_id(conn, webhook)
        store.end(conn, webhook, body.reason)
        return _DONE, store.by_id(conn, webhook)._asdict()

    return ask.write(body.model_dump_json(), work)


def _refuse_name(ask: RequestContext) -> None:
    if ask.request.headers.get("idempotency-key") is not None:
        raise ProblemError(400, "a secret is shown only once: omit Idempotency-Key")


alarms_router = APIRouter(tags=["alarms"])
AlarmId = Annotated[int, Path(ge=1, le=2**53, description="Number of the alarm.")]
_ALARM_DONE = 200


@alarms_router.get("/alarms", response_model=shapes.pages(shapes.Alarm))
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


@alarms_router.get("/alarms/{alarm}", response_model=shapes.AlarmDetail)
def alarm_detail(ask: Reader, alarm: AlarmId) -> Response:
    """Return an alarm with its history."""
    with ask.reading() as conn:
        result = alarms.by_id(conn, ask.who.projects, alarm)
    if result is None:
        raise _unknown(alarm)
    return current(result)


@alarms_router.post(
    "/alarms/{alarm}/acknowledge", response_model=shapes.AlarmDetail, dependencies=WRITE
)
def acknowledge(ask: Operator, alarm: AlarmId, body: shapes.AlarmRemark) -> Response:
    """Record that the caller acknowledges an alarm; 409 if already acknowledged."""

    def work(conn: Connection) -> tuple[int, Any]:
        if alarms.by_id(conn, ask.who.projects, alarm) is None:
            raise _unknown(alarm)
        alarms.acknowledge(conn, alarm, ask.who.name, body.text, ask.who.id)
        return _ALARM_DONE, alarms.by_id(conn, ask.who.projects, alarm)

    return ask.write(body.model_dump_json(), work)


@alarms_router.post(
    "/alarms/{alarm}/comment", response_model=shapes.AlarmDetail, dependencies=WRITE
)
def comment(ask: Operator, alarm: AlarmId, body: shapes.AlarmRemark) -> Response:
    """Add a comment of the caller, also after the alarm is cleared."""

    def work(conn: Connection) -> tuple[int, Any]:
        if alarms.by_id(conn, ask.who.projects, alarm) is None:
            raise _unknown(alarm)
        alarms.comment(conn, alarm, ask.who.name, body.text, ask.who.id)
        return _ALARM_DONE, alarms.by_id(conn, ask.who.projects, alarm)

    return ask.write(body.model_dump_json(), work)


def _unknown(alarm: int) -> ProblemError:
    return ProblemError(
        404, f"there is no alarm {alarm} that you may see; GET /v1/alarms lists them"
    )


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
        # without a device filter the key is unchanged, so that cursors of earlier versions remain
        # valid
        if device is not None:
            of = (*of, device)
        after = ask.api.cursors.read(of, cursor)
        before = None if after is None else int(after[0])
        rows = listing.letters(conn, ask.who.projects, before, limit + 1, reason, device)
        return page(ask, of, limit, rows, lambda row: [row["id"]])

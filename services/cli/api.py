"""`tonne api`: the REST API and its keys."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import get_args

import click
from psycopg import Connection

from services import webhook_post
from services.api.principals import Tokens
from services.cli import Choice, Group, json_option
from services.cli.output import print_json, print_result, print_secret, table, time_text
from services.cli.server_options import METAVAR, database_url, moment_us
from services.settings import Settings
from services.store import api_keys
from services.store.api_keys import ApiKey, ApiRole
from services.store.postgres.pool import connect


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def api(ctx: click.Context) -> None:
    """
    Serve the REST API at TONNE_API_BIND, until Ctrl-C.

    \b
    Example:
      tonne api keys create --role auditor --name "Third-party entity"
      tonne api
    """
    if ctx.invoked_subcommand is None:
        _serve()


def _serve() -> None:
    from services.api.app import Choices, make_app  # noqa: PLC0415 - loads the web framework
    from services.api.console.maps import load  # noqa: PLC0415
    from services.api.server import serve  # noqa: PLC0415
    from services.issuer.timestamps import policy_of  # noqa: PLC0415
    from services.logs import get_logger  # noqa: PLC0415
    from services.metrics import Metrics  # noqa: PLC0415

    settings = Settings()
    with _database():
        # only the connection is tested, so that a missing database or schema is reported at once
        pass
    log = get_logger("api")
    choices = Choices(
        settings.home.absolute(),
        settings.api_rate_per_s,
        _oidc(settings),
        strict=settings.require_accepted_factors,
        grafana=settings.grafana_url,
        base=load(settings.console_map),
        simulated=settings.console_simulated,
        waits=settings.witness_away == "wait",
        stamps=partial(policy_of, settings),
        public_classes=tuple(
            filter(None, (part.strip() for part in settings.sensorthings_public.split(",")))
        ),
        networks=webhook_post.networks(settings.webhook_networks),
        files_bytes=settings.api_files_bytes,
    )
    app = make_app(database_url(), choices, Metrics(), log)
    serve(
        app,
        settings.api_bind,
        settings.trusted_proxies,
        lambda: log.info("serving", bind=settings.api_bind),
    )
    log.info("stopped")


def _oidc(settings: Settings) -> Tokens | None:
    from services.api.principals import Tokens  # noqa: PLC0415

    issuer, audience, url = settings.oidc_issuer, settings.oidc_audience, settings.oidc_jwks_url
    return Tokens(issuer, audience, url) if issuer and audience and url else None


@api.group()
def keys() -> None:
    """
    Make, list and revoke API keys.

    \b
    Example:
      tonne api keys list
    """


@keys.command()
@click.option(
    "--role", required=True, type=Choice(get_args(ApiRole)), help="Role that limits its requests."
)
@click.option("--name", required=True, help="Owner of the key.")
@click.option(
    "--project",
    "projects",
    multiple=True,
    metavar="ID",
    help="Project that the key may read; repeatable. Default: all.",
)
@click.option(
    "--expires",
    metavar=METAVAR,
    help="End of the key's validity: a local day, or RFC 3339 with offset. Default: none.",
)
@json_option
def create(
    role: ApiRole, name: str, projects: tuple[str, ...], expires: str | None, *, as_json: bool
) -> None:
    """
    Create an API key; its token is printed only once.

    \b
    Example:
      tonne api keys create --role auditor --name "Third-party entity" --project roof-1
    """
    with _database() as conn:
        key, token = api_keys.create(
            conn, name, role, projects or None, getpass.getuser(), _time(conn, expires)
        )
    message = f"key {key.id} for {name!r} as {role}; the token is not shown again"
    print_secret({**_key_fields(key), "token": token}, token, message, as_json=as_json)


@keys.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """
    List API keys, oldest first; their tokens are not stored.

    \b
    Example:
      tonne api keys list --json
    """
    with _database() as conn:
        listed = api_keys.all_keys(conn)
    if as_json:
        print_json([_key_fields(key) for key in listed])
        return
    rows = [
        (key.id, key.role, _state(key), time_text(key.expires), key.name,
         "all" if key.projects is None else ", ".join(key.projects))
        for key in listed
    ]  # fmt: skip
    head = ("key", "role", "state", "expires", "name", "projects")
    click.echo(table(head, rows, empty="there are no API keys; `tonne api keys create` makes one"))


@keys.command()
@click.argument("id_", metavar="ID")
@json_option
def revoke(id_: str, *, as_json: bool) -> None:
    """
    Revoke an API key, effective immediately.

    \b
    Example:
      tonne api keys revoke 4m2k9x0qpz1c
    """
    with _database() as conn:
        key = api_keys.revoke(conn, id_)
    print_result(_key_fields(key), f"key {key.id} of {key.name!r} is revoked", as_json=as_json)


def _state(key: ApiKey) -> str:
    if key.revoked is not None:
        return "revoked"
    return "expired" if key.expires is not None and key.expires <= datetime.now(UTC) else "valid"


def _key_fields(key: ApiKey) -> dict[str, object]:
    return {**asdict(key), "state": _state(key)}


def _time(conn: Connection, text: str | None) -> datetime | None:
    if text is None:
        return None
    return datetime.fromtimestamp(moment_us(conn, "--expires", text) / 1e6, UTC)


def _database() -> Connection:
    return connect(database_url(), role="tonne_api", name="tonne api", autocommit=True)

"""`tonne timestamp`: time stamps of the log's heads and of statements."""

from __future__ import annotations

import click
from psycopg import Connection

from ingest.errors import InputError
from services.cli.errors import Exit
from services.cli.options.common import Group, json_option
from services.cli.options.servers import database_url
from services.cli.output.documents import print_json
from services.cli.output.text import table, time_text
from services.issuer import timestamps
from services.issuer.timestamps import Policy, shown
from services.settings import Settings
from services.store.postgres.pool import connect
from services.store.statements import timestamp_tokens as stored


@click.group(cls=Group)
def timestamp() -> None:
    """
    Get time stamps for the log and statements from independent authorities (RFC 3161).

    TONNE_TIMESTAMP_URLS names the authorities that are asked, TONNE_TIMESTAMP_AUTHORITIES a
    file of those whose tokens count; a pinned trust root may name these. `tonne log seal`,
    `tonne run` and `tonne watch --seal` have each head that seals days stamped, and issue the
    statement.

    \b
    Example:
      tonne timestamp list
      tonne timestamp request
    """


@timestamp.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """
    List stored time stamps, and how long sealed data wait for theirs.

    \b
    Example:
      tonne timestamp list --json
    """
    policy = timestamps.policy_of(Settings())
    enough = 1 if policy is None else policy.rule.threshold
    with _database() as conn:
        found = stored.every(conn)
        waits = timestamps.waiting_s(conn, enough)
        owed = stored.statements_to_stamp(conn, enough)
    rows = [
        {
            "what": one.statement or f"head of {one.size} entries",
            "authority": one.authority,
            "signer": one.signer,
            "at": time_text(one.time),
            "url": one.url,
            "sha256": one.digest.hex(),
        }
        for one in found
    ]
    if as_json:
        authorities = [] if policy is None else [shown(url) for url in policy.urls]
        print_json({
            "timestamps": rows, "waiting_s": round(waits, 1), "statements_waiting": owed,
            "asked": authorities, "needed": enough,
            "issue_waits": policy is not None and policy.required,
        })  # fmt: skip
        return
    cells = [(row["at"], row["what"], row["authority"], row["signer"]) for row in rows]
    empty = "no entry was stamped; `tonne timestamp request` requests stamps"
    click.echo(table(("at", "what", "authority", "signed by"), cells, empty=empty))
    if policy is None:
        click.echo("no time-stamp authority is configured: set TONNE_TIMESTAMP_URLS")
    if policy is not None and waits:
        click.echo(f"the latest seal has waited for its time stamps for {waits / 3600:.1f} h")
    for name in owed if policy is not None else ():
        click.echo(f"{name} has fewer than {enough} time stamps")


@timestamp.command()
@json_option
def request(*, as_json: bool) -> None:
    """
    Request missing time stamps from the authorities; exit code 3 if some do not answer.

    \b
    Example:
      tonne timestamp request
    """
    policy = _policy()
    with _database() as conn:
        done = timestamps.request_missing(conn, policy)
        waits = timestamps.waiting_s(conn, policy.rule.threshold)
    if as_json:
        print_json({"stamped": done.got, "away": done.owed, "waiting_s": round(waits, 1)})
    else:
        for what in done.sentences:
            click.echo(what)
        if not done.sentences:
            click.echo("no entry waits for a time stamp")
    click.get_current_context().exit(Exit.SERVER if done.owed else Exit.DONE)


def _policy() -> Policy:
    policy = timestamps.policy_of(Settings())
    if policy is None:
        raise InputError(
            "no time-stamp authority is configured; set TONNE_TIMESTAMP_URLS, and "
            "TONNE_TIMESTAMP_AUTHORITIES to a file of accepted authorities"
        )
    return policy


def _database() -> Connection:
    return connect(database_url(), role="tonne_mrv", name="tonne timestamp", autocommit=True)

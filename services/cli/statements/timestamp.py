"""
Commands `tonne timestamp` (RFC 3161 time stamps) and `tonne witness` (cosigns logs of other
operators).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import click
from psycopg import Connection

from ingest.errors import InputError
from mrv.log import COSIGNATURE, Vkey
from services import witness_state as witness_keys
from services.cli import Group, json_option
from services.cli.output import Exit, counted, print_json, print_result, table, time_text
from services.cli.server_options import database_url
from services.clock import now_us
from services.issuer import timestamps
from services.issuer.timestamps import Policy, without_login
from services.logs import get_logger
from services.settings import Settings
from services.store.postgres.pool import connect
from services.store.statements import sealed_days as stored
from services.witness import Cosigner
from services.witness_state import State


@click.group(cls=Group)
def witness() -> None:
    """
    Run a witness: cosign heads of logs after checking that no entry was removed
    (c2sp.org/tlog-witness).

    A witness belongs to another organisation than the log's operator, and runs on its own machine.
    It needs no database: keys and state are in TONNE_HOME/witness-server.

    \b
    Example:
      tonne witness create --name witness.example/w1
      tonne witness add-log tonne-log+1a2b3c4d+AbCd...
      tonne witness serve
    """


@witness.command()
@click.option(
    "--name",
    required=True,
    help="Name of the witness: a URL without its scheme, used by no other witness.",
)
@json_option
def create(name: str, *, as_json: bool) -> None:
    """
    Create the witness's keys: Ed25519 and ML-DSA-44.

    Give the printed keys to the log's operator and to verifiers.

    \b
    Example:
      tonne witness create --name witness.example/w1
    """
    made = witness_keys.create(_folder(), name, Settings().key_passphrase_bytes)
    vkeys = [str(key) for key in made.vkeys]
    print_result({"name": name, "vkeys": vkeys}, "\n".join(vkeys), as_json=as_json)


@witness.command("add-log")
@click.argument("vkey")
@json_option
def add_log(vkey: str, *, as_json: bool) -> None:
    """
    Cosign the log with the key VKEY from now on; obtain the key from its operator in a secure way.

    \b
    Example:
      tonne witness add-log tonne-log+1a2b3c4d+AbCd...
    """
    key = Vkey.parse(vkey)
    if key.kind == COSIGNATURE:
        raise InputError(f"{key.name} is the key of a witness (type 0x04); pass the log's own key")
    with State(_folder()) as state:
        new = state.add_log(key, _now_s())
    message = f"log {key.name} {('is cosigned from now on' if new else 'was already known')}"
    print_result({"origin": key.name, "new": new}, message, as_json=as_json)


@witness.command()
@json_option
def show(*, as_json: bool) -> None:
    """
    Show the witness's keys, its logs with the last cosigned head, and contradictions.

    \b
    Example:
      tonne witness show --json
    """
    keys = witness_keys.load(_folder(), Settings().key_passphrase_bytes)
    with State(_folder()) as state:
        heads = {origin: state.seen(origin) for origin in state.logs()}
        against = state.contradictions()
    if as_json:
        print_json(
            {
                "name": keys.name,
                "vkeys": [str(key) for key in keys.vkeys],
                "logs": [
                    {
                        "origin": origin,
                        "origin_sha256": hashlib.sha256(origin.encode()).hexdigest(),
                        "size": seen and seen.head.size,
                        "at": seen and _time_text(seen.time_s),
                    }
                    for origin, seen in heads.items()
                ],
                "contradictions": [contradiction._asdict() for contradiction in against],
            }
        )
        return
    click.echo("\n".join(map(str, keys.vkeys)))
    for origin, seen in heads.items():
        at = "nothing cosigned yet"
        if seen is not None:
            at = f"{counted(seen.head.size, 'entry')} at {_time_text(seen.time_s)}"
        click.echo(f"log {origin}: {at}")
    for contradiction in against:
        click.echo(
            f"REFUSED of {contradiction.origin}: {contradiction.why}; --json shows both heads"
        )


@witness.command()
@json_option
def serve(*, as_json: bool) -> None:
    """
    Serve cosigning requests at TONNE_WITNESS_BIND until Ctrl-C.

    The last head of each log is available at /SHA-256-OF-ITS-NAME/checkpoint.

    \b
    Example:
      TONNE_WITNESS_BIND=0.0.0.0:7380 tonne witness serve
    """
    del as_json
    from services.api.server import answer  # noqa: PLC0415 - loads the web framework
    from services.witness import Witness  # noqa: PLC0415

    settings, log = Settings(), get_logger("witness")
    keys = witness_keys.load(_folder(), settings.key_passphrase_bytes)
    with State(_folder()) as state:
        app = Witness(Cosigner(keys, state, _now_s), settings.witness_rate_per_s, log)
        answer(
            app,
            settings.witness_bind,
            settings.trusted_proxies,
            lambda: log.info("serving", bind=settings.witness_bind, logs=len(state.logs())),
            ("the witness", "TONNE_WITNESS_BIND"),
        )
    log.info("stopped")


def _folder() -> Path:
    return Settings().home / "witness-server"


def _time_text(time_s: int) -> str:
    return time_text(datetime.fromtimestamp(time_s, UTC))


def _now_s() -> int:
    return now_us() // 1_000_000


@click.group(cls=Group)
def timestamp() -> None:
    """
    Obtain time stamps for the log and for statements from independent authorities (RFC 3161).

    TONNE_TIMESTAMP_URLS names the authorities to ask, TONNE_TIMESTAMP_AUTHORITIES a file of trusted
    authorities; a pinned trust root may name these. `tonne log seal`, `tonne run`, `tonne watch
    --seal` and the issue of a statement request stamps automatically.

    \b
    Example:
      tonne timestamp list
      tonne timestamp request
    """


@timestamp.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """
    List stored time stamps, and how long sealed data have been waiting for a stamp.

    \b
    Example:
      tonne timestamp list --json
    """
    policy = timestamps.policy_of(Settings())
    enough = 1 if policy is None else policy.rule.threshold
    with _database() as conn:
        tokens = stored.every(conn)
        waits = timestamps.waiting_s(conn, enough)
        owed = stored.statements_to_stamp(conn, enough)
    rows = [
        {
            "what": row.statement or f"head of {row.size} entries",
            "authority": row.authority,
            "signer": row.signer,
            "at": time_text(row.time),
            "url": row.url,
            "sha256": row.digest.hex(),
        }
        for row in tokens
    ]
    if as_json:
        authorities = [] if policy is None else [without_login(url) for url in policy.urls]
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

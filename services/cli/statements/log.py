"""Command `tonne log`: seals data in the transparency log, audits it, and exports proofs."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
from psycopg import Connection

from ingest.errors import InputError
from mrv.log.entries import make_receipt
from mrv.log.witness import make_request
from mrv.signatures.merkle_tree import consistency_proof, inclusion_proof
from services.cli import FILE, Group, json_option
from services.cli.output import Exit, counted, print_json, print_result, table, time_text
from services.cli.server_options import database_url, metrics_bind
from services.cli.statements.log_tiles import monitor, tiles, warn_of, witnesses
from services.cli.statements.period import warn_of_arriving
from services.clock import now_us
from services.issuer import audit as audits
from services.issuer import cosigning, keys, timestamps
from services.issuer import transitions as life
from services.issuer.cosigning import Cosigning, Witnesses, have_cosigned
from services.issuer.documents import Signer
from services.issuer.seal import Report, Sealer
from services.issuer.seal import seal as seal_once
from services.logs import get_logger
from services.metrics import Metrics
from services.settings import Settings
from services.store.postgres.pool import connect
from services.store.registry.load import load_projects
from services.store.statements import transparency_log as stored

_log_key = click.option(
    "--log-key",
    default="tonne-log",
    metavar="N",
    help="Name of the key that signs the log's heads; created at first use.",
)
_MAX_LISTED = 5
_DAY_US = 86_400_000_000
_MONTH_DAYS = 31


@click.group(cls=Group)
def log() -> None:
    """
    Seal data in the transparency log, and prove that sealed data were not changed.

    \b
    Example:
      tonne log seal
      tonne log audit
      tonne log checkpoint > head.txt
    """


log.add_command(tiles)
log.add_command(monitor)
log.add_command(witnesses)


@log.command()
@_log_key
@click.option(
    "--recheck",
    is_flag=True,
    help="Compare all sealed days with the database, not only those with late readings.",
)
@click.option(
    "--accept",
    metavar="REASON",
    help=(
        "Also seal rows changed manually; the reason is recorded in the log. Default: such "
        "rows are not sealed."
    ),
)
@click.option(
    "--to",
    "--until",
    "until",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DAY",
    help=(
        "Only local days before this one, at once: the `--to` of the period to be closed. "
        "Default: all due days."
    ),
)
@click.option(
    "--every",
    type=click.IntRange(10),
    metavar="SECONDS",
    help=(
        "Repeat at this interval until stopped; `tonne run --seal` does the same. Default: "
        "seal once."
    ),
)
@click.option(
    "--project",
    "projects",
    multiple=True,
    help="Only days of this project; repeatable. Default: all.",
)
@json_option
def seal(
    log_key: str,
    accept: str | None,
    until: datetime | None,
    every: int | None,
    projects: tuple[str, ...],
    *,
    recheck: bool,
    as_json: bool,
) -> None:
    """
    Seal due data in the log: completed days, late readings, changes.

    A day is sealed 24 to 36 hours after its end. Exit status 1 if rows were changed manually after
    sealing: they are not sealed without --accept.

    \b
    Example:
      tonne log seal
      tonne log seal --to 2026-02-01
      tonne log seal --accept "meter data corrected by hand, ticket 17"
      tonne log seal --project roof-1 --to 2026-02-01
    """
    if every is not None:
        _seal_on(log_key, every)
        return
    whom = Witnesses.by(Settings())
    with _database() as conn:
        signer = life.log_signer(conn, Settings().home, log_key)
        if until is not None:
            _warn(conn, until, projects)
        report = seal_once(
            conn, signer, now_us(), recheck=recheck, accept=accept, projects=projects or None,
            before=None if until is None else until.date(),
        )  # fmt: skip
        done = None if whom is None else have_cosigned(conn, whom)
        stamps = timestamps.policy_of(Settings())
        stamped = None if stamps is None else timestamps.request_missing(conn, stamps)
    for what in stamped.sentences if stamped else ():
        click.echo(what, err=True)
    _show_sealed(report, as_json=as_json)
    warn_of(done)
    click.get_current_context().exit(Exit.FALSE if report.refused else Exit.DONE)


def _warn(conn: Connection, until: datetime, projects: tuple[str, ...]) -> None:
    """Warn if readings of the month before a day still arrive."""
    projects_of = [p for p in load_projects(conn) if not projects or p.id in projects]
    ids = sorted({device.device for project in projects_of for device in project.devices})
    end_us = round(until.replace(tzinfo=UTC).timestamp()) * 1_000_000
    warn_of_arriving(conn, ids, end_us - _MONTH_DAYS * _DAY_US, end_us)


def _seal_on(log_key: str, every_s: int) -> None:
    """Seal due data at intervals until the process ends; metrics report failures."""
    settings, metrics, log = Settings(), Metrics(), get_logger("sealer")
    bind = metrics_bind(settings)
    whom = Witnesses.by(settings)
    process = nullcontext() if whom is None else Cosigning(database_url(), whom, metrics, log)
    with metrics.serve(bind), process:
        log.info("metrics", bind=bind or "off")
        Sealer(
            database_url(), settings.home, log_key, every_s, metrics, log, pulse=metrics.pulse,
            stamps=partial(timestamps.policy_of, settings),
        ).run()  # fmt: skip


def _show_sealed(report: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(vars(report), indent=2))
        return
    click.echo(
        f"sealed {counted(report.days, 'day')} for the first time, {report.again} again; other new "
        f"entries of the log: {', '.join(report.entries) or 'none'}"
    )
    for what in report.corrections:
        click.echo(what)
    if report.waiting:
        click.echo(
            f"days of {', '.join(report.waiting)} are sealed after their intervals are "
            "recalculated, which an import requires; `tonne run` does this, then seal again"
        )
    for what in report.refused:
        click.echo(f"NOT SEALED, changed manually: {what}")
    for what in report.late:
        click.echo(f"late, waits until the change is resolved: {what}")


@log.command()
@click.option(
    "--checkpoint",
    "heads",
    type=FILE,
    multiple=True,
    help=(
        "A head that you stored: it must be part of the log's history; repeatable. Default: none."
    ),
)
@json_option
def audit(heads: tuple[Path, ...], *, as_json: bool) -> None:
    """
    Audit the whole log, and compare the database with it; report the first difference.

    \b
    Example:
      tonne log audit --checkpoint head-of-last-month.txt
    """
    notes = tuple(path.read_text(encoding="utf-8") for path in heads)
    with _database() as conn:
        report = audits.audit(conn, now_us(), notes)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        _show_audit(report)
    click.get_current_context().exit(Exit.DONE if report.first_break is None else Exit.FALSE)


def _show_audit(report: audits.AuditReport) -> None:
    for step in report.steps:
        outcome = "BROKEN" if step.breaks else "ok"
        click.echo(f"{step.number:>2}  {outcome:<7} {step.name}: {step.detail}")
        lines = (*step.breaks, *(f"(note) {note}" for note in step.notes))
        for what in lines[:_MAX_LISTED]:
            click.echo(f"            {what}")
        if len(lines) > _MAX_LISTED:
            click.echo(f"            and {len(lines) - _MAX_LISTED} more; --json lists all")
    if report.first_break is None:
        click.echo(f"log {report.origin} holds, {counted(report.size, 'entry')}")
    else:
        click.echo(f"FIRST BREAK: {report.first_break}")


@log.command()
@click.option(
    "--size",
    type=click.IntRange(1),
    help="Head of the log with this number of entries; default: the last.",
)
@json_option
def checkpoint(size: int | None, *, as_json: bool) -> None:
    """
    Print the signed head with the witnesses' signatures (c2sp.org/tlog-checkpoint).

    Keep it: it later proves that no entry was removed.

    \b
    Example:
      tonne log checkpoint > head.txt
    """
    with _database() as conn:
        _print("checkpoint", _head(conn, size), as_json=as_json)


@log.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """
    List the entries of the log.

    \b
    Example:
      tonne log list --json
    """
    with _database() as conn:
        rows = [
            {
                "index": e.index,
                "kind": e.kind,
                "at": time_text(e.appended),
                "entry": json.loads(e.body),
            }
            for e in stored.entries(conn)
        ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    cells = []
    for row in rows:
        body: dict[str, Any] = row["entry"]
        what = body.get("statement") or f"{body.get('project') or ''} {body.get('day', '')}".strip()
        cells.append((row["index"], row["at"], row["kind"], what, body.get("reason")))
    head = ("entry", "at", "kind", "what", "reason")
    click.echo(table(head, cells, empty="the log is empty; `tonne log seal` makes its first entry"))


@log.command()
@click.argument("target", metavar="STATEMENT|INDEX")
@json_option
def proof(target: str, *, as_json: bool) -> None:
    """
    Print the proof that an entry is in the log (c2sp.org/tlog-proof).

    \b
    Example:
      tonne log proof TN-roof-1-20260101-20260201-1
      tonne log proof 17
    """
    with _database() as conn:
        if not target.isdecimal():
            receipt = stored.receipt(conn, target)
            if receipt is None:
                raise InputError(
                    f"{target!r} is not in the log; a statement is entered when it is issued"
                )
        else:
            head, leaves = _head(conn, None), stored.leaves(conn)
            receipt = make_receipt(int(target), inclusion_proof(int(target), leaves), head)
    _print("proof", receipt, as_json=as_json)


@log.command()
@click.option(
    "--since",
    type=click.IntRange(0),
    default=0,
    help="Number of entries of the last head that the witness signed.",
)
@json_option
def request(since: int, *, as_json: bool) -> None:
    """
    Print the request for a witness to sign the last head (c2sp.org/tlog-witness).

    \b
    Example:
      tonne log request --since 12 > request.txt
    """
    with _database() as conn:
        head, leaves = _head(conn, None), stored.leaves(conn)
    steps = consistency_proof(since, leaves) if since else []
    _print("request", make_request(since, steps, head), as_json=as_json)


@log.command()
@click.argument("request_file", metavar="REQUEST", type=FILE)
@click.option("--key", "key_name", required=True, metavar="N", help="Your witness key, by name.")
@click.option(
    "--keys",
    "keys_file",
    required=True,
    type=FILE,
    help="Keyring with the log's key, as `tonne keys export` writes it.",
)
@json_option
def cosign(request_file: Path, key_name: str, keys_file: Path, *, as_json: bool) -> None:
    """
    Cosign a log's head as a witness; no database is needed.

    Rejected unless the head continues the last one that you signed here.

    \b
    Example:
      tonne log cosign request.txt --key auditor --keys trusted.json > signed.txt
    """
    home = Settings().home
    signer = Signer(*keys.load(home, key_name))
    text, ring = request_file.read_text(encoding="utf-8"), keys_file.read_bytes()
    now_s = now_us() // 1_000_000
    signed = cosigning.countersign(home, text, ring, signer, now_s)
    _print("signed", signed, as_json=as_json)


@log.command()
@click.argument("signed", type=FILE)
@json_option
def receive(signed: Path, *, as_json: bool) -> None:
    """
    Store a head cosigned by a witness; later receipts include its signature.

    \b
    Example:
      tonne log receive signed.txt
    """
    with _database() as conn:
        names = cosigning.keep(conn, signed.read_text(encoding="utf-8"))
    message = f"stored the countersignature of {', '.join(names)}"
    print_result({"witnesses": list(names)}, message, as_json=as_json)


def _print(name: str, text: str, *, as_json: bool) -> None:
    """Print a signed text unchanged, or in a JSON object under the key `name`."""
    if as_json:
        print_json({name: text})
    else:
        click.echo(text, nl=False)


def _head(conn: Connection, size: int | None) -> str:
    checkpoint = stored.checkpoint(conn, size)
    if checkpoint is None:
        raise InputError(
            "the log has no signed head yet; `tonne log seal` signs the first"
            if size is None
            else f"the log has no signed head of {size} entries; omit --size for the newest"
        )
    return checkpoint


def _database() -> Connection:
    return connect(database_url(), role="tonne_mrv", name="tonne log", autocommit=True)

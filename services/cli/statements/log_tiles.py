"""Commands of `tonne log` for third parties: `tiles` (static copy), `monitor`, `witnesses`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from ingest.errors import InputError, ServerError
from mrv.errors import LogError
from mrv.log import NoteKey, parse_vkey, signature_lines
from mrv.log.entries import Checkpoint
from mrv.signatures.keys import read_keyring
from services.cli import FILE, json_option
from services.cli.output import Exit, counted, print_json, print_result, table
from services.cli.server_options import database_url
from services.issuer.cosigning import Round, Witnesses, have_cosigned
from services.settings import Settings
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from services.store.statements import transparency_log as stored
from services.tiles import Folder, Report, Source, Web, follow, publish


@click.command()
@json_option
def witnesses(*, as_json: bool) -> None:
    """
    Ask the witnesses of TONNE_WITNESS_POLICY to cosign the last head; show each answer.

    `tonne run` and `tonne watch --seal` also ask them. Exit status 4 if too few signed, 1 if a
    witness saw a different history of this log.

    \b
    Example:
      TONNE_WITNESS_POLICY=policy.txt tonne log witnesses
    """
    whom = Witnesses.by(Settings())
    if whom is None:
        raise InputError(
            "TONNE_WITNESS_POLICY is not set; name a file of `witness NAME VKEY URL` and"
            " `quorum NAME` lines"
        )
    url = database_url()
    with connect(url, role="tonne_mrv", name="tonne log witnesses", autocommit=True) as conn:
        done = have_cosigned(conn, whom)
    if as_json:
        print_json(
            {
                "size": done.size,
                "cosigned_by": done.names,
                "lacks": done.lacks,
                "asked": {
                    name: {
                        "state": outcome.state,
                        "why": outcome.why,
                        "seconds": round(outcome.took_s, 3),
                    }
                    for name, outcome in done.outcomes.items()
                },
            }
        )
    else:
        _show_witness(done, whom)
    if done.contradicting:
        click.get_current_context().exit(Exit.FALSE)
    click.get_current_context().exit(Exit.DONE if done.lacks is None else Exit.NOT_ENOUGH)


def _show_witness(done: Round, whom: Witnesses) -> None:
    rows = []
    for name, witness in whom.policy.witnesses.items():
        outcome = done.outcomes.get(name)
        state = "cosigned" if name in done.names else outcome.state if outcome else "not asked"
        why = (
            outcome.why if outcome is not None else "" if witness.url else "the policy names no URL"
        )
        rows.append((name, witness.key.name, state, why))
    click.echo(table(("witness", "key", "state", "why"), rows, empty="the policy names no witness"))
    if done.lacks is None:
        click.echo(
            f"the head over {counted(done.size, 'entry')} has the cosignatures that "
            "the policy requires"
        )
    else:
        click.echo(f"the head over {counted(done.size, 'entry')} lacks {done.lacks}")


def warn_of(done: Round | None) -> None:
    """Print missing signatures of configured witnesses on standard error."""
    if done is None:
        return
    for line in done.problems():
        click.echo(f"witness {line}", err=True)
    if done.lacks is not None:
        click.echo(
            f"the log's head over {counted(done.size, 'entry')} lacks {done.lacks}; `tonne run`"
            " and `tonne log witnesses` ask again",
            err=True,
        )


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@json_option
def tiles(folder: Path, *, as_json: bool) -> None:
    """
    Write the log into a folder as static files (c2sp.org/tlog-tiles).

    Any web server or object store can serve it.  Run it again after each seal: only new files are
    written. A folder that contradicts the log is rejected.

    \b
    Example:
      tonne log tiles /srv/www/log
    """
    with connect(database_url(), role="tonne_mrv", name="tonne log tiles", autocommit=True) as conn:
        waits = Settings().witness_away == "wait"
        note = stored.checkpoint(conn, cosigned=waits)
        if note is None:
            raise InputError(
                "the log has no head with cosignatures of enough witnesses; run `tonne "
                "log witnesses`"
                if waits
                else "the log has no signed head yet; `tonne log seal` signs the first"
            )
        entries = stored.entries(conn)
        keys = [
            enrolled_key.key
            for enrolled_key in enrolled.load(conn)
            if enrolled_key.key.role == "log"
        ]
    done = publish(
        folder, note, [entry.body for entry in entries], [entry.leaf for entry in entries]
    )
    origin = Checkpoint.from_text(signature_lines(note)[0]).origin
    vkeys = [NoteKey(key.name, key.public).vkey for key in keys if key.name == origin]
    result = {"folder": folder, "size": done.size, "written": done.written, "vkeys": vkeys}
    lines = "".join(f"\nkey of the log: {vkey}" for vkey in vkeys)
    message = (
        f"{folder}: {counted(done.size, 'entry')}, {counted(done.written, 'file')} written{lines}"
    )
    print_result(result, message, as_json=as_json)


@click.command()
@click.argument("where", metavar="URL|FOLDER")
@click.option("--key", "vkeys", multiple=True, metavar="VKEY", help="Key of the log; repeatable.")
@click.option("--keys", "ring", type=FILE, help="Keyring with the log's key, instead of --key.")
@click.option(
    "--head",
    "heads",
    type=FILE,
    multiple=True,
    help=(
        "A head that another reader received: it must be part of the log's history; "
        "repeatable. Default: none."
    ),
)
@click.option(
    "--watch",
    "watched",
    multiple=True,
    metavar="ID",
    help="Report entries of this statement or project; repeatable. Default: none.",
)
@click.option(
    "--every",
    type=click.IntRange(10),
    metavar="SECONDS",
    help=(
        "Repeat at this interval until stopped, or until the log contradicts itself. "
        "Default: run once."
    ),
)
@json_option
def monitor(
    where: str,
    vkeys: tuple[str, ...],
    ring: Path | None,
    heads: tuple[Path, ...],
    watched: tuple[str, ...],
    every: int | None,
    *,
    as_json: bool,
) -> None:
    """
    Monitor a log as an outside party: read new entries and check that they continue earlier ones.

    The state is kept in TONNE_HOME/monitor; no database is needed.  Exit status 1 if the log
    contradicts itself: both signed heads are kept as evidence.  With `--head` it is compared with
    heads that others received; exit status 4 if the log has not yet reached such a head.

    \b
    Example:
      tonne log monitor https://log.example/tiles --key tonne-log+1a2b3c4d+AbCd...
      tonne log monitor https://log.example/tiles --keys trusted.json --head theirs.txt
    """
    keys = [parse_vkey(text) for text in vkeys]
    if ring is not None:
        keyring = read_keyring(ring.read_bytes())
        keys += [
            NoteKey(enrolled_key.name, enrolled_key.public)
            for enrolled_key in keyring
            if enrolled_key.role == "log"
        ]
    if not keys:
        raise click.UsageError("pass the log's key, --key VKEY or --keys FILE")
    notes = [path.read_text(encoding="utf-8") for path in heads]
    while True:
        code = _round(where, keys, watched, notes, as_json=as_json, again=every is not None)
        if every is None or code is Exit.FALSE:
            click.get_current_context().exit(code)
        time.sleep(every)


def _round(
    where: str,
    keys: Sequence[NoteKey],
    watched: Sequence[str],
    notes: Sequence[str],
    *,
    as_json: bool,
    again: bool,
) -> Exit:
    try:
        with _source(where) as source:
            report = follow(source, keys, Settings().home, watched, notes)
    except ServerError as error:
        if not again:
            raise
        click.echo(f"{error}", err=True)
        return Exit.SERVER
    except LogError as error:
        click.echo(f"{error}", err=True)
        return Exit.FALSE
    _show(report, as_json=as_json, line=again)
    if report.contradiction is not None:
        return Exit.FALSE
    return Exit.NOT_ENOUGH if report.ahead else Exit.DONE


@contextmanager
def _source(where: str) -> Iterator[Source]:
    if where.startswith(("http://", "https://")):
        with Web(where) as source:
            yield source
        return
    if not Path(where).is_dir():
        raise InputError(f"{where} is neither a folder nor a URL; pass the one with `checkpoint`")
    yield Folder(Path(where))


def _show(report: Report, *, as_json: bool, line: bool) -> None:
    if as_json:
        print_json(report, line=line)
        return
    for name in report.entries:
        body = name["entry"]
        click.echo(f"entry {name['index']}: {body.get('event')} {body.get('statement') or ''}")
    if report.contradiction is not None:
        click.echo(f"CONTRADICTION: {report.contradiction}")
        for path in report.evidence:
            click.echo(f"  kept {path}")
        return
    for size in report.ahead:
        click.echo(f"not checked: a head over {size} entries, more than the published log has")
    new = report.size - report.before
    click.echo(f"log {report.origin} holds, {counted(report.size, 'entry')}, {new} of them new")

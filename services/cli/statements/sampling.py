"""`tonne statement sample`: device-days for a verifier, by a seed that neither party chooses."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from psycopg import Connection

from ingest.errors import InputError
from mrv.documents.form import read
from mrv.documents.sampling_list import SamplingList
from mrv.signatures import canonical
from mrv.statement.sampling import Size, sign_sampling
from mrv.statement.states import check_role
from services.cli.options.common import pack_budget
from services.cli.options.servers import database_url
from services.cli.output.text import table
from services.issuer import external_signatures as accept
from services.issuer import keys
from services.issuer import transitions as life
from services.settings import Settings
from services.store.postgres.pool import connect
from services.store.statements import sampling as stored

_HOW_MANY = click.IntRange(min=0)


@click.command()
@click.argument("what", metavar="ID|PACK")
@click.option(
    "--key", "key_name", metavar="N", help="Verifier's key: draw, sign and store the list."
)
@click.option(
    "--random",
    "random_",
    type=_HOW_MANY,
    metavar="COUNT",
    help="Number of device-days at random; default: the square root of all.",
)
@click.option(
    "--by-risk",
    type=_HOW_MANY,
    metavar="COUNT",
    help="Number of device-days by risk; same default.",
)
@click.option(
    "--from",
    "signed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Import a list that the verifier signed elsewhere.",
)
@click.option("--out", type=click.Path(path_type=Path), help="File to write, with the signed list.")
@click.option("--json", "as_json", is_flag=True, help="Print the signed list.")
def sample(
    what: str,
    key_name: str | None,
    random_: int | None,
    by_risk: int | None,
    signed: Path | None,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """
    Draw the verifier's sample of device-days of a submitted statement; possible once.

    The seed comes from the statement's digest and the verifier's signature over it:
    the operator cannot know it before, the verifier cannot draw again. Without a key
    the list that was drawn is shown. With a PACK in place of an ID the verifier draws
    on a machine of their own, without the database; the operator takes it by --from.

    \b
    Example:
      tonne statement sample TN-roof-1-20260101-20260201-1 --key auditor
      tonne statement sample pack/ --key auditor --out sampling.json
      tonne statement sample TN-roof-1-20260101-20260201-1 --from sampling.json
    """
    size = Size(random_, by_risk)
    if Path(what).exists():
        document = _offline(Path(what), key_name, size)
    elif signed is not None:
        document = canonical.parse_object(signed.read_bytes())
        with _database() as conn:
            accept.sampling(conn, what, document)
    elif key_name is not None:
        signer = life.Signer(*keys.load(Settings().home, key_name))
        with _database() as conn:
            document = life.sample(conn, what, signer, size)
    else:
        document = _drawn(what)
    if out is not None:
        out.write_bytes(canonical.encode(document))
    _show(document, as_json=as_json)


def _offline(pack: Path, key_name: str | None, size: Size) -> dict[str, Any]:
    from mrv.packs.reader import read_pack  # noqa: PLC0415 - loads the Parquet reader
    from mrv.verify.subject import Subject  # noqa: PLC0415

    if key_name is None:
        raise InputError(f"{pack} is a pack: name the key that signs the sample with --key")
    secret, holder = keys.load(Settings().home, key_name)
    subject = Subject(read_pack(pack, pack_budget()))
    name = subject.claims.statement
    if subject.pack.bare or subject.state == "draft":
        raise InputError(
            f"{pack} is not an evidence pack of a submitted statement; export {name} again"
        )
    check_role(holder, "verifier", name)
    return sign_sampling(subject.statement, subject.case, size, secret, holder, datetime.now(UTC))


def _drawn(name: str) -> dict[str, Any]:
    with _database() as conn:
        found = stored.document(conn, name)
    if found is None:
        raise InputError(f"no sample of {name} was drawn; the verifier draws it with --key")
    return canonical.parse_object(found)


def _show(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    drawn = read(SamplingList, document, "the sample")
    said = drawn.credential_subject
    click.echo(
        f"{said.random} of {said.population} device-days at random, {said.by_risk} by"
        f" risk, drawn by {drawn.issuer.name}, seed {said.seed[:16]}"
    )
    rows = [(o.day, o.device, o.drawn, o.weight, ", ".join(o.reasons)) for o in said.items]
    head = ("day", "device", "drawn", "weight", "why")
    click.echo(table(head, rows, empty="no device-day was drawn"))


def _database() -> Connection:
    return connect(database_url(), role="tonne_mrv", name="tonne statement", autocommit=True)

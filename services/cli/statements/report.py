"""Command `tonne statement report`: workbook or PDF, from the database or from an evidence pack."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import cast, get_args

import click

from ingest.errors import InputError
from mrv.errors import VerificationError
from mrv.report import LANGUAGES, Facts, Format, make
from mrv.verify.subject import own_keys
from services.cli import FILE, NEW_FILE, Choice, json_option, pack_budget
from services.cli.output import Exit, print_result
from services.cli.server_options import database_url
from services.store.postgres.pool import connect


@click.command()
@click.argument("target", metavar="ID|PACK")
@click.option("--out", required=True, type=NEW_FILE, help="File to write.")
@click.option(
    "--format",
    "format_",
    type=Choice(get_args(Format)),
    help="Format of the report; default: by the ending of --out.",
)
@click.option("--lang", "language", type=Choice(LANGUAGES), default="en",
              help="Language of all texts except signed ones.")  # fmt: skip
@click.option(
    "--keys",
    "keys_file",
    type=FILE,
    help="File of trusted public keys, for a pack; default: its signers are not checked.",
)
@json_option
def report(
    target: str,
    out: Path,
    format_: Format | None,
    language: str,
    keys_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """
    Write a statement's report as PDF or workbook; the same data give identical bytes.

    Give the statement's ID, or an evidence pack: that needs no server and is verified first. Exit
    status 1, and no file, if a step of that verification fails.

    \b
    Example:
      tonne statement report TN-roof-1-20260101-20260201-1 --lang ja --out report.pdf
      tonne statement report pack --keys trusted.json --out report.xlsx
    """
    wanted = format_ or _format_of(out)
    try:
        facts = facts_at(target, keys_file)
    except VerificationError as error:
        click.echo(f"tonne: {error}", err=True)
        click.get_current_context().exit(Exit.FALSE)
    write_whole(out, make(facts, wanted, language))
    done = {"statement": facts.name, "state": facts.state, "file": out, "format": wanted}
    print_result(done, f"{out}: {facts.name}, {facts.state}", as_json=as_json)


def _format_of(out: Path) -> Format:
    ending = out.suffix.removeprefix(".").lower()
    if ending not in get_args(Format):
        known = ", ".join(get_args(Format))
        raise InputError(
            f"--out {out} does not end in one of {known}; pass the format with --format"
        )
    return cast("Format", ending)


def facts_at(target: str, keys_file: Path | None) -> Facts:
    """Return a statement's report data, from the database or from a verified pack."""
    from mrv.packs.reader import read_pack  # noqa: PLC0415 - loads the Parquet reader
    from services.issuer.report import facts_of, facts_of_pack  # noqa: PLC0415

    if Path(target).exists():
        now = datetime.now(UTC)
        trusted = None if keys_file is None else own_keys(str(keys_file), target, now)
        return facts_of_pack(read_pack(Path(target), pack_budget()), trusted)
    if keys_file is not None:
        raise InputError(f"--keys is for a pack, but no folder {target} exists; omit it")
    with connect(database_url(), role="tonne_mrv", name="tonne report", autocommit=True) as conn:
        return facts_of(conn, target)


def write_whole(out: Path, data: bytes) -> None:
    """Write a file completely or not at all. Raises InputError if it cannot be written there."""
    try:
        with NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}-", delete=False) as file:
            file.write(data)
        Path(file.name).chmod(0o644)
        os.replace(file.name, out)  # noqa: PTH105 - within a folder, as one step
    except OSError as error:
        raise InputError(
            f"--out {out} cannot be written: {error.strerror}; name another file"
        ) from error

"""Command `tonne export`: statements in the formats of registries, ministries and the public."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click

from ingest.errors import InputError
from mrv.errors import VerificationError
from mrv.exports import Draft, Source
from mrv.exports.entered import Authority, read_authority
from mrv.exports.form_workbook import CellMap
from mrv.verify.subject import given, own_keys
from services.cli import FILE, Group, json_option, pack_budget
from services.cli.output import Exit, bar, print_result, write_folder
from services.cli.server_options import database_url
from services.cli.statements.public import check_public_, keys_option, out_option, public_
from services.cli.statements.report import facts_at
from services.issuer.export_files import (
    ExportFiles,
    aef_files,
    cad_trust_files,
    cdop_files,
    export_summary,
    inventory_files,
    jcm_files,
    together,
)
from services.store.postgres.pool import connect

_statements = click.argument("statements", metavar="ID|PACK...", nargs=-1, required=True)
_template = click.option(
    "--template",
    type=FILE,
    metavar="XLSX",
    help="Official form to fill in; default: tonne's own layout.",
)
_map = click.option(
    "--map",
    "map_file",
    type=FILE,
    metavar="TOML",
    help="With --template: TOML file that assigns values to cells.",
)
_any_statements = click.argument("statements", metavar="[ID|PACK...]", nargs=-1)
_entered = click.option(
    "--entered",
    type=FILE,
    metavar="FILE",
    help=(
        "YAML file of data known only to the authority or registry, in addition to the "
        "registered data; default: none."
    ),
)
_status = click.option(
    "--status",
    "status_file",
    type=FILE,
    help="The project's status list, for a pack; default: its validity is not checked.",
)


@click.group(cls=Group)
def export() -> None:
    """
    Write files for registries and ministries, from issued statements or their evidence packs.

    Each field is calculated from a statement, registered (`tonne registry import`) or read from the
    file of --entered. If a required field is missing, the export is a draft and the exit status is
    4.

    \b
    Example:
      tonne export cdop pack --keys trusted.json --entered authority.yaml --out cdop
    """


class _ExportOptions(NamedTuple):
    """Options common to all exports of statements."""

    statements: tuple[str, ...]
    entered: Path | None
    out: Path
    keys_file: Path | None
    status_file: Path | None
    as_json: bool


def _options(command: Callable[..., None]) -> Callable[..., None]:
    return _statements(_without_ids(command))


def _without_ids(command: Callable[..., None]) -> Callable[..., None]:
    @wraps(command)
    def run(**values: Any) -> None:
        command(_ExportOptions(*map(values.pop, _ExportOptions._fields)), **values)

    for option in (json_option, _status, keys_option, out_option, _entered):
        run = option(run)
    return run


export.add_command(public_)
export.add_command(check_public_)


@export.command("cdop")
@_options
def cdop_(options: _ExportOptions) -> None:
    """
    Export to the Carbon Data Open Protocol: one JSON document per schema of 31 July 2026.

    Give all issued statements of one project. Exit status 0 if every required field is present;
    otherwise 4, and `missing.json` lists the missing fields.

    \b
    Example:
      tonne export cdop TN-roof-1-20260101-20260201-1 --entered authority.yaml --out cdop
    """
    sources, authority = _given(options)
    _write(sources, cdop_files(sources, authority), options.out, as_json=options.as_json)


@export.command("cad-trust")
@_options
def cad_trust_(options: _ExportOptions) -> None:
    """
    Export to CAD Trust: the tables of data model v2.0.2, numbered in the order of insertion.

    Each row has its fields, our own id (`ownId`), and the rows it refers to (`refs`); the CAD Trust
    node assigns its own ids. Exit status 4 for a draft.

    \b
    Example:
      tonne export cad-trust pack --keys trusted.json --entered authority.yaml --out cad
    """
    sources, authority = _given(options)
    _write(sources, cad_trust_files(sources, authority), options.out, as_json=options.as_json)


@export.command("aef")
@click.option(
    "--party", required=True, metavar="CODE", help="Country by ISO 3166-1 alpha-3, such as KEN."
)
@click.option("--year", required=True, type=int, help="Calendar year that is reported.")
@click.option("--version", type=int, default=1, help="Number of the submission's version, from 1.")
@_any_statements
@_without_ids
def aef_(options: _ExportOptions, party: str, year: int, version: int) -> None:
    """
    Export a Party's year in the agreed electronic format of Article 6.2: tables T1 to T5.

    Writes a CSV and a workbook per table, one workbook for the submission, and `filed.txt`. After
    submission register its number as `filed`: that version then never changes. Without statements,
    all those with registered units are included. Exit status 4 for a draft.

    \b
    Example:
      tonne export aef --party KEN --year 2026 --out aef-2026
      tonne export aef pack --keys trusted.json --entered authority.yaml \\
        --party KEN --year 2026 --out aef-2026
    """
    from mrv.exports.aef import aef  # noqa: PLC0415

    stored = _filed(options.statements, party, year, version) if options.entered is None else None
    sources, authority = _given(options, named=not options.statements)
    draft = stored or aef(authority, {source.name for source in sources}, party, year, version)
    _write(sources, aef_files(draft), options.out, as_json=options.as_json)


@export.command("jcm")
@_template
@_map
@_options
def jcm_(options: _ExportOptions, template: Path | None, map_file: Path | None) -> None:
    """
    Export to the JCM: the monitoring spreadsheet of a statement's period, and the issuance request.

    Without --template the layout is tonne's own and is marked so, as the official files were not
    available. Give one statement. Exit status 4 for a draft.

    \b
    Example:
      tonne export jcm pack --keys trusted.json --template OFFICIAL.xlsx --map MAP.toml --out jcm
    """
    official = _official(template, map_file)
    if len(options.statements) != 1:
        number = len(options.statements)
        raise InputError(
            f"{number} statements are named, but a monitoring spreadsheet covers one period; "
            "name one statement"
        )
    sources, authority = _given(options)
    made = jcm_files(sources[0], authority, lambda: _workbook(options), *official)
    _write(sources, made, options.out, as_json=options.as_json)


@export.command("facility")
@click.option("--site", required=True, metavar="ID", help="Site of the facility.")
@click.option("--year", required=True, type=int, help="Calendar year at the site.")
@_template
@_map
@out_option
@json_option
def facility_(
    site: str, year: int, template: Path | None, map_file: Path | None, out: Path, *, as_json: bool
) -> None:
    """
    Write a facility's annual greenhouse gas inventory from its meters, in its country's form.

    Writes `inventory.json`, `sources.csv` and `inventory.xlsx`: the official form of --template
    filled according to --map, or else tonne's own layout (Viet Nam only). Exit status 4 for a
    draft: `missing.json` lists the missing data.

    \b
    Example:
      tonne export facility --site harbour-park --year 2026 --out inventory
    """
    official = _official(template, map_file)
    with connect(database_url(), role="tonne_mrv", name="tonne export", autocommit=True) as conn:
        made = inventory_files(conn, site, year, *official)
    _write((), made, out, as_json=as_json)


def _official(template: Path | None, map_file: Path | None) -> tuple[CellMap | None, bytes | None]:
    """Return the cell map and the bytes of an official form; None where not given."""
    from mrv.exports.form_workbook import read_map  # noqa: PLC0415

    if template is not None and map_file is None:
        raise InputError(
            f"--template {template} needs --map, the TOML file that assigns values to cells"
        )
    form = None if map_file is None else read_map(map_file.read_text("utf-8"), str(map_file))
    return form, None if template is None else template.read_bytes()


def _workbook(options: _ExportOptions) -> bytes:
    from mrv.report import make  # noqa: PLC0415 - loads the writer

    return make(facts_at(options.statements[0], options.keys_file), "xlsx", "en")


def _given(options: _ExportOptions, *, named: bool = False) -> tuple[list[Source], Authority]:
    """
    Return the statements and the entered data, after checking that they agree.

    `named`: take the statements from the units of the authorizations, not from the options.
    """
    paths: Sequence[str] = options.statements
    given = Authority() if options.entered is None else _authority(options.entered)
    authority = given
    if named or any(not Path(path).exists() for path in paths):
        authority = _registered(given)
    if named:
        paths = sorted({u.statement for a in authority.authorizations for u in a.units})
    try:
        sources = [_source(path, options.keys_file, options.status_file) for path in paths]
    except VerificationError as error:
        click.echo(f"tonne: {error}", err=True)
        click.get_current_context().exit(Exit.FALSE)
    return together(sources, authority), authority


def _registered(given: Authority) -> Authority:
    """Return the entered data combined with the registered data."""
    from services.processing.registry_import import registered  # noqa: PLC0415 - loads the registry

    with connect(database_url(), role="tonne_mrv", name="tonne export", autocommit=True) as conn:
        return registered(conn, given)


def _filed(paths: Sequence[str], party: str, year: int, version: int) -> Draft | None:
    """Return a submission's tables as filed earlier, read from the database; None if not filed."""
    from services.store.registry.programme import filed  # noqa: PLC0415 - loads the registry

    if paths and all(Path(path).exists() for path in paths):
        return None
    with connect(database_url(), role="tonne_mrv", name="tonne export", autocommit=True) as conn:
        return filed(conn, party, year, version)


def _authority(path: Path) -> Authority:
    from services.registry.files import read_document  # noqa: PLC0415 - loads YAML
    from services.registry.located import native  # noqa: PLC0415

    return read_authority(native(read_document(path, "registrations")), str(path))


def _source(path: str, keys_file: Path | None, status_file: Path | None) -> Source:
    from mrv.packs.reader import opened_pack  # noqa: PLC0415 - loads the Parquet reader
    from services.issuer.export_files import source_of, source_of_pack  # noqa: PLC0415

    if Path(path).exists():
        now = datetime.now(UTC)
        trusted = None if keys_file is None else own_keys(str(keys_file), path, now)
        status = None if status_file is None else given(str(status_file), "--status")
        with opened_pack(path, pack_budget()) as pack, bar(f"verifying {path}"):
            return source_of_pack(pack, trusted, status)
    if keys_file is not None or status_file is not None:
        raise InputError(
            f"--keys and --status are only for packs, and no pack {path} exists; correct its"
            f" path, or omit both to export statement {path} of the database"
        )
    with connect(database_url(), role="tonne_mrv", name="tonne export", autocommit=True) as conn:
        return source_of(conn, path)


def _write(sources: Sequence[Source], made: ExportFiles, out: Path, *, as_json: bool) -> None:
    """Write the export folder completely or not at all; exit status 4 if a field is missing."""
    draft = made.draft
    write_folder(out, made.folder(sources))
    done = {"folder": out, **export_summary(draft, sources)}
    lines = [f"{out}: {done['state']}, {len(made.files)} files"]
    lines += [f"  MISSING  {text}" for text in draft.missing]
    print_result(done, "\n".join(lines), as_json=as_json)
    if draft.missing:
        click.get_current_context().exit(Exit.NOT_ENOUGH)

"""Command `tonne sewer`: the sewerage registry."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from psycopg import Connection

from ingest.errors import InputError, did_you_mean
from services.cli import FILE, NEW_FILE, Group, json_option
from services.cli.output import Exit, counted, print_result, table
from services.cli.server_options import database_url
from services.registry import sewer_files
from services.registry.sewer_files import Network, read
from services.registry.sewers import Problem
from services.registry.sewers import check as check_network
from services.store.postgres.pool import connect
from services.store.registry import sewers as stored

_MAX_LISTED = 200
_IMPORT = "import it with `tonne sewer import`"


_SUMMARIES: dict[str, Callable[[int], str]] = {
    "assets": lambda n: counted(n, "asset"),
    "changed": lambda n: f"{n:,} changed",
    "events": lambda n: counted(n, "event"),
}


@click.group(cls=Group)
def sewer() -> None:
    """
    Register sewers: pipes, manholes, pumping stations, outfalls, and their history.

    \b
    Example:
      tonne sewer import network.geojson
      tonne sewer check
    """


@sewer.command("import")
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--dry-run", is_flag=True, help="Show errors, without writing.")
@click.option("--author", help="Name of the person importing; default: the system's user.")
@json_option
def import_(files: tuple[Path, ...], *, dry_run: bool, author: str | None, as_json: bool) -> None:
    """
    Import sewers from CSV and GeoJSON files; all rows or none.

    A pipe is rejected if a node at its end is neither in the files nor in the registry; uphill
    pipes and dead ends give warnings.  Importing again changes nothing. Exit status 2 if a row is
    rejected.

    \b
    Example:
      tonne sewer import network.geojson inspections.csv --dry-run
    """
    network = read(files)
    with connect(database_url(), name="tonne sewer", autocommit=True) as conn:
        problems = [*network.problems, *_whole(conn, network)]
        refused = any(p.stops for p in problems)
        written = (0, 0)
        if not (refused or dry_run):
            assets = network.assets.values()
            written = stored.write(conn, assets, network.events, author or getpass.getuser())
    _print_problems(
        problems,
        {"assets": len(network.assets), "changed": written[0], "events": written[1]},
        as_json=as_json,
    )


@sewer.command()
@click.argument("files", nargs=-1, type=FILE)
@json_option
def check(files: tuple[Path, ...], *, as_json: bool) -> None:
    """
    Check files of sewers; without files, the registered network.

    Reports, with file and line: missing nodes, uphill flow, dead ends, no path to an outfall, pipes
    whose end differs from, or lies below, their node, duplicates.  Exit status 2 for a missing
    node, 1 for any other fault.

    \b
    Example:
      tonne sewer check network.geojson
    """
    if files:
        network = read(files)
    else:
        with connect(database_url(), role="tonne_api", name="tonne sewer", autocommit=True) as conn:
            network = Network({a.id: a for a in stored.every(conn)})
    problems = [*network.problems, *check_network(network.assets, network.places)]
    _print_problems(problems, {"assets": len(network.assets)}, as_json=as_json)
    if problems:
        click.get_current_context().exit(Exit.FALSE)


@sewer.command()
@click.option("--out", required=True, type=NEW_FILE, help="File to write: .csv or .geojson.")
@json_option
def export(out: Path, *, as_json: bool) -> None:
    """
    Write all assets to .csv or .geojson, in the format of `tonne sewer import`.

    \b
    Example:
      tonne sewer export --out network.geojson
    """
    with connect(database_url(), role="tonne_api", name="tonne sewer", autocommit=True) as conn:
        assets = list(stored.every(conn))
    if out.suffix == ".csv":
        text = sewer_files.to_csv(assets)
    elif out.suffix in (".geojson", ".json"):
        features = ",\n".join(json.dumps(sewer_files.feature(a)) for a in assets)
        text = f'{{"type": "FeatureCollection", "features": [\n{features}\n]}}\n'
    else:
        raise InputError(f"--out {out}: its name must end in .csv or .geojson")
    out.write_text(text, encoding="utf-8")
    message = f"{counted(len(assets), 'asset')} in {out}"
    print_result({"assets": len(assets), "file": out}, message, as_json=as_json)


@sewer.command()
@click.argument("asset")
@json_option
def show(asset: str, *, as_json: bool) -> None:
    """
    Show an asset with its inspections and works.

    \b
    Example:
      tonne sewer show P-012
    """
    with connect(database_url(), role="tonne_api", name="tonne sewer", autocommit=True) as conn:
        stored_asset = stored.history(conn, asset)
        near = (
            did_you_mean(asset, (a.id for a in stored.every(conn))) if stored_asset is None else ""
        )
    if stored_asset is None:
        raise InputError(f"asset {asset!r} is not registered; {near or _IMPORT}")
    own_asset, events = stored_asset
    document: dict[str, Any] = {"id": own_asset.id, **sewer_files.properties(own_asset)}
    document["history"] = [
        {"day": e.day.isoformat(), "what": e.what, "kind": e.kind, "condition": e.condition,
         "note": e.note} for e in events
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    history = document.pop("history")
    for key, value in document.items():
        click.echo(f"{key:12} {value}")
    lines = [[e[key] for key in ("day", "what", "kind", "condition", "note")] for e in history]
    head = ("day", "what", "kind", "condition", "note")
    click.echo(table(head, lines, empty="no history"))


def import_folder(conn: Connection, folder: Path, author: str) -> str | None:
    """
    Import the sewers of a catalog folder, and return a summary; None if it has none.

    Raises InputError where a row is rejected; names the first with its file and line.
    """
    files = sorted(p for p in folder.glob("*") if p.suffix in (".csv", ".geojson"))
    if not files:
        return None
    network = read(files)
    problems = [*network.problems, *_whole(conn, network)]
    for problem in problems:
        if problem.stops:
            raise InputError(f"{problem.place}: {problem.asset}: {problem.text}")
    changed, events = stored.write(conn, network.assets.values(), network.events, author)
    summary = counted(len(network.assets), "asset")
    return f"sewers: {summary}, {changed} changed, {events} new in their history"


def _whole(conn: Connection, network: Network) -> list[Problem]:
    """Return the faults of the merged network that concern assets of the imported files."""
    assets = {a.id: a for a in stored.every(conn)} | network.assets
    return [p for p in check_network(assets, network.places) if p.asset in network.assets]


def _print_problems(problems: Iterable[Problem], done: dict[str, int], *, as_json: bool) -> None:
    listed = list(problems)
    if as_json:
        click.echo(json.dumps({**done, "problems": [p._asdict() for p in listed]}, indent=2))
    else:
        for change in listed[:_MAX_LISTED]:
            kind = "" if change.stops else "warning: "
            click.echo(f"{kind}{change.place}: {change.asset}: {change.text}")
        if len(listed) > _MAX_LISTED:
            click.echo(f"... and {len(listed) - _MAX_LISTED} more; --json lists all")
        click.echo(", ".join(_SUMMARIES[key](value) for key, value in done.items()))
    if any(p.stops for p in listed):
        click.get_current_context().exit(Exit.INPUT)

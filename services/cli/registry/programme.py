"""Command `tonne programme`: the city's targets and its projects' progress."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import click

from ingest.errors import InputError
from mrv.report import LANGUAGES, Format, make_programme
from services.cli import NEW_FILE, Choice, Group, json_option
from services.cli.server_options import database_url
from services.cli.statements.report import write_whole
from services.issuer.planning import programme_report
from services.store.postgres.pool import connect
from services.store.views import parks
from services.store.views.programme_report import progress_document

FORMATS: dict[str, Format] = {".pdf": "pdf", ".xlsx": "xlsx"}


@click.group(cls=Group)
def programme() -> None:
    """
    Show targets, progress and reports of the whole programme.

    \b
    Example:
      tonne programme progress --year 2026
    """


@programme.command()
@click.option(
    "--year",
    type=click.IntRange(1990, 2200),
    help="Calendar year; default: the last year with figures.",
)
@json_option
def progress(year: int | None, *, as_json: bool) -> None:
    """
    Show targets and progress by action, and tonnes that may be transferred abroad.

    Two accounts are listed separately and never added: the city's model (targets and reported
    progress), and the projects' measurements (monitored tonnes, issued credits). The transferable
    share is calculated by the rules of the project's country, only if the project's `transfer`
    names its list and states whether a corresponding adjustment is made.

    \b
    Example:
      tonne programme progress
      tonne programme progress --year 2026 --json
    """
    with connect(database_url(), role="tonne_mrv", name="tonne programme", autocommit=True) as conn:
        document = progress_document(conn, year)
    click.echo(json.dumps(document, indent=2, ensure_ascii=False) if as_json else _text(document))


@programme.command()
@click.option(
    "--year",
    type=click.IntRange(1990, 2200),
    help="Calendar year; default: the last year with figures.",
)
@click.option("--out", type=NEW_FILE, help="File to write, .pdf or .xlsx; default: print.")
@click.option("--lang", "language", type=Choice(LANGUAGES), default="en",
              help="Language of the file.")  # fmt: skip
@json_option
def report(year: int | None, out: Path | None, language: str, *, as_json: bool) -> None:
    """
    Report every system: devices, expected and measured tonnes, issued, transferable and provisional
    tonnes.

    A system without a methodology has a reason in place of tonnes, and its days of indicators or
    its assets. The city's model and the measurements are listed separately.

    \b
    Example:
      tonne programme report --year 2026
      tonne programme report --lang vi --out programme.pdf
    """
    wanted = FORMATS.get("" if out is None else out.suffix.lower())
    if out is not None and wanted is None:
        raise InputError(
            f"--out {out} is not a PDF or workbook; pass a name that ends in .pdf or .xlsx"
        )
    with connect(database_url(), role="tonne_api", name="tonne programme", autocommit=True) as conn:
        document = programme_report(conn, year, language)
    if out is not None and wanted is not None:
        write_whole(out, make_programme(document, wanted, language))
    if as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(_systems_text(document) + "\n\n" + _text(document))


@programme.command()
@click.argument("park")
@click.option(
    "--year", type=click.IntRange(1990, 2200), required=True, help="Calendar year of the balance."
)
@json_option
def park(park: str, year: int, *, as_json: bool) -> None:
    """
    Show an eco-industrial park's balance: energy, water, waste, heat, and exchanges between
    members.

    \b
    Example:
      tonne programme park harbour-park --year 2026
    """
    span = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    with connect(database_url(), role="tonne_api", name="tonne programme", autocommit=True) as conn:
        balance = parks.balance(conn, park, *span)
    click.echo(
        json.dumps(balance, indent=2, ensure_ascii=False) if as_json else _park_text(balance)
    )


def _systems_text(document: dict[str, Any]) -> str:
    head = ("system", "title", "devices", "reporting", "expected t", "measured t", "issued t")
    rows = [
        (
            s["system"],
            s["title"],
            str(s["devices"]),
            str(s["devices_heard"]),
            *(tonnes_text(s[k]) for k in ("expected_t", "tCO2", "issued_credits_t")),
        )
        for s in document["systems"]
    ]
    lines = [f"{document['programme']}, {document['year']}: by system", ""]
    lines += _table([head, *rows])
    for s in document["systems"]:
        if s["reason"]:
            lines.append(f"  {s['system']}: tCO2 null, {s['reason']}")
        lines += [f"  {s['system']}: {_days(i)}" for i in s["indicators"]]
        lines += [
            f"  {s['system']}: {f['device']}, {f['dry_downs']} dry-downs in {f['days']} days,"
            f" {f['dry_days']} of them dry, lowest {f['lowest_cm']} cm"
            for f in s["fields"]
        ]
        if s["registry"]:
            assets = ", ".join(f"{n} {k}" for k, n in s["registry"]["assets"].items())
            lines.append(f"  {s['system']}: {assets or 'no asset'}")
        lines += [
            f"  {p['project']}: provisional, {why}"
            for p in s["projects"]
            for why in p["provisional"]
        ]
    lines += [
        f"  {p['project']}: of no system, measured {tonnes_text(p['monitored_t'])} t,"
        f" issued {p['issued_credits_t']} t"
        for p in document["without_system"]
    ]
    lines += [f"  park {park_['park']}: see `tonne programme park`" for park_ in document["parks"]]
    return "\n".join(lines)


def _days(system: dict[str, Any]) -> str:
    over = "" if system["days_exceeded"] is None else f", {system['days_exceeded']} exceeded"
    if system["days_judged"] < system["days"]:
        over += f", {system['days'] - system['days_judged']} not judged"
    days = f"{system['days']} days{over}"
    return f"{system['device']} {system['indicator']}, {days}, mean {system['mean']}"


def _park_text(balance: dict[str, Any]) -> str:
    head = ("member", "of", "produced", "received", "supplied", "unit")
    rows = [
        (m["site"], of, *(b[side] or "-" for side in ("made", "got", "given")), b["unit"])
        for m in balance["members"]
        for of, b in m["balance"].items()
    ]
    lines = [
        f"{balance['park']}, {balance['from']} to {balance['to']}",
        "",
        *_table([head, *rows]),
        "",
    ]
    for of, b in balance["park_balance"].items():
        sides_text = ", ".join(
            f"{'produced' if side == 'made' else side} {b[side] or '-'}"
            for side in ("drawn", "made", "exchanged", "released")
        )
        lines.append(f"{of}: {sides_text} {b['unit']}")
    lines.append(f"monitored: {tonnes_text(balance['monitored_t'])} tCO2e")
    if balance["not_accounted"]:
        lines.append(f"not yet accounted, and not included: {', '.join(balance['not_accounted'])}")
    return "\n".join(lines)


def _text(document: dict[str, Any]) -> str:
    head = ("action", "name", "target t/y", "reported t", "projects", "expected t/y",
            "monitored t", "% of target", "issued t")  # fmt: skip
    rows = [
        (
            a["action"],
            a["name"],
            *(tonnes_text(a["city_model"][k]) for k in ("target_t_per_year", "reported_t")),
            str(a["projects"]["count"]),
            *(tonnes_text(a["projects"][k]) for k in ("expected_t_per_year", "monitored_t")),
            a["projects"]["monitored_percent_of_target"] or "-",
            tonnes_text(a["projects"]["issued_credits_t"]),
        )
        for a in document["actions"]
    ]
    lines = [f"{document['programme']}, {document['year'] or 'no figures yet'}", ""]
    lines += [*_table([head, *rows]), "", document["accounts"], ""]
    moved = document["transfer"]
    if moved is None:
        return "\n".join(lines)
    lines.append(f"Transfer abroad, {moved['rules']}, in force from {moved['in_force']}")
    for project in moved["projects"]:
        known = project["transferable_t"] != "not determined"
        amount = (
            f"at most {project['transferable_t']} t transferable; " if known else "transferable "
        )
        lines.append(
            f"  {project['project']}: {project['issued_credits_t']} t issued, "
            f"{amount}{project['basis']}"
        )
        if project["condition"]:
            lines.append(f"    condition: {project['condition']}")
    return "\n".join(lines)


def tonnes_text(value: str | int | None) -> str:
    """Return tonnes as text, rounded down to at most three decimals."""
    if value is None:
        return "-"
    whole = Decimal(value).quantize(Decimal("0.001"), ROUND_FLOOR)
    return f"{whole:,f}".rstrip("0").rstrip(".")


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            text.ljust(width) if i < 2 else text.rjust(width)  # noqa: PLR2004 - two of words
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]

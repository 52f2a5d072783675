"""`tonne programme`: what the city set out to do, and how far its projects are."""

from __future__ import annotations

import json
from typing import Any

import click

from services.cli.database import database_url
from services.store.pool import connect
from services.store.progress import progress_document


@click.group()
def programme() -> None:
    """
    Look at the programme as a whole.

    \b
    Example:
      tonne programme progress --year 2026
    """


@programme.command()
@click.option(
    "--year", type=click.IntRange(1990, 2200), help="The last one with figures if absent."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def progress(year: int | None, *, as_json: bool) -> None:
    """
    Show targets and progress by action, and what may be transferred abroad.

    Two accounts stand beside each other and are never added: the city's model
    (targets, and what it reports), and the projects' measurements (monitored
    tonnes, issued credits). The share that Decree 112/2026 lets go abroad is
    worked out only where a project's `transfer` says its list and whether a
    corresponding adjustment is made.

    \b
    Example:
      tonne programme progress
      tonne programme progress --year 2026 --json
    """
    with connect(database_url(), role="tonne_mrv", name="tonne programme", autocommit=True) as conn:
        document = progress_document(conn, year)
    click.echo(json.dumps(document, indent=2, ensure_ascii=False) if as_json else _text(document))


def _text(document: dict[str, Any]) -> str:
    head = ("action", "name", "target t/y", "reported t", "projects", "expected t/y",
            "monitored t", "% of target", "issued t")  # fmt: skip
    rows = [
        (
            a["action"], a["name"],
            *(_tonnes(a["city_model"][k]) for k in ("target_t_per_year", "reported_t")),
            str(a["projects"]["count"]),
            *(_tonnes(a["projects"][k]) for k in ("expected_t_per_year", "monitored_t")),
            a["projects"]["monitored_percent_of_target"] or "-",
            _tonnes(a["projects"]["issued_credits_t"]),
        )
        for a in document["actions"]
    ]  # fmt: skip
    lines = [f"{document['programme']}, {document['year'] or 'no figures yet'}", ""]
    lines += [*_table([head, *rows]), "", document["accounts"], ""]
    moved = document["transfer"]
    lines.append(f"Transfer abroad, {moved['rules']}, in force from {moved['in_force']}")
    for one in moved["projects"]:
        known = one["transferable_t"] != "not determined"
        most = f"at most {one['transferable_t']} t transferable; " if known else "transferable "
        lines.append(
            f"  {one['project']}: {one['issued_credits_t']} t issued, {most}{one['basis']}"
        )
        if one["condition"]:
            lines.append(f"    condition: {one['condition']}")
    return "\n".join(lines)


def _tonnes(value: str | int | None) -> str:
    return "-" if value is None else f"{float(value):,.3f}".rstrip("0").rstrip(".")


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            text.ljust(width) if i < 2 else text.rjust(width)  # noqa: PLR2004 - two of words
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]

"""`tonne submission`: what a programme's checks of a request for issuance would find."""

from __future__ import annotations

import click

from mrv.report.words import LANGUAGES, Words
from services.cli.errors import Exit
from services.cli.options.common import Choice, Group, json_option
from services.cli.options.servers import database_url
from services.cli.output.documents import print_json
from services.store.postgres.pool import connect


@click.group(cls=Group)
def submission() -> None:
    """
    Check a statement before it is submitted to its programme.

    \b
    Example:
      tonne submission check TN-nck-pv-20260101-20260201-1
    """


@submission.command()
@click.argument("statement")
@click.option("--lang", "language", type=Choice(LANGUAGES), default="en", help="Of the list.")
@json_option
def check(statement: str, language: str, *, as_json: bool) -> None:
    """
    List what a completeness check and an information and reporting check would find.

    A line for each check, with what lacks and the page of the report where it stands.
    Ends with 4 where something lacks.

    \b
    Example:
      tonne submission check TN-nck-pv-20260101-20260201-1 --json
    """
    from services.issuer.submission import line_json  # noqa: PLC0415 - loads the typesetter
    from services.issuer.submission import submission as checked  # noqa: PLC0415

    words = Words(language)
    with connect(
        database_url(), role="tonne_mrv", name="tonne submission", autocommit=True
    ) as conn:
        facts, lines = checked(conn, statement, language)
    complete = all(one.holds for one in lines)
    if as_json:
        rows = [line_json(one, words) for one in lines]
        print_json(
            {"statement": statement, "state": facts.state, "complete": complete, "checks": rows}
        )
    else:
        for part in dict.fromkeys(one.part for one in lines):
            click.echo(words[f"submission.{part}"])
            for one in lines:
                if one.part == part:
                    page = "" if one.page is None else f", {words['page.page']} {one.page}"
                    mark = words["submission.ok" if one.holds else "submission.lacks"]
                    title = words[f"submission.{one.check}"]
                    click.echo(f"  {mark:8} {title} ({one.chapter}{page})")
                    for each in one.lacking:
                        click.echo(f"           {each}")
    if not complete:
        click.get_current_context().exit(Exit.NOT_ENOUGH)

"""`tonne submission`: results of a programme's checks of a request for issuance."""

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
      tonne submission check TN-roof-1-20260101-20260201-1
    """


@submission.command()
@click.argument("statement")
@click.option(
    "--lang", "language", type=Choice(LANGUAGES), default="en", help="Language of the list."
)
@json_option
def check(statement: str, language: str, *, as_json: bool) -> None:
    """
    List what a completeness check and an information and reporting check would find.

    A line for each check, with what lacks and the page of the report where it stands.
    Ends with 4 where something lacks.

    \b
    Example:
      tonne submission check TN-roof-1-20260101-20260201-1 --json
    """
    from services.issuer.submission import line_json  # noqa: PLC0415 - loads the typesetter
    from services.issuer.submission import submission as checked  # noqa: PLC0415

    words = Words(language)
    with connect(
        database_url(), role="tonne_mrv", name="tonne submission", autocommit=True
    ) as conn:
        facts, lines = checked(conn, statement, language)
    complete = all(line.holds for line in lines)
    if as_json:
        rows = [line_json(line, words) for line in lines]
        print_json(
            {"statement": statement, "state": facts.state, "complete": complete, "checks": rows}
        )
    else:
        for part in dict.fromkeys(line.part for line in lines):
            click.echo(words[f"submission.{part}"])
            for line in lines:
                if line.part == part:
                    page = "" if line.page is None else f", {words['page.page']} {line.page}"
                    mark = words["submission.ok" if line.holds else "submission.lacks"]
                    title = words[f"submission.{line.check}"]
                    click.echo(f"  {mark:8} {title} ({line.chapter}{page})")
                    for each in line.lacking:
                        click.echo(f"           {each}")
    if not complete:
        click.get_current_context().exit(Exit.NOT_ENOUGH)

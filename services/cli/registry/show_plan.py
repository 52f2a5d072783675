"""What became of each row of an import, as it is printed."""

from __future__ import annotations

from collections.abc import Sequence

import click

from services.cli.output.documents import print_json
from services.registry.plan import Result


def show_plan(results: Sequence[Result], *, as_json: bool) -> None:
    """Print a row's result, kind and id, and below it what is wrong with it."""
    if as_json:
        print_json(results)
        return
    if results:
        click.echo(f"{'RESULT':<9} {'KIND':<9} ID")
    for row in results:
        click.echo(f"{row.result:<9} {row.kind:<9} {row.id}")
        for message in row.messages:
            click.echo(f"          {message}")

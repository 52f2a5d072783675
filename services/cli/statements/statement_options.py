"""What the commands of a statement's life share: options, the signer, the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from psycopg import Connection

from mrv.errors import VerificationError
from services.cli.errors import Exit
from services.cli.options.servers import database_url
from services.issuer import keys
from services.issuer import transitions as life
from services.settings import Settings
from services.store.postgres.pool import connect

key_option = click.option(
    "--key", "key_name", required=True, metavar="N", help="Signer's key, by name."
)
what_argument = click.argument("what", metavar="ID|PACK")
out_option = click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Sign a file or PACK apart into this file, to be handed in.",
)


def warn_unmet(unmet: Iterable[str]) -> None:
    """Say again, where it is signed, what the statement says does not hold."""
    for one in unmet:
        click.echo(f"warning: not met: {one} (open, as a clarification)", err=True)


@contextmanager
def failing() -> Iterator[None]:
    """End with 1 where what is checked is false."""
    try:
        yield
    except VerificationError as error:
        click.echo(f"tonne: {error}", err=True)
        click.get_current_context().exit(Exit.FALSE)


def signer_of(name: str) -> life.Signer:
    """Load the key of that name; InputError where there is none."""
    return life.Signer(*keys.load(Settings().home, name))


def database() -> Connection:
    """Connect to the database as who makes statements does."""
    return connect(database_url(), role="tonne_mrv", name="tonne statement", autocommit=True)

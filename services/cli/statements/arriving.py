"""Warning before a day is sealed or a period closed while its readings still arrive."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click
from psycopg import Connection

from services.store.timeseries import arrivals

# a gateway sends, and the pipeline commits, several times in it
_LOOK_S = 3.0
_SHOWN = 3


def warn_of_arriving(conn: Connection, ids: Sequence[str], from_us: int, to_us: int) -> None:
    """
    Warn of devices whose readings of a span still arrive; ask whether to continue at a terminal.

    Waits a few seconds where some arrived within the last hour.

    Raises
    ------
    click.Abort
        If the answer is no.
    """
    before = arrivals.arriving(conn, ids, from_us, to_us)
    if not before:
        return
    time.sleep(_LOOK_S)
    after = arrivals.arriving(conn, ids, from_us, to_us)
    growing = sorted(device for device, count in after.items() if count > before.get(device, 0))
    if not growing:
        return
    names = ", ".join(growing[:_SHOWN]) + (
        f" and {len(growing) - _SHOWN} more" if growing[_SHOWN:] else ""
    )
    click.echo(
        f"tonne: readings of this time still arrive, of {names}. What arrives later is missing"
        " from the statement and counts as late. Wait until the import has ended (`tonne edge"
        " CONFIG --status` shows 0 waiting), then repeat this command.",
        err=True,
    )
    if sys.stdin.isatty():
        click.confirm("Continue without them?", abort=True, err=True)

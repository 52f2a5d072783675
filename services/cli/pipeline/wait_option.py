"""`--wait`: how long a starting process waits for its servers."""

from __future__ import annotations

import click

from services.waiting import WAIT_S

wait_option = click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 3_600), default=WAIT_S, show_default=True,
    help="Seconds that a start waits for servers that are not there yet.",
)  # fmt: skip

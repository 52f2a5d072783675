"""`--wait`: how long a start waits for its servers."""

import click

WAIT_S = 60.0

wait_option = click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 86_400),
    default=WAIT_S,
    metavar="SECONDS",
    help="Wait so long for servers that are not there yet; then end with 3.",
)

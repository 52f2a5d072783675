"""What the demo shows while devices speak: messages, kWh and tonnes, as they are stored."""

from __future__ import annotations

import re
import sys
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from services.store.postgres.pool import connect

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUMS = (
    "SELECT coalesce((SELECT sum(value) FROM interval_quantity"
    " WHERE quantity = 'energy_export'), 0),"
    " coalesce((SELECT sum(reduction_ug) FROM interval_emission), 0)"
)


class Progress:
    """One line, rewritten where a person watches."""

    def __init__(self, status: Mapping[str, Any], metrics: str) -> None:
        self._connection = connect(
            status["database_url"], role="tonne_grafana", name="tonne demo", autocommit=True
        )
        self._metrics = f"http://{metrics}/metrics"
        self._last = ""

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def show(self) -> None:
        """Print how far storing has come."""
        row = self._connection.execute(_SUMS).fetchone()
        wh, ug = row if row is not None else (0, 0)
        line = (
            f"  {self._messages():>9,.0f} messages"
            f" {float(wh) / 1000:>14,.3f} kWh generated {float(ug) / 1e12:>10,.6f} tCO2e avoided"
        )
        if sys.stdout.isatty():
            click.echo(f"\r{line}", nl=False)
        elif line != self._last:
            click.echo(line)
        self._last = line

    def _messages(self) -> float:
        with suppress(OSError), urllib.request.urlopen(self._metrics, timeout=2) as page:  # noqa: S310
            found = re.findall(
                r"^tonne_ingest_messages_total\{[^}]*\} (\S+)$", page.read().decode(), re.MULTILINE
            )
            return sum(float(value) for value in found)
        return 0.0

    def end(self) -> None:
        """Leave the last line standing."""
        self.show()
        if sys.stdout.isatty():
            click.echo()

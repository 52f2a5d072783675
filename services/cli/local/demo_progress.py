"""What the demo shows while devices speak: messages, kWh and tonnes, as they are stored."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from services.cli.output.progress import bar
from services.store.postgres.pool import connect

_SUMS = (
    "SELECT coalesce((SELECT sum(value) FROM interval_quantity"
    " WHERE quantity = 'energy_export'), 0),"
    " coalesce((SELECT sum(reduction_ug) FROM v_account_day), 0)"
)
_LAST = "SELECT max(start) FROM interval_quantity WHERE start >= %s AND start < %s"
_DAY_S = 86_400


class Progress:
    """How far storing has come; a bar where a person watches."""

    def __init__(self, status: Mapping[str, Any], metrics: str) -> None:
        self._connection = connect(
            status["database_url"], role="tonne_grafana", name="tonne demo", autocommit=True
        )
        self._metrics = f"http://{metrics}/metrics"

    def close(self) -> None:
        """Close the connection to the database."""
        self._connection.close()

    @contextmanager
    def bar(self, begin: str, end: str) -> Iterator[Callable[[], None]]:
        """
        Show a bar over the days of [begin, end), and give what moves it.

        Parameters
        ----------
        begin, end : str
            RFC 3339.
        """
        first, last = datetime.fromisoformat(begin), datetime.fromisoformat(end)
        with bar("days", (last - first).total_seconds() / _DAY_S) as shown:

            def show() -> None:
                shown.say(f"{self.line()}; days")
                shown.at(self._days(first, last))

            yield show

    def line(self) -> str:
        """Return what is stored so far."""
        row = self._connection.execute(_SUMS).fetchone()
        wh, ug = row if row is not None else (0, 0)
        return (
            f"  {self._messages():,.0f} messages stored:"
            f" {float(wh) / 1000:,.3f} kWh generated, {float(ug) / 1e12:,.6f} tCO2e avoided"
        )

    def _days(self, first: datetime, last: datetime) -> float:
        """Days until the last interval that is stored."""
        row = self._connection.execute(_LAST, (first, last)).fetchone()
        if row is None or row[0] is None:
            return 0.0
        return float((row[0] - first).total_seconds()) / _DAY_S

    def _messages(self) -> float:
        with suppress(OSError), urllib.request.urlopen(self._metrics, timeout=2) as page:  # noqa: S310
            found = re.findall(
                r"^tonne_ingest_messages_total\{[^}]*\} (\S+)$", page.read().decode(), re.MULTILINE
            )
            return sum(float(value) for value in found)
        return 0.0

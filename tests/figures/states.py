"""The states of a city in which each figure is looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.processing import silence_rates
from services.store.postgres.pool import connect
from services.store.views.fleet_metrics import refresh_days
from tests.grafana import city
from tests.grafana.fill import fill
from tests.grafana.fleet import Size, register

_SMALL = Size(days=12, inverters=4)


def _just_past_midnight() -> str:
    """Return a zone in which the day began within the hour."""
    hour = datetime.now(UTC).hour
    # its sign is the other way round: Etc/GMT+5 is five hours behind
    return f"Etc/GMT+{hour}" if hour <= 12 else f"Etc/GMT-{24 - hour}"


def _filled(url, home):
    city.make(url, home, _SMALL)


def _silent(url, home):
    fill(url, home, _SMALL, silent=timedelta(days=45))


def _midnight(url, home):
    fill(url, home, _SMALL, clock=_just_past_midnight())


def _never_heard(url, home):
    register(url, home, _SMALL, datetime.now(UTC))
    with connect(url, autocommit=True) as conn:
        conn.execute("UPDATE device SET commissioned = now()::date - 10")
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        silence_rates.refresh(conn)
        refresh_days(conn)


def _empty(url, home):
    del url, home


STATES = (_filled, _silent, _midnight, _never_heard, _empty)

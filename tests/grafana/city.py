"""A filled city with statements, for tests of queries and for the page of panels."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from mrv.calendar import instant_us
from services.clock import now_us
from services.issuer import live_accounts
from services.issuer import transitions as life
from services.issuer.seal import seal
from services.processing.rebuild import rebuild
from services.store.postgres.pool import connect
from services.store.views import fleet_metrics
from services.store.views.fleet_metrics import refresh_days, refresh_today
from tests.grafana.fill import fill
from tests.grafana.fleet import Size, zone
from tests.grafana.macros import choices, expand, span
from tests.opinions import concluded
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period


def make(url: str, home: Path, size: Size) -> datetime:
    """Fill a database, close and issue a week, leave another as a draft, and seal the log."""
    end = fill(url, home, size)
    _meter(url)
    who = logged.signers(url, home)
    day = (end - timedelta(days=6)).date()  # the certificate of inv-3 ran out within
    spans = [(day - timedelta(days=4), day - timedelta(days=1)), (day - timedelta(days=1), day)]
    names = []
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        for begin, until in spans:
            at = instant_us(str(begin), zone(end)), instant_us(str(until), zone(end))
            names.append(close_period(conn, "rooftop-pv", *at, "test").statement)
        life.submit(conn, names[0], who["operator"])
        life.verify(conn, names[0], who["verifier"], concluded("unmodified", of=(conn, names[0])))
        life.issue(conn, names[0], who["log"], "test")
        seal(conn, who["log"], now_us())
        refresh_days(conn)
        refresh_today(conn)
        live_accounts.refresh(conn)
        fleet_metrics.raise_alarms(conn)
    return end


def _meter(url: str) -> None:
    """Give the inverters the rows that their readings give: a statement rests on no others."""
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        plan = plant.store_of(conn).plan
        chosen = [i for i, d in enumerate(plan.fleet.devices) if d.class_id == "pv_inverter"]
        rebuild(conn, plan, chosen, 0, now_us(), replace=True)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO device (id, site, class, profile, installed) SELECT 'new-1', site, class,"
            " profile, installed FROM device WHERE id = 'chg-1'"  # registered, and not wired yet
        )
        conn.execute("SELECT pg_stat_force_next_flush()")


def expanded(conn: Any, board: dict[str, Any], query: str, until: datetime) -> str:
    """Return one panel's query as Grafana would send it with all of each variable selected."""
    since = until - span(board["time"]["from"])
    return expand(query, choices(conn, board), since, until)


def ask(conn: Any, board: dict[str, Any], query: str, until: datetime) -> tuple[list[str], list]:
    """Run one panel's query."""
    found = conn.execute(expanded(conn, board, query, until))
    return [column.name for column in found.description], found.fetchall()

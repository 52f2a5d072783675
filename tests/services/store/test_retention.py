"""What goes by policy goes, is told of, and nothing else goes with it."""

import re
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from ingest.errors import TonneError
from services.cli.local.doctor_retention import retention
from services.issuer.watcher import Keep, Watcher
from services.metrics import Metrics
from services.settings import Settings
from services.store.api import webhooks
from services.webhooks.signature import new_secret
from tests.services.store.test_growth_of_tables import PAGE

pytestmark = pytest.mark.integration
KEEP = Keep(90, event_days=90, sky_days=400)
_OVERDUE = "tonne_retention_overdue_seconds"
_EVENT = (
    "WITH e AS (INSERT INTO webhook_event (type, subject, projects, at, data)"
    " VALUES ('tonne.alarm.raised', %(days)s::text, '{}',"
    " now() - %(days)s * interval '1 day', '{}')"
    " RETURNING sequence)"
    " INSERT INTO webhook_delivery (webhook_id, event_sequence, state)"
    " SELECT 'w', sequence, %(state)s FROM e"
)
_SKY = (
    "INSERT INTO clear_sky_day (site, tilt, azimuth, day, place, w_m2)"
    " SELECT 's', %(days)s, 180, (now() AT TIME ZONE 'UTC')::date - %(days)s, point(0, 0),"
    " array_fill(0::real, ARRAY[96])"
)


class Log:
    """What a watcher says."""

    def __init__(self):
        self.said = []

    def info(self, event, **more):
        """Keep it."""
        self.said.append((event, more))

    error = warning = debug = info


@pytest.fixture
def conn(database_url):
    """A database with events and clear skies on both sides of their days."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        webhooks.add(conn, "w", "https://8.8.8.8/", webhooks.TOPICS, None, new_secret(), "test")
        for days, state in (
            (200, "delivered"),
            (100, "waiting"),
            (93, "dead"),
            (88, "waiting"),
            (0, "delivered"),
        ):
            conn.execute(_EVENT, {"days": days, "state": state})
        for days in (900, 402, 398, 0):
            conn.execute(_SKY, {"days": days})
        yield conn


def _left(conn):
    """Days of age that events and clear skies were made with, the oldest first."""
    events = conn.execute("SELECT subject::int FROM webhook_event ORDER BY at").fetchall()
    deliveries = conn.execute("SELECT count(*) FROM webhook_delivery").fetchone()
    skies = conn.execute("SELECT tilt::int FROM clear_sky_day ORDER BY day").fetchall()
    assert deliveries == (len(events),)
    return [days for (days,) in events], [days for (days,) in skies]


def test_what_policy_keeps_no_longer_goes_and_is_told(conn, database_url, monkeypatch):
    """Tables would grow for ever, or what waits would go without anybody knowing."""
    monkeypatch.setattr(webhooks, "_AT_ONCE", 2)
    metrics, log = Metrics(CollectorRegistry()), Log()
    Watcher(database_url, Metrics(CollectorRegistry()), log, keep=Keep()).expire()
    assert _left(conn) == ([200, 100, 93, 88, 0], [900, 402, 398, 0])
    watcher = Watcher(database_url, metrics, log, keep=KEEP)
    watcher.look()
    # by whole days of UTC, at any time of the day and across its end
    assert _overdue_days(metrics, "dead_letter") == 0
    assert 109 <= _overdue_days(metrics, "webhook_event") <= 111
    assert 500 <= _overdue_days(metrics, "clear_sky_day") <= 501
    before = retention(conn, Settings())
    assert before.state == "wrong"
    told = (
        r"webhook events 1(09|10|11) days longer than 90, clear skies 50[01] days longer than 400"
    )
    assert re.search(told, before.found)
    watcher.expire()
    watcher.look()
    assert _left(conn) == ([88, 0], [398, 0])
    told = {event: more for event, more in log.said if event.endswith("expired")}
    assert set(told) == {"webhook events expired", "clear skies expired"}
    gone = told["webhook events expired"]
    assert (gone["events"], gone["undelivered"]) == (3, 2)
    assert told["clear skies expired"]["days"] == 2
    assert [_overdue_days(metrics, table) for table in KEEP.days] == [0, 0, 0]
    assert retention(conn, Settings()).state == "ok"


def _overdue_days(metrics, table):
    value = metrics.registry.get_sample_value(_OVERDUE, {"table": table})
    return value / 86_400


def test_what_is_kept_for_ever_is_never_overdue(conn, database_url):
    """An operator who keeps all would be warned each day."""
    metrics = Metrics(CollectorRegistry())
    Watcher(database_url, metrics, Log(), keep=Keep()).look()
    assert metrics.registry.get_sample_value(_OVERDUE, {"table": "webhook_event"}) is None
    found = retention(conn, Settings(webhook_event_days=0, clear_sky_days=0))
    assert (found.state, "webhook events for ever" in found.found) == ("ok", True)


def test_a_part_that_fails_does_not_keep_the_rest(conn, database_url):
    """Clear skies would pile up because a table of letters is locked or broken."""
    conn.execute("REVOKE EXECUTE ON FUNCTION tonne_tidy_letters FROM tonne_watch")
    conn.execute("REVOKE EXECUTE ON FUNCTION tonne_expire_events FROM tonne_watch")
    log = Log()
    Watcher(database_url, Metrics(CollectorRegistry()), log, keep=KEEP).expire()
    assert [event for event, _ in log.said] == [
        "dead letters not expired",
        "webhook events not expired",
        "clear skies expired",
    ]
    assert _left(conn)[1] == [398, 0]


def test_young_events_stay_whoever_asks(conn):
    """Whoever may write could take back what a registry is about to be told."""
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="30 days at least"):
        webhooks.expire(conn, datetime.now(UTC) - timedelta(days=29))
    conn.execute("DELETE FROM webhook_delivery")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        conn.execute("DELETE FROM webhook_event WHERE at > now() - interval '29 days'")
    for role in ("tonne_mrv", "tonne_api", "tonne_events", "tonne_watch"):
        conn.execute(f"SET ROLE {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("DELETE FROM webhook_event")
        conn.execute("RESET ROLE")


@pytest.mark.parametrize(
    ("setting", "least"),
    [("dead_letter_days", 30), ("webhook_event_days", 30), ("clear_sky_days", 60)],
)
def test_the_page_and_the_settings_agree(setting, least):
    """Somebody would rely on days that no setting keeps."""
    with pytest.raises(TonneError, match=f"keep {least} days at least, or 0 for ever"):
        Settings(**{setting: least - 1})
    assert getattr(Settings(**{setting: least}), setting) == least
    assert getattr(Settings(**{setting: 0}), setting) == 0
    days = getattr(Settings(), setting)
    assert f"{days} days, or `TONNE_{setting.upper()}` ({least} at least" in PAGE.read_text()

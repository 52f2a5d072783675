"""The retention policy deletes what it states, reports it, and deletes nothing else."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from ingest.errors import InputError, TonneError
from services.cli.local.doctor_checks import retention
from services.cli.webhooks import webhooks as command
from services.issuer.watcher import Keep, Watcher
from services.metrics import Metrics
from services.settings import Settings
from services.store import webhooks
from services.store.postgres.pool import connect
from services.webhook_post import new_secret

KEEP = Keep(90, event_days=90, sky_days=400)
_OVERDUE = "tonne_retention_overdue_seconds"
_EVENT = (
    "WITH e AS (INSERT INTO webhook_event (type, subject, projects, at, data)"
    " VALUES ('tonne.alarm.raised', %(days)s::text, '{}',"
    " now() - %(days)s * interval '1 day', '{}')"
    " RETURNING sequence, at)"
    " INSERT INTO webhook_delivery (webhook_id, event_sequence, state, asked)"
    " SELECT 'w', sequence, %(state)s, at FROM e"
)
_SKY = (
    "INSERT INTO clear_sky_day (site, tilt, azimuth, day, place, w_m2)"
    " SELECT 's', %(days)s, 180, (now() AT TIME ZONE 'UTC')::date - %(days)s, point(0, 0),"
    " array_fill(0::real, ARRAY[96])"
)


class Log:
    """Records the messages of a watcher."""

    def __init__(self):
        self.said = []

    def info(self, event, **more):
        """Record it."""
        self.said.append((event, more))

    error = warning = debug = info


@pytest.fixture
def conn(database_url):
    """Return a database with events and clear skies on both sides of their limits."""
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
    """Return the ages in days of the remaining events and clear skies, the oldest first."""
    events = conn.execute("SELECT subject::int FROM webhook_event ORDER BY at").fetchall()
    deliveries = conn.execute("SELECT count(*) FROM webhook_delivery").fetchone()
    skies = conn.execute("SELECT tilt::int FROM clear_sky_day ORDER BY day").fetchall()
    assert deliveries == (len(events),)
    return [days for (days,) in events], [days for (days,) in skies]


def test_what_policy_keeps_no_longer_goes_and_is_told(conn, database_url, monkeypatch):
    """Tables would grow permanently, or waiting rows would be deleted unnoticed."""
    monkeypatch.setattr(webhooks, "_EVENTS_PER_CALL", 2)
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
        r"webhook events 1(09|10|11) days beyond the limit of 90 days, "
        r"clear skies 50[01] days beyond the limit of 400 days"
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
    assert (found.state, "webhook events without limit" in found.found) == ("ok", True)


def test_a_part_that_fails_does_not_keep_the_rest(conn, database_url):
    """Clear-sky data would accumulate because the table of dead letters is locked or damaged."""
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
    """Anyone who may write could take back what a registry is about to be sent."""
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


def _id(conn, days):
    """Return the id of the event of a number of days ago."""
    row = conn.execute("SELECT id FROM webhook_event WHERE subject = %s", [str(days)]).fetchone()
    return row[0]


def _waits(conn, other, asked):
    """Wait until another connection's statement waits for a lock."""
    blocked = "SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE pid = %s"
    while conn.execute(blocked, [other.info.backend_pid]).fetchone() != (True,):
        assert not asked.done(), asked.result()
        time.sleep(0.01)


def test_an_event_is_gone_or_is_sent_again(conn, database_url, monkeypatch):
    """Someone would be informed that an event is sent again while it is being removed."""
    before = datetime.now(UTC) - timedelta(days=90)
    oldest, old, young = _id(conn, 200), _id(conn, 100), _id(conn, 88)
    made = "SELECT asked FROM webhook_delivery ORDER BY event_sequence"
    was = conn.execute(made).fetchall()
    with (
        ThreadPoolExecutor(1) as pool,
        connect(database_url, role="tonne_mrv", autocommit=True) as other,
    ):
        with psycopg.connect(database_url) as removing:
            removing.execute("SELECT tonne_expire_events(%s, 1)", [before])
            asked = pool.submit(webhooks.replay, other, "w", events=[young, oldest])
            _waits(conn, other, asked)
        told = f"event {oldest} was removed, or never existed; the oldest stored event is of 20"
        with pytest.raises(InputError, match=told):
            asked.result(60)
        assert conn.execute(made).fetchall() == was[1:]  # not even the one that is there
        with psycopg.connect(database_url) as sending, sending.transaction():
            assert webhooks.replay(sending, "w", events=[old]) == 1
            asked = pool.submit(webhooks.expire, other, before)
            _waits(conn, other, asked)
        assert asked.result(60) == (1, 1)
        assert _left(conn)[0] == [100, 88, 0]
        # when nobody took it for a day, it goes
        conn.execute("UPDATE webhook_delivery SET asked = asked - interval '25 hours'")
        assert webhooks.expire(other, before) == (1, 1)
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    done = CliRunner().invoke(command, ["replay", "w", "--event", str(old)])
    assert isinstance(done.exception, InputError)
    assert f"event {old} was removed" in str(done.exception)
    done = CliRunner().invoke(command, ["replay", "w", "--since", "2000-01-01T00:00:00Z"])
    assert "w: 2 events sent again; the oldest stored event is of 20" in done.output


def test_an_event_that_is_not_for_a_webhook_is_named(conn):
    """`0 events sent again` would be taken for an event that is on its way."""
    event = _id(conn, 0)
    webhooks.add(conn, "v", "https://8.8.8.8/", ["finding"], None, new_secret(), "test")
    with pytest.raises(InputError, match=f"event {event}, tonne.alarm.raised of .* 'v'; "):
        webhooks.replay(conn, "v", events=[event])


@pytest.mark.parametrize(
    ("setting", "least"),
    [("dead_letter_days", 30), ("webhook_event_days", 30), ("clear_sky_days", 60)],
)
def test_the_page_and_the_settings_agree(setting, least):
    """Someone would rely on days that no setting keeps."""
    with pytest.raises(TonneError, match=f"set at least {least} days, or 0 for no limit"):
        Settings(**{setting: least - 1})
    assert getattr(Settings(**{setting: least}), setting) == least
    assert getattr(Settings(**{setting: 0}), setting) == 0
    days = getattr(Settings(), setting)
    assert f"{days} days, or `TONNE_{setting.upper()}` (at least {least}" in Path(
        "docs/retention.md"
    ).read_text("utf-8")

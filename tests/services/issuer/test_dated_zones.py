"""A zone or a baseline value that changes at a date: each day uses the one in force."""

import random
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg

from mrv import calendar
from mrv.packs.reader import read_pack
from mrv.verify import verify
from services.issuer import transitions as life
from services.issuer.close import preview_period
from services.issuer.pack import export
from services.registry.files import to_yaml
from services.store.registry.entries_from_rows import load_registry
from tests import registering
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.logged import issuer
from tests.services.issuer.sealed import close_period

RULE = "PAR-07"
PAPER = (
    "{document: survey 4/2025, by: Transport institute, issued: 2025-12-10, sha256: "
    + "e5" * 32
    + "}"
)
SURVEY = f"    documents: {{sfc_l_per_100km: {PAPER}, baseline_year: {PAPER}}}\n"


def closed(url):
    """Preview two days of the buses; return tonnes, and the texts of the clause if not met."""
    with logged.issuer(url) as conn:
        span = plant.us("2026-03-01"), plant.us("2026-03-03")
        found = preview_period(conn, "bus", *span).result
    return found.net, [f.detail for f in found.applicability if f.rule == RULE and not f.holds]


def test_the_survey_of_buses_is_asked_for_and_found(database_url, tmp_path):
    """
    A baseline of ten litres more passed with a free text as its source, and a named survey was
    ignored.
    """
    refused, said = registering.said(database_url, tmp_path, plant.REGISTRY)
    assert not refused
    assert "sfc_l_per_100km (100 % of the reduction of role vehicle depends on it)" in said
    assert "without a third party's document" in said
    plant.fill_buses(database_url)
    before, unmet = closed(database_url)
    assert "sfc_l_per_100km" in unmet[0]
    assert "no third party's document is entered" in unmet[0]
    assert "kwh_per_km" not in unmet[0]

    refused, text = registering.said(database_url, tmp_path, plant.REGISTRY + SURVEY)
    assert not refused
    assert "sfc_l_per_100km has no document" not in text
    after, unmet = closed(database_url)
    assert unmet == []
    assert after == before


ZONE = calendar.joined(plant.ZONE, [(date(2026, 3, 3), "Asia/Kathmandu")])
SITE = "timezone: Asia/Ho_Chi_Minh"


def _registry(*later):
    rows = ", ".join(f"{{from: {day}, timezone: {name}}}" for day, name in later)
    return plant.REGISTRY.replace(SITE, f"{SITE}, timezones: [{rows}]")


def _us(day):
    return calendar.midnight_us(date.fromisoformat(day), ZONE)


def _imported(url, folder, text):
    results = registering.told(url, folder, text).results
    said = [text for one in results for text in one.messages if one.result == "error"]
    return [text for text in said if not text.startswith("warning")]


def test_a_change_counts_no_quarter_hour_twice_and_none_never(database_url, tmp_path):
    """A plant that gets Nepal's clock would lose its evening, or be credited for it twice."""
    planted(plant.quarter_hours, database_url, tmp_path)
    who = logged.signers(database_url, tmp_path)
    with issuer(database_url) as conn:
        first = close_period(conn, "pv", _us("2026-03-01"), _us("2026-03-02"), "test")
        logged.signed(conn, first.statement, who)
        # the day before a change is another one, so it may not be closed or sealed yet
        (told,) = _imported(database_url, tmp_path, _registry(("2026-03-02", "Asia/Kathmandu")))
        assert "`timezones: [{from: 2026-03-03, timezone: Asia/Kathmandu}]`, or later" in told
        found = _imported(database_url, tmp_path, plant.REGISTRY.replace(SITE, "timezone: UTC"))
        assert any("Asia/Ho_Chi_Minh cannot become UTC" in told for told in found)
        assert not _imported(database_url, tmp_path, _registry(("2026-03-03", "Asia/Kathmandu")))
        # what was claimed stays as it is, and an older file changes nothing
        again = close_period(conn, "pv", _us("2026-03-01"), _us("2026-03-02"), "test")
        assert (again.new, again.statement) == (False, first.statement)
        assert not _imported(database_url, tmp_path, plant.REGISTRY)
        assert "timezones:\n  - from: 2026-03-03\n    timezone: Asia/Kathmandu" in to_yaml(
            load_registry(conn)
        )
        life.issue(conn, first.statement, who["log"], "test")
        parts = [
            close_period(conn, "pv", _us(a), _us(b), "test")
            for a, b in (("2026-03-02", "2026-03-03"), ("2026-03-03", "2026-03-04"))
        ]
        assert _us("2026-03-03") - _us("2026-03-02") == 25.25 * 3600e6
        whole = close_period(conn, "pv", _us("2026-03-02"), _us("2026-03-04"), "test")
        (stored,) = conn.execute(
            "SELECT sum(value) FROM interval_quantity WHERE quantity = 'energy_export'"
            " AND start >= to_timestamp(%s) AND start < to_timestamp(%s)",
            [_us("2026-03-02") / 1e6, _us("2026-03-04") / 1e6],
        ).fetchone()
        assert sum(_metered(one) for one in parts) == _metered(whole) == stored
        period = whole.document["credentialSubject"]["monitoringPeriod"]
        assert period["timezone"] == ZONE
        assert (period["localFrom"], period["localTo"]) == (
            "2026-03-02T00:00:00+07:00",
            "2026-03-04T00:00:00+05:45",
        )
        assert whole.statement == "TN-pv-20260302-20260304-1"
        logged.signed(conn, whole.statement, who)
        life.issue(conn, whole.statement, who["log"], "test")
        for name in (first.statement, whole.statement):
            found = verify(read_pack(export(conn, name, tmp_path / name)))
            assert found.consistent, found
        sums = _days(conn, database_url)
    assert {d.isoformat() for d, _, _ in sums} == {"2026-03-01", "2026-03-02", "2026-03-03"}
    assert sums[1][1].timestamp() * 1e6 == _us("2026-03-02")
    assert sums[2][1].timestamp() * 1e6 == _us("2026-03-03")
    assert sum(value for *_, value in sums[1:]) == stored


def _metered(closed):
    parameters = closed.document["credentialSubject"]["monitoredParameters"]
    return sum(int(one["metered"]) for one in parameters if one["unit"] == "Wh")


def _days(conn, url):
    """Return sums by day as boards show them, from either view."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("SELECT tonne_refresh_days('1 minute')")
    rows = conn.execute(
        "SELECT day, time, sum(value) FROM v_day_quantity"
        " WHERE quantity = 'energy_export' GROUP BY 1, 2 ORDER BY 1"
    ).fetchall()
    other = conn.execute(
        "SELECT day, time, (sum(energy_kwh) * 1000)::bigint FROM v_energy_kwh_day"
        " WHERE quantity = 'energy_export' GROUP BY 1, 2 ORDER BY 1"
    ).fetchall()
    assert rows == other
    names = conn.execute(
        "SELECT table_name FROM information_schema.views WHERE table_schema = 'public'"
    ).fetchall()
    for (name,) in names:  # none of them stops at a zone that is dated
        conn.execute(f'SELECT * FROM "{name}"')
    return rows


def test_views_and_calendar_agree(database_url):
    """A board would show another day's energy than the statement of that day."""
    dice = random.Random(20261127)  # noqa: S311 -- draws cases
    names = ["Asia/Ho_Chi_Minh", "Asia/Kathmandu", "America/Denver", "Europe/London", "UTC"]
    with psycopg.connect(database_url) as conn:
        conn.execute("SET timezone = 'UTC'")
        for _ in range(300):
            day = date(2026, 1, 1) + timedelta(days=dice.randrange(300))
            other = day + timedelta(days=dice.randrange(7, 90))
            zone = calendar.joined(
                dice.choice(names), [(day, dice.choice(names)), (other, dice.choice(names))]
            )
            near = dice.choice([day, other])
            shown, shift = near + timedelta(days=dice.randrange(-2, 3)), dice.randrange(-72, 72)
            us = calendar.midnight_us(near, zone) + shift * 1_800_000_000
            at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
            found = conn.execute(
                "SELECT tonne_clock(%(zone)s, %(at)s::timestamptz)::date,"
                " tonne_clock(%(zone)s, %(day)s::timestamp)",
                {"zone": zone, "at": at, "day": shown},
            ).fetchone()
            begin = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
                microseconds=calendar.midnight_us(shown, zone)
            )
            assert found == (calendar.local_date(us, zone), begin), (zone, at, shown)


def test_nothing_in_the_database_takes_a_zone_for_one_name(database_url):
    """A view that was written later would stop for every site once one changes its zone."""
    with psycopg.connect(database_url) as conn:
        rows = conn.execute(
            "SELECT c.relname, pg_get_viewdef(c.oid) FROM pg_class c WHERE relkind IN ('v', 'm')"
            " AND relnamespace = 'public'::regnamespace UNION ALL"
            " SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " AND prosrc IS NOT NULL AND proname <> 'tonne_clock'"
        ).fetchall()
    assert [n for n, text in rows if re.search(r"AT TIME ZONE (\w+\.)?timezone\b", text)] == []
    root = Path(__file__).parents[3]
    sources = [*(root / "services").rglob("*.py"), *(root / "deploy").rglob("*.py")]
    assert sources
    other = re.compile(r"AT TIME ZONE (?!'UTC')")
    assert [f.name for f in sources if other.search(f.read_text(encoding="utf-8"))] == []

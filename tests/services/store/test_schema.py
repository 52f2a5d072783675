"""
Constraints of the database, whatever program writes to it.

Every table of the database states what makes it grow, and what limits it.

docs/views.md equals the database's description of its views.
"""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from deploy import pages
from ingest import classes
from services.store import api_keys
from services.store.postgres.pool import connect

PAGE = Path(__file__).parents[3] / "docs" / "table-growth.md"
_TABLES = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    " AND relkind IN ('r', 'p') AND relname NOT LIKE 'reading\\_%%'"
)


def test_every_table_says_what_makes_it_grow(database_url):
    """A table that no one thought of would fill the disk after some years."""
    section = PAGE.read_text().split("## Growth and bound")[1].split("\n## ")[0]
    rows = [line.split("|")[1:4] for line in section.splitlines() if line.startswith("| `")]
    named = [name for tables, *_ in rows for name in re.findall(r"`([a-z_]+)`", tables)]
    with psycopg.connect(database_url) as conn:
        found = {name for (name,) in conn.execute(_TABLES.replace("%%", "%"))}
    assert sorted(named) == sorted(set(named))
    assert set(named) == found
    assert all(grow.strip() and bound.strip() for _, grow, bound in rows)


T0 = datetime(2026, 1, 1, tzinfo=UTC)
_KIND = {"register": "bigint", "gauge": "double precision"}


@pytest.fixture
def conn(database_url):
    yield from _with_devices(database_url)


@pytest.fixture(scope="module")
def shared(shared_database_url):
    """Return a connection to a database in which tests leave no more than a reading of d1."""
    yield from _with_devices(shared_database_url)


def _with_devices(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        connection.execute(
            "INSERT INTO site VALUES ('hp', 'Hai Phong', 20.9, 106.6, 'Asia/Ho_Chi_Minh'), "
            "('co', 'Golden', 39.7, -105.2, 'America/Denver')"
        )
        connection.execute(
            "INSERT INTO device (id, site, class, profile, installed) VALUES "
            "('d1', 'hp', 'pv_inverter', 'generic', %(t)s), "
            "('d2', 'co', 'pv_inverter', 'generic', %(t)s)",
            {"t": T0},
        )
        yield connection


@pytest.fixture
def project(conn):
    """Return two projects over the same two years."""
    for name in ("p1", "p2"):
        conn.execute(
            "INSERT INTO project (id, name, methodology, version, timezone, crediting, "
            "crediting_from, crediting_to) VALUES (%s, 'P', 'jcm-vn-am007', '1.0', "
            "'America/Denver', '[2026-01-01,2028-01-01)', '2026-01-01', '2028-01-01')",
            [name],
        )
    return "p1"


@pytest.mark.parametrize("name", classes.load())
def test_a_class_and_its_table_have_the_same_columns(shared, name):
    """A channel would be decoded and then have nowhere to go, or land in another's column."""
    rows = shared.execute(
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_name = %s ORDER BY ordinal_position",
        [f"reading_{name}"],
    ).fetchall()
    channels = [(c.name, _KIND[c.kind]) for c in classes.load()[name].channels.values()]
    assert rows[:2] == [("device_id", "text"), ("time", "timestamp with time zone")]
    # a channel that came later stands behind the flags
    assert [row for row in rows[2:] if row[0] != "flags"] == channels
    assert ("flags", "jsonb") in rows


def test_every_reading_table_has_a_class(shared):
    """A class dropped from the files would leave readings that no one can read."""
    rows = shared.execute(
        "SELECT hypertable_name FROM timescaledb_information.hypertables "
        "WHERE hypertable_name LIKE 'reading%'"
    ).fetchall()
    assert {r[0] for r in rows} == {f"reading_{name}" for name in classes.load()}


def test_nothing_fires_on_insert_into_readings(shared):
    """A trigger or foreign key per row would cost most of the ingest rate."""
    rows = shared.execute(
        "SELECT tgrelid::regclass::text, tgname FROM pg_trigger "
        "WHERE tgrelid::regclass::text LIKE 'reading%' AND tgtype & 1 = 1 AND tgtype & 4 = 4 "
        "AND tgname <> 'ts_insert_blocker'"
    ).fetchall()
    assert rows == []


def test_an_empty_channel_may_be_filled_and_nothing_else(conn):
    """A stored reading could be altered after it was counted."""
    conn.execute(
        "INSERT INTO reading_pv_inverter (device_id, time, energy_export_wh, flags) "
        """VALUES ('d1', %s, 100, '{"state": "suspect"}')""",
        [T0],
    )
    conn.execute(
        "UPDATE reading_pv_inverter SET active_power_w = 0.1::float8 + 0.2::float8, "
        "energy_export_wh = 100, "
        """flags = flags || '{"active_power_w": "suspect"}'"""
    )
    for change in (
        "energy_export_wh = 101",
        "energy_export_wh = NULL",
        "active_power_w = 0.3",
        "device_id = 'd2'",
        "time = time + interval '1 s'",
        "flags = NULL",
        """flags = '{"state": "good", "active_power_w": "suspect"}'""",
    ):
        with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
            conn.execute(f"UPDATE reading_pv_inverter SET {change}")
    row = conn.execute("SELECT energy_export_wh, active_power_w FROM reading_pv_inverter")
    assert row.fetchall() == [(100, 0.1 + 0.2)]


@pytest.mark.parametrize("name", [f"reading_{c}" for c in classes.load()])
def test_readings_cannot_be_deleted(shared, name):
    """Readings cannot be changed or deleted."""
    shared.execute(f"INSERT INTO {name} (device_id, time) VALUES ('d1', %s)", [T0])
    for statement in (f"DELETE FROM {name}", f"TRUNCATE {name}"):
        with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
            shared.execute(statement)


def test_dead_letters_are_append_only(conn):
    """Rejected messages are append-only."""
    conn.execute(
        "INSERT INTO dead_letter (received, topic, principal, reason, detail, payload, sha256) "
        "VALUES (now(), 't', 'p', 'r', 'd', 'x', sha256('x'))"
    )
    for statement in ("UPDATE dead_letter SET reason = 'q'", "DELETE FROM dead_letter"):
        with pytest.raises(errors.InsufficientPrivilege):
            conn.execute(statement)


def test_a_device_serves_one_project_at_a_time(conn, project):
    """A device belongs to one project at a time."""
    serve = (
        "INSERT INTO project_device (project_id, device_id, role, position, during) "
        "VALUES (%s, 'd1', %s, 0, %s)"
    )
    conn.execute(serve, [project, "generation", "[2026-01-01,2027-01-01)"])
    with pytest.raises(errors.ExclusionViolation, match="device_serves_one_project"):
        conn.execute(serve, ["p2", "charging", "[2026-12-31 23:59:59,2027-06-01)"])
    conn.execute(serve, ["p2", "charging", "[2027-01-01,2027-06-01)"])


def _statement(conn, number, period):
    body = f"statement {number}".encode()
    identifier = f"TN-p1-{number}"
    closed = conn.execute(
        "INSERT INTO monitoring_period (project_id, period, local_from, local_to, timezone, "
        "baseline_ug, project_ug, leakage_ug, reduction_ug, credit_t, coverage, detail) VALUES "
        "('p1', %s, '2026-01-01', '2026-02-01', 'UTC', 1, 0, 0, 1, 0, 1, '{}') RETURNING id",
        [period],
    ).fetchone()[0]
    conn.execute(
        "INSERT INTO statement (id, project_id, period_id, period, sequence, credit_t, body, "
        "sha256, document) VALUES (%s, 'p1', %s, %s, %s, 0, %s, %s, '{}')",
        [identifier, closed, period, number, body, sha256(body).digest()],
    )
    return identifier


def _step(conn, statement, state, key=None):
    conn.execute(
        "INSERT INTO statement_event (statement_id, state, actor, multikey) "
        "VALUES (%s, %s, 'somebody', %s)",
        [statement, state, key],
    )


def test_an_issued_period_cannot_be_claimed_again(conn, project):
    """A tonne would be issued twice."""
    claim = "INSERT INTO claim VALUES (%s, 'p1', %s)"
    periods = ["[2026-01-01,2026-02-01)", "[2026-01-31,2026-03-01)"]
    conn.execute(claim, [_statement(conn, 1, periods[0]), periods[0]])
    with pytest.raises(errors.ExclusionViolation, match="period_claimed_once"):
        conn.execute(claim, [_statement(conn, 2, periods[1]), periods[1]])


def test_a_statement_goes_its_way_with_two_keys(conn, project):
    """Anyone who prepared a statement could verify it, or skip the verifier."""
    conn.execute(
        "INSERT INTO enrolled_key (multikey, name, role) VALUES ('zO', 'op', 'operator'), "
        "('zV', 'audit', 'verifier'), ('zS', 'op', 'verifier')"
    )
    name = _statement(conn, 1, "[2026-01-01,2026-02-01)")
    _step(conn, name, "draft")
    for state, key in (("verified", "zV"), ("issued", None), ("submitted", "zV"), ("draft", None)):
        with pytest.raises(errors.IntegrityError):
            _step(conn, name, state, key)
    _step(conn, name, "submitted", "zO")
    for key, reason in (("zO", "its role is operator"), ("zS", "prepared by op"), (None, "none")):
        with pytest.raises(errors.CheckViolation, match=reason):
            _step(conn, name, "verified", key)
    _step(conn, name, "verified", "zV")
    _step(conn, name, "issued")
    with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
        conn.execute("UPDATE statement SET credit_t = 1000")


def test_a_day_is_the_sites_own(conn):
    """A day's energy would be cut at midnight UTC, and a day of 23 hours look incomplete."""
    march = datetime(2026, 3, 8, 7, tzinfo=UTC)  # Denver's midnight; clocks go forward that day
    conn.cursor().executemany(
        "INSERT INTO interval_quantity VALUES ('d2', 'energy_export', %s, 250, 900000000, 0, 0)",
        [(march + timedelta(minutes=15 * i),) for i in range(23 * 4 + 1)],
    )
    rows = conn.execute(
        "SELECT time, day::text, energy_kwh, measured_share FROM v_energy_kwh_day ORDER BY day"
    ).fetchall()
    assert rows[0] == (march, "2026-03-08", 23, 1)
    assert rows[1][1:3] == ("2026-03-09", rows[1][2])
    assert float(rows[1][2]) == 0.25


def test_avoided_tonnes_are_sums_over_devices(conn, project):
    """A project of two devices would show one device's tonnes."""
    conn.execute(
        "INSERT INTO interval_emission VALUES "
        "('p1', 'd1', %(t)s, 3000000000000, 0, 0, 3000000000000, 'm', 'f'), "
        "('p1', 'd2', %(t)s, 500000000001, 1, 0, 500000000000, 'm', 'f')",
        {"t": T0},
    )
    rows = conn.execute("SELECT project_id, avoided_t::text FROM v_avoided_t_interval").fetchall()
    assert rows == [("p1", "3.500000000000")]
    day = conn.execute("SELECT day::text, avoided_t FROM v_avoided_t_day").fetchone()
    assert (day[0], float(day[1])) == ("2025-12-31", 3.5)


def test_power_of_an_hour_does_not_read_other_weeks(conn):
    """A dashboard over the last hour would read years of chunks."""
    conn.cursor().executemany(
        "INSERT INTO reading_pv_inverter (device_id, time, active_power_w) VALUES ('d1', %s, 1)",
        [(T0 + timedelta(days=7 * i),) for i in range(8)],
    )
    shown = "SELECT * FROM v_power_kw WHERE time >= '2026-01-15' AND time < '2026-01-15 01:00'"
    plan = conn.execute(f"EXPLAIN {shown}").fetchall()
    (row,) = conn.execute(f"SELECT device_id, power_kw FROM ({shown}) AS shown").fetchall()
    assert row == ("d1", 0.001)
    chunks = {word for (line,) in plan for word in line.split() if word.endswith("_chunk")}
    assert len(chunks) == 1


_DENIED = {
    "tonne_ingest": [
        "DELETE FROM reading_vehicle",
        "INSERT INTO claim VALUES ('s', 'p1', '[2026-01-01,2026-02-01)')",
        "UPDATE device SET rated_power_w = 1",
        "DROP TABLE reading_vehicle",
        "ALTER TABLE reading_vehicle DISABLE TRIGGER ALL",
    ],
    "tonne_mrv": [
        "INSERT INTO reading_vehicle (device_id, time) VALUES ('d1', now())",
        "UPDATE interval_quantity SET value = 0",
        "DELETE FROM statement",
        "UPDATE enrolled_key SET role = 'verifier'",
    ],
    "tonne_api": ["INSERT INTO site VALUES ('x', 'X', 0, 0, 'UTC')", "DELETE FROM claim"],
    "tonne_grafana": [
        "INSERT INTO interval_quantity VALUES ('d1', 'energy_export', now(), 1, 0, 0, 0)",
        "UPDATE device SET serial = 'x'",
        "CREATE TABLE mine (a int)",
        "SELECT * FROM api_key",
        "SELECT * FROM webhook_secret",
    ],
}


@pytest.mark.parametrize(("role", "statement"), [(r, s) for r in _DENIED for s in _DENIED[r]])
def test_a_process_can_do_no_more_than_it_needs(shared_database_url, role, statement):
    """Each database role has the permissions of its task only."""
    with (
        connect(shared_database_url, role=role, autocommit=True) as conn,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        conn.execute(statement)


_BECOME_OWNER = """
    CREATE FUNCTION pg_temp.steal() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE format('GRANT INSERT ON public.enrolled_key TO %I', current_setting('t.thief'));
        RETURN NULL;
    END $$;
    CREATE TEMP TABLE device (id text, class text);
    INSERT INTO pg_temp.device VALUES ('d1', 'pv_inverter');
    CREATE TEMP TABLE device_seen (device_id text PRIMARY KEY, last_reading timestamptz,
        received timestamptz, day date, quarters bit(100));
    CREATE TRIGGER steal BEFORE INSERT ON pg_temp.device_seen
        FOR EACH ROW EXECUTE FUNCTION pg_temp.steal();
    GRANT ALL ON pg_temp.device, pg_temp.device_seen TO PUBLIC;
    SELECT tonne_see_devices();
"""


@pytest.mark.parametrize("role", ["tonne_api", "tonne_ingest"])
def test_no_login_becomes_the_owner_by_temporary_tables(conn, database_url, role):
    """No login gains the owner's rights by temporary tables."""
    conn.execute("INSERT INTO reading_pv_inverter (device_id, time) VALUES ('d1', %s)", [T0])
    may = "SELECT has_table_privilege(%s, 'enrolled_key', 'INSERT')"
    with connect(database_url, role=role, autocommit=True) as thief:
        thief.execute("SELECT set_config('t.thief', %s, false)", [role])
        thief.execute(_BECOME_OWNER)
    assert conn.execute(may, [role]).fetchone() == (False,)


def test_what_is_revoked_or_ended_stays_so(database_url):
    """A revocation cannot be undone."""
    with connect(database_url, role="tonne_api", autocommit=True) as thief:
        key, _ = api_keys.create(thief, "gone", "admin", None, "test")
        api_keys.revoke(thief, key.id)
        thief.execute(
            "INSERT INTO webhook (id, url, topics, author)"
            " VALUES ('w', 'https://x.vn', '{alarm}', 'test')"
        )
        thief.execute("UPDATE webhook SET ended = now(), reason = 'over'")
        thief.execute(
            "INSERT INTO api_session (secret_sha256, key_id, until, ended)"
            " VALUES (sha256('x'), %s, now() + interval '1 hour', now())",
            [key.id],
        )
        for statement in (
            "UPDATE api_key SET revoked = NULL",
            "UPDATE api_key SET revoked = revoked - interval '1 year'",
            "UPDATE webhook SET ended = NULL, reason = NULL",
            "UPDATE api_session SET ended = NULL",
        ):
            with pytest.raises(errors.CheckViolation, match="is not taken back"):
                thief.execute(statement)
        again = api_keys.revoke(thief, key.id)  # once more is as before
        assert again is not None


def test_functions_look_into_temporary_tables_last(shared):
    """Database functions search temporary tables last."""
    found = shared.execute(
        "SELECT p.oid::regprocedure::text FROM pg_proc p"
        " WHERE p.pronamespace = 'public'::regnamespace"
        " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
        " AND (p.prosecdef OR p.proconfig::text LIKE '%search_path%')"
        " AND NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=public, pg_temp']"
    ).fetchall()
    assert found == []


def test_dashboards_read_every_view(shared_database_url):
    """A panel would stay empty with a permission error."""
    with connect(shared_database_url, role="tonne_grafana", autocommit=True) as conn:
        names = conn.execute(
            "SELECT table_name FROM information_schema.views WHERE table_schema = 'public'"
        ).fetchall()
        assert len(names) >= 8
        for (name,) in names:
            conn.execute(f"SELECT * FROM {name} LIMIT 1")


VIEWS = Path(__file__).parents[3] / "docs/views.md"


def test_the_page_of_the_views_has_not_drifted(database_url):
    """
    Anyone who reads with SQL would ask for a column that is gone, or take
    one for what it is not.
    """
    with psycopg.connect(database_url) as connection:
        made = pages.views_page(connection)
        silent = [name for name, said, *_ in connection.execute(pages.VIEWS) if not said]
    assert not silent, "a view without a comment: write one in its migration"
    assert made == VIEWS.read_text("utf-8"), "run `make views`"

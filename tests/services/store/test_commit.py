"""One batch, one transaction: the result of equal times, contradictions and registry changes."""

import psycopg
import pytest

from ingest.model import Device, Fleet, Replacement
from mrv import factors
from services.processing.commit import Store
from services.settle import Plan
from services.store.dead_letter_write import Letters
from services.store.registry import load as registry
from tests.ingest.metering import MINUTE_US, T0_US
from tests.integration import stored
from tests.integration.deliveries import Reading, frame


@pytest.fixture
def connection(database_url):
    """Return a connection to a fresh database."""
    with psycopg.connect(database_url, autocommit=True) as opened:
        opened.execute("SET timezone = 'UTC'")
        yield opened


def bare_plan() -> Plan:
    fleet = Fleet([Device("d0", "s", "pv_inverter", rated_power_w=100_000)])
    return Plan.of(fleet, [], factors.load())


def commit(connection, store, *readings, repeated=False):
    n = len(readings)
    letters = Letters(
        ["tonne/v1/d0/telemetry"] * n,
        [f"payload {k}".encode() for k in range(n)],
        [None] * n,
        [repeated] * n,
        T0_US,
    )
    return store.commit(connection, [frame(list(readings))], [], letters)


def rows(connection):
    return connection.execute(
        "SELECT energy_export_wh, energy_import_wh, active_power_w FROM reading_pv_inverter"
        " ORDER BY time"
    ).fetchall()


def letters(connection):
    return connection.execute(
        "SELECT reason, device_id, payload FROM dead_letter ORDER BY id"
    ).fetchall()


def at(minute, **values) -> Reading:
    return Reading(0, T0_US + minute * MINUTE_US, **values)


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
@pytest.mark.parametrize(
    ("first", "second", "held", "refused"),
    [
        ({"export": 5}, {"export": 5}, (5, None, None), 0),
        ({"export": 5}, {"power": 1.5}, (5, None, 1.5), 0),
        ({"export": 5}, {"export": 5, "imported": 7}, (5, 7, None), 0),
        ({"export": 5}, {"export": 6}, (5, None, None), 1),
        ({"export": 5}, {"export": 6, "power": 1.5}, (5, None, None), 1),
        ({"power": 1.5}, {"power": 1.25}, (None, None, 1.5), 1),
    ],
    ids=["same", "other channel", "more", "other value", "other value and more", "other gauge"],
)
def test_same_time(connection, together, first, second, held, refused):
    """Of two values for one time the first is stored, the second rejected."""
    store = Store(bare_plan())
    if together:
        commit(connection, store, at(0, **first), at(0, **second))
    else:
        commit(connection, store, at(0, **first))
        commit(connection, store, at(0, **second))
    commit(connection, store, at(30, export=1_000))
    assert rows(connection)[0] == held
    assert [r[:2] for r in letters(connection)] == [("conflict", "d0")] * refused
    stored.check(connection, store.plan)


def test_the_refused_message_is_kept_with_its_bytes(connection):
    """A rejected message is stored with its bytes."""
    commit(connection, Store(bare_plan()), at(0, export=5), at(0, export=6))
    assert letters(connection) == [("conflict", "d0", b"payload 1")]


def test_a_repeated_message_is_refused_once(connection):
    """A crash between commit and acknowledgement must not count one fault twice."""
    readings = at(0, export=5), at(0, export=6)
    commit(connection, Store(bare_plan()), *readings)
    commit(connection, Store(bare_plan()), *readings, repeated=True)
    assert len(letters(connection)) == 1
    commit(connection, Store(bare_plan()), *readings)
    assert len(letters(connection)) == 2


def test_two_stores_do_not_lose_each_others_rows(connection):
    """A second process that takes over must not be stopped by what the first one stored."""
    one, other = Store(bare_plan()), Store(bare_plan())
    commit(connection, one, at(0, export=5))
    commit(connection, other, at(15, export=500))
    commit(connection, one, at(15, export=500), at(30, export=900))
    assert len(rows(connection)) == 3
    stored.check(connection, one.plan)


def test_a_register_that_appears_late_takes_the_estimates_back(connection):
    """Energy must not count once from power and once more from the register."""
    plan = bare_plan()
    store = Store(plan)
    commit(connection, store, at(0, power=50_000.0), at(10, power=50_000.0))
    commit(connection, store, at(100, irradiance=1.0))
    assert stored.intervals(connection, plan)
    commit(connection, Store(plan), at(110, export=10))
    stored.check(connection, plan)


def registered(connection) -> Plan:
    """Return the plan of the present registry."""
    fleet = registry.load_fleet(connection)
    return Plan.of(fleet, registry.load_projects(connection), factors.load())


def serve(connection, device):
    connection.execute(
        "INSERT INTO project_device (project_id, device_id, role, params, position, during)"
        " VALUES ('p', %s, 'generation', '{\"case\": 1}', 0,"
        " '[2025-12-31 17:00Z, 2030-12-31 17:00Z)')",
        (device,),
    )


def changed(connection):
    connection.execute("INSERT INTO registry_version (changes) VALUES ('{}')")


@pytest.mark.parametrize("late", [31, 40, 44, 55, 75])
def test_a_swap_on_the_grid_keeps_its_step(connection, late):
    """The first watt-hours of a new meter must not go when a late reading follows them."""
    swap = Replacement("energy_export_wh", T0_US + 30 * MINUTE_US, 2_000, 40)
    device = Device("d0", "s", "pv_inverter", rated_power_w=100_000, replacements=(swap,))
    plan = Plan.of(Fleet([device]), [], factors.load())
    store = Store(plan)
    commit(connection, store, at(0, export=1_000), at(30, export=130), at(80, export=5_000))
    commit(connection, store, at(late, export=130 + 10 * (late - 30)))
    stored.check(connection, plan)
    commit(connection, Store(plan), at(late + 1, export=140 + 10 * (late - 30)))
    stored.check(connection, plan)


class TestRegistryChanges:
    """The registry decides the meaning of readings, so its change derives their rows again."""

    @pytest.fixture
    def site(self, connection):
        """Return two inverters, one of them in a project, with an hour of readings of both."""
        connection.execute(
            "INSERT INTO site VALUES ('s', 'S', 20, 106, 'Asia/Ho_Chi_Minh');"
            "INSERT INTO device (id, site, class, profile, rated_power_w, installed) VALUES"
            " ('d0', 's', 'pv_inverter', 'generic', 100000, '2025-01-01Z'),"
            " ('d1', 's', 'pv_inverter', 'generic', 100000, '2025-01-01Z');"
            "INSERT INTO project (id, name, methodology, version, timezone, crediting,"
            " crediting_from, crediting_to) VALUES ('p', 'P', 'jcm-vn-am007', '1.0',"
            " 'Asia/Ho_Chi_Minh', '[2025-12-31 17:00Z, 2030-12-31 17:00Z)', '2026-01-01',"
            " '2031-01-01')"
        )
        serve(connection, "d0")
        changed(connection)
        plan = registered(connection)
        store = Store(plan)
        store.remake_requested(connection)
        readings = [
            Reading(d, T0_US + m * MINUTE_US, export=1_000 * (d + 1) * m)
            for m in (0, 20, 40, 60, 80)
            for d in (0, 1)
        ]
        n = len(readings)
        batch = Letters(["t"] * n, [b""] * n, [None] * n, [False] * n, T0_US)
        store.commit(connection, [frame(readings)], [], batch)
        stored.check(connection, plan)
        return connection

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE device SET rated_power_w = 50 WHERE id = 'd0'",
            "UPDATE device SET removed = '2026-01-01 00:40Z' WHERE id = 'd0'",
            "DELETE FROM project_device",
            "UPDATE project_device SET during = '[2026-01-01 00:30Z, 2026-01-01 01:00Z)'",
            "UPDATE project_device SET device_id = 'd1'",
            "UPDATE project SET crediting = '[2026-01-01 00:30Z, 2030-12-31 17:00Z)'",
            (
                "INSERT INTO device_replacement VALUES"
                " ('d0', 'energy_export_wh', '2026-01-01 00:30Z', 31000, 39000, 'swap')"
            ),
        ],
    )
    def test_rows_follow_the_registry(self, site, change):
        """A corrected rating, a meter swap or a new member must reach the tonnes at once."""
        site.execute(change)
        changed(site)
        before = stored.intervals(site, registered(site)), stored.emissions(site, registered(site))
        plan = registered(site)
        assert Store(plan).remake_requested(site) >= 1
        stored.check(site, plan)
        assert before != (stored.intervals(site, plan), stored.emissions(site, plan))
        assert site.execute("SELECT count(*) FROM remake_request").fetchone() == (0,)

    def test_a_newer_registry_is_not_answered_from_an_older_one(self, site):
        """An import that comes while rows are made again must not be forgotten."""
        old = Store(registered(site))
        site.execute("UPDATE device SET rated_power_w = 50 WHERE id = 'd0'")
        changed(site)
        assert old.remake_requested(site) == 0
        plan = registered(site)
        assert Store(plan).remake_requested(site) == 1
        stored.check(site, plan)

    def test_an_import_that_asks_again_waits_for_the_answer(self, site, database_url):
        """Two imports in a row must not melt into one request, answered from the first."""
        site.execute("UPDATE device SET rated_power_w = 90000 WHERE id = 'd0'")
        changed(site)
        old = Store(registered(site))
        with psycopg.connect(database_url) as second:
            second.execute("UPDATE device SET rated_power_w = 50 WHERE id = 'd0'")
            changed(second)
            assert old.remake_requested(site) == 0
        plan = registered(site)
        assert Store(plan).remake_requested(site) == 1
        stored.check(site, plan)


def test_a_late_reading_writes_what_it_changes(connection):
    """Each late reading would write all that follows it once more, and the table would double."""
    plan = bare_plan()
    store = Store(plan)
    readings = [at(30 * k, export=1_000 * k) for k in range(200)]
    commit(connection, store, *readings)
    before = _versions(connection)
    done = commit(connection, store, at(30 * 20 + 15, export=20_700))
    after = _versions(connection)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert 1 <= len(changed) <= 4
    assert done.rows["interval_quantity"] == len(changed)
    stored.check(connection, plan)


def _versions(connection):
    """Return interval rows, each with the transaction that wrote it."""
    rows = connection.execute(
        "SELECT device_id, quantity, start, xmin::text FROM interval_quantity"
    )
    return {row[:3]: row[3] for row in rows.fetchall()}

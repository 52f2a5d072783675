"""The same rows for any order, duplicates, batches and crashes."""

from itertools import count

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.model import Device, Fleet, QualityLimits, Replacement
from mrv import factors
from mrv.registry.project import Project, ProjectDevice
from services.processing.commit import Store
from services.settle import Plan
from services.store.dead_letter_write import Letters
from tests.fix_timescale import _fresh
from tests.ingest.metering import MINUTE_US, T0_US
from tests.soak import SOAK

from . import stored
from .deliveries import FAILING, Journal, batches, frame, odd_history

_examples = count()
_YEAR_US = 365 * 86_400_000_000


def plan(n: int, swap_us: int | None) -> Plan:
    """Return a plan of three inverters with new names: one normal, one unrated, one replaced."""
    swaps = () if swap_us is None else (Replacement("energy_export_wh", swap_us, 10**6 + 700, 40),)
    ids = [f"e{n}-{name}" for name in ("rated", "unrated", "swapped")]
    fleet = Fleet(
        [
            Device(ids[0], "s", "pv_inverter", rated_power_w=100_000),
            Device(ids[1], "s", "pv_inverter"),
            Device(ids[2], "s", "pv_inverter", rated_power_w=100_000, replacements=swaps),
        ]
    )
    served = tuple(ProjectDevice(d, "generation", {"case": 1}) for d in ids[:2])
    project = Project(
        f"p{n}", "P", "jcm-vn-am007", "1.0", "Asia/Ho_Chi_Minh",
        T0_US - _YEAR_US // 2, T0_US + _YEAR_US // 2, devices=served,
    )  # fmt: skip
    return Plan.of(fleet, [project], factors.load())


@pytest.fixture(scope="module")
def connection(timescale, migrated_template):
    """Yield a database whose derived and raw tables can be made to fail on request."""
    for url in _fresh(timescale, migrated_template):
        with psycopg.connect(url, autocommit=True) as opened:
            opened.execute(
                "CREATE FUNCTION fail_on_request() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " IF current_setting('test.failing', true) = TG_ARGV[0] THEN"
                " RAISE EXCEPTION 'as requested' USING ERRCODE = 'admin_shutdown'; END IF;"
                " RETURN NULL; END $$"
            )
            for table in FAILING:
                opened.execute(
                    f"CREATE TRIGGER fail AFTER INSERT ON {table} FOR EACH STATEMENT"
                    f" EXECUTE FUNCTION fail_on_request('{table}')"
                )
            yield opened


def deliver(connection, plan_, arriving) -> Journal:
    """Commit batches as planned, each successfully in the end; return the expected stored rows."""
    journal, store = Journal(), Store(plan_)
    for batch in arriving:
        n = len(batch.readings)
        letters = Letters(["t"] * n, [b"x"] * n, [None] * n, [False] * n, T0_US)
        frames = [frame(batch.readings)]
        if batch.fate == "restart":
            store = Store(plan_)
        elif batch.fate == "failed":
            connection.execute(f"SET test.failing = '{batch.failing}'")
            try:
                store.commit(connection, frames, [], letters)
            except psycopg.errors.AdminShutdown:
                connection.execute("SET test.failing = ''")
            else:  # nothing went into that table
                connection.execute("SET test.failing = ''")
                journal.take(batch.readings)
                continue
        elif batch.fate == "crashed":
            with connection.transaction(force_rollback=True):
                store.commit(connection, frames, [], letters)
            store = Store(plan_)
        elif batch.fate == "lost answer":
            store.commit(connection, frames, [], letters)
            journal.take(batch.readings)
            store.forget()
        store.commit(connection, frames, [], letters)
        journal.take(batch.readings)
    return journal


@settings(
    max_examples=80 if SOAK else 4,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(batches(3), st.none() | st.integers(0, 40))
def test_any_delivery_gives_the_same_rows(connection, arriving, swap):
    """A tonne must not depend on the network, on a crash or on how batches were cut."""
    plan_ = plan(next(_examples), None if swap is None else T0_US + swap * 5 * MINUTE_US)
    letters_before = _letters(connection)
    journal = deliver(connection, plan_, arriving)
    assert _readings(connection, plan_) == journal.rows
    assert _letters(connection) - letters_before == journal.conflicts
    stored.check(connection, plan_)


_HOUR_US = 60 * MINUTE_US


def odd_plan(n: int) -> Plan:
    """
    Return a plan of two inverters with narrow, changing limits; one has
    neither rating nor place.
    """
    strict = (
        QualityLimits("active_power_w", 0, {"flat_s": 1_800, "spike_of_rated": 0.1}),
        QualityLimits("active_power_w", T0_US + 8 * _HOUR_US, {"flat_s": 3_600, "spike": 20_000}),
        QualityLimits("active_power_w", T0_US + 40 * _HOUR_US, {}),
        QualityLimits("energy_export_wh", 0, {"flat_s": 1_200}),
        QualityLimits("irradiance_w_m2", 0, {"rate_per_minute": 2, "flat_s": 7_200}),
    )
    return Plan.of(
        Fleet(
            [
                Device(
                    f"o{n}-rated",
                    "s",
                    "pv_inverter",
                    rated_power_w=100_000,
                    quality=strict,
                    place=(20.9, 106.6),
                ),
                Device(f"o{n}-bare", "s", "pv_inverter", quality=strict[1:2] + strict[4:]),
                Device(f"o{n}-plain", "s", "pv_inverter", rated_power_w=100_000),
            ]
        ),
        [],
        factors.load(),
    )


@settings(
    max_examples=50 if SOAK else 3,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(batches(3, odd_history))
def test_any_delivery_gives_the_same_flags(connection, arriving):
    """A flag would depend on the order of arrival, and a technician would be sent without cause."""
    plan_ = odd_plan(next(_examples))
    deliver(connection, plan_, arriving)
    stored.check(connection, plan_)


def _letters(connection) -> int:
    return connection.execute("SELECT count(*) FROM dead_letter").fetchone()[0]


def _readings(connection, plan_) -> dict:
    names = ("energy_export_wh", "energy_import_wh", "active_power_w", "irradiance_w_m2")
    rows = connection.execute(
        f"SELECT device_id, (extract(epoch FROM time) * 1000000)::bigint, {', '.join(names)}"
        " FROM reading_pv_inverter WHERE device_id = ANY(%s)",
        ([d.id for d in plan_.fleet.devices],),
    ).fetchall()
    return {
        (plan_.fleet.by_id[device], time_us): {
            k: v for k, v in zip(names, values, strict=True) if v is not None
        }
        for device, time_us, *values in rows
    }

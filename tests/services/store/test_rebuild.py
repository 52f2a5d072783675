"""Derived rows that are rebuilt equal those that the pipeline wrote."""

import numpy as np
import pytest

from services.processing.rebuild import rebuild
from services.store.postgres import columnstore
from services.store.postgres.pool import connect
from tests.services.issuer import plant
from tests.soak import often

_DELETE = "DELETE FROM {table} WHERE {where}"
_RAISE = "UPDATE {table} SET {column} = {column} + 1 WHERE {where}"
SPAN = plant.us("2026-03-01"), plant.us("2026-03-05")


@pytest.fixture
def url(database_url, tmp_path):
    plant.register(database_url, tmp_path)
    return database_url


def _rebuild(url, *, replace, span=SPAN):
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        plan = plant.store_of(conn).plan
        return rebuild(conn, plan, range(len(plan.fleet)), *span, replace=replace)


@pytest.mark.parametrize("seed", range(often(1, 4)))
def test_nothing_differs_after_late_and_disordered_readings(url, seed):
    """An operator would be informed that his rows are wrong when they are right."""
    plant.fill_buses(url)
    times, energy, power = plant.sunny("2026-03-01", "2026-03-04", 10)
    energy[100:103] = 0  # a glitch
    energy[300:] -= energy[300] - 7  # a reset
    order = np.random.default_rng(seed).permutation(len(times))
    for part in np.array_split(order, 5):
        plant.send(
            url, "inv-1", times[part], energy_export_wh=energy[part], active_power_w=power[part]
        )
    assert _rebuild(url, replace=False) == []


@pytest.mark.parametrize("table", ["interval_quantity", "interval_emission"])
@pytest.mark.parametrize("change", [_DELETE, _RAISE])
def test_what_differs_is_listed_and_replaced(url, table, change):
    """A damaged row could not be found, or its repair would touch its neighbours."""
    plant.fill_pv(url, minutes=15)
    column = "value" if table == "interval_quantity" else "reduction_ug"
    where = "device_id = 'inv-1' AND start = '2026-03-02 05:00Z'"
    with connect(url, autocommit=True) as conn:
        conn.execute(change.format(table=table, column=column, where=where))
    found = _rebuild(url, replace=False)
    assert [(d.table, d.key[-1]) for d in found] == [(table, "2026-03-02T05:00:00Z")]
    elsewhere = (plant.us("2026-03-03"), plant.us("2026-03-04"))
    assert _rebuild(url, replace=True, span=elsewhere) == []
    assert _rebuild(url, replace=True) == found
    assert _rebuild(url, replace=False) == []


def test_rows_in_the_columnstore_are_replaced_too(url):
    """A server's limit on what a transaction decompresses would refuse the repair of a year."""
    plant.fill_pv(url, minutes=15)
    with connect(url, autocommit=True) as conn:
        conn.execute("UPDATE interval_quantity SET value = value + 1 WHERE device_id = 'inv-1'")
        done = columnstore.compress(conn)  # on the Community edition
        assert (done.failed, bool(done.compressed)) == ([], columnstore.available(conn))
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        conn.execute(
            "SELECT set_config(name, '1', false) FROM pg_settings"
            " WHERE name = 'timescaledb.max_tuples_decompressed_per_dml_transaction'"
        )
        plan = plant.store_of(conn).plan
        assert len(rebuild(conn, plan, range(len(plan.fleet)), *SPAN, replace=True)) > 100
    assert _rebuild(url, replace=False) == []

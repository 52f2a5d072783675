"""Readings of a long time, fetched in runs, are those that are stored."""

import numpy as np

from services.store.postgres.pool import connect
from services.store.registry import load as registry
from services.store.timeseries import readings
from tests.services.issuer import plant

HOUR_US = 3_600_000_000


def test_a_month_in_runs_is_the_month_as_it_is_stored(database_url, tmp_path):
    """A period of more than eight days would be closed without some of its readings."""
    plant.register(database_url, tmp_path)
    begin, end = plant.us("2026-03-01"), plant.us("2026-03-27")
    times = np.arange(begin, end, HOUR_US)
    plant.send(database_url, "inv-1", times, energy_export_wh=np.arange(len(times)))
    # silent from the eighth to the twentieth day, and without power before that
    kept = times[(times < begin + 8 * 24 * HOUR_US) | (times > begin + 20 * 24 * HOUR_US)]
    power = np.where(kept < begin + 8 * 24 * HOUR_US, np.nan, 5.5)
    plant.send(database_url, "inv-2", kept, energy_export_wh=kept - begin, active_power_w=power)
    with connect(database_url, role="tonne_mrv") as conn, conn.cursor() as cursor:
        fleet = registry.load_fleet(conn)
        one, other = fleet.by_id["inv-1"], fleet.by_id["inv-2"]
        spans = {other: (begin, end), one: (begin + HOUR_US, end - HOUR_US)}
        found = readings.months(cursor, fleet, "pv_inverter", spans)
        after = {d: since - 1 for d, (since, _) in spans.items()}
        stored = readings.fetch(cursor, fleet, "pv_inverter", after, end)
        assert len(readings.months(cursor, fleet, "pv_inverter", {one: (0, begin)})) == 0
    until = np.where(stored.device == one, end - HOUR_US, end)
    stored = stored.take(stored.time_us < until)
    assert len(found) == len(stored) == len(times) - 2 + len(kept)
    assert found.device.tolist() == stored.device.tolist()
    assert found.time_us.tolist() == stored.time_us.tolist()
    for name, values in stored.columns.items():
        assert found.columns[name].dtype == values.dtype
        assert np.array_equal(found.columns[name], values, equal_nan=values.dtype == np.float64)

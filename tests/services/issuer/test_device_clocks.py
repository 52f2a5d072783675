"""Clocks of devices in rice fields, by commands: counted hours never exceed elapsed time."""

from datetime import date

import numpy as np
import pytest

from mrv.statement.device_days import LATE_US
from mrv.statement.plan_reader import read_plan
from services.issuer import collect_evidence as collected
from services.issuer.close import preview_period
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.timeseries.last_seen import not_on_time, pack
from tests.findings import worded
from tests.planted import planted
from tests.services.issuer import logged, plant

HOUR_US = 3_600_000_000
BEGIN, END = plant.us("2026-01-01"), plant.us("2026-02-15")
DAYS = 45
REGISTRY = """
sites: [{id: hp, name: Hai Phong, latitude: 20.94, longitude: 106.60, timezone: Asia/Ho_Chi_Minh}]
devices:
%s
projects:
%s
"""
DEVICE = ("  - {id: %s, site: hp, class: water_tube, profile: generic,"
          " installed: 2026-01-01T00:00:00+07:00}\n")  # fmt: skip
PROJECT = """
  - id: of-%s
    name: Rice of %s
    methodology: rice-awd
    version: "1.0"
    crediting_period: {from: 2026-01-01, to: 2036-01-01}
    devices: [{device: %s, role: field, area_ha: 100}]
    parameters: {season_days: 100, ef_c_kg_per_ha_d: 1.22, sf_w_baseline: 1, sf_w_project: 0.55,
                 straw_t_per_ha: 2, cfoa: 1, n_kg_per_ha: 100}
    documents:
%s
"""
# each states what the project has
STATED = {
    "area_ha": 100,
    "season_days": 100,
    "ef_c_kg_per_ha_d": 1.22,
    "sf_w_baseline": 1,
    "sf_w_project": 0.55,
    "straw_t_per_ha": 2,
    "cfoa": 1,
    "n_kg_per_ha": 100,
}
DOCUMENTS = "\n".join(
    f"      {name}: {{document: report of the season, by: Department of Agriculture,"
    f" issued: 2025-12-20, sha256: {'b2' * 32}, value: {value}}}"
    for name, value in STATED.items()
)
# how long after an hour its reading came, by the hours since the period began; a field each
LAGS = {
    "true": lambda hour: 0,
    # was set back by thirty days, and runs three times too fast until it has caught up
    "fast": lambda hour: 30 * 24 - hour * 2 / 3,
    # out of reach for ten days, and then slow to tell what it kept
    "silent": lambda hour: max(0, 20 * 24 - hour) * 0.7 if 240 < hour < 480 else 0,
    # brought from a table
    "brought": lambda hour: DAYS * 24 - hour,
}


def _rice(url, folder):
    """Store readings of constantly flooded fields that arrived at other times."""
    names = list(LAGS)
    devices = "".join(DEVICE % name for name in names)
    projects = "".join(PROJECT % (n, n, n, DOCUMENTS) for n in names)
    plant.register(url, folder, REGISTRY % (devices, projects))
    hours = np.arange(DAYS * 24 + 1)
    times = BEGIN + hours * HOUR_US
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store = plant.store_of(conn)
        for name, lag in LAGS.items():
            index = store.plan.fleet.by_id[name]
            came = times + np.array([round(lag(h)) for h in hours.tolist()]) * HOUR_US
            frame = plant.frame("water_tube", index, times, season_s=hours * 3600)
            frame.message[:] = np.arange(len(hours))
            store.commit(conn, [frame], [], Letters([], [], [], [], came))


@pytest.fixture
def url(database_url, tmp_path):
    planted(_rice, database_url, tmp_path)
    return database_url


def closed(url, name):
    """Preview forty-five days; return tonnes, the text of the unmet condition, the plan."""
    with logged.issuer(url) as conn:
        found = preview_period(conn, f"of-{name}", BEGIN, END)
        plan = collected.plan_of(conn, f"of-{name}", BEGIN, END)
    assert read_plan(plan.to_json()).clocks == plan.clocks
    said = found.document["credentialSubject"]["applicability"]
    unmet = "".join(worded(a) for a in said if a["rule"] == "MTR-08" and not a["holds"])
    return float(found.result.net.reduction.t), unmet


def test_a_clock_that_runs_three_times_too_fast_counts_the_hours_that_passed(url):
    """Forty-five days of a season would be sent in fifteen days, and be credited in full."""
    true, unmet = closed(url, "true")
    assert true > 0
    assert not unmet
    for name in ("silent", "brought"):
        assert closed(url, name) == (true, "")
    fast, unmet = closed(url, "fast")
    # fifteen days, and a day and a half
    assert 0.36 * true < fast < 0.38 * true
    assert "its readings report 1080 h, but the elapsed time plus 36 h is 397 h" in unmet


def test_hours_are_the_same_once_they_are_kept_by_day(url):
    """A close a month later would find no late reading any more."""
    with logged.issuer(url) as conn, conn.cursor() as cursor:
        before = not_on_time(cursor, list(LAGS), BEGIN, END, LATE_US)
        assert before.keys() == {"fast", "brought"}
        pack(conn, date(2026, 2, 10))
        assert not_on_time(cursor, list(LAGS), BEGIN, END, LATE_US) == before
        # it was heard on time before: all that it says of later may be true
        later = BEGIN + 44 * 24 * HOUR_US
        assert not_on_time(cursor, ["fast"], later, END, LATE_US) == {}

"""Days of inverters: ratios of IEC 61724-1, availability, losses by cause, on NREL's recording."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest

from services.processing import pv_outlook
from services.store.postgres.pool import connect
from services.store.views.device_page import device_page
from services.store.views.fleet_metrics import refresh_days
from tests.invoked import tonne
from tests.services.store import placed

RECORDED = Path(__file__).parents[3] / "deploy/data/nrel_rsf2_inverter_15min.csv"
SRR = Path(__file__).parents[2] / "mrv/performance/rdtools_srr.json"
DC_KW, GAMMA = 250.0, -0.4


def _recorded():
    """Power [W], irradiance and module temperature of five days, moved to days that are past."""
    with RECORDED.open() as file:
        rows = list(csv.DictReader(file))
    return [
        (float(r["ac_power_kw_1137"]) * 1000, float(r["poa_irradiance__1055"]),
         float(r["module_temp__1056"]))
        for r in rows
    ]  # fmt: skip


@pytest.fixture
def conn(database_url):
    """A plant with the recording, beside it what an operator meets at night."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        placed.site(connection, "UTC", (39.74, -105.17))
        yield connection


@pytest.fixture
def watching(database_url):
    """A connection as the watcher has it."""
    with connect(database_url, role="tonne_mrv", autocommit=True) as connection:
        yield connection


def _inverter(conn, name, rows, *, arrays=((DC_KW * 1000, GAMMA),), rated_w=300_000, tilt=10):
    """Put an inverter with a row an interval of 15 minutes, the last on the day before today."""
    placed.device(conn, name, rated_power_w=rated_w)
    for k, (dc_w, gamma) in enumerate(arrays):
        conn.execute(
            "INSERT INTO device_array (device_id, begins, dc_power_w, tilt, azimuth,"
            " temperature_coefficient_percent) VALUES (%s, %s, %s, %s, 180, %s)",
            [name, datetime(2020 + k, 1, 1, tzinfo=UTC), dc_w, tilt, gamma],
        )
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = today - timedelta(minutes=15 * len(rows))
    timed = [(begin + timedelta(minutes=15 * k), *row) for k, row in enumerate(rows)]
    with conn.transaction(), conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO reading_pv_inverter (device_id, time, active_power_w, irradiance_w_m2,"
            " module_temperature_c) VALUES (%s, %s, %s, %s, %s)",
            [(name, *row) for row in timed],
        )
        cursor.executemany(
            "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us,"
            " estimated_us, unknown_us) VALUES (%s, 'energy_export', %s, %s, 900000000, 0, 0)",
            [(name, at, max(0, round((watt or 0) / 4))) for at, watt, _, _ in timed],
        )


def _days(conn, watching, name):
    conn.execute("SELECT pg_stat_force_next_flush()")
    refresh_days(watching)
    cursor = conn.execute("SELECT * FROM v_day_pv WHERE device_id = %s ORDER BY day", [name])
    return [dict(zip([c.name for c in cursor.description], r, strict=True)) for r in cursor]


def test_ratios_of_the_recording(conn, watching):
    """A good plant would look sick on a hot day, or a sick one healthy."""
    import pvlib  # noqa: PLC0415 - every process of a run collects this file

    rows = _recorded()
    _inverter(conn, "inv", rows)
    found = _days(conn, watching, "inv")
    assert len(found) == 5
    per_day = np.array(rows).reshape(5, 96, 3)
    for day, (watt, sun, module) in zip(found, per_day.transpose(0, 2, 1), strict=True):
        sun = np.maximum(sun, 0)  # noqa: PLW2901
        # the last reading of the last day counts until a next one that never came
        weight = np.ones(96)
        if day is found[-1]:
            weight[-1] = 0
        energy = np.maximum(np.rint(watt / 4), 0).sum() / 1000
        insolation = (sun * weight).sum() / 4
        if (sun > 50).sum() / 4 < 8:
            assert day["performance_ratio"] is None
            assert day["no_ratio"] == "less than 8 hours of sun measured"
            continue
        assert day["performance_ratio"] == pytest.approx(energy / DC_KW / (insolation / 1000))
        corrected = DC_KW * (sun * (1 + GAMMA / 100 * (module - 25)) * weight).sum() / 4000
        assert day["performance_ratio_25"] == pytest.approx(energy / corrected)
        dc = pvlib.pvsystem.pvwatts_dc(sun, module, DC_KW, GAMMA / 100)
        losses = pvlib.pvsystem.pvwatts_losses() / 100
        expected = (dc * weight).sum() / 4 * (1 - losses) * 0.96
        assert day["expected_kwh"] == pytest.approx(expected, rel=1e-4)
        assert day["availability"] > 0.9
    assert sum(day["performance_ratio"] is not None for day in found) >= 2


def _clear(watt=lambda sun: sun * 80, module=40.0):
    """One day of 10 hours of sun, 800 W/m2 at most, and a sensor below zero at night."""
    sun = [
        max(-3.0, 800 * np.sin((k - 28) / 40 * np.pi)) if 28 <= k < 68 else -3.0 for k in range(96)
    ]
    return [(watt(one) if one > 0 else -20.0, float(one), module) for one in sun]


def test_losses_have_their_cause(conn, watching):
    """Anyone who reads "soiling" would wash a plant whose inverter stood still."""
    _inverter(conn, "good", _clear())
    _inverter(
        conn, "stood", [(0.0 if 40 <= k < 56 else w, s, m) for k, (w, s, m) in enumerate(_clear())]
    )
    _inverter(conn, "full", _clear(lambda sun: min(sun * 250, 100_000)), rated_w=100_000)
    _inverter(conn, "dusty", _clear(lambda sun: sun * 40), arrays=((100_000, GAMMA),))
    good, stood, full, dusty = (
        _days(conn, watching, n)[0] for n in ("good", "stood", "full", "dusty")
    )
    assert (good["standing_kwh"], good["clipped_kwh"]) == (0, 0)
    assert (good["availability"], good["energy_availability"]) == (1, 1)
    # 4 of about 9.3 hours with 100 W/m2 or more, the brightest of the day
    assert 0.5 < stood["availability"] < 0.6
    assert stood["standing_kwh"] > 0.4 * stood["expected_kwh"]
    assert stood["energy_availability"] == pytest.approx(
        float(stood["energy_kwh"]) / (float(stood["energy_kwh"]) + stood["standing_kwh"])
    )
    assert full["clipped_h"] > 2
    assert full["expected_kwh"] + full["clipped_kwh"] == pytest.approx(good["expected_kwh"])
    assert dusty["other_kwh"] == pytest.approx(dusty["expected_kwh"] - float(dusty["energy_kwh"]))
    # a night of -3 W/m2 takes nothing off the sun of the day
    assert good["insolation_kwh_m2"] == pytest.approx(sum(max(s, 0) for _, s, _ in _clear()) / 4000)


def test_what_is_not_known_is_not_shown(conn, watching):
    """A ratio by another nameplate, or without heat, would be read as the plant's."""
    _inverter(conn, "bare", _clear(), arrays=())
    _inverter(conn, "no-heat", [(w, s, None) for w, s, _ in _clear()])
    _inverter(conn, "no-sun", [(w, None, m) for w, _, m in _clear()])
    _inverter(conn, "no-gamma", _clear(), arrays=((250_000, None),))
    bare, heat, sun, gamma = (
        _days(conn, watching, n)[0] for n in ("bare", "no-heat", "no-sun", "no-gamma")
    )
    assert bare["no_ratio"] == "no dc_power_w in the registry"
    assert (bare["performance_ratio"], bare["yield_h"], bare["dc_known"]) == (None, None, False)
    assert float(bare["peer_yield_h"]) == pytest.approx(float(bare["energy_kwh"]) / 300)
    assert sun["no_ratio"] == "irradiance not measured"
    for one in (heat, gamma):
        assert one["performance_ratio"] is not None
        assert one["no_ratio"] is None
        assert (one["performance_ratio_25"], one["expected_kwh"], one["other_kwh"]) == (None,) * 3


def test_a_day_goes_by_the_modules_that_it_had(conn, watching):
    """Modules that were added would make the years before look better than they were."""
    _inverter(conn, "grown", _clear(), arrays=((125_000, GAMMA), (250_000, GAMMA)))
    day = _days(conn, watching, "grown")[0]
    assert day["dc_kw"] == 250
    conn.execute("UPDATE day_quantity SET day = '2020-05-01'")
    conn.execute("UPDATE day_pv SET day = '2020-05-01'")
    found = conn.execute(
        "SELECT dc_kw, performance_ratio FROM v_day_pv WHERE device_id = 'grown'"
    ).fetchone()
    assert found[0] == 125
    assert found[1] == pytest.approx(2 * day["performance_ratio"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("UPDATE device_array SET dc_power_w = 1")


def test_the_sky_and_the_trend_of_years(conn, watching):
    """Ageing would be seen by no one, and a cloud be taken for a fault."""
    _inverter(conn, "old", _clear())
    with conn.transaction(), conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO day_quantity (device_id, quantity, day, timezone, value, measured_us)"
            " VALUES ('old', 'energy_export', current_date - %s, 'UTC', %s, 1)",
            [(802 - k, round(800_000 * (1 - 0.01 * k / 365))) for k in range(800)],
        )
        cursor.executemany(
            "INSERT INTO day_pv (device_id, day, timezone, insolation_wh_m2, sunny_s, warm_wh_m2,"
            " heat_wh_k_m2) VALUES ('old', current_date - %s, 'UTC', 4000, 36000, 4000, 0)",
            [(802 - k,) for k in range(800)],
        )
    assert pv_outlook.refresh_outlook(watching) == pv_outlook.Made(skies=1, trends=1)
    assert pv_outlook.refresh_outlook(watching) == pv_outlook.Made(skies=0, trends=0)
    rate, low, high, pairs = conn.execute(
        "SELECT percent_per_year, low, high, pairs FROM pv_trend"
    ).fetchone()
    assert rate == pytest.approx(-1.0, abs=0.02)
    assert low <= rate <= high
    assert pairs > 400
    count, most = conn.execute(
        "SELECT count(DISTINCT day), max(kw) FROM v_clear_sky_power WHERE device_id = 'old'"
    ).fetchone()
    assert count == 37
    assert 50 < most <= 300
    # a place that is corrected gets its own sun
    conn.execute("UPDATE site SET longitude = 105.17")
    assert pv_outlook.refresh_outlook(watching).skies == 1


def test_what_dust_took(conn, watching, database_url, monkeypatch):
    """The page, the command and the board would each tell another soiling, or one of five days."""
    cases = json.loads(SRR.read_text())["cases"]
    case = next(one for one in cases if one["name"] == "standstill")
    days = [
        (len(case["ratio"]) + 1 - k, ratio, 1000 * sun)
        for k, (ratio, sun) in enumerate(zip(case["ratio"], case["insolation"], strict=True))
    ]
    _inverter(conn, "dusty", [], tilt=None)  # no sky is made of these
    with conn.transaction(), conn.cursor() as cursor:
        # as PVWatts expects, and of the days without energy it stood for the most part
        cursor.executemany(
            "INSERT INTO day_quantity (device_id, quantity, day, timezone, value, measured_us)"
            " VALUES ('dusty', 'energy_export', current_date - %s, 'UTC', %s, 1)",
            [(day, round(ratio * DC_KW * sun * 0.8592 * 0.96)) for day, ratio, sun in days],
        )
        cursor.executemany(
            "INSERT INTO day_pv (device_id, day, timezone, insolation_wh_m2, sunny_s, warm_wh_m2,"
            " heat_wh_k_m2, lit_s, standing_wh_m2)"
            " VALUES ('dusty', current_date - %s, 'UTC', %s, 36000, %s, 0, 36000, %s)",
            [(day, sun, sun, 0 if ratio else sun) for day, ratio, sun in days],
        )
    _inverter(conn, "young", _clear(), tilt=None)
    assert pv_outlook.refresh_outlook(watching).trends == 1
    found = device_page(watching, None, "dusty")["pv"]
    assert found["trend"] is None  # two years make one
    dust = found["soiling"]
    assert dust["missing"] is None
    width = case["high"] - case["low"]
    for one in ("percent", "low", "high"):
        assert dust[one] == pytest.approx(case[one], abs=0.2 * width)
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    said = tonne("devices", "show", "dusty").output
    assert f"{dust['percent']:.2f} % of the energy ({dust['low']:.2f} to" in said
    young = device_page(watching, None, "young")["pv"]["soiling"]
    assert (young["percent"], young["missing"]) == (None, "short")
    said = tonne("devices", "show", "young").output
    assert "not determined: less than one year between the first and the last ratio" in said

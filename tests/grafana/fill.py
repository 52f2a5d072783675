"""
A city's fleet over days or a year, inserted into a database by SQL.

The registry is imported by `tonne registry import`, and statements and seals are made by their
commands.  Readings and derived rows are generated in the database, since a year of 200 devices
through the pipeline would take an hour.  They have the shape of real data: sun by day, buses that
charge at night, a dirty inverter, an offline gateway, a plant over its limit.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from ingest import classes
from services.processing import pv_outlook
from services.store.postgres.pool import connect
from services.store.views import fleet_metrics
from services.store.views.fleet_metrics import refresh_days, refresh_today
from tests.grafana.fleet import SMALL, TURNED, WORKS, Size, register, zone


def fill(
    url: str,
    folder: Path,
    size: Size = SMALL,
    *,
    silent: timedelta = timedelta(),
    clock: str = "",
    around: Callable[[psycopg.Connection], AbstractContextManager[object]] = nullcontext,
) -> datetime:
    """
    Fill a migrated database; return the end of the data, the last whole 15-minute interval.

    `silent` is the time since the last data; `clock` is the sites' zone, else `zone`; rows are
    generated within `around`.
    """
    now = datetime.now(UTC)
    clock = clock or zone(now)
    register(url, folder, size, now, clock)
    now -= silent
    end = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SET timezone = 'UTC'")
        conn.execute("UPDATE site SET name = name || %s WHERE id = 'hostile'", [TURNED])
        conn.execute("DELETE FROM remake_request")  # rows are made here
        names = {"begin": end - timedelta(days=size.days), "end": end, "step": size.minutes,
                 "zone": clock}  # fmt: skip
        with around(conn):
            for statement in STATEMENTS:
                conn.execute(statement, names)
        conn.execute("SELECT tonne_see_devices()")
        conn.execute("ANALYZE")
        conn.execute("SELECT pg_stat_force_next_flush()")
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        pv_outlook.refresh_rates(conn)
        refresh_days(conn)
        refresh_today(conn)
        fleet_metrics.raise_alarms(conn)
    return end


_TIMES = "generate_series(%(begin)s, %(end)s, make_interval(mins => %(step)s)) AS t"
# gateway gw-1 fell silent five hours ago, and one inverter three days ago
_HEARD = """(d.gateway IS DISTINCT FROM 'gw-1' OR t < %(end)s - INTERVAL '5 hours')
    AND (d.id NOT IN ('inv-2', 'chg-3') OR t < %(end)s - INTERVAL '3 days')
    AND (d.id <> 'inv-3' OR t::date <> (%(end)s - INTERVAL '8 days')::date)"""
# hour of the day in UTC+7, and a number of the device that stays
_HOUR = "(extract(epoch FROM t + INTERVAL '7 hours')::bigint %% 86400 / 3600.0)"
_OWN = "(abs(hashtext(d.id)) %% 1000 / 1000.0)"
_CLOUD = "(0.55 + 0.45 * abs(sin(extract(epoch FROM t) / 86400 * 1.7)))"
_SUN = f"greatest(0, sin(({_HOUR} - 6) / 12 * pi())) * {_CLOUD}"


def _readings(class_id: str, columns: str, values: str) -> str:
    return (
        f"INSERT INTO reading_{class_id} (device_id, time, {columns})"
        f" SELECT d.id, t, {values} FROM device d, {_TIMES}"
        f" WHERE d.class = '{class_id}' AND d.id NOT LIKE 'gw-%%' AND {_HEARD}"
    )


def _intervals(class_id: str, quantity: str, value: str) -> str:
    return (
        "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us,"
        " estimated_us, unknown_us)"
        f" SELECT d.id, '{quantity}', t, greatest(0, {value})::bigint, 900000000, 0, 0"
        f" FROM device d, generate_series(%(begin)s, %(end)s, INTERVAL '15 minutes') AS t"
        f" WHERE d.class = '{class_id}' AND d.id NOT LIKE 'gw-%%' AND {_HEARD}"
    )


def _indicator(class_id: str, name: str, period: str, value: str, more: str = "NULL, NULL") -> str:
    step = "1 hour" if period == "hour" else "1 day"
    # hours and days are the site's own
    begin = "date_trunc('day', %(begin)s AT TIME ZONE %(zone)s) AT TIME ZONE %(zone)s"
    return (
        "INSERT INTO indicator_value (device_id, indicator, start, period, value, covered, grade, detail)"
        f" SELECT d.id, '{name}', t, '{period}', {value}, 1, {more}"
        f" FROM device d, generate_series({begin}, %(end)s - INTERVAL '{step}', INTERVAL '{step}') AS t"
        f" WHERE d.class = '{class_id}'"
    )


_POWER = f"100000 * {_SUN} * (0.78 + 0.1 * {_OWN}) * CASE d.id WHEN 'inv-3' THEN 0.7 WHEN 'inv-1' THEN 1.3 ELSE 1 END"
_CHARGE = f"CASE WHEN {_HOUR} < 4 OR ({_HOUR} > 12 AND {_HOUR} < 13) THEN 60000 + 40000 * {_OWN} ELSE 0 END"
_USE = f"80000 + 200000 * {_OWN} * greatest(0, sin(({_HOUR} - 5) / 14 * pi()))"
_WAVE = "sin(extract(epoch FROM t) / 86400 * 0.9 + hashtext(d.id))"
_AQI = f"round((90 + 60 * {_WAVE})::numeric)"
_GRADE = (
    f"CASE WHEN {_AQI} <= 50 THEN 'Tot' WHEN {_AQI} <= 100 THEN 'Trung binh' ELSE 'Kem' END, NULL"
)
_JUDGED = (
    "CASE WHEN {over} THEN 'exceeded' ELSE 'within' END,"
    " jsonb_build_object('standard', '{standard}', 'exceeded',"
    " CASE WHEN {over} THEN '[\"{what}\"]'::jsonb ELSE '[]' END)"
)


def _verdict(class_id: str, name: str, over: str, standard: str, what: str) -> str:
    said = _JUDGED.format(over=over, standard=standard, what=what)
    return _indicator(class_id, name, "day", f"({over})::int::float", said)


def _of_class(class_id: str) -> list[str]:
    """Return readings and intervals of a class whose days are all alike."""
    channels = classes.load()[class_id].channels.values()
    values = [
        "extract(epoch FROM t - %(begin)s)::bigint * 2"
        if c.kind == "register"
        else f"6 + 5 * {_WAVE}"
        for c in channels
    ]
    quantities = sorted({c.quantity for c in classes.load()[class_id].registers if c.quantity})
    return [
        _readings(class_id, ", ".join(c.name for c in channels), ", ".join(values)),
        *(_intervals(class_id, one, f"100000 * (10 + {_WAVE})") for one in quantities),
    ]


STATEMENTS: tuple[Any, ...] = (
    _readings(
        "pv_inverter",
        "active_power_w, irradiance_w_m2, module_temperature_c, dc_power_w, state, energy_export_wh",
        f"least(100000, {_POWER}), 1000 * {_SUN}, 25 + 25 * {_SUN}, {_POWER} * 1.03, 4,"
        f" (sum({_POWER}) OVER (PARTITION BY d.id ORDER BY t) * %(step)s / 60)::bigint",
    ),
    _readings(
        "ev_charger",
        "active_power_w, connector_state, soc_percent, energy_import_wh",
        f"{_CHARGE}, CASE WHEN {_HOUR} < 4 THEN 2 WHEN d.id = 'chg-2' THEN 4 ELSE 0 END, 60,"
        " extract(epoch FROM t - %(begin)s)::bigint * 4",
    ),
    _readings(
        "vehicle",
        "odometer_m, soc_percent, speed_km_h",
        f"extract(epoch FROM t - %(begin)s)::bigint * 2, 30 + 60 * abs({_WAVE}), 25",
    ),
    _readings(
        "energy_meter",
        "active_power_w, energy_import_wh, voltage_v, frequency_hz",
        f"{_USE}, extract(epoch FROM t - %(begin)s)::bigint * 30, 230, 50",
    ),
    _readings(
        "air_station",
        "pm2_5_ug_m3, pm10_ug_m3, no2_ug_m3, temperature_c, humidity_percent",
        f"40 + 25 * {_WAVE}, 70 + 40 * {_WAVE}, 50, 27, 80",
    ),
    _readings("noise_station", "laeq_dba, lamax_dba", f"55 + 12 * {_SUN} + 4 * {_WAVE}, 80"),
    _readings(
        "wastewater_plant",
        "flow_total_ml, biogas_total_nml, energy_import_wh, cod_in_mg_l,"
        " cod_out_mg_l, ph, ch4_percent",
        "extract(epoch FROM t - %(begin)s)::bigint * 9000, extract(epoch FROM t - %(begin)s)::bigint * 300,"
        f" extract(epoch FROM t - %(begin)s)::bigint * 6, 700, 110 + 50 * {_WAVE}, 7.2, 62",
    ),
    _readings("water_station", "do_mg_l, nh4_n_mg_l, ph", f"4.5 + 2 * {_WAVE}, 1.2, 7.4"),
    _readings(
        "weighbridge",
        "net_total_g, net_kg",
        "extract(epoch FROM t - %(begin)s)::bigint * 100, 9000",
    ),
    _intervals("pv_inverter", "energy_export", f"least(100000, {_POWER}) / 4"),
    _intervals("ev_charger", "energy_import", f"{_CHARGE} / 4"),
    _intervals(
        "vehicle", "distance", f"CASE WHEN {_HOUR} > 5 THEN 3000 + 1500 * {_OWN} ELSE 0 END"
    ),
    _intervals("energy_meter", "energy_import", f"({_USE}) / 4"),
    _intervals("wastewater_plant", "flow", f"8100000 * (1 + 0.3 * {_WAVE})"),
    _intervals("wastewater_plant", "biogas", f"270000 * (1 + 0.3 * {_WAVE})"),
    _intervals("wastewater_plant", "energy_import", "5400"),
    _intervals("weighbridge", "mass", f"90000 * (10 + {_WAVE})"),
    _readings("furnace", "active_power_w", f"200000 * (2 + {_WAVE})"),
    _intervals("furnace", "energy_import", f"110000 * (4 + {_WAVE})"),
    *(one for class_id in WORKS for one in _of_class(class_id)),
    """
    INSERT INTO interval_emission (project_id, device_id, start, baseline_ug, project_ug, leakage_ug,
        reduction_ug, methodology, factor)
    SELECT m.project_id, i.device_id, i.start, b.baseline, b.project, 0, b.baseline - b.project,
        p.methodology, 'made up'
    FROM interval_quantity i
    JOIN project_device m ON m.device_id = i.device_id
    JOIN project p ON p.id = m.project_id
    CROSS JOIN LATERAL (SELECT
        i.value * CASE m.role WHEN 'generation' THEN 333000 WHEN 'vehicle' THEN 900001
            WHEN 'equipment' THEN 659200 WHEN 'production' THEN 474624 ELSE 0 END AS baseline,
        i.value * CASE m.role WHEN 'charging' THEN 100001 WHEN 'power' THEN 659200
            WHEN 'equipment' THEN 474624 ELSE 0 END AS project) b
    WHERE b.baseline + b.project > 0
    """,
    _indicator("air_station", "vn-aqi-hourly", "hour", _AQI, _GRADE),
    _indicator("air_station", "pm2_5_1h_ug_m3", "hour", f"40 + 25 * {_WAVE}"),
    _indicator("air_station", "vn-aqi-daily", "day", _AQI, _GRADE),
    _indicator("air_station", "pm2_5_24h_ug_m3", "day", f"40 + 25 * {_WAVE}"),
    _indicator("air_station", "pm10_24h_ug_m3", "day", f"70 + 40 * {_WAVE}"),
    _verdict("air_station", "qcvn-05-2023", f"40 + 25 * {_WAVE} > 50", "qcvn-05-2023", "24h.pm2_5"),
    _indicator("noise_station", "leq_1h_dba", "hour", f"55 + 12 * {_SUN} + 4 * {_WAVE}"),
    _indicator("noise_station", "leq_day_dba", "day", f"64 + 4 * {_WAVE}"),
    _indicator("noise_station", "leq_night_dba", "day", f"54 + 4 * {_WAVE}"),
    _indicator("noise_station", "lden_dba", "day", f"66 + 4 * {_WAVE}"),
    _verdict("noise_station", "limits", f"54 + 4 * {_WAVE} > 55", "qcvn-26-2010", "night"),
    _indicator("wastewater_plant", "cod_out_1h_mg_l", "hour", f"110 + 50 * {_WAVE}"),
    _indicator("wastewater_plant", "cod_24h_mg_l", "day", f"110 + 50 * {_WAVE}"),
    _indicator("wastewater_plant", "tss_24h_mg_l", "day", f"60 + 30 * {_WAVE}"),
    _indicator("wastewater_plant", "flow_24h_m3", "day", f"780 + 200 * {_WAVE}"),
    _indicator("wastewater_plant", "cod_load_kg_d", "day", f"88 + 40 * {_WAVE}"),
    _verdict("wastewater_plant", "limits", f"110 + 50 * {_WAVE} > 135", "qcvn-40-2011", "cod"),
    _indicator("water_station", "do_1h_mg_l", "hour", f"4.5 + 2 * {_WAVE}"),
    _indicator("water_station", "nh4_n_1h_mg_l", "hour", "1.2"),
    _indicator("water_station", "vn-wqi", "day", f"round((55 + 35 * {_WAVE})::numeric)"),
    """
    INSERT INTO quality_flag SELECT d.id, t, 'active_power_w', (ARRAY['spike', 'flat_line', 'gross_range'])
        [1 + abs(hashtext(d.id || t::text)) %% 3]
    FROM device d, generate_series(%(begin)s, %(end)s, INTERVAL '5 hours') AS t WHERE d.class = 'ev_charger'
    """,
    """
    INSERT INTO clock_lag SELECT d.id, t::date, CASE d.id WHEN 'inv-1' THEN -90000000 ELSE 400000 END
    FROM device d, generate_series(%(end)s - INTERVAL '14 days', %(end)s, INTERVAL '1 day') AS t
    """,
    """
    INSERT INTO dead_letter (received, topic, principal, device_id, reason, detail, payload, sha256)
    SELECT t, 'tonne/v1/x/telemetry', repeat('<b>"x''</b>' || chr(8238), 100), 'inv-1',
        (ARRAY['malformed', 'unknown device', 'out of range'])[1 + extract(day FROM t)::int %% 3],
        'made up', '\\x7b', sha256('\\x7b')
    FROM generate_series(%(end)s - INTERVAL '30 days', %(end)s, INTERVAL '3 hours') AS t
    """,
    # the gateways themselves
    """
    INSERT INTO reading_energy_meter (device_id, time, active_power_w)
    SELECT 'gw-1', %(end)s - INTERVAL '5 hours', 5 UNION ALL SELECT 'gw-2', %(end)s, 5
    """,
)

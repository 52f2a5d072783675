"""Dashboards of the environment: wastewater and canals, air and noise."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source import BLUE, GREEN, ORANGE, PURPLE, RED, YELLOW, word
from deploy.grafana.source.boards import board, console_address, devices, events, sites
from deploy.grafana.source.panels import Steps, bars, series, site_map, stat, table, timeline

_MINE = "device_id = ANY(ARRAY[${device:sqlstring}]::text[])"
_CANAL = "device_id IN (SELECT id FROM device WHERE class = 'water_station' AND site = ANY(ARRAY[${site:sqlstring}]::text[]))"
# classes of the water quality index VN_WQI, Decision 1460/QD-TCMT
_WQI: Steps = ((None, RED), (26, ORANGE), (51, YELLOW), (76, GREEN), (91, BLUE))


def dashboard() -> model.Dashboard:
    """Return the dashboard of wastewater and canals."""
    return board(
        "water", "Wastewater and canal", "Treatment plants, their discharge, and the water quality of the canal.",
        [
            ("In range", [
                stat("Plant days above a limit", f"""
SELECT count(*) FILTER (WHERE grade = 'exceeded') AS days FROM v_indicator_day
WHERE indicator = 'limits' AND $__timeFilter(time) AND {_MINE} HAVING count(*) > 0
""", "short", "Days that exceed a limit of the standard named in the registry for the plant.", steps=((None, GREEN), (1, RED)), span=6),
                stat("Volume treated", f"""
SELECT sum(volume_m3) AS volume_m3 FROM v_day_volume_m3 WHERE quantity = 'flow' AND $__timeFilter(time) AND {_MINE}
""", "m3", "Volume treated, calculated from the plants' registers.", decimals=0, span=6),
                stat("Biogas", f"""
SELECT sum(volume_m3) AS volume_m3 FROM v_day_volume_m3 WHERE quantity = 'biogas' AND $__timeFilter(time) AND {_MINE}
""", "suffix: Nm³", "Biogas, calculated from the plants' registers, at standard conditions.", decimals=0, span=6),
                stat("Electricity by volume", f"""
SELECT (SELECT sum(energy_kwh) FROM v_day_energy_kwh WHERE quantity = 'energy_import' AND $__timeFilter(time) AND {_MINE})
       / nullif((SELECT sum(volume_m3) FROM v_day_volume_m3 WHERE quantity = 'flow' AND $__timeFilter(time) AND {_MINE}), 0) AS kwh_m3
""", "suffix: kWh/m³", "Electricity consumed divided by water treated.", decimals=2, span=6),
            ]),
            ("Limits", [
                timeline("Days within and above limits", f"""
SELECT time, device_id AS metric, value FROM v_indicator_day
WHERE indicator = 'limits' AND $__timeFilter(time) AND {_MINE} ORDER BY time
""", "Number of limits exceeded by each plant on each local day.", steps=((None, GREEN), (1, RED)), height=6),
                table("Exceedances", f"""
SELECT day::text AS day, device_id, (SELECT string_agg(e, ', ') FROM jsonb_array_elements_text(detail -> 'exceeded') AS x (e)) AS exceeded,
       detail ->> 'standard' AS standard, site
FROM v_indicator_day WHERE grade = 'exceeded' AND indicator = 'limits' AND $__timeFilter(time) AND {_MINE}
ORDER BY day DESC, device_id LIMIT 200
""", "Newest first, with the parameters that exceeded their limit.", span=10),
                series("Discharge by day", [f"""
SELECT time, device_id || ' ' || upper(split_part(indicator, '_24h', 1)) AS metric, value FROM v_indicator_day
WHERE indicator LIKE '%\\_24h\\_mg\\_l' AND $__timeFilter(time) AND {_MINE} ORDER BY time
""", f"""
SELECT DISTINCT time, '«COD, column B of QCVN 40:2011»' AS metric, 150 AS value FROM v_indicator_day
WHERE indicator = 'limits' AND detail ->> 'standard' = 'qcvn-40-2011' AND $__timeFilter(time) AND {_MINE} ORDER BY time
"""], "suffix: mg/L", "Mean concentration of the local day. The line is the limit of the standard without the plant's"
                      " factors; the grade includes them.", broken_ms=50 * 3_600_000, fill=0, span=14),
            ]),
            ("Loads and gas", [
                bars("COD load by day", f"""
SELECT day::text AS day, sum(value) AS kg_d FROM v_indicator_day
WHERE indicator = 'cod_load_kg_d' AND $__timeFilter(time) AND {_MINE} GROUP BY day ORDER BY day
""", "suffix: kg/d", "Mean concentration times flow, sum of the chosen plants."),
                bars("Flow by day", f"""
SELECT day::text AS day, sum(volume_m3) AS volume_m3 FROM v_day_volume_m3
WHERE quantity = 'flow' AND $__timeFilter(time) AND {_MINE} GROUP BY day ORDER BY day
""", "m3", "Calculated from the plants' registers, by local day."),
                bars("Biogas by day", f"""
SELECT day::text AS day, sum(volume_m3) AS volume_nm3 FROM v_day_volume_m3
WHERE quantity = 'biogas' AND $__timeFilter(time) AND {_MINE} GROUP BY day ORDER BY day
""", "suffix: Nm³", "Calculated from the plants' registers, by local day."),
                series("COD at inlet and outlet, methane", f"""
SELECT $__timeGroup(time, $__interval) AS time, avg(cod_in_mg_l) AS "«COD at the inlet»", avg(cod_out_mg_l) AS "«COD at the outlet»", avg(ch4_percent) AS "«methane»"
FROM reading_wastewater_plant WHERE $__timeFilter(time) AND {_MINE} GROUP BY 1 ORDER BY 1
""", "suffix: mg/L", "As measured, mean of the chosen plants. Methane is on the right axis.", right={word("methane"): "percent"}),
            ]),
            ("Canal", [
                timeline("Water quality by day", f"""
SELECT time, device_id AS metric, value FROM v_indicator_day
WHERE indicator = 'vn-wqi' AND $__timeFilter(time) AND {_CANAL} ORDER BY time
""", "Water quality index of each station by local day. Above 90: very good; 10 to 25: very poor; below 10: very heavily polluted.",
                         steps=_WQI, height=6),
                series("Oxygen and ammonium by hour", f"""
SELECT time, device_id || CASE indicator WHEN 'do_1h_mg_l' THEN ' «oxygen»' ELSE ' «ammonium»' END AS metric, value
FROM v_indicator_hour WHERE indicator IN ('do_1h_mg_l', 'nh4_n_1h_mg_l') AND $__timeFilter(time) AND {_CANAL} ORDER BY time
""", "suffix: mg/L", "Hourly means at the stations. Fish need 4 mg/L of oxygen; ammonium indicates sewage.",
                       broken_ms=2 * 3_600_000, fill=0, span=14),
                table("Stations", """
SELECT h.device_id, w.value AS vn_wqi, h.state, w.day::text AS day, w.grade, h.site, h.last_reading FROM v_device_health h
LEFT JOIN LATERAL (SELECT v.value, v.day, v.grade FROM v_indicator_day v
    WHERE v.device_id = h.device_id AND v.indicator = 'vn-wqi' AND v.time > now() - INTERVAL '30 days'
    ORDER BY v.time DESC LIMIT 1) w ON true
WHERE h.class = 'water_station' AND h.site = ANY(ARRAY[${site:sqlstring}]::text[]) ORDER BY w.value NULLS LAST
""", "The newest index of each station, lowest first.", steps={"vn_wqi": _WQI}, span=10),
            ]),
        ],
        variables=[sites(), devices("wastewater_plant", "Plant"), console_address()],
        marks=events("wastewater_plant", device="device"),
        since="now-30d",
        refresh="5m",
    )  # fmt: skip


_HERE = "site = ANY(ARRAY[${site:sqlstring}]::text[])"
# classes of the air quality index VN_AQI, Decision 1459/QD-TCMT
AQI: Steps = (
    (None, GREEN),
    (51, YELLOW),
    (101, ORANGE),
    (151, RED),
    (201, PURPLE),
    (301, "#7e0023"),
)
_LATEST = f"""
SELECT DISTINCT ON (v.device_id) v.device_id, v.site, v.value, v.time FROM v_indicator_hour v
WHERE v.indicator = 'vn-aqi-hourly' AND v.time > now() - INTERVAL '6 hours' AND v.{_HERE}
ORDER BY v.device_id, v.time DESC
"""


def air_dashboard() -> model.Dashboard:
    """Return the dashboard of air and noise."""
    return board(
        "air", "Air and noise", "Stations of the city: index, concentrations, levels, limits exceeded.",
        [
            ("Now", [
                stat("Highest air quality index", f"SELECT max(value) AS aqi FROM ({_LATEST}) latest", "none",
                     "Highest of the newest values of the last six hours, by the index of the station's country. Above 100: unhealthy for sensitive groups.",
                     steps=AQI, span=6),
                stat("Days above the air quality limits", f"""
SELECT count(*) FILTER (WHERE v.grade = 'exceeded') AS days FROM v_indicator_day v JOIN device d ON d.id = v.device_id
WHERE v.indicator IN ('qcvn-05-2023', 'limits') AND d.class = 'air_station' AND $__timeFilter(v.time) AND v.{_HERE} HAVING count(*) > 0
""", "short", "Station days in range that exceed the air quality limits of the station's country.", steps=((None, GREEN), (1, ORANGE), (10, RED)), span=6),
                stat("Days above the noise limits", f"""
SELECT count(*) FILTER (WHERE v.grade = 'exceeded') AS days FROM v_indicator_day v JOIN device d ON d.id = v.device_id
WHERE v.indicator = 'limits' AND d.class = 'noise_station' AND $__timeFilter(v.time) AND v.{_HERE} HAVING count(*) > 0
""", "short", "Station days in range that exceed the noise limits of the standard named in the registry.",
                     steps=((None, GREEN), (1, ORANGE), (10, RED)), span=6),
                stat("Stations not reporting", f"""
SELECT count(*) FILTER (WHERE state IN ('late', 'offline')) AS stations FROM v_device_health
WHERE class IN ('air_station', 'noise_station') AND {_HERE} HAVING count(*) > 0
""", "short", "Stations without data; a station without data shows no exceedance.", steps=((None, GREEN), (1, RED)), span=6),
            ]),
            ("Air", [
                site_map("Air quality index by site", f"""
SELECT s.id AS site, left(s.name, 80) AS name, s.latitude, s.longitude, max(l.value) AS value, max(l.time) AS time
FROM site s JOIN ({_LATEST}) l ON l.site = s.id GROUP BY s.id, s.name, s.latitude, s.longitude
""", "none", "Newest hourly index of the station with the highest value at each site; sites without a value for six hours are not shown.", steps=AQI),
                timeline("Calendar of the daily air quality index", f"""
SELECT time, device_id AS metric, value FROM v_indicator_day
WHERE indicator = 'vn-aqi-daily' AND $__timeFilter(time) AND {_HERE} ORDER BY time
""", "One row per station, one cell per local day, coloured by grade; a day without data is empty.",
                         steps=AQI, span=16, height=10),
                series("Hourly air quality index", f"""
SELECT time, device_id AS metric, value FROM v_indicator_hour
WHERE indicator = 'vn-aqi-hourly' AND $__timeFilter(time) AND {_HERE} ORDER BY time
""", "none", "Air quality index by hour; hours with insufficient data are not shown.", steps=AQI, broken_ms=2 * 3_600_000, fill=0),
                series("Particulate matter by day", [f"""
SELECT time, device_id || CASE indicator WHEN 'pm2_5_24h_ug_m3' THEN ' PM2.5' ELSE ' PM10' END AS metric, value
FROM v_indicator_day WHERE indicator IN ('pm2_5_24h_ug_m3', 'pm10_24h_ug_m3') AND $__timeFilter(time) AND {_HERE} ORDER BY time
""", f"""
SELECT DISTINCT v.time, l.metric, l.value FROM v_indicator_day v
CROSS JOIN (VALUES ('«limit of PM2.5, QCVN 05:2023»', 50), ('«limit of PM10, QCVN 05:2023»', 100)) l (metric, value)
WHERE v.indicator = 'qcvn-05-2023' AND $__timeFilter(v.time) AND v.{_HERE} ORDER BY v.time
"""], "conμgm3", "Mean of the local day, with the limits that apply to the stations.", broken_ms=50 * 3_600_000, fill=0),
                table("Exceedances", f"""
SELECT v.day::text AS day, v.device_id, (SELECT string_agg(e, ', ') FROM jsonb_array_elements_text(v.detail -> 'exceeded') AS x (e)) AS exceeded,
       v.detail ->> 'standard' AS standard, v.site, d.class
FROM v_indicator_day v JOIN device d ON d.id = v.device_id
WHERE v.grade = 'exceeded' AND d.class IN ('air_station', 'noise_station') AND $__timeFilter(v.time) AND v.{_HERE}
ORDER BY v.day DESC, v.device_id LIMIT 200
""", "Station days that exceed a limit, newest first, with the parameters exceeded.", span=24),
            ]),
            ("Noise", [
                series("Hourly noise level", [f"""
SELECT time, device_id AS metric, value FROM v_indicator_hour
WHERE indicator = 'leq_1h_dba' AND $__timeFilter(time) AND {_HERE} ORDER BY time
""", f"""
SELECT DISTINCT v.time, l.metric, l.value FROM v_indicator_hour v
CROSS JOIN (VALUES ('«night in ordinary areas, QCVN 26:2010»', 55), ('«day in ordinary areas, QCVN 26:2010»', 70)) l (metric, value)
WHERE v.indicator = 'leq_1h_dba' AND $__timeFilter(v.time) AND v.{_HERE}
  AND EXISTS (SELECT FROM device d WHERE d.id = v.device_id AND d.attributes #>> '{{limits,standard}}' = 'qcvn-26-2010')
ORDER BY v.time
"""], "suffix: dB(A)", "Leq by hour, with the limits of the stations' standard.", broken_ms=2 * 3_600_000, fill=0),
                series("Noise level by day and by night", f"""
SELECT time, device_id || CASE indicator WHEN 'leq_day_dba' THEN ' «day»' ELSE ' «night»' END AS metric, value
FROM v_indicator_day WHERE indicator IN ('leq_day_dba', 'leq_night_dba') AND $__timeFilter(time) AND {_HERE} ORDER BY time
""", "suffix: dB(A)", "Leq of the day hours and of the night hours.", broken_ms=50 * 3_600_000, fill=0),
                series("Lden by day", f"""
SELECT time, device_id AS metric, value FROM v_indicator_day
WHERE indicator = 'lden_dba' AND $__timeFilter(time) AND {_HERE} ORDER BY time
""", "suffix: dB(A)", "Day-evening-night level of the local day.", broken_ms=50 * 3_600_000, fill=0, span=24, height=7),
            ]),
        ],
        variables=[sites(), console_address()],
        since="now-30d",
        refresh="5m",
    )  # fmt: skip

"""Wastewater and canal: what is let out against its limits, loads, biogas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.grafana.source.boards import board, devices, sites
from deploy.grafana.source.panels import GREEN, RED, bars, series, stat, table, timeline

if TYPE_CHECKING:
    from grafana_foundation_sdk.models import dashboard as model

_MINE = "device_id IN (${device:sqlstring})"


def dashboard() -> model.Dashboard:
    """Build it."""
    return board(
        "water", "Wastewater and canal", "Plants and what they let into the canal.",
        [
            ("In range", [
                stat("Plant days over a limit", f"""
SELECT count(*) FILTER (WHERE grade = 'exceeded') AS days FROM v_indicator_day
WHERE indicator = 'limits' AND $__timeFilter(time) AND {_MINE} HAVING count(*) > 0
""", "short", "Days that exceed the standard which the registry names for the plant.", steps=((None, GREEN), (1, RED)), span=6),
                stat("Treated", f"""
SELECT sum(volume_m3) AS volume_m3 FROM v_day_volume_m3 WHERE quantity = 'flow' AND $__timeFilter(time) AND {_MINE}
""", "m3", "Flow by the plants' registers.", decimals=0, span=6),
                stat("Biogas", f"""
SELECT sum(volume_m3) AS volume_m3 FROM v_day_volume_m3 WHERE quantity = 'biogas' AND $__timeFilter(time) AND {_MINE}
""", "suffix: Nm³", "Gas by the plants' registers, at standard conditions.", decimals=0, span=6),
                stat("Electricity by volume", f"""
SELECT (SELECT sum(energy_kwh) FROM v_day_energy_kwh WHERE quantity = 'energy_import' AND $__timeFilter(time) AND {_MINE})
       / nullif((SELECT sum(volume_m3) FROM v_day_volume_m3 WHERE quantity = 'flow' AND $__timeFilter(time) AND {_MINE}), 0) AS kwh_m3
""", "suffix: kWh/m³", "Energy drawn over water treated.", decimals=2, span=6),
            ]),
            ("Limits", [
                timeline("Days within and over their limits", f"""
SELECT time, device_id AS metric, value FROM v_indicator_day
WHERE indicator = 'limits' AND $__timeFilter(time) AND {_MINE} ORDER BY time
""", "Number of limits exceeded by each plant on each local day.", steps=((None, GREEN), (1, RED)), height=6),
                table("Exceedances", f"""
SELECT day, device_id, site, detail ->> 'standard' AS standard,
       (SELECT string_agg(e, ', ') FROM jsonb_array_elements_text(detail -> 'exceeded') AS x (e)) AS exceeded
FROM v_indicator_day WHERE grade = 'exceeded' AND indicator = 'limits' AND $__timeFilter(time) AND {_MINE}
ORDER BY day DESC, device_id LIMIT 200
""", "Newest first, with the substances over their limit.", span=10),
                series("Let out by day", f"""
SELECT time, device_id || ' ' || upper(split_part(indicator, '_24h', 1)) AS metric, value FROM v_indicator_day
WHERE indicator LIKE '%\\_24h\\_mg\\_l' AND $__timeFilter(time) AND {_MINE} ORDER BY time
""", "suffix: mg/L", "Mean concentration of the local day. Dashed: COD of QCVN 40:2011 column B before its"
                       " factors, 150 mg/L; the verdict counts the plant's own factors.",
                       steps=((None, "transparent"), (150, RED)), broken_ms=50 * 3_600_000, fill=0, span=14),
            ]),
            ("Loads and gas", [
                bars("COD load by day", f"""
SELECT day::text AS day, sum(value) AS kg_d FROM v_indicator_day
WHERE indicator = 'cod_load_kg_d' AND $__timeFilter(time) AND {_MINE} GROUP BY day ORDER BY day
""", "suffix: kg/d", "Mean concentration times flow, of all chosen plants."),
                bars("Flow by day", f"""
SELECT day::text AS day, sum(volume_m3) AS volume_m3 FROM v_day_volume_m3
WHERE quantity = 'flow' AND $__timeFilter(time) AND {_MINE} GROUP BY day ORDER BY day
""", "m3", "By the registers, by local day."),
                bars("Biogas by day", f"""
SELECT day::text AS day, sum(volume_m3) AS volume_nm3 FROM v_day_volume_m3
WHERE quantity = 'biogas' AND $__timeFilter(time) AND {_MINE} GROUP BY day ORDER BY day
""", "suffix: Nm³", "By the registers, by local day."),
                series("COD in and out, methane", f"""
SELECT $__timeGroup(time, $__interval) AS time, avg(cod_in_mg_l) AS "COD in", avg(cod_out_mg_l) AS "COD out", avg(ch4_percent) AS "methane"
FROM reading_wastewater_plant WHERE $__timeFilter(time) AND {_MINE} GROUP BY 1 ORDER BY 1
""", "suffix: mg/L", "As measured, mean of the chosen plants. Methane on the right axis.", right={"methane": "percent"}),
            ]),
        ],
        variables=[sites(), devices("wastewater_plant", "Plant")],
        since="now-30d",
        refresh="5m",
    )  # fmt: skip

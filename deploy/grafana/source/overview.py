"""Dashboard of the whole city: current generation, avoided emissions, faults with the reduction lost."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source import ACTIONS, GREEN, RED, YELLOW, class_words
from deploy.grafana.source.boards import board, console, console_address, sites
from deploy.grafana.source.panels import bars, series, site_map, stat, table
from services.api.console.routes.devices import BOARDS

_NOW = """
SELECT sum(p.power_kw) AS power_kw
FROM v_counted_device d
CROSS JOIN LATERAL (
    SELECT r.active_power_w / 1000 AS power_kw FROM reading_{class_id} r
    WHERE r.device_id = d.device_id AND r.time > now() - INTERVAL '30 minutes' AND r.active_power_w IS NOT NULL
    ORDER BY r.time DESC LIMIT 1
) p
WHERE d.class = '{class_id}' AND d.site = ANY(ARRAY[${{site:sqlstring}}]::text[])
"""
# dashboard of a device class, as linked on the console's device page
_BOARD = "CASE d.class {} ELSE 'works' END".format(
    " ".join(f"WHEN '{class_id}' THEN '{board_id}'" for class_id, board_id in BOARDS.items())
)
_COUNTED = "project_id IN (SELECT project_id FROM v_counted_project)"
_TODAY = "day = tonne_clock(timezone, now())::date AND time > now() - INTERVAL '2 days'"


def dashboard() -> model.Dashboard:
    """Return the dashboard of the whole city."""
    return board(
        "overview", "City overview", "Tonnes, power and faults of the whole programme.",
        [
            ("Now", [
                stat("Devices not reporting", """
SELECT count(*) FILTER (WHERE state IN ('late', 'offline')) AS devices FROM v_device_health
WHERE site = ANY(ARRAY[${site:sqlstring}]::text[]) HAVING count(*) > 0
""", "short", "Devices without a reading for longer than twice the expected interval; devices not commissioned yet are not counted.",
                     steps=((None, GREEN), (1, YELLOW), (10, RED)), span=4),
                stat("Reduction lost to outages", """
SELECT sum(cost_t) AS cost_t FROM v_silence_cost
WHERE project_id IN (SELECT project_id FROM v_counted_project) AND site = ANY(ARRAY[${site:sqlstring}]::text[])
""", "suffix: t", "Reduction not credited so far because devices of the programme's projects do not report. Calculated from a baseline"
                     " meter's average of four weeks or a project meter's highest plausible value, at most the project's expected"
                     " reduction. Readings stored on the devices and sent later restore it. No data when all report.",
                     steps=((None, YELLOW), (1, RED)), decimals=2, span=4),
                stat("Limits exceeded", """
SELECT count(*) FILTER (WHERE grade = 'exceeded') AS days FROM v_indicator_day
WHERE time > now() - INTERVAL '2 days' AND grade IN ('within', 'exceeded') AND site = ANY(ARRAY[${site:sqlstring}]::text[])
HAVING count(*) > 0
""", "short", "Station days and plant days of the last two days that exceed a limit of air, noise or water.",
                     steps=((None, GREEN), (1, RED)), span=4),
                stat("Generated now", _NOW.format(class_id="pv_inverter"), "kwatt",
                     "PV power of all inverters that reported in the last half hour.", decimals=0, span=4),
                stat("Charging now", _NOW.format(class_id="ev_charger"), "kwatt",
                     "Power into vehicles, of all chargers that reported in the last half hour.", decimals=0, span=4),
                stat("Generated today", f"""
SELECT sum(energy_kwh) AS energy_kwh FROM v_day_energy_kwh
WHERE class = 'pv_inverter' AND quantity = 'energy_export' AND {_TODAY} AND site = ANY(ARRAY[${{site:sqlstring}}]::text[])
  AND device_id IN (SELECT device_id FROM v_counted_device)
""", "kwatth", "PV energy since local midnight of each site.", decimals=0, span=4),
                stat("Avoided today", f"""
SELECT sum(avoided_t) AS avoided_t FROM v_account_day WHERE {_TODAY} AND {_COUNTED}
""", "suffix: t", "Emission reduction of the programme's projects since local midnight, calculated like a closed period, up to the last available 15-minute interval.", decimals=2, span=8),
                stat("Avoided this year", """
SELECT sum(this_year_t) AS avoided_t FROM v_project_now WHERE counted
""", "suffix: t", "Emission reduction of the programme's projects since 1 January: closed days as stated in their statements, other days as calculated so far.", decimals=1, span=8),
                stat("Expected this year so far", """
SELECT sum(expected_this_year_t) AS expected_t FROM v_project_state WHERE counted
""", "suffix: t", "Expected reduction of the programme's projects from 1 January until now, including projects that do not report.",
                     decimals=1, span=8),
            ]),
            ("Faults and lost reduction", [
                table("Current faults", f"""
WITH silent AS MATERIALIZED (
    SELECT device_id, gateway, gateway_state, class, site, last_reading, cost_t FROM v_silence_cost
), gateways AS MATERIALIZED (
    SELECT gateway, state, site, devices, last_heard FROM v_gateway_health
)
SELECT what, cost_t, place, since, things FROM (
    SELECT 1 AS rank, '«gateway offline»' AS what, g.gateway || ' (' || g.site || ')' AS place, g.devices AS things,
           g.last_heard AS since, (SELECT sum(c.cost_t) FROM silent c WHERE c.gateway = g.gateway) AS cost_t
    FROM gateways g WHERE g.state = 'dark' AND g.site = ANY(ARRAY[${{site:sqlstring}}]::text[])
    UNION ALL
    SELECT 2, '«devices not reporting»: ' || {class_words()}, site, count(*), min(last_reading), sum(cost_t)
    FROM silent WHERE site = ANY(ARRAY[${{site:sqlstring}}]::text[]) AND gateway_state IS DISTINCT FROM 'dark'
      AND device_id NOT IN (SELECT gateway FROM gateways)
    GROUP BY class, site
    UNION ALL
    SELECT 3, CASE c.state WHEN 'expired' THEN '«calibration expired»' ELSE '«calibration certificate missing»' END, c.project_id, count(*), min(tonne_clock(p.timezone, (c.valid_until + 1)::timestamp)), NULL
    FROM v_calibration_due c JOIN project p ON p.id = c.project_id
    WHERE c.state IN ('expired', 'missing') AND c.site = ANY(ARRAY[${{site:sqlstring}}]::text[])
    GROUP BY c.state, c.project_id
    UNION ALL
    SELECT 4, '«limit exceeded»: ' || (detail ->> 'standard'), device_id || ' (' || site || ')',
           jsonb_array_length(detail -> 'exceeded'), time, NULL
    FROM v_indicator_day
    WHERE grade = 'exceeded' AND time > now() - INTERVAL '2 days' AND site = ANY(ARRAY[${{site:sqlstring}}]::text[])
) wrong ORDER BY cost_t DESC NULLS LAST, rank, place
""", "Offline gateways (one row each), devices that do not report, expired calibrations and limits exceeded on the last"
                      " two days. Loss: reduction not credited so far because of missing data, at most the expected reduction.",
                      units={"cost_t": "suffix: t"}, decimals={"cost_t": 2},
                      links={"what": "/d/tonne-fleet/fleet-health?${__url_time_range}"}, span=16, height=10),
                site_map("Sites", """
SELECT s.id AS site, left(s.name, 80) AS name, s.latitude, s.longitude,
       count(h.device_id) FILTER (WHERE h.state IN ('late', 'offline')) AS value
FROM site s LEFT JOIN v_device_health h ON h.site = s.id
WHERE s.id = ANY(ARRAY[${site:sqlstring}]::text[]) GROUP BY s.id, s.name, s.latitude, s.longitude
""", "short", "Each site with the number of its devices that do not report.",
                         steps=((None, GREEN), (1, YELLOW), (10, RED))),
            ]),
            ("Projects", [
                table("Projects: actual and expected reduction", """
SELECT project_id, state, this_year_t, expected_this_year_t, last_30_days_t, expected_30_days_t, missed_t,
       tonne_clock_text(timezone, silent_since) AS silent_since,
       online, devices, left(name, 80) AS name, CASE WHEN counted THEN '«yes»' ELSE '«no»' END AS counted
FROM v_project_now ORDER BY (state IN ('silent', 'never heard')) DESC, missed_t DESC NULLS LAST, project_id
""", "One row per project, with all its devices. No data: no device of the project reports; missed: reduction expected"
     " since then. The last 30 days end today. Counted: included in the programme's totals.",
                      units=dict.fromkeys(("this_year_t", "expected_this_year_t", "last_30_days_t", "expected_30_days_t",
                                           "missed_t"), "suffix: t"),
                      decimals=dict.fromkeys(("this_year_t", "expected_this_year_t", "last_30_days_t", "expected_30_days_t",
                                              "missed_t"), 2),
                      links={"project_id": console("projects/${__value.raw}")}, span=24, height=8),
            ]),
            ("Systems", [
                table("Systems of the programme", f"""
SELECT system, sum(this_year_t) AS this_year_t, sum(devices) AS devices, sum(late) AS not_reporting, sum(projects) AS projects, min(board) AS board
FROM (
    SELECT p.system, n.this_year_t, 1 AS projects, NULL::bigint AS devices, NULL::bigint AS late, NULL::text AS board
    FROM project p JOIN v_project_now n ON n.project_id = p.id
    UNION ALL
    SELECT CASE WHEN d.attributes ->> 'system' IS NOT NULL THEN d.attributes ->> 'system' ELSE (SELECT p.system FROM project_device m
               JOIN project p ON p.id = m.project_id WHERE m.device_id = d.id ORDER BY upper(m.during) DESC LIMIT 1) END, NULL, NULL, count(*),
           count(*) FILTER (WHERE h.state IN ('late', 'offline')), mode() WITHIN GROUP (ORDER BY {_BOARD})
    FROM device d JOIN v_device_health h ON h.device_id = d.id GROUP BY 1
) parts WHERE system IS NOT NULL GROUP BY system ORDER BY this_year_t DESC NULLS LAST, system
""", "Each system that the registry names: reduction of this year, devices, devices without data, projects. Systems that"
                      " only monitor have no reduction.",
                      units={"this_year_t": "suffix: t"}, decimals={"this_year_t": 2},
                      links={"board": "/d/tonne-${__value.raw}?${__url_time_range}"}, span=24, height=8),
            ]),
            ("Targets of the programme", [
                table("Programme by action", """
SELECT name, this_year_t, expected_this_year_t, target_t_per_year, this_year_t / nullif(target_t_per_year, 0) AS share_of_target,
       issued_t, monitored_t, expected_t_per_year, action
FROM v_programme_now ORDER BY position
""", "The city's modelled target, the reduction metered this year and in total, and the reduction issued."
                      " Separate accounts, never added. An action includes the projects of its parts (1 includes 1-03).",
                      units={"target_t_per_year": "suffix: t", "expected_this_year_t": "suffix: t", "expected_t_per_year": "suffix: t",
                             "this_year_t": "suffix: t", "monitored_t": "suffix: t", "issued_t": "suffix: t",
                             "share_of_target": "percentunit"},
                      decimals={"share_of_target": 4, "this_year_t": 1, "monitored_t": 1, "expected_this_year_t": 1}, span=24, height=7),
                bars("Avoided by local day", """
SELECT day::text AS day,
       sum(avoided_t) FILTER (WHERE a.top = '1') AS green_industry,
       sum(avoided_t) FILTER (WHERE a.top = '2') AS green_building,
       sum(avoided_t) FILTER (WHERE a.top = '3') AS energy_efficiency,
       sum(avoided_t) FILTER (WHERE a.top = '4') AS clean_transport,
       sum(avoided_t) FILTER (WHERE a.top IS NULL OR a.top NOT IN ('1', '2', '3', '4')) AS other
FROM v_account_day e
JOIN (SELECT id, split_part(action, '-', 1) AS top FROM project) a ON a.id = e.project_id
WHERE $__timeFilter(time) AND project_id IN (SELECT project_id FROM v_counted_project) GROUP BY day ORDER BY day
""", "suffix: t", "Reduction of the programme's projects by local day and action.", colors=ACTIONS),
                series("Power by class, 15-minute intervals", """
SELECT i.start AS time, CASE d.class WHEN 'pv_inverter' THEN '«PV»' WHEN 'ev_charger' THEN '«charging»' ELSE '«factories and buildings»' END AS metric,
       sum(i.value) * 0.004 AS power_kw
FROM interval_quantity i JOIN v_counted_device d ON d.device_id = i.device_id
WHERE i.start >= greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - INTERVAL '1 day') AND i.start <= $__timeTo()
  AND d.class IN ('pv_inverter', 'ev_charger', 'energy_meter')
  AND i.quantity = CASE d.class WHEN 'pv_inverter' THEN 'energy_export' ELSE 'energy_import' END
  AND d.site = ANY(ARRAY[${site:sqlstring}]::text[])
GROUP BY 1, 2 ORDER BY 1
""", "kwatt", "Mean power of each 15-minute interval, from metered energy, on the last day of the range."),
            ]),
        ],
        variables=[sites(), console_address()],
    )  # fmt: skip

"""
Dashboard of MRV: data coverage, gaps with their deductions, statements by state, due calibrations,
the log.
"""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source import GREEN, ORANGE, RED, YELLOW
from deploy.grafana.source.boards import board, console, console_address, projects
from deploy.grafana.source.panels import bars, series, stat, table

_MINE = "project_id = ANY(ARRAY[${project:sqlstring}]::text[])"
_COVERED = ((None, RED), (0.9, YELLOW), (0.98, GREEN))


def dashboard() -> model.Dashboard:
    """Return the dashboard of MRV."""
    return board(
        "mrv", "MRV", "From metered reductions to issued statements: coverage, gaps, calibrations, log.",
        [
            ("Now", [
                stat("Issued", f"""
SELECT sum(credit_t) AS credit_t FROM v_statement_state WHERE state = 'issued' AND {_MINE}
""", "suffix: t", "Whole tonnes of issued statements, without superseded and revoked ones.", decimals=0),
                stat("Not issued yet", f"""
SELECT sum(credit_t) AS credit_t FROM v_statement_state
WHERE state IN ('draft', 'submitted', 'under_verification', 'verified') AND {_MINE}
""", "suffix: t", "Whole tonnes of statements that are not issued yet.", decimals=0),
                stat("Lowest coverage", f"""
SELECT min(coverage) AS coverage FROM (SELECT DISTINCT ON (project_id) project_id, coverage FROM monitoring_period
    WHERE {_MINE} ORDER BY project_id, local_to DESC, id DESC) last
""", "percentunit", "Coverage of the last closed period, of the project with the lowest value.", steps=_COVERED, decimals=1),
                stat("Deductions for gaps", f"""
SELECT sum(g.cost_t) AS cost_t FROM v_statement_gap g WHERE g.{_MINE}
""", "suffix: t", "Deductions for gaps and delayed calibrations in valid statements."),
                stat("Calibrations due", f"""
SELECT count(*) FILTER (WHERE state <> 'valid') AS devices FROM v_calibration_due WHERE {_MINE} HAVING count(*) > 0
""", "short", "Devices whose certificate is missing, expired or expires within 60 days.", steps=((None, GREEN), (1, ORANGE))),
                stat("Last seal", """
SELECT extract(epoch FROM now() - max(appended)) AS age_s FROM log_entry
""", "s", "Time since the last entry of the transparency log; sealing runs every hour.",
                     steps=((None, GREEN), (10_800, ORANGE), (129_600, RED))),
            ]),
            ("Coverage", [
                series("Measured share by day", f"""
WITH member AS MATERIALIZED (
    SELECT device_id, project_id, lower(during) AS since, upper(during) AS until FROM project_device WHERE {_MINE}
), held AS MATERIALIZED (
    SELECT DISTINCT q.device_id, q.quantity, q.timezone, m.project_id, m.since, m.until
    FROM v_day_quantity q JOIN member m ON m.device_id = q.device_id AND m.since <= q.time AND q.time < m.until
    WHERE $__timeFilter(q.time)
), day AS (
    SELECT h.*, d::date AS day, tonne_clock(h.timezone, d) AS begins, tonne_clock(h.timezone, d + INTERVAL '1 day') AS ends
    FROM held h CROSS JOIN generate_series(date_trunc('day', tonne_clock(h.timezone, $__timeFrom()::timestamptz)),
        tonne_clock(h.timezone, $__timeTo()::timestamptz), INTERVAL '1 day') d
)
SELECT d.begins AS time, d.project_id AS metric,
       least(1, sum(q.measured_us) / (1e6 * sum(extract(epoch FROM least(d.ends, d.until, now()) - greatest(d.begins, d.since))))) AS share
FROM day d LEFT JOIN v_day_quantity q ON q.device_id = d.device_id AND q.quantity = d.quantity AND q.day = d.day
WHERE d.begins < least(now(), d.until) AND d.ends > d.since GROUP BY 1, 2 ORDER BY 1
""", "percentunit", "Share of each local day with measured 15-minute intervals, of the projects' meters that reported in the time shown. A meter"
                       " without data all day is included as 0 %; today is included until now.", steps=_COVERED, fill=0),
                bars("Avoided by day", f"""
SELECT day::text AS day, sum(avoided_t) AS avoided_t FROM v_account_day
WHERE $__timeFilter(time) AND {_MINE} GROUP BY day ORDER BY day
""", "suffix: t", "Reduction by local day: closed days as stated in their statements, other days as calculated so far."),
                table("Traceability of tonnes", f"""
SELECT project_id, reduction_t, source, statement_id, first_day::text AS first_day, last_day::text AS last_day, before_t, problem
FROM v_account_source WHERE {_MINE} ORDER BY first_day DESC, project_id LIMIT 300
""", "Parts of each account: statements, open time calculated like a closed period, live 15-minute intervals before deductions."
                      " With all evidence: the reduction if every missing document and invoice were provided.",
                      units={"reduction_t": "suffix: t", "before_t": "suffix: t"}, decimals={"reduction_t": 3, "before_t": 3},
                      links={"project_id": console("projects/${__value.raw}")}, span=24),
                table("Gaps and deductions, highest first", f"""
SELECT device_id, cost_t, kind, from_time, to_time, rule, statement_id FROM v_statement_gap
WHERE {_MINE} ORDER BY cost_t DESC NULLS LAST, from_time LIMIT 200
""", "Gaps of valid statements: the rule that was applied and the reduction not credited.",
                      units={"cost_t": "suffix: t"}, decimals={"cost_t": 4}),
                table("Devices without data", f"""
SELECT device_id, cost_t, silent_s, project_id, role, side, gateway_state, last_reading, cost_t_per_day FROM v_silence_cost
WHERE {_MINE} ORDER BY cost_t DESC NULLS LAST, device_id LIMIT 100
""", "Devices without data, highest loss first. Loss so far: reduction not credited because of missing data, at most the"
                      " expected reduction.",
                      units={"silent_s": "s", "cost_t_per_day": "suffix: t/d", "cost_t": "suffix: t"},
                      decimals={"cost_t_per_day": 3, "cost_t": 3}, links={"device_id": console("devices/${__value.raw}")}),
            ]),
            ("Statements", [
                table("Statements", f"""
SELECT statement_id, state, credit_t, reduction_t, coverage, since, left(project, 60) AS project,
       local_from::text AS local_from, local_to::text AS local_to, actor
FROM v_statement_state WHERE {_MINE} ORDER BY since DESC LIMIT 200
""", "The last 200 statements, newest first. Credit: whole tonnes, rounded down; reduction: before rounding.",
                      units={"credit_t": "suffix: t", "reduction_t": "suffix: t", "coverage": "percentunit"},
                      decimals={"reduction_t": 3, "coverage": 1}, steps={"coverage": _COVERED}, span=24),
                table("By state", f"""
SELECT state, count(*) AS statements, sum(credit_t) AS credit_t, min(since) AS oldest FROM v_statement_state
WHERE {_MINE} GROUP BY state ORDER BY array_position(ARRAY['draft', 'submitted', 'under_verification', 'verified',
    'issued', 'superseded', 'rejected', 'revoked'], state)
""", "Number of statements in each state, the oldest of them, and their tonnes.", units={"credit_t": "suffix: t"}, span=8),
                table("End of methodologies", f"""
SELECT project_id,
       CASE WHEN inactive THEN '«inactive»' WHEN runs_out IS NULL THEN '«day unknown»' ELSE runs_out::text END AS runs_out_on,
       methodology, programme,
       CASE WHEN days_left < 0 THEN format('«%s days ago»', -days_left) WHEN days_left >= 0 THEN format('«in %s days»', days_left)
           ELSE '«unknown»' END AS runs_out, successor, CASE WHEN registered IS NULL THEN '«not entered»' ELSE registered::text END AS registered
FROM v_methodology_end WHERE {_MINE}
ORDER BY v_methodology_end.runs_out NULLS LAST, project_id LIMIT 200
""", "From that day the programme registers no new project under the methodology, or issues no credits. A project"
                      " without a registration is listed with every programme.", span=16),
                table("Calibration certificates", f"""
SELECT device_id, state, CASE WHEN days_left < 0 THEN format('«%s days ago»', -days_left) WHEN days_left = 0 THEN '«expires today»'
           WHEN days_left > 0 THEN format('«in %s days»', days_left) ELSE '«no certificate»' END AS runs_out,
       valid_until::text AS valid_until, project_id, role, site FROM v_calibration_due
WHERE state <> 'valid' AND {_MINE} ORDER BY days_left NULLS FIRST, device_id LIMIT 200
""", "From the day a certificate expires, the meter's maximum permissible error is deducted.",
                      links={"device_id": console("devices/${__value.raw}")}, span=24),
            ]),
            ("Log", [
                table("Log entries by kind", """
SELECT kind, count(*) AS entries, max(appended) AS last FROM log_entry GROUP BY kind ORDER BY last DESC
""", "Number of entries of the transparency log. `tonne log audit` checks them; an alert reports an inconsistency.", span=12),
                table("Last sealed day", """
SELECT p.id AS project_id, max(s.day)::text AS last_sealed_day, tonne_clock(p.timezone, now())::date - max(s.day) AS days_ago
FROM project p LEFT JOIN data_seal s ON s.project_id = p.id WHERE p.id = ANY(ARRAY[${project:sqlstring}]::text[])
GROUP BY p.id ORDER BY last_sealed_day NULLS FIRST
""", "The last sealed day of each project; a day is sealed 24 hours after its end.",
                      units={"days_ago": "suffix: d"}, steps={"days_ago": ((None, GREEN), (4, RED))}, span=12),
            ]),
        ],
        variables=[projects(), console_address()],
        since="now-30d",
        refresh="5m",
    )  # fmt: skip

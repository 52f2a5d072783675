-- Rows of devices with a long mark are read by device: joined, all rows were read though no mark was long.
SET LOCAL ROLE tonne_owner;

CREATE OR REPLACE VIEW v_day_emission AS
SELECT e.begins, e.day, e.timezone, e.project_id, e.device_id, e.baseline_ug, e.project_ug, e.leakage_ug, e.reduction_ug
FROM day_emission e
JOIN v_project_open o ON o.project_id = e.project_id AND o.timezone = e.timezone
WHERE e.day < o.open_day AND NOT EXISTS (
    SELECT FROM v_day_mark m
    WHERE m.device_id = e.device_id AND m.ends > e.begins AND m.begins < tonne_clock(e.timezone, (e.day + 1)::timestamp)
)
UNION ALL
SELECT tonne_clock(i.timezone, i.day::timestamp), i.day, i.timezone, i.project_id, i.device_id, i.baseline_ug, i.project_ug, i.leakage_ug, i.reduction_ug
FROM (
    SELECT tonne_clock(o.timezone, r.start)::date AS day, o.timezone, o.open_day, r.project_id, m.device_id, m.spans,
           sum(r.baseline_ug) AS baseline_ug, sum(r.project_ug) AS project_ug, sum(r.leakage_ug) AS leakage_ug, sum(r.reduction_ug) AS reduction_ug
    FROM (
        SELECT k.device_id, range_agg(tstzrange(k.begins, k.ends)) AS spans FROM v_day_mark k
        WHERE k.begins < now() - INTERVAL '20 hours'  -- later days are not whole anywhere
        GROUP BY k.device_id
    ) m
    CROSS JOIN LATERAL (
        SELECT min(tonne_clock(z.timezone, tonne_clock(z.timezone, lower(m.spans))::date::timestamp)) - INTERVAL '3 hours' AS since,
               max(tonne_clock(z.timezone, (tonne_clock(z.timezone, upper(m.spans) - INTERVAL '1 microsecond')::date + 1)::timestamp)) + INTERVAL '3 hours' AS until
        FROM (SELECT DISTINCT p.timezone FROM project p) z
    ) edge
    CROSS JOIN LATERAL (
        SELECT e.project_id, e.start, e.baseline_ug, e.project_ug, e.leakage_ug, e.reduction_ug FROM interval_emission e
        WHERE e.device_id = m.device_id AND e.start >= edge.since AND e.start < edge.until
        OFFSET 0  -- a fence: by device
    ) r
    JOIN v_project_open o ON o.project_id = r.project_id
    WHERE upper(m.spans) - lower(m.spans) < INTERVAL '40 days'
    GROUP BY 1, 2, 3, 4, 5, 6
    UNION ALL
    -- longer ones, as after an upgrade, or where a clock is another: all rows of these devices
    SELECT tonne_clock(o.timezone, r.start)::date, o.timezone, o.open_day, r.project_id, m.device_id, m.spans,
           sum(r.baseline_ug), sum(r.project_ug), sum(r.leakage_ug), sum(r.reduction_ug)
    FROM (SELECT k.device_id, range_agg(tstzrange(k.begins, k.ends)) AS spans FROM v_day_mark k
          WHERE k.begins < now() - INTERVAL '20 hours' GROUP BY k.device_id) m
    CROSS JOIN LATERAL (
        SELECT e.project_id, e.start, e.baseline_ug, e.project_ug, e.leakage_ug, e.reduction_ug FROM interval_emission e
        WHERE e.device_id = m.device_id
        OFFSET 0
    ) r
    JOIN v_project_open o ON o.project_id = r.project_id
    WHERE upper(m.spans) - lower(m.spans) >= INTERVAL '40 days'
    GROUP BY 1, 2, 3, 4, 5, 6
) i
WHERE i.day < i.open_day
  AND i.spans && tstzrange(tonne_clock(i.timezone, i.day::timestamp), tonne_clock(i.timezone, (i.day + 1)::timestamp))
UNION ALL
SELECT tonne_clock(i.timezone, i.day::timestamp), i.day, i.timezone, i.project_id, i.device_id, i.baseline_ug, i.project_ug, i.leakage_ug, i.reduction_ug
FROM (
    SELECT tonne_clock(o.timezone, r.start)::date AS day, o.timezone, o.open_day, o.yesterday, o.project_id, r.device_id,
           sum(r.baseline_ug) AS baseline_ug, sum(r.project_ug) AS project_ug, sum(r.leakage_ug) AS leakage_ug, sum(r.reduction_ug) AS reduction_ug
    FROM v_project_open o
    CROSS JOIN LATERAL (
        SELECT e.device_id, e.start, e.baseline_ug, e.project_ug, e.leakage_ug, e.reduction_ug FROM interval_emission e
        WHERE e.project_id = o.project_id AND e.start >= o.open_begins - INTERVAL '3 hours' AND e.start < o.yesterday_begins + INTERVAL '3 hours'
        OFFSET 0
    ) r
    WHERE o.open_day < o.yesterday
    GROUP BY 1, 2, 3, 4, 5, 6
) i
WHERE i.day >= i.open_day AND i.day < i.yesterday
UNION ALL
SELECT t.begins, t.day, t.timezone, t.project_id, t.device_id, t.baseline_ug, t.project_ug, t.leakage_ug, t.reduction_ug
FROM v_today_emission t;

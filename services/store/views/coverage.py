"""
Data coverage of a project's local days, as defined for a statement.

It is the share of its meters' service time that is measured, or estimated between two register
readings (`mrv.accounting.rounded_figures.covered_share`); the rest is unknown or missing.

Stored daily sums (`day_quantity`) are used where the site's time zone is the project's, the device
serves the whole day, and the day is over and up to date; for other days the 15-minute intervals are
read. The result is always that of the intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from psycopg import Connection

# some clocks show an hour about midnight twice
_ABOUT = "INTERVAL '3 hours'"
# rows of a quarter hour lie together: from this part of all devices on, a day is read by time
_BROAD = 8
_COVERAGE = f"""
WITH day AS MATERIALIZED (
    SELECT d::date AS day, tonne_clock(%(zone)s, d) AS begin,
        tonne_clock(%(zone)s, d + INTERVAL '1 day') AS stop
    FROM generate_series(%(first)s::timestamp, %(end)s::timestamp - INTERVAL '1 day',
        INTERVAL '1 day') d
), serving AS MATERIALIZED (
    SELECT day.day, day.begin, day.stop, m.device_id, m.during,
        s.timezone = %(zone)s AND day.stop <= u.until AS over,
        m.during @> tstzrange(day.begin - {_ABOUT}, day.stop + {_ABOUT}) AS whole
    FROM day JOIN project_device m ON m.project_id = %(project)s
        AND m.during && tstzrange(day.begin, day.stop)
    JOIN device d ON d.id = m.device_id JOIN site s ON s.id = d.site CROSS JOIN day_until u
    WHERE day.begin < now() AND lower(m.during) < now()
), monitored AS MATERIALIZED (
    SELECT device AS device_id, array_agg(quantity) AS quantities
    FROM unnest(%(devices)s::text[], %(quantities)s::text[]) AS p (device, quantity)
    GROUP BY device
), sums AS MATERIALIZED (
    SELECT q.device_id, q.day, sum(q.measured_us) AS measured_us,
        sum(q.estimated_us) AS estimated_us, sum(q.unknown_us) AS unknown_us,
        bool_and(q.timezone = %(zone)s AND q.estimated_us IS NOT NULL) AS told
    FROM day_quantity q JOIN monitored p ON p.device_id = q.device_id
        AND q.quantity = ANY(p.quantities)
    WHERE q.day >= %(first)s AND q.day < %(end)s GROUP BY 1, 2
), waiting AS MATERIALIZED (
    SELECT s.device_id, s.day FROM serving s JOIN v_day_mark k ON k.device_id = s.device_id
        AND k.ends > s.begin AND k.begins < s.stop
    UNION SELECT device_id, day FROM sums WHERE NOT told
), made AS MATERIALIZED (
    SELECT s.device_id, s.day, s.begin, s.stop, s.during, s.whole, p.quantities,
        s.whole AND s.over AND w.device_id IS NULL AS made
    FROM serving s JOIN monitored p USING (device_id) LEFT JOIN waiting w USING (device_id, day)
), broad AS MATERIALIZED (
    SELECT b.day, b.begin, b.stop FROM day b
    JOIN (SELECT day, count(*) AS devices FROM made WHERE whole AND NOT made GROUP BY day) m
        USING (day)
    WHERE m.devices * {_BROAD} > (SELECT count(*) FROM device)
), quarter AS MATERIALIZED (
    SELECT b.day, i.device_id, sum(i.measured_us) AS measured_us,
        sum(i.estimated_us) AS estimated_us, sum(i.unknown_us) AS unknown_us
    FROM broad b CROSS JOIN LATERAL (
        SELECT * FROM interval_quantity r
        WHERE r.start >= b.begin - {_ABOUT} AND r.start < b.stop + {_ABOUT}
        AND r.start >= tonne_clock(%(zone)s, %(first)s::timestamp) - {_ABOUT}
        AND r.start < tonne_clock(%(zone)s, %(end)s::timestamp) + {_ABOUT} OFFSET 0
    ) i JOIN monitored p ON p.device_id = i.device_id AND i.quantity = ANY(p.quantities)
    WHERE tonne_clock(%(zone)s, i.start)::date = b.day GROUP BY 1, 2
), span AS MATERIALIZED (
    SELECT device_id, quantities, range_agg(during) AS during, min(day) AS first, max(day) AS last,
        min(begin) - {_ABOUT} AS begin, max(stop) + {_ABOUT} AS stop
    FROM (SELECT *, day - dense_rank() OVER (PARTITION BY device_id ORDER BY day)::int AS run
        FROM made WHERE NOT made AND NOT (whole AND day IN (SELECT b.day FROM broad b))) r
    GROUP BY device_id, quantities, run
), known AS (
    SELECT day, measured_us, estimated_us, unknown_us
    FROM made JOIN sums USING (device_id, day) WHERE made
    UNION ALL
    SELECT tonne_clock(%(zone)s, i.start)::date, i.measured_us, i.estimated_us, i.unknown_us
    FROM span s CROSS JOIN LATERAL (
        SELECT * FROM interval_quantity r WHERE r.device_id = s.device_id
        AND r.start >= s.begin AND r.start < s.stop
        AND r.start >= tonne_clock(%(zone)s, %(first)s::timestamp) - {_ABOUT}
        AND r.start < tonne_clock(%(zone)s, %(end)s::timestamp) + {_ABOUT} OFFSET 0
    ) i WHERE i.quantity = ANY(s.quantities) AND s.during @> i.start
        AND tonne_clock(%(zone)s, i.start)::date BETWEEN s.first AND s.last
    UNION ALL
    SELECT q.day, q.measured_us, q.estimated_us, q.unknown_us
    FROM quarter q JOIN made s USING (device_id, day)
    WHERE s.whole AND NOT s.made
), total AS (
    SELECT day, sum(measured_us) AS m, sum(estimated_us) AS e, sum(unknown_us) AS u
    FROM known GROUP BY day
)
SELECT day, sum(cardinality(p.quantities) * 1000000 * extract(epoch FROM
        least(upper(s.during), s.stop, now()) - greatest(lower(s.during), s.begin)
    )::numeric)::bigint,
    coalesce(max(t.m), 0), coalesce(max(t.e), 0), coalesce(max(t.u), 0)
FROM serving s JOIN monitored p USING (device_id) LEFT JOIN total t USING (day)
GROUP BY day ORDER BY day
"""


@dataclass(frozen=True, slots=True)
class CoverageDay:
    """
    Coverage of a local day of a project's monitored quantities. [us]

    `serving_us` is the total service time of these quantities.
    """

    day: date
    serving_us: int
    measured_us: int
    estimated_us: int
    unknown_us: int

    @property
    def share(self) -> Fraction | None:
        """Return the covered share; None without devices in service."""
        if not self.serving_us:
            return None
        return min(Fraction(self.measured_us + self.estimated_us, self.serving_us), Fraction(1))


def coverage_days(
    conn: Connection,
    project: str,
    timezone: str,
    pairs: Sequence[tuple[str, str]],
    first: date,
    end: date,
) -> list[CoverageDay]:
    """
    Return the coverage of each local day in [first, end).

    Parameters
    ----------
    pairs : sequence of (device, quantity)
        Monitored quantities.  Days without service and future days are omitted.
    """
    devices, quantities = [item for item, _ in pairs], [item for _, item in pairs]
    rows = conn.execute(
        _COVERAGE,
        {
            "zone": timezone,
            "project": project,
            "devices": devices,
            "quantities": quantities,
            "first": first,
            "end": end,
        },
    )
    return [CoverageDay(day, *map(int, parts)) for day, *parts in rows]

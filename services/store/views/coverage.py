"""
Data coverage of local days, and figures of the programme's projects in a year.

Coverage is the share of the meters' assigned time that is measured, or estimated between two
register readings (`mrv.accounting.rounded_figures.covered_share`); the rest is unknown or missing.

Stored daily sums (`day_quantity`) are used if the site has the project's time zone, the device is
assigned for the whole day, and the day is over and up to date; else the 15-minute intervals are
read.  Both give the same result.

Tonnes are those of the account's views; a year is in each project's time zone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from psycopg import Connection

from mrv.calendar import local_date
from services.clock import now_us

# margin for days on which a clock change repeats an hour near midnight
_ABOUT = "INTERVAL '3 hours'"
# from this part (1/8) of all devices on, intervals of a day are read by time instead of by device
_BROAD = 8
_COVERAGE = f"""
WITH day AS MATERIALIZED (
    SELECT d.day, d.begin, d.stop, tstzrange(d.begin, d.stop) AS during, d.stop <= u.until AS over,
        tstzrange(d.begin - {_ABOUT}, d.stop + {_ABOUT}) AS around
    FROM (SELECT d::date AS day, tonne_clock(%(zone)s, d) AS begin,
            tonne_clock(%(zone)s, d + INTERVAL '1 day') AS stop
        FROM generate_series(%(first)s::timestamp, %(end)s::timestamp - INTERVAL '1 day',
            INTERVAL '1 day') d) d CROSS JOIN day_until u
    WHERE d.begin < now()
), monitored AS MATERIALIZED (
    SELECT device AS device_id, array_agg(quantity) AS quantities
    FROM unnest(%(devices)s::text[], %(quantities)s::text[]) AS p (device, quantity)
    GROUP BY device
), member AS MATERIALIZED (
    SELECT m.device_id, m.during, p.quantities, s.timezone = %(zone)s AS here
    FROM project_device m JOIN monitored p USING (device_id)
    JOIN device d ON d.id = m.device_id JOIN site s ON s.id = d.site
    WHERE m.project_id = %(project)s AND lower(m.during) < now()
), sums AS MATERIALIZED (
    SELECT q.device_id, q.day, day.around, day.over, q.measured_us, q.estimated_us, q.unknown_us,
        q.timezone = %(zone)s AND q.estimated_us IS NOT NULL AS known
    FROM day_quantity q JOIN monitored p ON p.device_id = q.device_id
        AND q.quantity = ANY(p.quantities)
    JOIN day ON day.day = q.day
    WHERE q.day >= %(first)s AND q.day < %(end)s
), waiting AS MATERIALIZED (
    SELECT m.device_id, day.day FROM v_day_mark k JOIN member m USING (device_id)
    JOIN day ON k.ends > day.begin AND k.begins < day.stop
    UNION SELECT device_id, day FROM sums WHERE NOT known
), rest AS MATERIALIZED (
    SELECT m.device_id, m.quantities, day.day, day.begin, day.stop, m.during,
        m.during @> day.around AS whole
    FROM day JOIN member m ON m.during && day.during
    LEFT JOIN waiting w ON w.device_id = m.device_id AND w.day = day.day
    WHERE NOT (m.here AND day.over AND m.during @> day.around AND w.device_id IS NULL)
), broad AS MATERIALIZED (
    SELECT b.day, b.begin, b.stop FROM day b
    JOIN (SELECT day, count(*) AS devices FROM rest WHERE whole GROUP BY day) m USING (day)
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
        FROM rest WHERE NOT (whole AND day IN (SELECT b.day FROM broad b))) r
    GROUP BY device_id, quantities, run
), known AS (
    SELECT q.day, q.measured_us, q.estimated_us, q.unknown_us
    FROM sums q JOIN member m USING (device_id)
    LEFT JOIN waiting w ON w.device_id = q.device_id AND w.day = q.day
    WHERE m.here AND q.over AND m.during @> q.around AND w.device_id IS NULL
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
    FROM quarter q JOIN rest s USING (device_id, day) WHERE s.whole
), total AS (
    SELECT day, sum(measured_us) AS m, sum(estimated_us) AS e, sum(unknown_us) AS u
    FROM known GROUP BY day
), service AS MATERIALIZED (
    SELECT day.day, sum(m.series * 1000000 * extract(epoch FROM
        least(upper(m.during), day.stop, now()) - greatest(lower(m.during), day.begin)
    )::numeric)::bigint AS us
    FROM day JOIN (SELECT during, sum(cardinality(quantities)) AS series FROM member
        GROUP BY during) m ON m.during && day.during
    GROUP BY day.day
)
SELECT day, s.us, coalesce(t.m, 0), coalesce(t.e, 0), coalesce(t.u, 0)
FROM service s LEFT JOIN total t USING (day) ORDER BY day
"""


@dataclass(frozen=True, slots=True)
class CoverageDay:
    """
    Coverage of a project's monitored quantities on a local day. [us]
    `serving_us`: total assigned time of these quantities.
    """

    day: date
    serving_us: int
    measured_us: int
    estimated_us: int
    unknown_us: int

    @property
    def share(self) -> Fraction | None:
        """Return the covered share, at most 1; None without assigned devices."""
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

    `pairs`: device and quantity of each monitored quantity.  Days without assigned devices, and
    future days, are omitted.
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


_YEAR = (
    " CROSS JOIN LATERAL (SELECT tonne_clock(p.timezone, make_date(%(year)s, 1, 1)::timestamp) AS"
    " begins, tonne_clock(p.timezone, make_date(%(year)s + 1, 1, 1)::timestamp) AS ends) y"
)


@dataclass(frozen=True, slots=True)
class ProjectYear:
    """
    Figures of a project in a year. [t CO2e]

    `counted`: whether it belongs to the programme.
    `avoided_t`: accounted reduction; None without account.
    `expected_t`: expected reduction of the year to date; None without registered expectation.
    `ahead_t`: expected for the rest of the year.
    `issued_t`: whole tonnes issued of the year's vintage.
    """

    project: str
    name: str
    system: str | None
    counted: bool
    avoided_t: Decimal | None
    expected_t: Decimal | None
    ahead_t: Decimal | None
    issued_t: int

    @property
    def short_t(self) -> Decimal:
        """Return how far the reduction is below the expected one; 0 if it is not. [t]"""
        return max((self.expected_t or Decimal(0)) - (self.avoided_t or Decimal(0)), Decimal(0))

    @property
    def percent(self) -> int | None:
        """
        Return the avoided share of the expected tonnes to date, rounded down; None if
        unknown. [%]
        """
        return percent(self.avoided_t, self.expected_t)


@dataclass(frozen=True, slots=True)
class Change:
    """Tonnes of the counted projects yesterday and the day before."""

    yesterday_t: Decimal | None
    day_before_t: Decimal | None


class Accounted(NamedTuple):
    """
    Account of a project from one source, a statement or the preliminary account, in a month; today,
    yesterday and the day before are listed separately.

    `first`, `last`: local days with an account.
    `begins`, `last_begins`: local midnight of these days.
    `recent_ug`: part of the last 30 local days.
    """

    project: str
    timezone: str
    source: str
    first: date
    last: date
    begins: datetime
    last_begins: datetime
    reduction_ug: Decimal | None
    recent_ug: Decimal | None

    @property
    def tonnes(self) -> Decimal | None:
        """Return the reduction; None if unknown. [tCO2e]"""
        return None if self.reduction_ug is None else self.reduction_ug * _T_PER_UG


_T_PER_UG = Decimal("0.000000000001")


def accounted(conn: Connection, project: str | None = None) -> list[Accounted]:
    """Return the account of all projects, or of one, by time."""
    rows = conn.execute(
        "SELECT project_id, timezone, source, min(day), max(day),"
        " tonne_clock(timezone, min(day)::timestamp), tonne_clock(timezone, max(day)::timestamp),"
        " sum(reduction_ug), sum(reduction_ug) FILTER (WHERE day > today - 30)"
        " FROM (SELECT *, tonne_clock(timezone, now())::date AS today FROM v_account_part"
        "   WHERE %(of)s::text IS NULL OR project_id = %(of)s) a"
        " GROUP BY project_id, timezone, source, date_trunc('month', day::timestamp),"
        "   CASE WHEN day > today - 3 THEN day END"
        " ORDER BY 4, 1",
        {"of": project},
    )
    return [Accounted(*row) for row in rows.fetchall()]


def added(decimals: Iterable[Decimal | None]) -> Decimal | None:
    """Return a sum; None without values."""
    known = [decimal for decimal in decimals if decimal is not None]
    return sum(known, Decimal(0)) if known else None


def percent(avoided: Decimal | None, expected: Decimal | None) -> int | None:
    """Return a share in whole per cent, rounded down; None if either value is unknown."""
    return None if avoided is None or not expected else int(avoided / expected * 100)


def project_years(conn: Connection, year: int, account: Sequence[Accounted]) -> list[ProjectYear]:
    """Return the figures of all projects in a year."""
    made: dict[str, list[Accounted]] = {}
    for part in account:
        if part.first.year == year:
            made.setdefault(part.project, []).append(part)
    rows = conn.execute(
        "SELECT p.id, p.name, p.system, EXISTS (SELECT FROM v_counted_project c"
        "   WHERE c.project_id = p.id), e.so_far, e.ahead, coalesce((SELECT"
        "   sum((v.vintage ->> 'credited_t')::numeric) FROM claim c"
        "   JOIN statement s ON s.id = c.statement_id CROSS JOIN LATERAL jsonb_array_elements("
        "     s.document #> '{credentialSubject,credited,vintages}') AS v (vintage)"
        "   WHERE c.project_id = p.id AND (v.vintage ->> 'year')::int = %(year)s), 0)::bigint"
        f" FROM project p{_YEAR} LEFT JOIN LATERAL"
        "   tonne_expected_spans(p.id, ARRAY[y.begins, y.ends]) e ON true ORDER BY p.id",
        {"year": year},
    )
    return [
        ProjectYear(
            project, name, system, counted, added(part.tonnes for part in made.get(project, ())),
            expected, ahead, issued,
        )
        for project, name, system, counted, expected, ahead, issued in rows
    ]  # fmt: skip


def estimates(conn: Connection, project: str | None = None) -> list[tuple[Any, ...]]:
    """
    Return, by project: methodology, version, expected kWh per year, and role, class and power of
    meters.
    """
    return conn.execute(
        "SELECT p.id, p.methodology, p.version, (p.expected ->> 'energy_kwh_per_year')::numeric,"
        " jsonb_agg(jsonb_build_array(m.role, d.class, d.rated_power_w)) FROM project p"
        " JOIN project_device m ON m.project_id = p.id AND m.during @> now()"
        " JOIN device d ON d.id = m.device_id"
        " WHERE p.expected ? 'energy_kwh_per_year' AND (%(of)s::text IS NULL OR p.id = %(of)s)"
        " GROUP BY p.id",
        {"of": project},
    ).fetchall()


def avoided_by_month(account: Sequence[Accounted], year: int) -> list[tuple[str, int, Decimal]]:
    """Return project, number of the month and tonnes of the accounted months of a year."""
    result: dict[tuple[str, int], Decimal] = {}
    for part in account:
        if part.first.year == year and part.tonnes is not None:
            at = part.project, part.first.month
            result[at] = result.get(at, Decimal(0)) + part.tonnes
    return [(*at, tonnes) for at, tonnes in result.items()]


def expected_by_month(conn: Connection, year: int) -> list[Decimal | None]:
    """
    Return the counted projects' expected tonnes of each month, past and future. [t]

    None without.
    """
    rows = conn.execute(
        "SELECT sum(coalesce(e.so_far, 0) + coalesce(e.ahead, 0))"
        " FROM generate_series(1, 12) b (month) LEFT JOIN (SELECT e.* FROM v_counted_project p"
        "   CROSS JOIN LATERAL (SELECT ARRAY(SELECT tonne_clock(p.timezone, m)"
        "     FROM generate_series(make_date(%(year)s, 1, 1)::timestamp,"
        "       make_date(%(year)s + 1, 1, 1)::timestamp, INTERVAL '1 month') m ORDER BY m)"
        "     AS edges OFFSET 0) y"
        "   CROSS JOIN LATERAL tonne_expected_spans(p.project_id, y.edges) e) e"
        " ON e.span = b.month GROUP BY b.month ORDER BY b.month",
        {"year": year},
    )
    return [value for (value,) in rows]


def main_sites(conn: Connection) -> dict[str, str]:
    """Return the site with most devices of each project."""
    rows = conn.execute(
        "SELECT DISTINCT ON (m.project_id) m.project_id, d.site FROM project_device m"
        " JOIN device d ON d.id = m.device_id GROUP BY m.project_id, d.site"
        " ORDER BY m.project_id, count(DISTINCT d.id) DESC, d.site"
    )
    return dict(rows.fetchall())


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a year's account from one source: projects, tonnes, first and last day."""

    source: str
    projects: int
    tonnes: Decimal | None
    first: date
    last: date


def parts(account: Sequence[Accounted], year: int, counted: Collection[str]) -> list[Part]:
    """Return the parts of the counted projects' account of a year, by source."""
    result: dict[str, list[Accounted]] = {}
    for part in account:
        if part.first.year == year and part.project in counted:
            result.setdefault(part.source, []).append(part)
    return [
        Part(
            source, len({part.project for part in some}), added(part.tonnes for part in some),
            min(part.first for part in some), max(part.last for part in some),
        )
        for source, some in sorted(result.items())
    ]  # fmt: skip


def changes(account: Sequence[Accounted], counted: Collection[str]) -> Change:
    """Return the tonnes of yesterday and the day before."""
    today = {zone: local_date(now_us(), zone) for zone in {part.timezone for part in account}}
    yesterday, before = (
        added(
            part.tonnes
            for part in account
            if part.project in counted and part.first == today[part.timezone] - timedelta(days=ago)
        )
        for ago in (1, 2)
    )
    return Change(yesterday, before)

"""Devices whose registers rise many times faster than their rated power, as if entered in kW."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from psycopg import Connection

from mrv.texts import Text, text
from services.store.postgres.timestamps import stamp

# nothing but a slip of a unit makes a register rise so many times faster, quarter by quarter
_TIMES = 10
_KILO = 1000
# Where most of the time has no known energy, the median of the register's own rises: what it
# stood at last is the line that waits, where one does.
_RISING = """
WITH doubted AS (
    SELECT q.device_id, q.quantity, d.rated_power_w
    FROM interval_quantity q JOIN device d ON d.id = q.device_id AND d.rated_power_w IS NOT NULL
    WHERE q.start >= %(begin)s AND q.start < %(end)s
        AND q.quantity IN ('energy_export', 'energy_import')
        AND (%(ids)s::text[] IS NULL OR q.device_id = ANY (%(ids)s))
    GROUP BY q.device_id, q.quantity, d.rated_power_w
    HAVING 2 * sum(q.unknown_us) > count(*) * 900000000
), stood AS (
    SELECT d.device_id, d.quantity, d.rated_power_w,
        CASE WHEN q.other_read >= q.register_read THEN q.other_value
            ELSE q.register_value END AS wh,
        greatest(q.register_read, q.other_read) AS read
    FROM doubted d JOIN interval_quantity q USING (device_id, quantity)
    WHERE q.start >= %(begin)s AND q.start < %(end)s AND q.register_read IS NOT NULL
), rises AS (
    SELECT device_id, quantity, rated_power_w, wh - lag(wh) OVER w AS wh,
        extract(epoch FROM read - lag(read) OVER w) AS seconds
    FROM stood WINDOW w AS (PARTITION BY device_id, quantity ORDER BY read)
)
SELECT device_id, rated_power_w,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY wh * 3600.0 / seconds)
FROM rises WHERE wh > 0 AND seconds > 0
GROUP BY device_id, quantity, rated_power_w ORDER BY device_id, quantity
"""


class Beyond(NamedTuple):
    """Device, its rated power, and the median power of its register's rise. [W]"""

    device: str
    rated_power_w: int
    rising_w: float

    def text(self) -> Text:
        """Return the text of the excess, and the remedy."""
        rated = self.rated_power_w
        return text(
            "MTR-01.unit_slip", device=self.device, rising=f"{self.rising_w:.0f}",
            times=f"{self.rising_w / rated:.0f}", rated=rated, kilo=rated * _KILO,
        )  # fmt: skip


def beyond_rating(
    conn: Connection, from_us: int, to_us: int, devices: Sequence[str] | None = None
) -> Iterator[Beyond]:
    """
    Yield devices whose registers rise many times faster than their rated power.

    Parameters
    ----------
    from_us, to_us : int
        End excluded. [us UTC]
    devices : sequence of str, optional
        All by default.
    """
    ids = None if devices is None else [*devices]
    arguments = {"begin": stamp(from_us), "end": stamp(to_us), "ids": ids}
    for row in conn.execute(_RISING, arguments):
        beyond = Beyond(*row)
        if beyond.rising_w >= _TIMES * beyond.rated_power_w:
            yield beyond

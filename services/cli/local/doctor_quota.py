"""What `tonne doctor` says of principals that send more than they may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.cli.local.doctor_finding import Finding
from services.cli.output.counts import counted

if TYPE_CHECKING:
    from psycopg import Connection

_NAMED = 3
_OVER = """
SELECT principal, sum(letters) FROM (
    SELECT principal, count(*) AS letters FROM dead_letter
    WHERE reason = 'rate' AND received > now() - interval '1 day' GROUP BY principal
    UNION ALL
    SELECT principal, letters FROM dead_letter_excess
    WHERE reason = 'rate' AND last > now() - interval '1 day'
) o GROUP BY principal ORDER BY sum(letters) DESC
"""


def quota(conn: Connection) -> Finding:
    """Name the principals that were over their quota within a day."""
    rows = conn.execute(_OVER).fetchall()
    if not rows:
        return Finding("quota", "ok", "no principal sent more than it may within a day")
    shown = ", ".join(f"{name or 'without a name'} {letters}" for name, letters in rows[:_NAMED])
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return Finding(
        "quota",
        "wrong",
        f"{counted(len(rows), 'principal')} over the quota within a day, messages: {shown}{more}",
        "mend the sender; for a large gateway raise TONNE_PRINCIPAL_MESSAGES_A_MINUTE or"
        " TONNE_PRINCIPAL_BYTES_A_MINUTE, then `tonne deadletter replay --reason rate`",
    )

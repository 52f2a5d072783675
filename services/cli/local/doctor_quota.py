"""What `tonne doctor` says of principals that send more than they may."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from services.cli.local.doctor_finding import Finding
from services.cli.output.counts import counted
from services.store.messages.dead_letter_write import ALL

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


_LEFT_OUT = """
SELECT principal, sum(letters) FROM dead_letter_excess
WHERE reason <> 'rate' AND last > now() - interval '1 day'
GROUP BY principal ORDER BY sum(letters) DESC
"""


def quota(conn: Connection) -> Finding:
    """Name the principals that were over their quota within a day."""
    if rows := conn.execute(_OVER).fetchall():
        return Finding(
            "quota",
            "wrong",
            f"{counted(len(rows), 'principal')} over the quota within a day, messages:"
            f" {_shown(rows)}",
            "mend the sender; for a large gateway raise TONNE_PRINCIPAL_MESSAGES_A_MINUTE or"
            " TONNE_PRINCIPAL_BYTES_A_MINUTE, then `tonne deadletter replay --reason rate`",
        )
    if rows := conn.execute(_LEFT_OUT).fetchall():
        return Finding(
            "quota",
            "wrong",
            "refused messages within a day that found no room, and were only counted:"
            f" {_shown(rows)}",
            f"mend the sender; `tonne deadletter list` shows what was kept, `{ALL}` is all"
            " principals together; TONNE_DEAD_LETTER_BYTES_A_DAY is the room of one",
        )
    return Finding("quota", "ok", "no principal sent more than it may within a day")


def _shown(rows: Sequence[TupleRow]) -> str:
    shown = ", ".join(f"{name or 'without a name'} {letters}" for name, letters in rows[:_NAMED])
    return shown + (f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else "")

"""
Wait until derived rows include all stored readings, since `tonne run`
derives them after storing.
"""

import psycopg

from tests.waiting import until

_WAITING = "SELECT device_id FROM v_underived LIMIT 5"


def derived(database_url: str, patience_s: float = 60) -> None:
    """Wait until no stored reading lacks its rows."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        until(
            lambda: not connection.execute(_WAITING).fetchall(),
            patience_s,
            lambda: connection.execute(_WAITING).fetchall(),
            0.02,
        )

"""
What to do after a server's error, by its SQLSTATE: wait, try again, or take it as refused.

Three cases: the server is away and the work waits for it; the work collided with
other work and is tried again; the server refuses what it was given.  Only the code
(SQLSTATE, PostgreSQL documentation, appendix A) tells them apart: psycopg's
`OperationalError` holds some of all three.
"""

from __future__ import annotations

from enum import Enum

import psycopg


class Verdict(Enum):
    """What to do after an error of the server."""

    WAIT = "wait"
    AGAIN = "again"
    REFUSED = "refused"


_WAIT = (
    "0800",  # connection exceptions; what is malformed (08P01) the server refuses again
    "57P0",  # shutdown, crash, cannot connect now, database dropped, session timeout
    "53100",  # disk full
    "53200",  # out of memory
    "53300",  # too many connections
    "25P03",  # idle in transaction for too long: we stood still, and were thrown out
    "25P04",  # transaction for too long: the same
    "25006",  # read only: another server has become the one that writes
)
_AGAIN = (
    "40001",  # serialization failure
    "40P01",  # deadlock
    "55P03",  # lock not available
    "57014",  # cancelled, by a time limit or by a person
)


def verdict(error: psycopg.Error) -> Verdict:
    """Return what to do after an error."""
    code = error.sqlstate
    if code is None:
        # psycopg's own: the connection is gone, or it could not even send what it was given
        away = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return Verdict.WAIT if away else Verdict.REFUSED
    if code.startswith(_WAIT) or error.diag.severity_nonlocalized in ("FATAL", "PANIC"):
        return Verdict.WAIT
    return Verdict.AGAIN if code in _AGAIN else Verdict.REFUSED


def words(error: psycopg.Error) -> str:
    """Return what the server said, in one line, with its code."""
    said = error.diag.message_primary or str(error) or type(error).__name__
    code = f" (SQLSTATE {error.sqlstate})" if error.sqlstate else ""
    return " ".join(said.split())[:500] + code

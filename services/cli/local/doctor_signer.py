"""What `tonne doctor` says of the process that signs, and of who could sign beside it."""

from __future__ import annotations

from psycopg import Connection

from services.cli.local.doctor_finding import Finding
from services.cli.output.counts import counted
from services.store.statements import signer_requests as queue

PATIENCE_S = 60.0
# the web's own login of deploy/ is to hold tonne_api alone
_BOTH = (
    "SELECT rolname FROM pg_roles WHERE rolname = 'tonne_service' AND NOT rolsuper"
    " AND pg_has_role(oid, 'tonne_mrv', 'MEMBER')"
)


def signer(conn: Connection) -> Finding:
    """Whether the signer answers requests, and no other process could sign."""
    waits = queue.waiting(conn)
    if waits.requests and waits.oldest_s > PATIENCE_S:
        verb = "waits" if waits.requests == 1 else "wait"
        return Finding(
            "signer",
            "wrong",
            f"{counted(waits.requests, 'request')} {verb}, the oldest for {waits.oldest_s:.0f} s",
            "start `tonne signer` with the log's key in TONNE_HOME/keys, and read its log",
        )
    if conn.execute(_BOTH).fetchone() is not None:
        return Finding(
            "signer",
            "wrong",
            "the login tonne_service, of the web process, may account and enrol keys",
            "run deploy/timescaledb/logins.sql again (compose: the service `logins`)",
        )
    last = queue.answered_last(conn)
    if last is None:
        return Finding("signer", "ok", "nothing was asked: processes sign with the key they have")
    return Finding(
        "signer", "ok", f"no request waits; the last was answered {last:%Y-%m-%d %H:%M}Z"
    )

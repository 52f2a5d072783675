"""Checks of `tonne doctor` on seals, time stamps, signer, webhooks and witnesses."""

from __future__ import annotations

from itertools import islice

from psycopg import Connection

from ingest.errors import InputError
from services.cli.local.doctor_servers import Finding
from services.cli.output import counted
from services.clock import now_us
from services.issuer import timestamps
from services.issuer.cosigning import Witnesses, look
from services.issuer.sealed_day_contents import PROMISED_US, ended, overdue
from services.settings import Settings
from services.store.api import webhooks as store
from services.store.registry import load as registry
from services.store.statements import late_readings, sealed_days, transparency_log
from services.store.statements import signer_requests as queue

_SHOWN = 3
_STAMP_S = 6 * 3600
_MONTH_US = 31 * 86_400_000_000
SIGNER_PATIENCE_S = 60.0
# the web's own login of deploy/ is to hold tonne_api alone
_BOTH = (
    "SELECT rolname FROM pg_roles WHERE rolname = 'tonne_service' AND NOT rolsuper"
    " AND pg_has_role(oid, 'tonne_mrv', 'MEMBER')"
)
EVENT_PATIENCE_S = 7200.0
_WHAT = "witnesses"
_LATE_S = 900


def seals(conn: Connection) -> Finding:
    """Return whether every day was sealed within 36 hours of its end."""
    now = now_us()
    jobs = ended(conn, registry.load_fleet(conn), now - PROMISED_US)
    unsealed = overdue(jobs, sealed_days.first_sealed(conn), now)
    late = unsealed.waiting
    if not late and (waits := _late_readings(conn, now - PROMISED_US)):
        fix = "`tonne log seal` seals them, or names manual changes on the same days"
        return Finding("seals", "wrong", waits, fix)
    if not late:
        lately = [job for job, at in unsealed.sealed_late if at.timestamp() * 1e6 > now - _MONTH_US]
        if not lately:
            return Finding("seals", "ok", "every day is sealed within 36 hours")
        return Finding(
            "seals",
            "ok",
            f"every day is sealed; {len(lately)} in the last 31 days later than "
            "36 hours after their end, for example after an import of old readings "
            "or while no process sealed",
        )
    more = f" and {len(late) - _SHOWN} more" if len(late) > _SHOWN else ""
    return Finding(
        "seals",
        "wrong",
        f"not sealed 36 hours after their end: {'; '.join(map(str, islice(late, _SHOWN)))}{more}",
        "run `tonne log seal` now, and `tonne run` or `tonne watch --seal` from now on",
    )


def _late_readings(conn: Connection, before_us: int) -> str:
    """Return devices whose late readings still await sealing, as text; '' for none."""
    waiting = [
        note for note in late_readings.waiting(conn) if note.noted.timestamp() * 1e6 < before_us
    ]
    if not waiting:
        return ""
    devices = ", ".join(islice(dict.fromkeys(note.device for note in waiting), _SHOWN))
    since = min(note.noted for note in waiting)
    return f"late readings of {devices} have waited for their seal since {since:%Y-%m-%d}"


def stamps(conn: Connection, settings: Settings) -> Finding:
    """Return whether sealed entries have time stamps of the configured authorities."""
    try:
        policy = timestamps.policy_of(settings)
    except InputError as error:
        return Finding("time stamps", "wrong", str(error), "correct the setting or the file")
    if policy is None:
        return Finding(
            "time stamps",
            "missing",
            "no time-stamp authority is configured, so only this machine's clock "
            "states when days were sealed",
            "set TONNE_TIMESTAMP_URLS and TONNE_TIMESTAMP_AUTHORITIES",
        )
    waits = timestamps.waiting_s(conn, policy.rule.threshold)
    if waits <= _STAMP_S:
        return Finding("time stamps", "ok", f"by {policy.rule.threshold} of {policy.asked}")
    return Finding(
        "time stamps",
        "wrong",
        f"entries sealed {waits / 3600:.0f} h ago were not stamped by {policy.rule.threshold} "
        f"of {policy.asked}",
        "run `tonne timestamp request`, which names the authorities not available",
    )


def signer(conn: Connection) -> Finding:
    """Return whether the signer answers, and whether another process could sign."""
    waits = queue.waiting(conn)
    if waits.requests and waits.oldest_s > SIGNER_PATIENCE_S:
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
            "the login tonne_service, of the web process, can account and enrol keys",
            "run deploy/timescaledb/logins.sql again (compose: the service `logins`)",
        )
    last = queue.answered_last(conn)
    if last is None:
        return Finding("signer", "ok", "no request: processes sign with their own key")
    return Finding(
        "signer", "ok", f"no request waits; the last was answered {last:%Y-%m-%d %H:%M}Z"
    )


def webhooks(conn: Connection) -> Finding:
    """Return whether events are delivered to their webhooks."""
    open_ones = [webhook for webhook in store.webhooks(conn) if webhook.ended is None]
    waits = store.waiting(conn)
    if not open_ones:
        return Finding("webhooks", "ok", "no webhook is registered")
    if waits.waiting and waits.oldest_s > EVENT_PATIENCE_S:
        return Finding(
            "webhooks",
            "wrong",
            f"{counted(waits.waiting, 'event')} not delivered, the oldest for"
            f" {waits.oldest_s / 3600:.0f} h",
            "see `tonne webhooks list`; run `tonne watch` with a login that holds tonne_events",
        )
    state = f"{counted(len(open_ones), 'webhook')}, {counted(waits.waiting, 'event')} in delivery"
    dead = sum(breaker.dead for breaker in open_ones)
    if dead:
        return Finding(
            "webhooks",
            "wrong",
            f"{state}; {counted(dead, 'event')} not delivered after all attempts",
            "see `tonne webhooks list`, then `tonne webhooks replay ID --dead`",
        )
    return Finding("webhooks", "ok", state)


def witnesses(conn: Connection, settings: Settings) -> Finding:
    """Return whether enough witnesses cosign the log's heads."""
    try:
        whom = Witnesses.by(settings)
    except InputError as error:
        return Finding(_WHAT, "wrong", str(error), "correct the file that it names")
    if whom is None:
        return Finding(
            _WHAT,
            "ok",
            "no witness is configured: only the log itself confirms its heads (docs/witnesses.md)",
        )
    outcomes = look(conn, whom)
    bad = [
        f"{name} {outcome.state}: {outcome.why}"
        for name, outcome in outcomes.items()
        if outcome.why
    ]
    if any(outcome.state == "contradicts" for outcome in outcomes.values()):
        return Finding(
            _WHAT,
            "wrong",
            "; ".join(bad),
            "issue no statement; run `tonne log audit` with a head that the witness has",
        )
    lacks = whom.policy.lacks(
        [whom.asked[n].key for n, outcome in outcomes.items() if outcome.state == "cosigned"]
    )
    waiting_s = transparency_log.waiting_s(conn)
    if outcomes and lacks is not None:
        return Finding(
            _WHAT,
            "wrong",
            f"the last head lacks {lacks}; {'; '.join(bad)}",
            "ask the witness's operator; statements are still issued until then"
            + (" not at all" if whom.waits else " without enough cosignatures"),
        )
    if waiting_s > _LATE_S:
        return Finding(
            _WHAT,
            "wrong",
            f"witnesses answer, and no process has asked them for {waiting_s / 60:.0f} minutes",
            "run `tonne run` or `tonne watch --seal` with TONNE_WITNESS_POLICY",
        )
    names = ", ".join(outcomes) or "none yet, as the log is empty"
    return Finding(_WHAT, "ok", f"cosigned by {names}" + (f"; {'; '.join(bad)}" if bad else ""))

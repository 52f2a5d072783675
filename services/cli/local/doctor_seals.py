"""What `tonne doctor` says of days that wait for their seal, and seals for their time stamp."""

from __future__ import annotations

from itertools import islice

from psycopg import Connection

from ingest.errors import InputError
from services.cli.local.doctor_finding import Finding
from services.clock import now_us
from services.issuer import timestamps
from services.issuer.sealed_day_contents import PROMISED_US, ended, overdue
from services.settings import Settings
from services.store.registry import load as registry
from services.store.statements import late_readings
from services.store.statements import sealed_days as stored

_SHOWN = 3
_STAMP_S = 6 * 3600
_MONTH_US = 31 * 86_400_000_000


def seals(conn: Connection) -> Finding:
    """Whether every day is sealed within 36 hours of its end."""
    now = now_us()
    jobs = ended(conn, registry.load_fleet(conn), now - PROMISED_US)
    found = overdue(jobs, stored.first_sealed(conn), now)
    late = found.waiting
    if not late and (waits := _late_readings(conn, now - PROMISED_US)):
        fix = "`tonne log seal` seals them, or names what was changed by hand on the same days"
        return Finding("seals", "wrong", waits, fix)
    if not late:
        lately = [job for job, at in found.sealed_late if at.timestamp() * 1e6 > now - _MONTH_US]
        if not lately:
            return Finding("seals", "ok", "every day is sealed within 36 hours")
        return Finding(
            "seals",
            "ok",
            f"every day is sealed; {len(lately)} in the last 31 days later than 36 hours after"
            " their end, as after an import of old readings or while no process sealed",
        )
    more = f" and {len(late) - _SHOWN} more" if len(late) > _SHOWN else ""
    return Finding(
        "seals",
        "wrong",
        f"not sealed 36 hours after their end: {'; '.join(map(str, islice(late, _SHOWN)))}{more}",
        "run `tonne log seal` now, and `tonne run` or `tonne watch --seal` from now on",
    )


def _late_readings(conn: Connection, before_us: int) -> str:
    """Say whose late readings were noted before a time and wait still; '' for none."""
    found = [one for one in late_readings.waiting(conn) if one.noted.timestamp() * 1e6 < before_us]
    if not found:
        return ""
    devices = ", ".join(islice(dict.fromkeys(one.device for one in found), _SHOWN))
    since = min(one.noted for one in found)
    return f"late readings of {devices} wait for their seal since {since:%Y-%m-%d}"


def stamps(conn: Connection, settings: Settings) -> Finding:
    """Whether what is sealed was stamped by the authorities that are asked."""
    try:
        policy = timestamps.policy_of(settings)
    except InputError as error:
        return Finding("time stamps", "wrong", str(error), "correct the setting or the file")
    if policy is None:
        return Finding(
            "time stamps",
            "missing",
            "no authority is asked, so that only this machine's clock says when days were sealed",
            "set TONNE_TIMESTAMP_URLS and TONNE_TIMESTAMP_AUTHORITIES",
        )
    waits = timestamps.waiting_s(conn, policy.rule.threshold)
    if waits <= _STAMP_S:
        return Finding("time stamps", "ok", f"by {policy.rule.threshold} of {policy.asked}")
    return Finding(
        "time stamps",
        "wrong",
        f"what was sealed {waits / 3600:.0f} h ago was not stamped by {policy.rule.threshold} of"
        f" {policy.asked}",
        "run `tonne timestamp request`, which names who is away",
    )

"""Events in the field, and a run of the watcher after them."""

from datetime import UTC, datetime

from services.store.views import alarms, fleet_metrics

HOUR = 3600
# days are the site's: by UTC it is yesterday until seven in the morning
_TODAY = "SELECT (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date"


def site_today(conn):
    return conn.execute(_TODAY).fetchone()[0]


def heard(conn, ago_s, *names):
    """Set the age of devices' last readings."""
    conn.execute(
        "UPDATE device_seen SET last_reading = now() - %(s)s * interval '1 s',"
        " received = now() - %(s)s * interval '1 s' WHERE device_id = ANY (%(d)s)",
        {"d": list(names), "s": ago_s},
    )


def sun(conn, hour):
    """Move the site to the equator where it is this hour by solar time."""
    now = datetime.now(UTC)
    east = (hour - now.hour - now.minute / 60) * 15
    conn.execute("UPDATE site SET latitude = 0, longitude = %s", [(east + 540) % 360 - 180])


def says(conn, name, state, ago_s=0):
    """Let a principal have reported that it is online or offline."""
    conn.execute(
        "INSERT INTO principal_status VALUES (%(n)s, %(w)s, now() - %(s)s * interval '1 s')"
        " ON CONFLICT (principal) DO UPDATE SET said = excluded.said, at = excluded.at",
        {"n": name, "w": state, "s": ago_s},
    )


def watch(conn):
    """Run the watcher once."""
    conn.execute("SET ROLE tonne_mrv")
    try:
        return fleet_metrics.raise_alarms(conn)
    finally:
        conn.execute("RESET ROLE")


def standing(conn, scope=None, states=("open", "acknowledged")):
    """Return kind and subject of the alarms in these states."""
    found = alarms.listed(conn, scope, 100, states=states)
    return {(one["kind"], one["subject"]) for one in found}


def aged(conn):
    """Let the time be taken for which a cause must be absent."""
    conn.execute("ALTER TABLE alarm DISABLE TRIGGER alarm_life")
    conn.execute(
        "UPDATE alarm SET ending_since = ending_since - interval '1 day',"
        " raised = raised - interval '2 days' WHERE ending_since IS NOT NULL"
    )
    conn.execute("ALTER TABLE alarm ENABLE TRIGGER alarm_life")

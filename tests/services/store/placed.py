"""Rows of a registry put in by hand, where a test needs no more of them than these."""

LIFE = "2020-01-01", "2040-01-01"


def site(conn, timezone="Asia/Ho_Chi_Minh", at=(20.9, 106.6)):
    """Put the site `s`."""
    conn.execute("INSERT INTO site VALUES ('s', 'S', %s, %s, %s)", [*at, timezone])


def device(conn, name, class_id="pv_inverter", **columns):
    """Put a device at the site; `columns` are what else is known of it."""
    known = {"id": name, "site": "s", "class": class_id, "profile": "generic"}
    row = {**known, "installed": "2020-01-01Z", **columns}
    places = ", ".join(["%s"] * len(row))
    conn.execute(f"INSERT INTO device ({', '.join(row)}) VALUES ({places})", list(row.values()))


def project(conn, name, methodology="jcm-vn-am007", version="1.0"):
    """Put a project that credits all the time."""
    conn.execute(
        "INSERT INTO project (id, name, methodology, version, timezone, crediting, crediting_from,"
        " crediting_to) VALUES (%s, 'P', %s, %s, 'Asia/Ho_Chi_Minh', tstzrange(%s, %s), %s, %s)",
        [name, methodology, version, *LIFE, *LIFE],
    )


def serve(conn, project_id, name, position, role="generation"):
    """Let a device serve a project all the time."""
    conn.execute(
        "INSERT INTO project_device (project_id, device_id, role, position, during)"
        " VALUES (%s, %s, %s, %s, tstzrange(%s, %s))",
        [project_id, name, role, position, *LIFE],
    )


def on_time(conn, *names):
    """Let a reading of each device have come on time once."""
    conn.execute(
        "INSERT INTO clock_lag SELECT d, '2020-01-02', 1000000 FROM unnest(%s::text[]) d"
        " ON CONFLICT DO NOTHING",
        [list(names)],
    )


def heard(conn, name, ago_s):
    """Set the age of a device's last reading, which arrived on time. [s]"""
    on_time(conn, name)
    conn.execute(
        "INSERT INTO device_seen VALUES (%(d)s, now() - %(s)s * interval '1 s',"
        " now() - %(s)s * interval '1 s', '-infinity', repeat('0', 100)::bit(100))"
        " ON CONFLICT (device_id) DO UPDATE SET last_reading = excluded.last_reading,"
        " received = excluded.received",
        {"d": name, "s": ago_s},
    )

"""A sealed plant and its archive in a folder."""

import numpy as np

from services import archive as runs
from services.issuer.pack import export
from services.processing.rebuild import rebuild
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from tests.services.issuer import logged, plant

LATER = plant.us("2026-03-06T12:00:00+07:00")
SHELF, PACK = "archive", "pack"
TABLES = ("reading_pv_inverter", "reading_ev_charger", "reading_vehicle")


def sealed(url, folder):
    """Seal three days of a plant without gaps; return the signers."""
    plant.register(url, folder)
    plant.fill_pv(url, minutes=15, silent=False)
    plant.fill_buses(url)
    who = logged.signers(url, folder)
    logged.seal_now(url, who)
    return who


def shelved(url, folder):
    """Archive all of that plant; return the signers."""
    who = sealed(url, folder)
    archive(url, folder / SHELF)
    return who


def packed(url, folder):
    """Issue a statement of that plant and export its pack; return the signers."""
    who = shelved(url, folder)
    export_pack(url, logged.issue(url, who, "2026-03-01", "2026-03-04"), folder / PACK)
    return who


def export_pack(url, name, out):
    """Write a statement's evidence pack; return its folder."""
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        return export(conn, name, out)


def archive(url, place, before=LATER):
    """Run the archive."""
    with connect(url, role="tonne_archive", autocommit=True) as conn:
        return runs.run(conn, str(place), before)


def hot(url):
    """Return the number of readings in the database."""
    with connect(url) as conn:
        return [conn.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in TABLES]


def underived(url):
    """Return the derived rows that do not follow from the readings, archived or not."""
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        plan = plant.store_of(conn).plan
        return rebuild(conn, plan, range(len(plan.fleet)), 0, plant.us("2027-01-01"), replace=False)


def send(url, device, times_us, **columns):
    """Store readings of a device that came as one message; refusals become dead letters."""
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store = plant.store_of(conn)
        index = store.plan.fleet.by_id[device]
        class_id = store.plan.fleet.devices[index].class_id
        frame = plant.frame(class_id, index, np.asarray(times_us, dtype=np.int64), **columns)
        letters = Letters([f"tonne/v1/{device}/telemetry"], [b"{}"], [None], [False], logged.NOW)
        return store.commit(conn, [frame], [], letters)

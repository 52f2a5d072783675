"""Power readings of an inverter, stored as the pipeline stores them."""

import numpy as np

from ingest import classes
from ingest.model import NULL, Frame
from mrv import factors
from services.processing.commit import Store
from services.settle import Plan
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.registry.load import load_fleet, load_projects


def commit(database_url, device, times_us, power, received_us=None, export_wh=None):
    """Store power readings of a device in one batch, received at once or at separate times."""
    with connect(database_url, role="tonne_ingest", autocommit=True) as conn:
        plan = Plan.of(load_fleet(conn), load_projects(conn), factors.load())
        n = len(times_us)
        columns = {
            name: np.full(n, NULL) if c.kind == "register" else np.full(n, np.nan)
            for name, c in classes.load()["pv_inverter"].channels.items()
        } | {"active_power_w": np.asarray(power, dtype=np.float64)}
        if export_wh is not None:
            columns["energy_export_wh"] = np.asarray(export_wh, dtype=np.int64)
        index = np.full(n, plan.fleet.by_id[device], dtype=np.int32)
        frame = Frame("pv_inverter", index, times_us, np.arange(n, dtype=np.int32), columns)
        received = int(times_us.max()) if received_us is None else received_us
        letters = Letters(["t"] * n, [b"x"] * n, [None] * n, [False] * n, received)
        return Store(plan).commit(conn, [frame], [], letters)

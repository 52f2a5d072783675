"""
Set readings aside that cannot be judged while the archive cannot be read.

Those of archived times; if there are none, those of devices whose history is
all archived.  They become dead letters, to be replayed once it can be read:
the readings of today must not wait for that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from psycopg import Connection

from ingest.decode import Rejected
from ingest.model import Fleet, Int64
from ingest.pipeline.meter_state import NEVER
from services.processing.batch import Batch
from services.store.archive import archived_readings as cold
from services.store.archive import catalog as archived
from services.store.postgres.timestamps import FAR_US


def without_archived(connection: Connection, fleet: Fleet, batch: Batch, why: str) -> Batch:
    """Return a batch in which these readings are refused; the same where there are none."""
    last = _last_archived(connection, fleet, batch)
    young, refused = [], []
    for frame in batch.frames:
        old = frame.time_us <= last[frame.device]
        young.append(frame.take(~old))
        refused += [
            Rejected(int(m), "archive_unusable", why) for m in np.unique(frame.message[old])
        ]
    if not refused:
        return batch
    kept = [frame for frame in young if len(frame)]
    return replace(batch, frames=kept, rejected=[*batch.rejected, *refused], trust=True)


def _last_archived(connection: Connection, fleet: Fleet, batch: Batch) -> Int64:
    """Up to when each device's readings, by fleet index, cannot be judged. [us UTC]"""
    index = sorted({int(d) for frame in batch.frames for d in np.unique(frame.device)})
    with connection.cursor() as cursor:
        reach = archived.reach(cursor, fleet.ids(index))
        known = [fleet.by_id[name] for name in reach]
        lone = cold.lonely(cursor, fleet, known)
    last = np.full(len(fleet), NEVER, dtype=np.int64)
    last[known] = [us for _, us in reach.values()]
    if not any((frame.time_us <= last[frame.device]).any() for frame in batch.frames):
        last[lone] = FAR_US
    return last

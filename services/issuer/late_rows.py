"""A day's readings without late ones: what its seal holds, unless rows were changed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from psycopg import Cursor

from ingest.model import NULL, Fleet, Frame
from mrv.signatures.day_digests import DayLeaf
from mrv.statement import evidence_rows
from mrv.statement.device_days import reading_leaves
from services.issuer.sealed_day_contents import Job
from services.store.statements import late_readings
from services.store.statements.late_readings import Late, Notes
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks


def noted(cursor: Cursor, job: Job) -> Notes:
    """Return what was noted of a day's readings that its last seal does not hold."""
    name = late_readings.name_of(job.project, job.day)
    return late_readings.of_day(cursor, name, job.devices, job.from_us, job.to_us)


def without_late(
    cursor: Cursor, fleet: Fleet, job: Job, leaves: Sequence[DayLeaf], late: Mapping[str, Late]
) -> list[DayLeaf]:
    """
    Return the leaves of a day's readings as they are without those that came late.

    Parameters
    ----------
    leaves : sequence of DayLeaf
        Of all of the day's readings, in the snapshot of the cursor.
    late : mapping of str to Late
        What was noted, by device.
    """
    found = [leaf for leaf in leaves if leaf.device not in late]
    index = [fleet.by_id[name] for name in late if name in fleet.by_id]
    for class_id, members in marks.by_class(fleet, index).items():
        after = dict.fromkeys(members, job.from_us - 1)
        frame = readings.fetch(cursor, fleet, class_id, after, job.to_us)
        for block in evidence_rows.blocks(_before(frame, fleet, late)):
            found += reading_leaves(fleet, block, job.timezone)
    return found


def _before(frame: Frame, fleet: Fleet, late: Mapping[str, Late]) -> Frame:
    """Readings as they were: without new ones, and empty where a channel was filled."""
    kept = np.ones(len(frame), dtype=np.bool_)
    columns = dict(frame.columns)
    for device in np.unique(frame.device).tolist():
        one = late[fleet.devices[device].id]
        own = np.flatnonzero(frame.device == device)
        kept[own[np.isin(frame.time_us[own], one.added)]] = False
        for channel, times in one.filled.items():
            values = columns[channel].copy()
            values[own[np.isin(frame.time_us[own], times)]] = (
                NULL if values.dtype == np.int64 else np.nan
            )
            columns[channel] = values
    return Frame(frame.class_id, frame.device, frame.time_us, frame.message, columns).take(kept)

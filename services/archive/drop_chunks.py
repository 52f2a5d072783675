"""
Drop chunks of the database of which everything is in the archive.

All that a chunk holds is read again from both places, and must be the same.  Then
a function of the database looks once more, under a lock, and drops it.
"""

from __future__ import annotations

from mrv.calendar import utc_text
from services.archive.context import Run, leaves_of, read_day
from services.archive.throttle import batches
from services.issuer.close import snapshot
from services.store.archive import catalog as archived
from services.store.archive.catalog import Chunk
from services.store.statements import late_readings


def drop(now: Run, chunk: Chunk) -> None:
    """Drop a chunk if all of it is in the archive, read again from both places."""
    what = f"{chunk.class_id} from {utc_text(chunk.from_us)} to {utc_text(chunk.to_us)}"
    trouble = _proof(now, chunk)
    if trouble:
        now.report.waiting.append(f"{what}: {trouble}")
        return
    why = archived.drop(now.conn, chunk)
    if why:
        now.report.waiting.append(f"{what}: {_REASONS.get(why, why)}")
    else:
        now.report.dropped.append(what)


_REASONS = {
    "readers": "old readings are being read or written; the next run tries again",
    "late": "late readings wait for their seal; `tonne log seal`, then run again",
    "held": "held since it was restored",
    "sealed again": "days in it are not archived as they were sealed last; run again",
}


def _proof(now: Run, chunk: Chunk) -> str:
    """What speaks against dropping a chunk; '' for nothing."""
    with now.conn.cursor() as cursor:
        if archived.held(cursor, chunk):
            return _REASONS["held"]
        every = [d.id for d in now.fleet.devices if d.class_id == chunk.class_id]
        found = archived.newest(
            archived.parts(cursor, chunk.class_id, every, chunk.from_us, chunk.to_us)
        )
    if not found:
        return "nothing of it is archived yet: days are once they are sealed, by `tonne log seal`"
    for one in found:
        for leaves in batches(one.leaves.values()):
            some = [leaf.device for leaf in leaves]
            with snapshot(now.conn), now.conn.cursor() as cursor:
                frame = read_day(cursor, now.fleet, chunk.class_id, some, one.day)
                late = late_readings.waits(cursor.connection, some, one.day.from_us, one.day.to_us)
            now.pace.did(len(frame))
            same = {leaf.device: leaf for leaf in leaves_of(now.fleet, frame, one.day)}
            wrong = [name for name in some if same.get(name) != one.leaves[name]]
            if late:
                return _REASONS["late"]
            if wrong:
                return f"device {wrong[0]} on {one.day.day} has readings that no part holds"
    return ""

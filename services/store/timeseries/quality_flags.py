"""Stored quality flags of readings, which are derived rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from psycopg import Cursor

from ingest.model import Fleet
from ingest.pipeline.quality_limits import CHANNEL_INDEX, CHANNELS, TEST_INDEX, TESTS, Flags
from services.store.postgres import nearest_rows as near
from services.store.postgres.binary_copy import Text, Time, Words, encode
from services.store.postgres.timestamps import stamp

_CHANNEL_WORDS = Words.of(CHANNELS)
_TEST_WORDS = Words.of(TESTS)
_COLUMNS = "device_id, time, channel, test"


def count(flags: Flags) -> Counter[str]:
    """Return the number of flags by test."""
    result = np.bincount(flags.test, minlength=len(TESTS)).tolist()
    return Counter({test: n for test, n in zip(TESTS, result, strict=True) if n})


def write(cursor: Cursor, ids: Words, flags: Flags) -> None:
    """Store flags that are known to be new."""
    if not len(flags):
        return
    data = encode(
        [
            Text(ids, flags.device),
            Time(flags.time_us),
            Text(_CHANNEL_WORDS, flags.channel),
            Text(_TEST_WORDS, flags.test),
        ],
        len(flags),
    )
    with cursor.copy(f"COPY quality_flag ({_COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(data)


def clear(cursor: Cursor, fleet: Fleet, spans: Mapping[int, tuple[int, int]]) -> Counter[str]:
    """Delete these devices' flags in their spans, ends excluded; return the numbers by test."""
    if not spans:
        return Counter()
    begin, end = min(us for us, _ in spans.values()), max(us for _, us in spans.values())
    cursor.execute(
        "DELETE FROM quality_flag f"
        " USING unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) AS d (id, begins, until)"
        " WHERE f.device_id = d.id AND f.time >= d.begins AND f.time < d.until"
        f"{near.within('f.time', begin, end)} RETURNING f.test",
        (
            fleet.ids(list(spans)),
            *([stamp(span[edge]) for span in spans.values()] for edge in (0, 1)),
        ),
        prepare=False,
    )
    return Counter(test for (test,) in cursor.fetchall())


def stored(cursor: Cursor, fleet: Fleet, devices: Sequence[int], from_us: int, to_us: int) -> Flags:
    """Return stored flags of devices for readings in [from, to)."""
    cursor.execute(
        "SELECT device_id, (extract(epoch FROM time) * 1000000)::bigint, channel, test"
        " FROM quality_flag WHERE device_id = ANY(%s) AND time >= %s AND time < %s"
        " ORDER BY device_id, time, channel, test",
        (fleet.ids(list(devices)), stamp(from_us), stamp(to_us)),
    )
    rows = cursor.fetchall()
    device, time_us, channel, test = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Flags(
        np.array([fleet.by_id[d] for d in device], dtype=np.int32),
        np.array(time_us, dtype=np.int64),
        np.array([CHANNEL_INDEX[c] for c in channel], dtype=np.int16),
        np.array([TEST_INDEX[t] for t in test], dtype=np.int16),
    )

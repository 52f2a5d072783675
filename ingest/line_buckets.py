"""
Put readings of Sparkplug and other decoders into the buckets of `decode`.

A message by exception tells what has changed, and mostly of more than tonne
keeps: one without a known channel is no fault, but a birth without any is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from ingest import columns
from ingest.columns import Bucket, Key, Rejected
from ingest.errors import PayloadError
from ingest.formats.row_reading import Given
from ingest.model import Device, Fleet
from ingest.reading import MAX_MS, Names

_LAST = 1 << 60  # after all that came before in a batch
_UNKNOWN = Bucket("", "", ())


def place(
    fleet: Fleet,
    route: Callable[[str], int],
    given: Iterable[Given],
    buckets: dict[Key, Bucket],
    rejected: list[Rejected],
) -> None:
    """
    Put readings into buckets; what cannot be used of them is refused.

    Parameters
    ----------
    route : callable
        Topic to fleet index; raises PayloadError.
    """
    order = _LAST
    known: dict[tuple[int, Names], Bucket | None] = {}
    for one in given:
        try:
            index = route(one.topic)
        except PayloadError as error:
            rejected.append(Rejected(one.message, error.reason, error.detail))
            continue
        if one.refused or one.declares:
            _refuse(one, fleet.devices[index], rejected)
        for line in one.lines:
            where = index, line.of
            bucket = known.get(where, _UNKNOWN)
            if bucket is _UNKNOWN:
                bucket = known[where] = _bucket(fleet.devices[index], line.of, buckets)
            if bucket is None:
                continue
            ts = line.ts
            if not -MAX_MS < ts < MAX_MS:
                detail = f"timestamp {ts} is no epoch milliseconds"
                rejected.append(Rejected(one.message, "time_invalid", detail))
                continue
            bucket.time.append(ts * 1000)
            bucket.device.append(index)
            bucket.message.append(one.message)
            bucket.order.append(order)
            bucket.flat.extend(line.numbers)
            order += 1


def _bucket(device: Device, of: Names, buckets: dict[Key, Bucket]) -> Bucket | None:
    """Bucket of readings alike; None where the profile knows none of their names."""
    if not holds(device.class_id, device.profile, of):
        return None
    key = columns.key(device.class_id, device.profile, of)
    bucket = buckets.get(key)
    if bucket is None:
        bucket = buckets[key] = Bucket(*key)
    return bucket


def _refuse(given: Given, device: Device, rejected: list[Rejected]) -> None:
    """Refuse what the profile knows and was not usable, and a birth without anything known."""
    where = device.class_id, device.profile
    for name, reason, detail in given.refused:
        if not name or holds(*where, Names("", (name,))):
            rejected.append(Rejected(given.message, reason, detail))
    if given.declares is not None and not holds(*where, given.declares):
        detail = f"{', '.join(given.declares.names)[:200] or 'no metric'}; see the profile"
        rejected.append(Rejected(given.message, "no_known_channel", detail))


@lru_cache(maxsize=16_384)
def holds(class_id: str, profile_id: str, of: Names) -> bool:
    """Tell whether a profile knows any of these names."""
    known = columns.slots(class_id, profile_id)
    return any(path in known for path in columns.key(class_id, profile_id, of)[2])

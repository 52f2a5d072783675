"""
Sparkplug's messages in records: a bridge passes them on unread, here they are.

Bridges that share a subscription each see a part of a node's messages, and none
could number them.  The records of a node are of one partition, so the worker
that holds it has them all, with the database beside it that keeps the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ingest.decode import SPARKPLUG
from ingest.model import Fleet
from ingest.mqtt.topics import Router
from ingest.pipeline.admit import admit
from ingest.wire import Parcel
from services.intake.sparkplug import Turn
from services.stream.records import Spoiled

MISSING = ("birth_missing", "sequence_gap")


def read_nodes(
    turn: Turn, found: Sequence[Parcel | Spoiled], fleet: Fleet
) -> list[Parcel | Spoiled]:
    """Return parcels with what their Sparkplug messages say; anew with each call."""
    turn.begin()
    out: list[Parcel | Spoiled] = []
    for one in found:
        if isinstance(one, Parcel) and SPARKPLUG in one.codecs:
            theirs = np.array([codec == SPARKPLUG for codec in one.codecs])
            rest = one.take(np.flatnonzero(~theirs).astype(np.int32))
            out += [rest] if len(rest) else []
            out.append(_read(turn, one.take(np.flatnonzero(theirs).astype(np.int32)), fleet))
        else:
            out.append(one)
    return out


def _read(turn: Turn, parcel: Parcel, fleet: Fleet) -> Parcel:
    refused = {refusal.message for refusal in parcel.rejected}
    left = [k for k in range(len(parcel)) if k not in refused]
    given = turn.read(fleet, parcel, left)
    admitted = admit(
        fleet,
        Router(fleet).route,
        parcel.topics,
        parcel.payloads,
        parcel.content_types,
        parcel.received_us,
        given,
    )
    parcel.frames = admitted.frames
    parcel.rejected += admitted.rejected + turn.outcome.rejected
    _append(parcel, turn)
    return parcel


def swept(turn: Turn, fleet: Fleet, names: Iterable[str], now_us: int) -> Parcel:
    """Return what is decided of messages that have waited too long at these nodes."""
    turn.sweep(list(names), now_us)
    admitted = turn.admit_released(Router(fleet), now_us)
    parcel = Parcel([], [], [], [], [], now_us, admitted.frames, admitted.rejected)
    _append(parcel, turn)
    return parcel


def _append(parcel: Parcel, turn: Turn) -> None:
    """Put messages of earlier records that were decided now behind a parcel's own."""
    for one in turn.outcome.released:
        parcel.topics.append(one.topic)
        parcel.payloads.append(one.payload)
        parcel.content_types.append(None)
        parcel.repeated.append(False)
        parcel.codecs.append(SPARKPLUG)

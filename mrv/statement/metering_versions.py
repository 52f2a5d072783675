"""
Versions of the metering rules, and the function of each.

A statement names the metering version of its intervals; version 1 if absent.  Old versions never
change, so that signed statements can always be recalculated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ingest import pipeline
from ingest.metering_v1 import meter as first
from ingest.metering_v1 import register_bounds as first_bounds
from ingest.metering_v1 import register_bounds as first_state
from ingest.model import Fleet, Frame, IntervalRows
from ingest.pipeline import METERING
from mrv.documents.form import UNSET
from mrv.errors import CanonicalError

if TYPE_CHECKING:
    from mrv.documents.statement import Claims

    Meter = Callable[[Sequence[Frame]], IntervalRows]

FIRST = 1
# Rules of metering and accounting that were replaced count for periods that end by then: a
# statement names its rules itself, and could else choose those that credit more for ever.  The
# year has ended everywhere by that hour.
OLDER_UNTIL = "2027-01-01T12:00:00Z"


def of_claims(claims: Claims) -> int:
    """
    Return the version of metering of a statement.

    Raises
    ------
    CanonicalError
        If this release does not know it.
    """
    version = FIRST if claims.metering is UNSET else claims.metering
    if version not in (FIRST, METERING):
        raise CanonicalError(
            f"the statement was metered by version {version!r}, but this version "
            f"of tonne supports {FIRST} and {METERING}; verify it with the version "
            "that made it, or a newer one"
        )
    return version


def of_first_release(claims: Claims) -> bool:
    """Return whether a statement was made by the rules of tonne 0.1.0, which named no versions."""
    return claims.metering is UNSET and claims.accounting is UNSET


def meter_of(version: int, fleet: Fleet) -> Meter:
    """Return interval rows of a fleet's complete histories, by the rules of a version."""
    if version == FIRST:
        old = first_bounds.Bounds(fleet)
        return lambda frames: first.meter(old, first_state.MeterState(len(fleet)), frames).rows
    bounds = pipeline.Bounds(fleet)
    return lambda frames: pipeline.meter(bounds, pipeline.MeterState(len(fleet)), frames).rows

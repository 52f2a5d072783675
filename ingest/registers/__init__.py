"""
Energy between readings of a cumulative register (metering, version 2).

No evidence, no energy: a step counts where readings carry it.  Where two stories fit, the
smaller one is the value, and as much time is unknown as the difference takes at the rating.
What each case is worth stands in `WORTH`; what unknown time costs depends on the side of the
account, and mrv/accounting/coverage knows it.
"""

from ingest.registers.lines import (
    EVENTS,
    KNOWN,
    MARGIN,
    MARGIN_RATED,
    RETIRED_US,
    SPREAD_US,
    UNKNOWN,
    Mark,
    Meter,
    Other,
    Step,
    Trail,
    clean,
    fell,
    rates,
    wrap,
)
from ingest.registers.reader import Reader
from ingest.registers.worth import WORTH

__all__ = [
    "EVENTS",
    "KNOWN",
    "MARGIN",
    "MARGIN_RATED",
    "RETIRED_US",
    "SPREAD_US",
    "UNKNOWN",
    "WORTH",
    "Mark",
    "Meter",
    "Other",
    "Reader",
    "Step",
    "Trail",
    "clean",
    "fell",
    "rates",
    "wrap",
]

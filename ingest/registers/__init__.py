"""
Energy between readings of a cumulative register (metering, version 2).

No evidence, no energy: a step counts where readings carry it, and the smaller of two
stories holds until readings decide.  What each case is worth stands in `WORTH`; what an
unknown step costs depends on the side of the account, and mrv/accounting/coverage knows it.
"""

from ingest.registers.lines import RETIRED_US, SPREAD_US, Mark, Other, Trail
from ingest.registers.meter import (
    EVENTS,
    KNOWN,
    MARGIN,
    MARGIN_RATED,
    UNKNOWN,
    Meter,
    Step,
    clean,
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
    "rates",
    "wrap",
]

"""
Energy between readings of a cumulative register (metering, version 2).

A step counts only if readings support it.  If two explanations are possible, the smaller quantity
is used, and the time that the difference would take at rated power becomes unknown. `WORTH` has the
rule of each case; mrv/accounting/coverage applies the deduction for unknown time.
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

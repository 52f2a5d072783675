"""
Energy between readings of a cumulative register (metering, version 2).

A step counts only if readings support it.  If two explanations are possible, the smaller quantity
is used, and the time that the difference would take at rated power becomes unknown. `WORTH` has the
rule of each case; mrv/accounting/coverage applies the deduction for unknown time.

Quantity counted for each kind of register step, and the reason.
"""

from __future__ import annotations

from typing import NamedTuple

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


class Worth(NamedTuple):
    """Kind of register step: the event, the counted quantity, and the reason."""

    happens: str
    counts: str
    why: str


# tests/ingest/test_worth.py has an example of each line; ingest/README.md shows them
WORTH = (
    Worth(
        "rise within what the device can produce in an hour",
        "the rise",
        "a later contradicting reading cancels it",
    ),
    Worth(
        "fall within the tolerance of the class",
        "0; the highest value remains the reference",
        "the register jitters; a fall below 1,000 base units (1 kWh, 1 kg, 1 L) from or to a"
        " multiple of them is one register in two resolutions",
    ),
    Worth(
        "larger rise that the time since the last rise allows (for solar: its daylight)",
        "unknown until two more readings agree; then the rise, spread over at most a week",
        "a single wrong high reading has the same form",
    ),
    Worth(
        "readings within moments of each other after more than an hour without any, which rise "
        "faster than the meter can",
        "the rise to the highest one, over the time without readings, if that could hold it",
        "a gateway without a clock stamps readings that it kept with the time of sending",
    ),
    Worth(
        "fall to the register's value of a time within the week before",
        "the rise since that time; the time unknown is the time that the climb "
        "would take at rated power",
        "the readings above were too high, or the meter was reset after them",
    ),
    Worth(
        "fall to the start of a climb of eight rises or more",
        "as a fall to about zero; from the second at the same time of day on, a rise past the "
        "former value is no return",
        "a reading error does not climb in this way; a daily counter does",
    ),
    Worth(
        "rollover at the model's own modulus, within the limit",
        "the step across the rollover",
        "the data sheet of the model names the modulus",
    ),
    Worth(
        "rollover at a modulus that is only a candidate",
        "unknown",
        "a reset near it has the same form; a person enters the replacement",
    ),
    Worth(
        "fall to about zero",
        "unknown until it has risen over four readings without a gap of 26 hours, of which "
        "one has a value that the week before had not",
        "a dead meter also shows zeros, but they do not rise; readings sent again rise as before",
    ),
    Worth(
        "fall to any other value",
        "unknown until it returns, the replacement is entered, or it has risen "
        "over nine readings and one day",
        "no reset ends at such a value; a meter that was used before begins there",
    ),
    Worth(
        "rise beyond the limit",
        "unknown for the time that the rise would take at rated power, up to "
        "a week; later steps count as after a fall to about zero",
        "the cause is another unit, another meter, or a late reading",
    ),
    Worth(
        "return within the month to an earlier register sequence",
        "the rise since the sequence was left; the time unknown is the time "
        "that the quantity counted meanwhile would take at rated power",
        "the readings meanwhile were false, or came from a substitute meter",
    ),
    Worth(
        "return to an earlier sequence from one of a thousandth of it at both ends",
        "the rises of that sequence, times a thousand",
        "the register was sent in a larger unit for a while",
    ),
    Worth(
        "rise above an earlier sequence, from one that has not advanced for a day",
        "the rise",
        "the new sequence continues: it is another register",
    ),
    Worth(
        "meter swap in the registry",
        "the old register to its last value, the new register from its first",
        "a person read both registers",
    ),
    Worth(
        "any step of a device without the rated power that its class requires",
        "unknown",
        "nothing bounds it",
    ),
)

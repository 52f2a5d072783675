"""
Register sequences: the current reference value, and alternative sequences.

A register stands on a line: its mark.  Readings that leave it make another line, which
waits (`Other`, count other than 0): its time is unknown until it is confirmed, and a return
takes it back.  Each line that was left is remembered (count 0): a return to it takes back
what was counted meanwhile, and leaves as much time unknown as that took.  A line that has
stood for a day and rises past the value that was left is no return: it is another register.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ingest.model import HOUR_US, NULL
from ingest.registers.meter import Step

# readings farther apart than this are no run that could settle a new line; where the old one
# cannot explain them, those of a meter that is read once a day are one
LINE_GAP_US, SPARSE_GAP_US = 2 * HOUR_US, 26 * HOUR_US
# a line that was settled so long ago goes on, though the one that was left would fit too; one
# that began at the foot of a climb, as a counter of each day does, is believed earlier
STANDS_US, ANEW_US = 24 * HOUR_US, 6 * HOUR_US
# a catch-up is spread over the standstill, but over a day at the most
SPREAD_US = 86_400_000_000
# how long the line that was left is remembered after the new one settled
RETIRED_US = 31 * 86_400_000_000
CONFIRM_RISE, CONFIRM_LINE = 3, 4
# the count of a line that begins where no reset ends, by a fall to neither zero nor the past:
# so many readings more, and a day, settle it
LOST, CONFIRM_LOST, LOST_US = -99, 8, 24 * HOUR_US
# of a line that was read so often again and left, all of its value may have been made
FEW = 3
# a fall from a climb of so many rises is no fault of reading where it ends so near its foot
CLIMB, FOOT = 8, 20
# added to the count of a line that began below one that was left: no large rise from it is
# explained by the time that passed
ASTRAY = -10


@dataclass(slots=True)
class Mark:
    """State of a register: its highest value, time of last reading and of last rise."""

    value: int
    read_us: int
    changed_us: int

    def copy(self) -> Mark:
        """Return an independent copy."""
        return Mark(self.value, self.read_us, self.changed_us)


class Trail(NamedTuple):
    """State of the register before a rise: steps until then, and steps spread since."""

    value: int
    read_us: int
    changed_us: int
    steps: int
    replaced: tuple[Step, ...] = ()


@dataclass(slots=True)
class Other:
    """
    Another sequence of the register: one that awaits confirmation, or one that was left.

    Attributes
    ----------
    value, read_us : int
        Where it stands, and when that was read.
    count : int
        Readings that agree: above 0 for a rise that the time explains, below 0 for a
        line that nothing explains; 0 for the line that was left.
    first : int
        Its first value; of a line that was left, when it was settled that it was [us]: stored
        below zero where others are left beside it.
    more : bool
        Of a line that is remembered from before: others were left as well, which are not known.
    steps_at : int
        Steps there were before it; NULL where it was remembered from before.
    line : list of Step
        Steps on it; of a line that was left, those taken back when it was.
    mark : Mark or None
        The mark of the line that was left, or where the waiting line began and stands.
    ceiling : int
        Where a line stood that waited before; up to there this one's rise is no rise.
    stray : bool
        It was left by a return, which may have been a stray reading of the line before it.
    anew : bool
        It began at the foot of a climb.
    """

    value: int
    read_us: int
    count: int
    first: int
    steps_at: int = NULL
    line: list[Step] = field(default_factory=list)
    mark: Mark | None = None
    begin_us: int = 0
    ceiling: int = NULL
    trail: list[Trail] = field(default_factory=list)
    stray: bool = False
    anew: bool = False
    more: bool = False

"""
The pure pipeline: messages to accepted readings (`ingest.pipeline.admit`), readings to intervals.

What decodes payloads is not loaded here: who only meters readings again, as an auditor
does, needs no decoder of any format.

`meter` goes on from remembered marks, whether they are of the last batch, of a
stored interval or of nothing at all, and comes to the same rows: that is
tested, and `tonne rebuild --check` asks it of a live database.
"""

from ingest.model import LOOK_BACK_US, METERING, POWER_GAP_US
from ingest.pipeline.meter import Metered, meter
from ingest.pipeline.meter_state import FROM_START, MeterState
from ingest.pipeline.register_bounds import Bounds
from ingest.registers import EVENTS, SPREAD_US, fell

__all__ = [
    "EVENTS",
    "FROM_START",
    "LOOK_BACK_US",
    "METERING",
    "POWER_GAP_US",
    "SPREAD_US",
    "Bounds",
    "MeterState",
    "Metered",
    "fell",
    "meter",
]

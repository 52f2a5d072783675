"""
The pure pipeline: messages to judged readings (`admit`), readings to intervals.

`meter` goes on from remembered marks, whether they are of the last batch, of a
stored interval or of nothing at all, and comes to the same rows: that is
tested, and `tonne rebuild --check` asks it of a live database.
"""

from ingest.pipeline.admit import Admitted, admit
from ingest.pipeline.meter import FROM_START, Metered, meter
from ingest.pipeline.meter_state import MeterState
from ingest.pipeline.register_bounds import Bounds
from ingest.rates import MAX_GAP_US as POWER_GAP_US
from ingest.registers import EVENTS, LOOK_BACK_US, SPREAD_US
from ingest.registers import VERSION as METERING

__all__ = [
    "EVENTS",
    "FROM_START",
    "LOOK_BACK_US",
    "METERING",
    "POWER_GAP_US",
    "SPREAD_US",
    "Admitted",
    "Bounds",
    "MeterState",
    "Metered",
    "admit",
    "meter",
]

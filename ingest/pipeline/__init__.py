"""
The pure pipeline: messages to accepted readings (`ingest.pipeline.admit`), readings to intervals.

Decoders are not imported here, as auditors who only meter readings do not need them.

`meter` continues from stored marks: of the last batch, of an earlier interval, or without any; the
rows are equal in each case. `tonne rebuild --check` compares them in a live database.
"""

from ingest.model import LOOK_BACK_US, METERING, POWER_GAP_US
from ingest.pipeline.meter import Metered, meter
from ingest.pipeline.quality_state import FROM_START, MeterState
from ingest.pipeline.register_steps import Bounds
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
